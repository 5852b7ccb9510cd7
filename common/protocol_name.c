/* SPDX-License-Identifier: Apache-2.0 */
#include "common/protocol_name.h"

#include <netinet/in.h>
#include <stdio.h>

#include "common/macros.h"

static const struct {
    uint8_t protocol;
    const char *name;
} names[] = {
    {IPPROTO_TCP, "tcp"},   {IPPROTO_UDP, "udp"},         {IPPROTO_ICMP, "icmp"},
    {IPPROTO_IGMP, "igmp"}, {IPPROTO_ICMPV6, "icmpv6"},   {IPPROTO_SCTP, "sctp"},
    {IPPROTO_GRE, "gre"},   {IPPROTO_ESP, "esp"},         {IPPROTO_AH, "ah"},
    {IPPROTO_DCCP, "dccp"}, {IPPROTO_UDPLITE, "udplite"},
};

const char *protocol_name(uint8_t protocol, char buffer[PROTOCOL_NAME_SIZE])
{
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (names[i].protocol == protocol) {
            snprintf(buffer, PROTOCOL_NAME_SIZE, "%s", names[i].name);
            return buffer;
        }
    }
    snprintf(buffer, PROTOCOL_NAME_SIZE, "%u", protocol);
    return buffer;
}

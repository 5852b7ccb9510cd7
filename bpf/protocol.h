/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef EGRESSGW_BPF_PROTOCOL_H
#define EGRESSGW_BPF_PROTOCOL_H

/*
 * Which protocols can be translated. One whose ports we do not know is told apart by its addresses
 * alone: one pod at a time can speak it with a remote address by way of an egress IP, and its flow
 * has the ports 0.
 */

#include "packet_read.h"

/* Not all of them are in the kernel's own headers. */
enum {
    PROTOCOL_OSPF = 89,
    PROTOCOL_MOBILITY = 135,
    PROTOCOL_HIP = 139,
    PROTOCOL_SHIM6 = 140,
};

static __always_inline int protocol_has_ports(__u8 protocol)
{
    return protocol == IPPROTO_TCP || protocol_is_like_udp(protocol);
}

/* Protocols whose checksum or signature has the addresses in it, in a place that we do not know. */
static __always_inline int protocol_covers_addresses(const struct packet *packet)
{
    switch (packet->flow.protocol) {
    case IPPROTO_AH:
    case PROTOCOL_HIP:
        return 1;
    case PROTOCOL_MOBILITY:
    case PROTOCOL_SHIM6:
    case PROTOCOL_OSPF:
    case IPPROTO_PIM:
        return packet->version == 6;
    }
    return 0;
}

/*
 * Whether the packet can be translated by its addresses. It cannot where an extension header of
 * IPv6 hides what it is.
 */
static __always_inline int protocol_by_address(const struct packet *packet)
{
    __u8 protocol = packet->flow.protocol;

    return !protocol_has_ports(protocol) && protocol != IPPROTO_ICMP &&
           protocol != IPPROTO_ICMPV6 && !protocol_is_extension(protocol) &&
           !protocol_covers_addresses(packet);
}

#endif

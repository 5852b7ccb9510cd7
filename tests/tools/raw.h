/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_TOOLS_RAW_H
#define TESTS_TOOLS_RAW_H

/* UDP datagrams and TCP SYNs made by hand and sent by a raw socket: any number of flows without a
 * socket each. The kernel adds the IP header. */

#include <netinet/tcp.h>
#include <netinet/udp.h>

#include "tests/tools/tool.h"

enum { RAW_PAYLOAD_MOST = 64 };

struct raw_packet {
    union {
        struct udphdr udp;
        struct tcphdr tcp;
    };
    uint8_t payload[RAW_PAYLOAD_MOST];
};

struct raw {
    int fd; /* connected */
    struct tool_address source, destination;
    uint8_t protocol; /* IPPROTO_UDP or IPPROTO_TCP */
};

static inline uint32_t raw_sum(const void *data, size_t length)
{
    const uint8_t *bytes = data;
    uint32_t sum = 0;

    for (size_t i = 0; i < length; i++)
        sum += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
    return sum;
}

static inline uint32_t raw_sum_address(const struct tool_address *address)
{
    return address->any.sa_family == AF_INET
               ? raw_sum(&address->v4.sin_addr, sizeof(address->v4.sin_addr))
               : raw_sum(&address->v6.sin6_addr, sizeof(address->v6.sin6_addr));
}

/* A socket for packets to that address; its port does not count. */
static inline struct raw raw_open(const struct tool_address *destination, uint8_t protocol)
{
    struct raw raw = {.destination = *destination, .protocol = protocol};

    raw.fd = socket(destination->any.sa_family, SOCK_RAW | SOCK_CLOEXEC, protocol);
    if (raw.destination.any.sa_family == AF_INET)
        raw.destination.v4.sin_port = 0;
    else
        raw.destination.v6.sin6_port = 0;
    raw.source.length = sizeof(raw.source.v6);
    if (raw.fd < 0 || connect(raw.fd, &raw.destination.any, raw.destination.length) ||
        getsockname(raw.fd, &raw.source.any, &raw.source.length))
        tool_fail("raw socket: %s", strerror(errno));
    return raw;
}

/*
 * Builds a packet of that flow, with its checksum; `payload` of UDP, a SYN has none. Returns its
 * length in bytes.
 */
static inline size_t raw_build(const struct raw *raw, uint16_t source_port,
                               uint16_t destination_port, const void *payload, size_t size,
                               struct raw_packet *packet)
{
    uint32_t sum = raw_sum_address(&raw->source) + raw_sum_address(&raw->destination);
    size_t length = raw->protocol == IPPROTO_UDP ? sizeof(packet->udp) + size : sizeof(packet->tcp);
    uint16_t check;

    memset(packet, 0, length);
    if (raw->protocol == IPPROTO_UDP) {
        packet->udp.source = htons(source_port);
        packet->udp.dest = htons(destination_port);
        packet->udp.len = htons((uint16_t)length);
        memcpy((uint8_t *)packet + sizeof(packet->udp), payload, size);
    } else {
        packet->tcp.source = htons(source_port);
        packet->tcp.dest = htons(destination_port);
        packet->tcp.seq = htonl(1000);
        packet->tcp.doff = sizeof(packet->tcp) / 4;
        packet->tcp.syn = 1;
        packet->tcp.window = htons(65535);
    }
    sum += raw->protocol + (uint32_t)length + raw_sum(packet, length);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    check = htons((uint16_t)~sum);
    if (raw->protocol == IPPROTO_UDP)
        packet->udp.check = check ? check : 0xffff;
    else
        packet->tcp.check = check;
    return length;
}

#endif

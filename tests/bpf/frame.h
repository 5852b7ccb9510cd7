/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_BPF_FRAME_H
#define TESTS_BPF_FRAME_H

/* Frames made by hand, with checksums computed from nothing. */

#include <stddef.h>
#include <stdint.h>

#define FRAME_SIZE      4096
#define FRAME_ETHERNET  14
#define DO_NOT_FRAGMENT 0x4000 /* flags of IPv4 */
#define MORE_FRAGMENTS  0x2000
#define FRAME_TUNNEL    50 /* outer IPv4, UDP, VXLAN, inner Ethernet */
#define FRAME_TUNNEL6   70 /* the same with IPv6 */

struct frame {
    uint8_t data[FRAME_SIZE];
    size_t length;
};

/* A packet of the family of its addresses. Everything in host order; 0 where a field is of no
 * interest. */
struct packet_spec {
    const char *source;
    const char *destination;
    int protocol;         /* IPPROTO_* */
    uint16_t source_port; /* or the identifier of an ICMP echo */
    uint16_t destination_port;
    uint8_t icmp_type;
    uint8_t tcp_flags;
    uint32_t tcp_sequence; /* 0: 0x11220000 */
    uint32_t tcp_ack;
    uint8_t hop_limit; /* 0: 64 */
    uint8_t traffic_class;
    uint16_t fragment;         /* flags and offset as in the header */
    const uint8_t *options;    /* of TCP, a multiple of four bytes */
    size_t options_length;     /* bytes */
    const uint8_t *ip_options; /* a multiple of four bytes */
    size_t ip_options_length;  /* bytes */
    size_t payload;            /* bytes */
    int no_checksum;           /* UDP without a checksum */
    uint32_t flow_label;       /* IPv6 */
    const uint8_t *extensions; /* of IPv6: headers, the last one names the protocol itself */
    size_t extensions_length;  /* bytes, a multiple of eight */
    uint8_t extension;         /* the protocol number of the first */
};

/* The addresses that the Ethernet header of a frame has. */
extern const uint8_t mac_uplink[6], mac_gateway[6], mac_router[6], mac_second[6],
    mac_second_gateway[6], mac_zero[6];

/* Builds Ethernet and IP packet. */
void frame_build(struct frame *frame, const uint8_t *destination, const uint8_t *source,
                 const struct packet_spec *spec);

/*
 * Builds an ICMP error about the packet of another frame, of which it quotes that many bytes;
 * `word` is what the second half of the ICMP header holds.
 */
void frame_build_error(struct frame *frame, const uint8_t *destination, const uint8_t *source,
                       const struct packet_spec *spec, uint32_t word, const struct frame *about,
                       size_t quoted);

/*
 * `length` bytes of the payload of the frame's IP packet, from `start` on, as a fragment of it. An
 * IPv4 packet may be a fragment already; an IPv6 one has no extension headers.
 */
void frame_cut(struct frame *piece, const struct frame *whole, size_t start, size_t length);

/* Computes the checksum of the frame's ICMP or ICMPv6 packet anew; no extension headers. */
void frame_fix_icmp_checksum(struct frame *frame);

/*
 * Puts the frame's packet into VXLAN, as the datapath does; `port` is the outer source port, `id`
 * the outer identification or, of IPv6, the flow label.
 */
void frame_encapsulate(struct frame *frame, const uint8_t *destination, const uint8_t *source,
                       const char *outer_source, const char *outer_destination, uint32_t id,
                       uint16_t port, uint32_t vni);

/* Makes it an answer, from the gateway to the pod: the Ethernet addresses inside change places. */
void frame_answer(struct frame *frame);

/* The ones' complement sum that a receiver computes: 0 where the checksum in the bytes is right. */
uint16_t checksum_of(const uint8_t *bytes, size_t length, uint32_t start);

/* The 16-bit number, in host order, at an offset of the frame. */
uint16_t frame_u16(const struct frame *frame, size_t offset);
void frame_set_u16(struct frame *frame, size_t offset, uint16_t value);

/* The bytes that the tunnel between two such addresses adds. */
size_t frame_overhead(const char *outer_address);

/* The flow label of the IPv6 header at the offset. */
uint32_t frame_flow_label(const struct frame *frame, size_t offset);

/* Recomputes the checksum of the IPv4 header at the offset. */
void frame_fix_ip_checksum(struct frame *frame, size_t offset);

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef EGRESSGW_BPF_REWRITE_H
#define EGRESSGW_BPF_REWRITE_H

/*
 * Changes of a packet: its address, port and hop limit, and the TCP option for the segment size.
 * All checksums are updated by difference, so that checksum offload and GSO stay as they were.
 */

#include "packet.h"

/* The part of an IPv4 header that a translation changes. */
struct ipv4_tail {
    __u8 hop_limit;
    __u8 protocol;
    __sum16 check;
    __be32 source;
    __be32 destination;
};

#define IPV4_TAIL_OFFSET 8

static __always_inline __sum16 checksum_fold(__u32 sum)
{
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return ~sum;
}

/* Adds the difference between two 32-bit values, as they lie in the packet, to a sum. */
static __always_inline __u32 checksum_replace(__u32 sum, __be32 from, __be32 to)
{
    sum += (__u16)~from + (__u16) ~(from >> 16);
    return sum + (__u16)to + (to >> 16);
}

/*
 * The difference that another address makes to a sum, as bpf_l4_csum_replace() takes it. The parts
 * that two IPv4-mapped addresses have in common add nothing.
 */
static __always_inline __u32 checksum_difference(const struct ip_addr *from,
                                                 const struct ip_addr *to)
{
    __u64 sum = 0;
    int i;

    for (i = 0; i < 4; i++)
        sum += (__u64)(__u32)~from->words_be[i] + to->words_be[i];
    sum = (sum & 0xffffffff) + (sum >> 32);
    return (sum & 0xffffffff) + (sum >> 32);
}

static __always_inline int rewrite_l3_v4(struct __sk_buff *skb, struct packet *packet,
                                         __be32 address_be, __u8 hop_limit)
{
    __be32 old_be = packet->flow.local.words_be[3], remote_be = packet->flow.remote.words_be[3];
    struct ipv4_tail tail = {
        .hop_limit = hop_limit,
        .protocol = packet->flow.protocol,
        .source = packet->direction == OUTBOUND ? address_be : remote_be,
        .destination = packet->direction == OUTBOUND ? remote_be : address_be,
    };
    __u32 sum = (__u16)~packet->l3_check;

    sum = checksum_replace(sum, old_be, address_be);
    sum = checksum_replace(sum, bpf_htons(packet->hop_limit << 8), bpf_htons(hop_limit << 8));
    tail.check = packet->l3_check = checksum_fold(sum);
    return bpf_skb_store_bytes(skb, packet->l3 + IPV4_TAIL_OFFSET, &tail, sizeof(tail), 0);
}

/* Of the local end. */
static __always_inline __u32 address_offset_v6(enum direction direction)
{
    return direction == OUTBOUND ? __builtin_offsetof(struct ipv6hdr, saddr)
                                 : __builtin_offsetof(struct ipv6hdr, daddr);
}

/* The part of an IPv6 header in which the hop limit and the source lie beside each other. */
struct ipv6_source {
    __u8 unused[7]; /* the two lie beside each other here, too */
    __u8 hop_limit;
    struct ip_addr source;
};

/* Unlike in IPv4, no checksum in the header makes up for what changes there: the sum of the frame
 * (where the interface has given one) has to follow. */
static __always_inline int rewrite_l3_v6(struct __sk_buff *skb, const struct packet *packet,
                                         const struct ip_addr *address, __u8 hop_limit)
{
    __u32 offset = packet->l3 + __builtin_offsetof(struct ipv6hdr, hop_limit);
    struct ipv6_source part = {.hop_limit = hop_limit, .source = *address};
    int error;

    if (packet->direction == OUTBOUND)
        return bpf_skb_store_bytes(skb, offset, &part.hop_limit, 1 + sizeof(part.source),
                                   BPF_F_RECOMPUTE_CSUM);
    error = bpf_skb_store_bytes(skb, packet->l3 + __builtin_offsetof(struct ipv6hdr, daddr),
                                &part.source, sizeof(part.source), BPF_F_RECOMPUTE_CSUM);
    if (error || hop_limit == packet->hop_limit)
        return error;
    return bpf_skb_store_bytes(skb, offset, &part.hop_limit, sizeof(part.hop_limit),
                               BPF_F_RECOMPUTE_CSUM);
}

struct l4_fields {
    __u32 checksum; /* offsets */
    __u32 port;
    __u64 flags; /* of bpf_l4_csum_replace() */
    __u64 pseudo_flags;
};

static __always_inline int l4_fields_find(const struct packet *packet, struct l4_fields *fields)
{
    fields->flags = 0;
    fields->pseudo_flags = BPF_F_PSEUDO_HDR;
    fields->port = packet->l4 + (packet->direction == OUTBOUND ? 0 : 2);
    switch (packet->flow.protocol) {
    case IPPROTO_TCP:
        fields->checksum = packet->l4 + __builtin_offsetof(struct tcphdr, check);
        return 1;
    case IPPROTO_DCCP: /* for which 0 is a sum like others */
        fields->checksum = packet->l4 + __builtin_offsetof(struct udphdr, check);
        return 1;
    case IPPROTO_UDP:
    case IPPROTO_UDPLITE:
        fields->checksum = packet->l4 + __builtin_offsetof(struct udphdr, check);
        fields->flags = BPF_F_MARK_MANGLED_0;
        fields->pseudo_flags |= BPF_F_MARK_MANGLED_0;
        return 1;
    case IPPROTO_ICMP: /* the one without a pseudo header */
        fields->pseudo_flags = 0;
        /* fallthrough */
    case IPPROTO_ICMPV6:
        fields->checksum = packet->l4 + __builtin_offsetof(struct icmp_echo_header, checksum);
        fields->port = packet->l4 + __builtin_offsetof(struct icmp_echo_header, id);
        return 1;
    }
    return 0;
}

static __always_inline int rewrite_l4(struct __sk_buff *skb, const struct packet *packet,
                                      const struct ip_addr *address, __be16 port_be)
{
    struct l4_fields fields;
    int error = 0;

    if (packet->fragment == FRAGMENT_LATER)
        return 0; /* what there is of layer 4 has gone by */
    if ((!packet->has_ports && packet->icmp != ICMP_ERROR) || !l4_fields_find(packet, &fields))
        return 0;
    if (fields.pseudo_flags)
        error = bpf_l4_csum_replace(skb, fields.checksum, 0,
                                    checksum_difference(&packet->flow.local, address),
                                    fields.pseudo_flags);
    if (error || !packet->has_ports || port_be == packet->flow.local_port_be)
        return error;
    error = bpf_l4_csum_replace(skb, fields.checksum, packet->flow.local_port_be, port_be,
                                fields.flags | sizeof(port_be));
    if (error)
        return error;
    return bpf_skb_store_bytes(skb, fields.port, &port_be, sizeof(port_be), 0);
}

/*
 * Gives the packet another address and port at its local end and another hop limit, in the frame
 * and in `packet`. The port is left alone where the packet has none.
 */
__noinline int packet_rewrite(struct __sk_buff *skb, struct packet *packet,
                              const struct ip_addr *address, __be16 port_be, __u8 hop_limit)
{
    int error;

    if (!packet || !address || rewrite_l4(skb, packet, address, port_be))
        return REASON(DROP_INTERNAL);
    if (packet->version == 4)
        error = rewrite_l3_v4(skb, packet, address->words_be[3], hop_limit);
    else
        error = rewrite_l3_v6(skb, packet, address, hop_limit);
    if (error)
        return REASON(DROP_INTERNAL);
    packet->flow.local = *address;
    if (packet->has_ports)
        packet->flow.local_port_be = port_be;
    packet->hop_limit = hop_limit;
    return 0;
}

static __always_inline int traffic_class_store_v4(struct __sk_buff *skb, struct packet *packet,
                                                  __u8 traffic_class)
{
    __u32 sum = checksum_replace((__u16)~packet->l3_check, bpf_htons(packet->traffic_class),
                                 bpf_htons(traffic_class));

    packet->l3_check = checksum_fold(sum);
    if (bpf_skb_store_bytes(skb, packet->l3 + __builtin_offsetof(struct iphdr, tos), &traffic_class,
                            sizeof(traffic_class), 0))
        return REASON(DROP_INTERNAL);
    return bpf_skb_store_bytes(skb, packet->l3 + __builtin_offsetof(struct iphdr, check),
                               &packet->l3_check, sizeof(packet->l3_check), 0);
}

/* The traffic class lies across the first two bytes, between version and flow label. */
static __always_inline int traffic_class_store_v6(struct __sk_buff *skb,
                                                  const struct packet *packet, __u8 traffic_class)
{
    __u8 start[2];
    int error = bpf_skb_load_bytes(skb, packet->l3, start, sizeof(start));

    if (error)
        return error;
    start[0] = 6 << 4 | traffic_class >> 4;
    start[1] = traffic_class << 4 | (start[1] & 15);
    return bpf_skb_store_bytes(skb, packet->l3, start, sizeof(start), BPF_F_RECOMPUTE_CSUM);
}

/*
 * Hands on what routers on the way of the tunnel marked its header with, as RFC 6040 has it. A mark
 * that the flow's ends do not understand is a loss. Returns 0 or REASON(why).
 */
static __always_inline int packet_carry_congestion(struct __sk_buff *skb, struct packet *packet,
                                                   __u8 outer_traffic_class)
{
    __u8 inner = packet->traffic_class & IP_ECN_MASK, outer = outer_traffic_class & IP_ECN_MASK;
    __u8 traffic_class = (packet->traffic_class & ~IP_ECN_MASK) | outer;
    int error;

    if (inner == IP_ECN_NOT_ECT)
        return outer == IP_ECN_CE ? REASON(DROP_CONGESTION) : 0;
    if (outer == inner || inner == IP_ECN_CE ||
        (outer != IP_ECN_CE && (inner != IP_ECN_ECT_0 || outer != IP_ECN_ECT_1)))
        return 0;
    if (packet->version == 4)
        error = traffic_class_store_v4(skb, packet, traffic_class);
    else
        error = traffic_class_store_v6(skb, packet, traffic_class);
    packet->traffic_class = traffic_class;
    return error ? REASON(DROP_INTERNAL) : 0;
}

enum {
    TCP_OPTION_END = 0,
    TCP_OPTION_NOP = 1,
    TCP_OPTION_MSS = 2,
    TCP_OPTION_SCALE = 3,
    TCP_OPTIONS_LONGEST = 40,
};

struct tcp_option {
    __u8 kind;
    __u8 length;
    __be16 value_be;
};

static __always_inline int segment_size_store(struct __sk_buff *skb, __u32 l4, __u32 offset,
                                              __be16 old_be, __be16 new_be)
{
    __u32 check = l4 + __builtin_offsetof(struct tcphdr, check);
    int odd = (offset - l4) & 1; /* the two bytes lie in two words of the sum */
    int error;

    error = bpf_l4_csum_replace(skb, check, odd ? __builtin_bswap16(old_be) : old_be,
                                odd ? __builtin_bswap16(new_be) : new_be, sizeof(new_be));
    if (error)
        return error;
    return bpf_skb_store_bytes(skb, offset, &new_be, sizeof(new_be), 0);
}

/* Lowers the segment size option of a SYN at `l4` whose header ends at `end` to `limit`. */
__noinline int segment_size_lower(struct __sk_buff *skb, __u32 l4, __u32 end, __u32 limit)
{
    __u32 offset = l4 + sizeof(struct tcphdr);
    struct tcp_option option;
    int i;

    for (i = 0; i < TCP_OPTIONS_LONGEST; i++) {
        if (offset + sizeof(option) > end ||
            bpf_skb_load_bytes(skb, offset, &option, sizeof(option)))
            return 0;
        if (option.kind == TCP_OPTION_NOP) {
            offset++;
            continue;
        }
        if (option.kind == TCP_OPTION_END || option.length < 2)
            return 0;
        if (option.kind == TCP_OPTION_MSS && option.length == sizeof(option)) {
            if (bpf_ntohs(option.value_be) <= limit)
                return 0;
            return segment_size_store(skb, l4, offset + 2, option.value_be, bpf_htons(limit));
        }
        offset += option.length;
    }
    return 0;
}

#endif

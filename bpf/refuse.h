/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef EGRESSGW_BPF_REFUSE_H
#define EGRESSGW_BPF_REFUSE_H

/*
 * ICMP errors of our own, made of the packet that they are about: what does not fit, what has used
 * up its hop limit, and what there is no mapping for. None is ever sent about an error, a TCP
 * reset, a fragment behind the first, or a packet to many.
 */

#include "packet.h"
#include "rewrite.h"

/* Bytes of the packet that are quoted at least; its headers are what the receiver needs. */
#define REFUSE_QUOTE_LEAST 28
#define REFUSE_HOP_LIMIT   64

/* What the kernel takes off at once, a packet's length at most, together. */
#define REFUSE_STEP  4092
#define REFUSE_STEPS 17

/* Errors in a tick and processor for the senders that share a place: about 30 a second. */
#define REFUSE_BURST  8
#define REFUSE_PLACES 256 /* a power of two */

/* In place of an MTU: what the error is about. */
#define REFUSE_EXPIRED    0 /* the hop limit */
#define REFUSE_PROHIBITED 1 /* we let it out with no address */

enum {
    ICMP_ERROR_UNREACHABLE = 3,
    ICMP_ERROR_FRAGMENTATION_NEEDED = 4, /* code */
    ICMP_ERROR_PROHIBITED = 13,          /* code */
    ICMP_ERROR_TIME_EXCEEDED = 11,
    ICMPV6_ERROR_UNREACHABLE = 1,
    ICMPV6_ERROR_PROHIBITED = 1, /* code */
    ICMPV6_ERROR_TOO_BIG = 2,
    ICMPV6_ERROR_TIME_EXCEEDED = 3,
};

struct refuse_budget {
    __u32 tick;
    __u32 used;
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, REFUSE_PLACES);
    __type(key, __u32);
    __type(value, struct refuse_budget);
} refuse_budgets SEC(".maps");

/* What fits of a packet that is too big, in bytes; 0: not known. */
static __always_inline __u32 refuse_mtu(const struct packet *packet)
{
    __u32 zero = 0;
    const struct refuse_room *room = bpf_map_lookup_elem(&refuse_rooms, &zero);
    __u32 overhead = packet->too_big - 1;

    return room && room->mtu > overhead ? room->mtu - overhead : 0;
}

struct refuse_icmp {
    __u8 type;
    __u8 code;
    __sum16 check;
    __be32 value_be; /* the MTU, or 0 */
};

struct refuse_v4 {
    struct iphdr ip;
    struct refuse_icmp icmp;
};

struct refuse_v6 {
    struct ipv6hdr ip;
    struct refuse_icmp icmp;
};

static __always_inline int refuse_is_to_many(const struct packet *packet)
{
    const struct ip_addr *address = &packet->flow.remote;

    return packet->version == 4 ? address->bytes[12] >= 224 : address->bytes[0] == 0xff;
}

static __always_inline int refuse_is_allowed(const struct packet *packet)
{
    __u32 index = bpf_ntohl(packet->flow.local.words_be[3]) & (REFUSE_PLACES - 1);
    __u32 now = clock_ticks();
    struct refuse_budget *budget;

    if (packet->icmp == ICMP_ERROR || packet->fragment == FRAGMENT_LATER ||
        packet->tcp_flags & TCP_RST || refuse_is_to_many(packet))
        return 0;
    budget = bpf_map_lookup_elem(&refuse_budgets, &index);
    if (!budget)
        return 0;
    if (budget->tick != now) {
        budget->tick = now;
        budget->used = 0;
    }
    return budget->used++ < REFUSE_BURST;
}

/* Type and code of the error. */
static __always_inline void refuse_name(int version, __u32 mtu, struct refuse_icmp *icmp)
{
    icmp->type = version == 4 ? ICMP_ERROR_UNREACHABLE : ICMPV6_ERROR_TOO_BIG;
    icmp->code = version == 4 ? ICMP_ERROR_FRAGMENTATION_NEEDED : 0;
    icmp->value_be = bpf_htonl(mtu);
    if (mtu == REFUSE_EXPIRED) {
        icmp->type = version == 4 ? ICMP_ERROR_TIME_EXCEEDED : ICMPV6_ERROR_TIME_EXCEEDED;
        icmp->code = 0;
    } else if (mtu == REFUSE_PROHIBITED) {
        icmp->type = version == 4 ? ICMP_ERROR_UNREACHABLE : ICMPV6_ERROR_UNREACHABLE;
        icmp->code = version == 4 ? ICMP_ERROR_PROHIBITED : ICMPV6_ERROR_PROHIBITED;
        icmp->value_be = 0;
    }
}

/* Adds 16-bit words as they lie in memory. */
static __always_inline __u32 refuse_sum(__u32 sum, const void *bytes, const __u32 length)
{
    const __u16 *words = bytes;
    __u32 i;

    for (i = 0; i < length / 2; i++)
        sum += words[i];
    return sum;
}

static __always_inline int refuse_store_v4(struct __sk_buff *skb, const struct packet *packet,
                                           const struct ip_addr *source, __u32 mtu, __u32 sum,
                                           __u32 length)
{
    struct refuse_v4 headers = {
        .ip =
            {
                .version = 4,
                .ihl = sizeof(struct iphdr) / 4,
                .tot_len = bpf_htons(length),
                .ttl = REFUSE_HOP_LIMIT,
                .protocol = IPPROTO_ICMP,
                .saddr = source->words_be[3],
                .daddr = packet->flow.local.words_be[3],
            },
    };

    refuse_name(4, mtu, &headers.icmp);
    headers.ip.check = checksum_fold(refuse_sum(0, &headers.ip, sizeof(headers.ip)));
    headers.icmp.check = checksum_fold(refuse_sum(sum, &headers.icmp, sizeof(headers.icmp)));
    return bpf_skb_store_bytes(skb, packet->l3, &headers, sizeof(headers), BPF_F_RECOMPUTE_CSUM);
}

static __always_inline int refuse_store_v6(struct __sk_buff *skb, const struct packet *packet,
                                           const struct ip_addr *source, __u32 mtu, __u32 sum,
                                           __u32 length)
{
    struct refuse_v6 headers = {
        .ip =
            {
                .version = 6,
                .payload_len = bpf_htons(length - sizeof(struct ipv6hdr)),
                .nexthdr = IPPROTO_ICMPV6,
                .hop_limit = REFUSE_HOP_LIMIT,
            },
    };

    refuse_name(6, mtu, &headers.icmp);
    __builtin_memcpy(&headers.ip.saddr, source, sizeof(headers.ip.saddr));
    __builtin_memcpy(&headers.ip.daddr, &packet->flow.local, sizeof(headers.ip.daddr));
    sum += headers.ip.payload_len + bpf_htons(IPPROTO_ICMPV6); /* of the pseudo header */
    sum = refuse_sum(sum, &headers.ip.saddr, 2 * sizeof(headers.ip.saddr));
    headers.icmp.check = checksum_fold(refuse_sum(sum, &headers.icmp, sizeof(headers.icmp)));
    return bpf_skb_store_bytes(skb, packet->l3, &headers, sizeof(headers), BPF_F_RECOMPUTE_CSUM);
}

/* Makes `packet` describe the error: from `source`, seen from the end that it is for. */
static __always_inline void refuse_describe(struct packet *packet, const struct ip_addr *source,
                                            __u32 headers, __u32 length)
{
    packet->flow.remote = *source;
    packet->flow.local_port_be = packet->flow.remote_port_be = 0;
    packet->flow.protocol = packet->version == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
    packet->direction = INBOUND;
    packet->length = length;
    packet->l4 = packet->l3 + headers - sizeof(struct refuse_icmp);
    packet->traffic_class = 0;
    packet->hop_limit = REFUSE_HOP_LIMIT;
    packet->fragment = FRAGMENT_NONE;
    packet->has_ports = 0;
    packet->icmp = ICMP_ERROR;
    packet->tcp_flags = 0;
    packet->l4_length = 0;
    packet->too_big = 0;
}

/*
 * Cuts the frame to `length` bytes. The kernel takes nothing off the end of a packet that it takes
 * for one in a tunnel, as is one that has come out of ours without crossing a wire: then as much
 * goes from behind its Ethernet header, and the quote has to be written anew. Returns 0 or -1.
 */
__noinline int refuse_shorten(struct __sk_buff *skb, __u32 length)
{
    __u32 excess, step;
    int i;

    if (skb->len <= length || !bpf_skb_change_tail(skb, length, 0))
        return 0;
    for (i = 0; i < REFUSE_STEPS && skb->len > length; i++) {
        excess = skb->len - length;
        step = excess < REFUSE_STEP ? excess : REFUSE_STEP;
        if (bpf_skb_adjust_room(skb, -(__s32)step, BPF_ADJ_ROOM_MAC, 0))
            return -1;
    }
    return skb->len > length ? -1 : 0;
}

/*
 * Makes the frame, whose packet goes out from `packet->flow.local`, the ICMP error about it: too
 * big for `mtu` bytes, or what REFUSE_* stands for there. `packet` describes the error
 * then; the Ethernet header is left alone. Returns 0, or -1 where there is to be no error.
 */
__noinline int refuse_build(struct __sk_buff *skb, struct packet *packet,
                            const struct ip_addr *source, __u32 mtu)
{
    __u32 zero = 0, quoted, headers, length;
    struct refuse_room *room = bpf_map_lookup_elem(&refuse_rooms, &zero);
    __s64 sum;

    if (!packet || !source || !room || !refuse_is_allowed(packet))
        return -1;
    quoted = packet->length;
    if (quoted < REFUSE_QUOTE_LEAST)
        return -1;
    if (quoted > REFUSE_QUOTE_MOST)
        quoted = REFUSE_QUOTE_MOST;
    headers = packet->version == 4 ? sizeof(struct refuse_v4) : sizeof(struct refuse_v6);
    length = headers + quoted;
    __builtin_memset(room->quote, 0, sizeof(room->quote));
    if (bpf_skb_load_bytes(skb, packet->l3, room->quote, quoted) ||
        refuse_shorten(skb, packet->l3 + quoted) ||
        bpf_skb_store_bytes(skb, packet->l3, room->quote, quoted, BPF_F_RECOMPUTE_CSUM) ||
        bpf_skb_adjust_room(skb, headers, BPF_ADJ_ROOM_MAC, 0))
        return -1;
    sum = bpf_csum_diff(NULL, 0, (__be32 *)room->quote, sizeof(room->quote), 0);
    sum = (sum & 0xffff) + (sum >> 16 & 0xffff);
    if (packet->version == 4 ? refuse_store_v4(skb, packet, source, mtu, sum, length)
                             : refuse_store_v6(skb, packet, source, mtu, sum, length))
        return -1;
    refuse_describe(packet, source, headers, length);
    return 0;
}

/* Hands the frame of an egress hook back to the host as if it had just come in there. */
static __always_inline int refuse_turn(struct __sk_buff *skb)
{
    __u8 addresses[2 * ETH_ALEN], turned[2 * ETH_ALEN];

    if (bpf_skb_load_bytes(skb, 0, addresses, sizeof(addresses)))
        return TC_ACT_SHOT;
    __builtin_memcpy(turned, addresses + ETH_ALEN, ETH_ALEN);
    __builtin_memcpy(turned + ETH_ALEN, addresses, ETH_ALEN);
    if (bpf_skb_store_bytes(skb, 0, turned, sizeof(turned), BPF_F_RECOMPUTE_CSUM))
        return TC_ACT_SHOT;
    skb->mark = config.mark;
    return bpf_redirect(skb->ifindex, BPF_F_INGRESS);
}

#endif

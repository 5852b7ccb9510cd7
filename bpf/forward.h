/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef EGRESSGW_BPF_FORWARD_H
#define EGRESSGW_BPF_FORWARD_H

/*
 * Sending a packet that we changed: where the kernel's routing would send it, and out there. The
 * look-up is that of a packet which the node itself sends (input interface lo), so that it obeys
 * all routing rules and may leave by any interface.
 */

#include "drop.h"
#include "masquerade.h"
#include "packet.h"
#include "path_mtu.h"

#define LOOPBACK_IFINDEX 1 /* in every network namespace */
#define MTU_UNLIMITED    65535

enum hop_state {
    HOP_RESOLVED,  /* both link-layer addresses are known */
    HOP_NEIGHBOUR, /* the kernel has to resolve the neighbour */
    HOP_DEVICE,    /* no look-up possible (no forwarding on lo): let the kernel route it */
};

struct hop {
    struct bpf_fib_lookup fib; /* smac and dmac where it is resolved, else the next hop */
    enum hop_state state;
    __u32 ifindex;
    __u32 mtu;   /* of the way, in bytes; 0: not known */
    __u32 again; /* 1: taken from `ways`, so `fib` holds nothing but smac and dmac */
};

/*
 * The source port that the way of a packet is asked for: one of 16 stands for all. Where next hops
 * share a route by ports, its flows are still spread over them, and a rule about a source port can
 * only mean connections of the node itself. So many flows to one place need few look-ups.
 */
#define HOP_PORT_FIRST 0xc000
#define HOP_PORT_MASK  0xf

static __always_inline __be16 hop_port(__be16 source_port_be)
{
    return (source_port_be & bpf_htons(HOP_PORT_MASK)) | bpf_htons(HOP_PORT_FIRST);
}

/* What decides about the way of a packet. */
struct hop_query {
    const struct ip_addr *source; /* of one family */
    const struct ip_addr *destination;
    __be16 source_port_be; /* hop_port() of the packet's */
    __be16 destination_port_be;
    __u8 protocol;
    __u8 traffic_class;
    __u8 tunnel;   /* 1: to a node, by our tunnel */
    __u32 length;  /* of the longest IP packet to be sent, in bytes */
    __u32 ifindex; /* where it leaves if the look-up is not possible */
};

/* For a packet outside of the tunnel between these two; its length and its traffic class count
 * where the caller says so. */
static __always_inline void hop_query_fill(struct __sk_buff *skb, const struct packet *packet,
                                           const struct ip_addr *source, __be16 source_port_be,
                                           const struct ip_addr *destination,
                                           struct hop_query *query)
{
    query->source = source;
    query->destination = destination;
    query->source_port_be = hop_port(source_port_be);
    query->destination_port_be = packet->flow.remote_port_be;
    query->protocol = packet->flow.protocol;
    query->traffic_class = 0;
    query->tunnel = 0;
    query->length = 0;
    query->ifindex = skb->ifindex;
}

static __always_inline long hop_ask(struct __sk_buff *skb, const struct hop_query *query,
                                    __u32 length, struct bpf_fib_lookup *fib)
{
    __builtin_memset(fib, 0, sizeof(*fib));
    fib->l4_protocol = query->protocol;
    fib->sport = query->source_port_be;
    fib->dport = query->destination_port_be;
    fib->tot_len = length < MTU_UNLIMITED ? length : MTU_UNLIMITED;
    fib->ifindex = LOOPBACK_IFINDEX;
    if (ip_addr_is_v4(query->destination)) {
        fib->family = AF_INET;
        fib->tos = query->traffic_class;
        fib->ipv4_src = query->source->words_be[3];
        fib->ipv4_dst = query->destination->words_be[3];
    } else {
        fib->family = AF_INET6;
        fib->flowinfo = bpf_htonl((__u32)query->traffic_class << 20);
        __builtin_memcpy(fib->ipv6_src, query->source, sizeof(fib->ipv6_src));
        __builtin_memcpy(fib->ipv6_dst, query->destination, sizeof(fib->ipv6_dst));
    }
    return bpf_fib_lookup(skb, fib, sizeof(*fib), 0);
}

/* Remembers, for refuse_mtu(), what would have fitted. */
__noinline int hop_too_big(__u32 mtu)
{
    __u32 zero = 0;
    struct refuse_room *room = bpf_map_lookup_elem(&refuse_rooms, &zero);

    if (room)
        room->mtu = mtu;
    return REASON(DROP_TOO_BIG);
}

static __always_inline int hop_use_device(struct __sk_buff *skb, const struct hop_query *query,
                                          struct hop *hop)
{
    __u32 mtu = query->length; /* in: what has to fit */

    hop->state = HOP_DEVICE;
    hop->ifindex = query->ifindex;
    switch (bpf_check_mtu(skb, query->ifindex, &mtu, 0, 0)) {
    case BPF_MTU_CHK_RET_SUCCESS:
        return 0;
    case BPF_MTU_CHK_RET_FRAG_NEEDED:
        return hop_too_big(mtu);
    }
    return REASON(DROP_NO_ROUTE);
}

/*
 * Where `ways` remembers the way of such a packet. A product spreads each bit to those above it
 * alone, and what differs between two flows is often the last byte of an address or a port, which
 * here lies at the top: so the upper half is folded into the lower one, and the place is taken from
 * the top. What differs between the source ports that stand for all is left in bits 24 to 27, and
 * is last: they have places beside each other, so many flows to one place need one page of memory.
 * `hop` is not filled yet and lends its room, since the stack has none.
 */
static __always_inline struct way *way_of(const struct hop_query *query, struct hop *hop)
{
    __u32 place = query->source->words_be[3] * 0x9e3779b1 + query->destination->words_be[3];
    struct way_set *set;

    place ^= place >> 16;
    place ^= ((__u32)query->source_port_be << 16 | query->destination_port_be) * 0x85ebca6b;
    place = (place << 8) * 0x7feb352d >> (32 - WAYS_SHIFT) ^ (place >> 24 & HOP_PORT_MASK);
    hop->again = place / WAYS_OF_SET;
    *(volatile __u32 *)&hop->mtu = place;
    set = bpf_map_lookup_elem(&ways, &hop->again);
    place = *(volatile __u32 *)&hop->mtu;
    return set ? &set->ways[place % WAYS_OF_SET] : NULL;
}

static __always_inline int way_is(const struct way *way, const struct hop_query *query)
{
    return way->source_port_be == query->source_port_be &&
           way->destination_port_be == query->destination_port_be &&
           way->protocol == query->protocol && way->traffic_class == query->traffic_class &&
           ip_addr_equal(&way->destination, query->destination) &&
           ip_addr_equal(&way->source, query->source);
}

static __always_inline void way_remember(struct way *way, const struct hop_query *query,
                                         const struct hop *hop, __u32 now)
{
    way->source = *query->source;
    way->destination = *query->destination;
    way->source_port_be = query->source_port_be;
    way->destination_port_be = query->destination_port_be;
    way->protocol = query->protocol;
    way->traffic_class = query->traffic_class;
    way->jiffy = now;
    way->ifindex = hop->ifindex;
    way->mtu = hop->mtu;
    __builtin_memcpy(way->addresses, hop->fib.dmac, ETH_ALEN);
    __builtin_memcpy(way->addresses + ETH_ALEN, hop->fib.smac, ETH_ALEN);
}

static __always_inline int way_take(const struct way *way, const struct hop_query *query,
                                    struct hop *hop)
{
    if (query->length > way->mtu)
        return hop_too_big(way->mtu);
    hop->state = HOP_RESOLVED;
    hop->ifindex = way->ifindex;
    hop->mtu = way->mtu;
    hop->again = 1;
    __builtin_memcpy(hop->fib.dmac, way->addresses, ETH_ALEN);
    __builtin_memcpy(hop->fib.smac, way->addresses + ETH_ALEN, ETH_ALEN);
    return 0;
}

/*
 * Finds the way. The kernel is asked once a jiffy (and processor) for each: what changes in its
 * routes and neighbours is followed within that time, which is 1 to 10 ms. Longer would lose
 * packets: an answer that deliver_answer() hands to the interface of a route that is gone is what
 * strict rp_filter drops. Returns 0 or REASON(why).
 */
static __always_inline int hop_lookup(struct __sk_buff *skb, const struct hop_query *query,
                                      struct hop *hop)
{
    struct way *way = way_of(query, hop);
    __u32 now = (__u32)bpf_jiffies64();
    long result;

    if (way && way->jiffy == now && way_is(way, query))
        return way_take(way, query, hop);
    result = hop_ask(skb, query, query->length, &hop->fib);
    hop->mtu = hop->again = 0;
    if (result < 0 || result == BPF_FIB_LKUP_RET_FWD_DISABLED)
        return hop_use_device(skb, query, hop);
    hop->ifindex = hop->fib.ifindex;
    switch (result) {
    case BPF_FIB_LKUP_RET_SUCCESS:
        hop->state = HOP_RESOLVED;
        hop->mtu = hop->fib.mtu_result;
        if (query->tunnel)
            hop->mtu = path_mtu_lower(query->destination, hop->mtu);
        if (way)
            way_remember(way, query, hop, now);
        return query->length > hop->mtu ? hop_too_big(hop->mtu) : 0;
    case BPF_FIB_LKUP_RET_NO_NEIGH:
        hop->state = HOP_NEIGHBOUR;
        return 0;
    case BPF_FIB_LKUP_RET_FRAG_NEEDED:
        return hop_too_big(hop->fib.mtu_result);
    }
    return REASON(DROP_NO_ROUTE);
}

/*
 * The MTU of the way. A look-up tells it for sure only to a packet that can fit no device. `fib` is
 * room to work in.
 */
static __always_inline __u32 hop_mtu(struct __sk_buff *skb, const struct hop_query *query,
                                     struct bpf_fib_lookup *fib)
{
    __u32 mtu = 0;

    if (hop_ask(skb, query, MTU_UNLIMITED, fib) == BPF_FIB_LKUP_RET_FRAG_NEEDED)
        return fib->mtu_result;
    bpf_check_mtu(skb, query->ifindex, &mtu, 0, 0);
    return mtu ? mtu : MTU_UNLIMITED;
}

/* Fills both addresses of the Ethernet header that the frame leaves with. */
static __always_inline void hop_set_addresses(const struct hop *hop, __u8 *destination,
                                              __u8 *source)
{
    __builtin_memcpy(destination, hop->fib.dmac, ETH_ALEN);
    __builtin_memcpy(source, hop->fib.smac, ETH_ALEN);
}

/* Gives the frame those addresses, where the hop is resolved. Returns 0 or REASON(why). */
static __always_inline int hop_store_addresses(struct __sk_buff *skb, const struct hop *hop)
{
    __u8 addresses[2 * ETH_ALEN];

    if (hop->state != HOP_RESOLVED)
        return 0;
    hop_set_addresses(hop, addresses, addresses + ETH_ALEN);
    return bpf_skb_store_bytes(skb, 0, addresses, sizeof(addresses), BPF_F_RECOMPUTE_CSUM)
               ? REASON(DROP_INTERNAL)
               : 0;
}

/*
 * Whether the kernel has to be shown that this next hop is in use. A look-up gives the link-layer
 * address of a neighbour for as long as the kernel remembers one, and does not make it ask whether
 * that is still right; what goes by the neighbour itself does. One packet in a tick (and processor)
 * takes that way, so a neighbour that has moved is found again as with the kernel's own traffic.
 * Next hops that share a place take turns.
 */
static __always_inline int hop_is_due(const struct hop *hop)
{
    __u32 last_word = hop->fib.family == AF_INET ? hop->fib.ipv4_dst : hop->fib.ipv6_dst[3];
    __u32 index = bpf_ntohl(last_word) & (NEXT_HOPS - 1), now = clock_ticks();
    __u32 *confirmed = bpf_map_lookup_elem(&next_hops, &index);

    if (!confirmed || (__s32)(now - *confirmed) <= 0)
        return 0;
    *confirmed = now;
    return 1;
}

/*
 * Sends a frame whose Ethernet addresses are already those of the hop where it is resolved. Where
 * it leaves by the interface whose egress we are at, it simply goes on: no second way through the
 * queueing discipline. Returns the verdict.
 */
static __always_inline int hop_send(struct __sk_buff *skb, const struct packet *packet,
                                    const struct hop *hop)
{
    struct bpf_redir_neigh next = {.nh_family = hop->fib.family};

    skb->mark = config.mark;
    if (hop->state == HOP_DEVICE)
        return bpf_redirect_neigh(hop->ifindex, NULL, 0, 0);
    if (hop->state == HOP_RESOLVED && (hop->again || !hop_is_due(hop))) {
        if (packet->at_egress && hop->ifindex == skb->ifindex)
            return VERDICT_PASS;
        return bpf_redirect(hop->ifindex, 0);
    }
    __builtin_memcpy(next.ipv6_nh, hop->fib.ipv6_dst, sizeof(next.ipv6_nh));
    return bpf_redirect_neigh(hop->ifindex, &next, sizeof(next), 0);
}

/* Sends a copy of the frame, where the next hop's link-layer address is known. Else it counts its
 * drop: the last fragment, which is no copy, has the kernel ask for the address. */
static __always_inline int hop_send_copy(struct __sk_buff *skb, const struct packet *packet,
                                         const struct hop *hop)
{
    skb->mark = config.mark;
    if (hop->state != HOP_RESOLVED || bpf_clone_redirect(skb, hop->ifindex, 0) < 0)
        drop_note(skb, packet, DROP_NO_ROUTE);
    return VERDICT_PASS;
}

#endif

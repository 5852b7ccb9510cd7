/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef EGRESSGW_BPF_SPLIT_H
#define EGRESSGW_BPF_SPLIT_H

/*
 * IPv4 packets that may be fragmented and do not fit the tunnel, or the way behind a gateway. The
 * frame becomes one fragment after the other: a copy of each but the last is sent, the last goes
 * the frame's own way. The data is kept in between, since a frame that is cut has lost what is
 * behind.
 */

#include <bpf/bpf_core_read.h>
#include "kernel.h"
#include "refuse.h"
#include "tunnel.h"

#define SPLIT_PARTS   8
#define SPLIT_LONGEST 9216 /* bytes of data; an interface with jumbo frames gives no more */
#define SPLIT_SHORT   16   /* bytes of data that are left while the kernel forgets a checksum */
#define SPLIT_CHUNK   512  /* what bpf_csum_diff() takes */
#define SPLIT_STEP    4092 /* what bpf_skb_adjust_room() takes */
/* For the verifier: offsets in `data` are below the one, lengths at most the other. */
#define SPLIT_OFFSETS 16384
#define SPLIT_LENGTHS 8192

_Static_assert(SPLIT_LONGEST <= ((PATH_MTU_INSIDE - sizeof(struct iphdr)) & ~7) * SPLIT_PARTS,
               "what is taken has place in the parts");

struct split_room {
    struct iphdr ip; /* as the packet came */
    __u32 total;     /* bytes of data */
    __u32 part;      /* bytes of data in each fragment but the last */
    __u8 data[SPLIT_OFFSETS + SPLIT_LENGTHS];
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct split_room);
} split_rooms SEC(".maps");

static __always_inline struct split_room *split_current(void)
{
    __u32 zero = 0;

    return bpf_map_lookup_elem(&split_rooms, &zero);
}

/* What is from 1 to `most`, as it is, in a form that Linux 6.1's verifier knows to be that. */
static __always_inline __u32 split_bounded(__u32 length, __u32 most)
{
    length--;
    barrier_var(length);
    length &= most - 1;
    return length + 1;
}

/*
 * Completes a checksum that the sender has left to its interface, which has the sum of the pseudo
 * header in its place. Returns 0, or -1 where that is not possible.
 */
static __always_inline int split_complete_checksum(struct split_room *room)
{
    __u32 place = room->ip.protocol == IPPROTO_UDP ? __builtin_offsetof(struct udphdr, check)
                                                   : __builtin_offsetof(struct tcphdr, check);
    __u32 done = 0, i, rest;
    __s64 sum = 0;
    __sum16 check;

    if (room->ip.protocol != IPPROTO_UDP && room->ip.protocol != IPPROTO_TCP)
        return -1;
    for (i = 0; i < 4; i++)
        room->data[(room->total + i) & (SPLIT_OFFSETS - 1)] = 0;
    for (i = 0; i < SPLIT_LONGEST / SPLIT_CHUNK && done + SPLIT_CHUNK <= room->total; i++) {
        sum = bpf_csum_diff(NULL, 0, (__be32 *)(room->data + (done & (SPLIT_OFFSETS - 1))),
                            SPLIT_CHUNK, sum);
        done += SPLIT_CHUNK;
    }
    rest = (room->total - done + 3) & (2 * SPLIT_CHUNK - 4); /* 512 at most */
    barrier_var(rest);
    if (rest)
        sum = bpf_csum_diff(NULL, 0, (__be32 *)(room->data + (done & (SPLIT_OFFSETS - 1))),
                            rest & (2 * SPLIT_CHUNK - 1), sum);
    sum = (sum & 0xffff) + (sum >> 16 & 0xffff);
    check = checksum_fold(sum);
    if (!check && room->ip.protocol == IPPROTO_UDP)
        check = 0xffff;
    *(__sum16 *)(room->data + place) = check;
    return 0;
}

static __always_inline int split_checksum_is_open(struct __sk_buff *skb)
{
    const struct sk_buff *kernel_skb = (const void *)skb;

    return BPF_CORE_READ_BITFIELD_PROBED(kernel_skb, ip_summed) == 3; /* CHECKSUM_PARTIAL */
}

/*
 * Whether a packet that is too big, `packet->too_big` says for what, can and may be fragmented.
 * Returns 0 where it is, else -1.
 */
__noinline int split_allows(struct __sk_buff *skb, const struct packet *packet)
{
    struct split_room *room = split_current();
    __u32 total, mtu;

    if (!packet || !room || packet->version != 4 || skb->gso_size ||
        packet->l4 - packet->l3 != sizeof(struct iphdr) ||
        bpf_skb_load_bytes(skb, packet->l3, &room->ip, sizeof(room->ip)) ||
        room->ip.frag_off & bpf_htons(IP_DO_NOT_FRAGMENT))
        return -1;
    mtu = refuse_mtu(packet);
    total = packet->length - sizeof(struct iphdr);
    if (mtu < PATH_MTU_INSIDE || mtu >= SPLIT_LENGTHS || total > SPLIT_LONGEST)
        return -1;
    room->part = (mtu - sizeof(struct iphdr)) & ~7;
    room->total = total;
    return 0;
}

/* Takes the packet, once split_allows() it, as it is now. Returns 0, or -1 where that fails. */
__noinline int split_take(struct __sk_buff *skb, const struct packet *packet)
{
    struct split_room *room = split_current();

    if (!packet || !room || bpf_skb_load_bytes(skb, packet->l3, &room->ip, sizeof(room->ip)) ||
        bpf_skb_load_bytes(skb, packet->l4, room->data, split_bounded(room->total, SPLIT_OFFSETS)))
        return -1;
    return split_checksum_is_open(skb) ? split_complete_checksum(room) : 0;
}

/* Makes the frame, whose IP packet begins at `l3`, one of that length in bytes. */
static __always_inline int split_resize(struct __sk_buff *skb, __u32 l3, __u32 length)
{
    __u32 wanted = l3 + length;
    int i;

    for (i = 0; i < 3 && skb->len > wanted; i++) {
        __u32 excess = skb->len - wanted;

        if (bpf_skb_adjust_room(skb, -(__s32)(excess < SPLIT_STEP ? excess : SPLIT_STEP),
                                BPF_ADJ_ROOM_MAC, 0))
            return -1;
    }
    for (i = 0; i < 3 && skb->len < wanted; i++) {
        __u32 lack = wanted - skb->len;

        if (bpf_skb_adjust_room(skb, lack < SPLIT_STEP ? lack : SPLIT_STEP, BPF_ADJ_ROOM_MAC, 0))
            return -1;
    }
    return skb->len == wanted ? 0 : -1;
}

/* The header of the fragment that holds `length` bytes from `start` on. */
static __always_inline void split_header(const struct split_room *room, __u32 start, __u32 length,
                                         struct iphdr *ip)
{
    __u16 place = bpf_ntohs(room->ip.frag_off);

    *ip = room->ip;
    place += start / 8;
    if (start + length < room->total)
        place |= IP_MORE_FRAGMENTS;
    ip->tot_len = bpf_htons(sizeof(*ip) + length);
    ip->frag_off = bpf_htons(place);
    ip->check = 0;
    ip->check = checksum_fold(refuse_sum(0, ip, sizeof(*ip)));
}

/*
 * Makes the frame the fragment with that number, and `packet` describe it; `outer` is the version
 * of the tunnel that it still has around it, 0: none. Removing the bytes with the layer 4 header
 * makes the kernel forget that a checksum was to be completed. Returns 0 or REASON(why).
 */
__noinline int split_shape(struct __sk_buff *skb, struct packet *packet, __u32 number, __u32 outer)
{
    const struct split_room *room = split_current();
    __u32 start, length;
    struct iphdr ip;

    if (!packet || !room)
        return REASON(DROP_INTERNAL);
    if (outer) {
        packet->outer = outer;
        packet->l3 += tunnel_overhead(outer);
        packet->l4 += tunnel_overhead(outer);
        if (tunnel_strip(skb, packet, packet->traffic_class))
            return REASON(DROP_INTERNAL);
        packet->outer = 0;
    }
    start = number * room->part;
    length = room->total - start;
    if (length > room->part)
        length = room->part;
    split_header(room, start, length, &ip);
    if (split_resize(skb, packet->l3, sizeof(ip) + SPLIT_SHORT) ||
        bpf_skb_store_bytes(skb, packet->l3, &ip, sizeof(ip), BPF_F_RECOMPUTE_CSUM) ||
        split_resize(skb, packet->l3, sizeof(ip) + length) ||
        bpf_skb_store_bytes(skb, packet->l3, &ip, sizeof(ip), BPF_F_RECOMPUTE_CSUM))
        return REASON(DROP_INTERNAL);
    packet->length = sizeof(ip) + length;
    packet->more = start + length < room->total;
    packet->fragment = fragment_kind(bpf_ntohs(ip.frag_off));
    packet->tcp_flags = packet->too_big = 0;
    start &= SPLIT_OFFSETS - 1;
    barrier_var(start);
    return bpf_skb_store_bytes(skb, packet->l3 + sizeof(ip), room->data + start,
                               split_bounded(length, SPLIT_LENGTHS), BPF_F_RECOMPUTE_CSUM)
               ? REASON(DROP_INTERNAL)
               : 0;
}

/* Sends the parts of a packet that split_take() has taken. Returns the verdict of the last. */
static __always_inline int split_send_parts(struct __sk_buff *skb, struct packet *packet,
                                            const struct ip_addr *node, __u32 counter)
{
    int verdict = TC_ACT_SHOT, error;
    __u32 number, outer = 0;

    for (number = 0; number < SPLIT_PARTS; number++) {
        error = split_shape(skb, packet, number, outer);
        if (error)
            return verdict_drop(skb, packet, error);
        verdict = tunnel_send(skb, packet, node, counter);
        if (!packet->more || packet->too_big)
            break;
        outer = ip_addr_is_v4(node) ? 4 : 6;
    }
    return verdict;
}

/*
 * Puts the packet into the tunnel as tunnel_send() does, in fragments where it does not fit and may
 * be fragmented. Returns the verdict. Where `packet->too_big` is set, its drop is counted.
 */
static __always_inline int split_send(struct __sk_buff *skb, struct packet *packet,
                                      const struct ip_addr *node, __u32 counter)
{
    int verdict = tunnel_send(skb, packet, node, counter);

    if (packet->too_big && !split_allows(skb, packet) && !split_take(skb, packet))
        verdict = split_send_parts(skb, packet, node, counter);
    return packet->too_big ? verdict_drop(skb, packet, REASON(DROP_TOO_BIG)) : verdict;
}

#endif

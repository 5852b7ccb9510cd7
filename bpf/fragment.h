/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef EGRESSGW_BPF_FRAGMENT_H
#define EGRESSGW_BPF_FRAGMENT_H

/*
 * Only the first fragment of a packet has ports. What they were, and what else of the packet has
 * gone by, is remembered until all of it has; so the others follow the first one, in any order
 * among themselves, and none may overlap another.
 */

#include "count.h"
#include "packet_read.h"
#include "protocol.h"

#define FRAGMENT_TICKS (15ULL * 1000000000 >> DATAPATH_TICK_SHIFT) /* idle; hosts wait 30 s */
#define FRAGMENT_HOLES 8 /* parts that have gone by with something missing between them */
#define PACKET_LONGEST 65535

struct fragment_key {
    struct ip_addr local;
    struct ip_addr remote;
    __u32 id;       /* as it lies in the packet */
    __u8 protocol;  /* of IPv4; IPv6 numbers its packets whatever their protocol is */
    __u8 direction; /* enum direction */
    __u16 reserved;
};

/* In units of eight bytes; both 0: not used. */
struct fragment_part {
    __u16 start;
    __u16 end;
};

struct fragments {
    __u32 last_seen; /* ticks */
    __be16 local_port_be;
    __be16 remote_port_be;
    __u8 protocol;
    __u8 has_ports;
    __u8 icmp;
    __u8 reserved[3];
    __u16 end; /* of the whole packet, where its last fragment has gone by, else 0 */
    struct fragment_part parts[FRAGMENT_HOLES];
};

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 16384);
    __type(key, struct fragment_key);
    __type(value, struct fragments);
} fragments SEC(".maps");

/* What one fragment says of itself. */
struct fragment {
    __u32 id;
    __u32 bytes;
    __u32 start; /* of the data in the packet, in bytes */
    __u8 more;
    __u8 too_long; /* the packet would be longer than packets can be */
};

static __always_inline int fragment_read(struct __sk_buff *skb, const struct packet *packet,
                                         struct fragment *fragment)
{
    struct ipv6_fragment_header v6;
    __u32 header = packet->l4 - packet->l3; /* all that the reassembled packet has in front */
    struct {
        __be16 id;
        __be16 fragment_be;
    } v4;

    if (packet->version == 4) {
        if (bpf_skb_load_bytes(skb, packet->l3 + __builtin_offsetof(struct iphdr, id), &v4,
                               sizeof(v4)))
            return -1;
        fragment->id = v4.id;
        fragment->start = (bpf_ntohs(v4.fragment_be) & IP_FRAGMENT_OFFSET) * 8;
        fragment->more = (bpf_ntohs(v4.fragment_be) & IP_MORE_FRAGMENTS) != 0;
    } else {
        header = packet->fragment_at * 8 + sizeof(v6);
        if (bpf_skb_load_bytes(skb, packet->l3 + packet->fragment_at * 8, &v6, sizeof(v6)))
            return -1;
        fragment->id = v6.id;
        fragment->start = bpf_ntohs(v6.fragment_be) & IPV6_FRAGMENT_OFFSET;
        fragment->more = bpf_ntohs(v6.fragment_be) & IPV6_MORE_FRAGMENTS;
    }
    fragment->bytes = packet->length - header;
    fragment->too_long = fragment->start + packet->length > PACKET_LONGEST;
    return 0;
}

/* A first fragment has to hold all of the header that decides about the packet. */
static __always_inline int fragment_is_tiny(const struct packet *packet)
{
    if (packet->flow.protocol == IPPROTO_TCP)
        return !packet->has_ports ||
               (__u32)packet->l4 + packet->l4_length > packet->l3 + packet->length;
    return !packet->has_ports && !protocol_by_address(packet);
}

/*
 * Comparisons of numbers below 2^31 without a branch: with branches the verifier would follow every
 * combination of how the parts of a packet can lie. 1 or 0.
 */
static __always_inline __u32 is_below(__u32 a, __u32 b)
{
    __u32 difference = a - b;

    barrier_var(difference); /* or the compiler sees through it */
    return difference >> 31;
}

static __always_inline __u32 is_equal(__u32 a, __u32 b)
{
    return is_below(a ^ b, 1);
}

static __always_inline __u32 choose(__u32 condition, __u32 yes, __u32 no)
{
    __u32 mask = -condition;

    barrier_var(mask);
    return no ^ ((no ^ yes) & mask);
}

/* Whether a part has something in common with others, or lies behind the packet's end. */
static __always_inline __u32 fragment_overlaps(const struct fragments *known, __u32 start,
                                               __u32 end, __u32 last)
{
    __u32 overlaps = ~is_equal(known->end, 0) & (is_below(known->end, end) | last);
    int i;

    for (i = 0; i < FRAGMENT_HOLES; i++) {
        __u32 other_start = known->parts[i].start, other_end = known->parts[i].end;

        overlaps |= is_below(start, other_end) & is_below(other_start, end);
        overlaps |= is_below(end, other_end) & last;
    }
    return overlaps & 1;
}

/* Joins a part with those that it touches. Returns 0 where there are too many holes. */
static __always_inline __u32 fragment_add(struct fragments *known, __u32 start, __u32 end)
{
    __u32 stored = 0;
    int i;

    for (i = 0; i < FRAGMENT_HOLES; i++) {
        __u32 other_start = known->parts[i].start, other_end = known->parts[i].end;
        __u32 before = is_equal(other_end, start), behind = is_equal(other_start, end);

        start = choose(before, other_start, start);
        end = choose(behind, other_end, end);
        known->parts[i].start = choose(before | behind, 0, other_start);
        known->parts[i].end = choose(before | behind, 0, other_end);
    }
    for (i = 0; i < FRAGMENT_HOLES; i++) {
        __u32 other_start = known->parts[i].start, other_end = known->parts[i].end;
        __u32 here = is_equal(other_end, 0) & ~stored;

        known->parts[i].start = choose(here, start, other_start);
        known->parts[i].end = choose(here, end, other_end);
        stored |= here;
    }
    return stored;
}

/* Whether nothing is missing: `end` is that of the packet. */
static __always_inline __u32 fragment_is_all(const struct fragments *known)
{
    __u32 all = 0;
    int i;

    for (i = 0; i < FRAGMENT_HOLES; i++)
        all |= is_equal(known->parts[i].start, 0) & is_equal(known->parts[i].end, known->end);
    return all & ~is_equal(known->end, 0);
}

/* Makes the first fragment known. */
static __always_inline int fragment_open(const struct packet *packet,
                                         const struct fragment_key *key,
                                         const struct fragment_part *part, __u32 now)
{
    struct fragments fresh = {
        .last_seen = now,
        .local_port_be = packet->flow.local_port_be,
        .remote_port_be = packet->flow.remote_port_be,
        .protocol = packet->flow.protocol,
        .has_ports = packet->has_ports,
        .icmp = packet->icmp,
        .parts = {*part},
    };

    return bpf_map_update_elem(&fragments, key, &fresh, BPF_ANY) ? REASON(DROP_INTERNAL) : 0;
}

/* Gives a later fragment what only the first one told. */
static __always_inline int fragment_join(struct packet *packet, const struct fragment_key *key,
                                         const struct fragment_part *part, __u8 more,
                                         struct fragments *known)
{
    if (fragment_overlaps(known, part->start, part->end, !more) ||
        !fragment_add(known, part->start, part->end))
        return REASON(DROP_FRAGMENT);
    packet->flow.local_port_be = known->local_port_be;
    packet->flow.remote_port_be = known->remote_port_be;
    packet->flow.protocol = known->protocol;
    packet->has_ports = known->has_ports;
    packet->icmp = known->icmp;
    if (!more)
        known->end = part->end;
    if (fragment_is_all(known))
        bpf_map_delete_elem(&fragments, key);
    return 0;
}

static __always_inline void fragment_key_make(const struct packet *packet, __u32 id,
                                              struct fragment_key *key)
{
    __builtin_memset(key, 0, sizeof(*key));
    key->local = packet->flow.local;
    key->remote = packet->flow.remote;
    key->id = id;
    key->protocol = packet->version == 4 ? packet->flow.protocol : 0;
    key->direction = packet->direction;
}

/*
 * Takes note of a fragment. One that is not the first gets the ports, and the protocol, of the
 * first; its `has_ports` says then that they are known. Returns 0, or REASON(why):
 * DROP_FRAGMENT_EARLY where the first one has not been seen.
 */
__noinline int fragment_track(struct __sk_buff *skb, struct packet *packet)
{
    struct fragment fragment = {};
    struct fragment_part part;
    struct fragment_key key;
    struct fragments *known;
    __u32 now = clock_ticks();

    if (!packet || fragment_read(skb, packet, &fragment))
        return REASON(DROP_INTERNAL);
    fragment_key_make(packet, fragment.id, &key);
    known = bpf_map_lookup_elem(&fragments, &key);
    if (known && now - known->last_seen > FRAGMENT_TICKS)
        known = NULL;
    if (packet->fragment == FRAGMENT_LATER && !known)
        return REASON(DROP_FRAGMENT_EARLY);
    if (!fragment.bytes || (fragment.more && fragment.bytes & 7) || fragment.too_long)
        return REASON(DROP_MALFORMED);
    part.start = fragment.start / 8;
    part.end = part.start + (fragment.bytes + 7) / 8;
    if (packet->fragment == FRAGMENT_FIRST && (known || fragment_is_tiny(packet)))
        return REASON(DROP_FRAGMENT);
    if (!known)
        return fragment_open(packet, &key, &part, now);
    known->last_seen = now;
    return fragment_join(packet, &key, &part, fragment.more, known);
}

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef EGRESSGW_BPF_MAPS_H
#define EGRESSGW_BPF_MAPS_H

/* Names, keys and values are those of egressgw/layout.h; the loader sets the sizes. */

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <egressgw/layout.h>

const volatile struct datapath_config config = {
    .tunnel_port_be = __builtin_bswap16(4789),
    .ephemeral_first = 32768,
    .ephemeral_last = 60999,
    .tunnel_vni = 59790,
    .mark = DATAPATH_MARK,
    .unknown_endpoints_drop = 1,
    .conntrack = 1,
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, 131072);
    __type(key, struct ip_addr);
    __type(value, struct endpoint);
} endpoints SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, 131072);
    __type(key, struct route_key);
    __type(value, struct route);
} routes SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, 131072);
    __type(key, struct gateway_key);
    __type(value, struct gateway);
} gateways SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, 16384);
    __type(key, struct ip_addr);
    __type(value, struct node_entry);
} nodes SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct settings);
} settings SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, 524288);
    __type(key, struct nat_key);
    __type(value, struct nat_forward);
} nat_forward SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, 524288);
    __type(key, struct nat_key);
    __type(value, struct nat_reverse);
} nat_reverse SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, 131072);
    __type(key, struct ip_addr);
    __type(value, __u32);
} nat_made SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, 131072);
    __type(key, struct ip_addr);
    __type(value, __u32);
} nat_ended SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 131072);
    __type(key, struct nat_key);
    __type(value, struct flow);
} flows SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, COUNTERS);
    __type(key, __u32);
    __type(value, struct counter);
} counters SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, POLICIES_COUNTED);
    __type(key, __u32);
    __type(value, struct policy_name);
} policies SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, POLICIES_COUNTED);
    __type(key, __u32);
    __type(value, struct counter);
} policy_counters SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, EGRESS_REFUSED_MOST);
    __type(key, struct ip_addr);
    __type(value, struct counter);
} egress_refused SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, DROP_LOG_SIZE);
    __type(key, __u32);
    __type(value, struct drop_record);
} drop_log SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct drop_state);
} drop_state SEC(".maps");

/* The tick in which each next hop was last confirmed; see hop_is_due(). Not pinned: each load
 * starts anew. */
#define NEXT_HOPS 256 /* a power of two */

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, NEXT_HOPS);
    __type(key, __u32);
    __type(value, __u32);
} next_hops SEC(".maps");

/*
 * See struct way and way_of(). One place may serve several ways, which then take turns in it. They
 * lie beside each other in few large values, since each value of such a map has a place of its own
 * in memory and a pointer to it elsewhere, both of which a packet would have to wait for. Not
 * pinned.
 */
#define WAYS_SHIFT  12
#define WAYS_OF_SET 256
#define WAY_SETS    ((1 << WAYS_SHIFT) / WAYS_OF_SET)

struct way_set {
    struct way ways[WAYS_OF_SET];
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, WAY_SETS);
    __type(key, __u32);
    __type(value, struct way_set);
} ways SEC(".maps");

/* Where an ICMP error of our own is made, see refuse.h. */
#define REFUSE_QUOTE_MOST 128 /* bytes, a multiple of 4 */

struct refuse_room {
    __u32 mtu; /* of the way that the last packet was too big for */
    __u8 quote[REFUSE_QUOTE_MOST];
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct refuse_room);
} refuse_rooms SEC(".maps");

#endif

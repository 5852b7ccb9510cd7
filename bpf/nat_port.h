/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef EGRESSGW_BPF_NAT_PORT_H
#define EGRESSGW_BPF_NAT_PORT_H

/*
 * Ports of an egress IP. The claim in nat_reverse alone decides who has one.
 */

#include "count.h"
#include "nat_track.h"
#include "tunnel.h"

#define NAT_PORT_FIRST 1024U
#define NAT_PORT_LAST  65535U

/* A claim whose mapping is missing is being opened, or was left behind. */
#define NAT_CLAIM_TICKS (10ULL * 1000000000 >> DATAPATH_TICK_SHIFT)

#define E2BIG  7
#define ENOMEM 12

/* What a new mapping is made from. */
struct nat_target {
    struct ip_addr egress; /* none where it is refused */
    struct ip_addr node;   /* where the pod is; none: here */
    __u32 policy;
    __u32 endpoint; /* the pod's hash */
    __u32 now;      /* ticks */
    int refused;    /* 0, or REASON(why) this node makes no new mapping for it */
    __u8 scale;     /* nat_scale() of the packet */
    __u8 shared;    /* 1: the egress IP is one that the node's own connections have */
};

/* Room for one, and for the gateway that it is made by, which the stack lacks. */
struct nat_room {
    struct nat_target target;
    struct gateway gateway;
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct nat_room);
} nat_rooms SEC(".maps");

static __always_inline struct nat_target *nat_target_current(void)
{
    __u32 zero = 0;
    struct nat_room *room = bpf_map_lookup_elem(&nat_rooms, &zero);

    return room ? &room->target : NULL;
}

/* Empty. */
static __always_inline struct gateway *nat_gateway_current(void)
{
    __u32 zero = 0;
    struct nat_room *room = bpf_map_lookup_elem(&nat_rooms, &zero);

    if (!room)
        return NULL;
    __builtin_memset(&room->gateway, 0, sizeof(room->gateway));
    return &room->gateway;
}

/* What a translated packet leaves with. */
struct nat_outside {
    struct ip_addr address;
    __be16 port_be;
    __u32 policy; /* as in struct route */
};

/* Ports of an egress IP that the node itself uses too leave out the node's ephemeral range. */
static __always_inline int nat_port_usable(__be16 port_be, int shared)
{
    __u32 port = bpf_ntohs(port_be);

    return port >= NAT_PORT_FIRST &&
           (!shared || port < config.ephemeral_first || port > config.ephemeral_last);
}

static __always_inline __u32 nat_ports_below(int shared)
{
    __u32 first = config.ephemeral_first;

    return shared && first > NAT_PORT_FIRST ? first - NAT_PORT_FIRST : 0;
}

static __always_inline __u32 nat_port_above(int shared)
{
    __u32 next = config.ephemeral_last + 1;

    return shared && next > NAT_PORT_FIRST ? next : NAT_PORT_FIRST;
}

static __always_inline __u32 nat_ports(int shared)
{
    return nat_ports_below(shared) + NAT_PORT_LAST + 1 - nat_port_above(shared);
}

/* Usable port number `index`, which is below nat_ports(). */
static __always_inline __be16 nat_port(__u32 index, int shared)
{
    __u32 below = nat_ports_below(shared);

    return bpf_htons(index < below ? NAT_PORT_FIRST + index
                                   : nat_port_above(shared) + (index - below));
}

/* The number of a usable port. */
static __always_inline __u32 nat_port_number(__be16 port_be, int shared)
{
    __u32 port = bpf_ntohs(port_be), below = nat_ports_below(shared);

    return port < NAT_PORT_FIRST + below ? port - NAT_PORT_FIRST
                                         : below + port - nat_port_above(shared);
}

static __always_inline void nat_reverse_key(const struct nat_key *flow,
                                            const struct ip_addr *egress, __be16 port_be,
                                            struct nat_key *key)
{
    __builtin_memcpy(key, flow, sizeof(*key));
    key->local = *egress;
    key->local_port_be = port_be;
}

static __always_inline void nat_reverse_make(const struct nat_key *flow,
                                             const struct nat_target *target,
                                             struct nat_reverse *reverse)
{
    __builtin_memset(reverse, 0, sizeof(*reverse));
    reverse->pod = flow->local;
    reverse->pod_port_be = flow->local_port_be;
    reverse->node = target->node;
    reverse->policy = policy_index(target->policy);
    reverse->use.last_seen = target->now;
}

/* Whether a claim is this flow's own. */
static __always_inline int nat_reverse_is(const struct nat_reverse *reverse,
                                          const struct nat_key *flow)
{
    return reverse->pod_port_be == flow->local_port_be &&
           ip_addr_equal(&reverse->pod, &flow->local);
}

/* A flow's own claim of that port, NULL where it has none. `key` gets its key. */
static __always_inline struct nat_reverse *nat_own_claim(const struct nat_key *flow,
                                                         const struct ip_addr *egress,
                                                         __be16 port_be, struct nat_key *key)
{
    struct nat_reverse *reverse;

    nat_reverse_key(flow, egress, port_be, key);
    reverse = bpf_map_lookup_elem(&nat_reverse, key);
    return reverse && nat_reverse_is(reverse, flow) ? reverse : NULL;
}

/* The mapping that a claim belongs to, NULL where there is none. `flow` gets its key. */
static __always_inline struct nat_forward *
nat_claimant(const struct nat_key *key, const struct nat_reverse *claim, struct nat_key *flow)
{
    struct nat_forward *mapping;

    nat_reverse_key(key, &claim->pod, claim->pod_port_be, flow);
    mapping = bpf_map_lookup_elem(&nat_forward, flow);
    return mapping && mapping->egress_port_be == key->local_port_be &&
                   ip_addr_equal(&mapping->egress, &key->local)
               ? mapping
               : NULL;
}

static __always_inline int nat_claim_lives(const struct nat_key *key,
                                           const struct nat_reverse *claim, struct nat_key *flow,
                                           __u32 now)
{
    const struct nat_forward *mapping = nat_claimant(key, claim, flow);

    if (!mapping)
        return nat_ticks_since(claim->use.last_seen, now) < NAT_CLAIM_TICKS;
    return !nat_is_idle(key->protocol, &mapping->use, &claim->use, config.nat_timeouts, now);
}

/*
 * Claims a port that was found taken, if its mapping is dead. Of several processors one gets the
 * entry out of the way. Returns 0, or 1 where the port stays another flow's.
 */
static __always_inline int nat_claim_dead(const struct nat_key *key,
                                          const struct nat_reverse *value,
                                          const struct nat_reverse *found, __u32 now)
{
    struct nat_key flow;

    if (found->use.last_seen == now || nat_claim_lives(key, found, &flow, now) ||
        bpf_map_delete_elem(&nat_reverse, key))
        return 1;
    bpf_map_delete_elem(&nat_forward, &flow);
    return bpf_map_update_elem(&nat_reverse, key, value, BPF_NOEXIST) ? 1 : 0;
}

/* Claims one port: 0, or 1 where another flow has it, or REASON(why). */
static __always_inline int nat_claim_port(const struct nat_key *key,
                                          const struct nat_reverse *value, __u32 now)
{
    /* int: before Linux 6.4 the upper half of the result is not set */
    int error = bpf_map_update_elem(&nat_reverse, key, value, BPF_NOEXIST);
    struct nat_reverse *found;

    if (!error)
        return 0;
    if (error == -E2BIG || error == -ENOMEM)
        return REASON(DROP_NAT_FULL);
    found = bpf_map_lookup_elem(&nat_reverse, key);
    if (!found)
        return 1;
    if (found->pod_port_be != value->pod_port_be || !ip_addr_equal(&found->pod, &value->pod))
        return nat_claim_dead(key, value, found, now);
    found->node = value->node;
    found->policy = value->policy;
    found->use = value->use;
    return 0;
}

/* Whether the node itself has a socket that answers to such a claim would be for. */
__noinline int nat_port_is_held(struct __sk_buff *skb, const struct nat_key *claim)
{
    struct bpf_sock_tuple tuple = {};
    struct bpf_sock *held;
    __u32 size;

    if (!claim)
        return 1;
    if (ip_addr_is_v4(&claim->local)) {
        tuple.ipv4.saddr = claim->remote.words_be[3];
        tuple.ipv4.daddr = claim->local.words_be[3];
        tuple.ipv4.sport = claim->remote_port_be;
        tuple.ipv4.dport = claim->local_port_be;
        size = sizeof(tuple.ipv4);
    } else {
        __builtin_memcpy(tuple.ipv6.saddr, &claim->remote, sizeof(tuple.ipv6.saddr));
        __builtin_memcpy(tuple.ipv6.daddr, &claim->local, sizeof(tuple.ipv6.daddr));
        tuple.ipv6.sport = claim->remote_port_be;
        tuple.ipv6.dport = claim->local_port_be;
        size = sizeof(tuple.ipv6);
    }
    if (claim->protocol == IPPROTO_TCP)
        held = bpf_skc_lookup_tcp(skb, &tuple, size, BPF_F_CURRENT_NETNS, 0);
    else if (claim->protocol == IPPROTO_UDP)
        held = bpf_sk_lookup_udp(skb, &tuple, size, BPF_F_CURRENT_NETNS, 0);
    else
        return 0;
    if (!held)
        return 0;
    bpf_sk_release(held);
    return 1;
}

#endif

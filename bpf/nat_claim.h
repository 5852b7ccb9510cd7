/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef EGRESSGW_BPF_NAT_CLAIM_H
#define EGRESSGW_BPF_NAT_CLAIM_H

/*
 * Finds a port for a new flow: the pod's own, one that belongs to it, two others; and where all are
 * taken, one that the destination's space shows as free, see nat_space.h.
 */

#include "nat_space.h"

#define NAT_PROBES  48
#define NAT_GUESSES 4 /* of them, before the destination is taken for a crowded one */

/*
 * Where the search for a port begins when the pod's own cannot be kept: at a fixed distance from
 * it, so that a pod's ports fall on different ones, and one that it uses again falls on the same. A
 * server that still remembers the connection before then sees what it would see without us.
 */
static __always_inline __u32 nat_first_candidate(const struct nat_key *flow)
{
    __u32 pod = bpf_ntohl(flow->local.words_be[3]) * 0x9e3779b1U;

    return bpf_ntohs(flow->local_port_be) + (pod >> 16);
}

static __always_inline void nat_search_begin(struct nat_search *search, const struct nat_key *flow,
                                             const struct nat_target *target)
{
    nat_reverse_make(flow, target, &search->value);
    nat_reverse_key(flow, &target->egress, flow->local_port_be, &search->claim);
    search->now = target->now;
    search->shared = target->shared;
    search->space = NAT_SPACES;
    search->ports = nat_ports(target->shared);
    if (search->ports)
        search->start = nat_first_candidate(flow) % search->ports;
}

/*
 * Puts the port to try, number `probe` of them, into the claim of the search. Returns 0, 1 where
 * there is none this time, or -1 where there is none at all. Processors that open one flow at once
 * guess the same, and so mostly meet at one claim.
 */
static __always_inline int nat_search_next(struct nat_search *search, __u32 probe, __u32 step)
{
    __u32 index;

    if (!probe && nat_port_usable(search->claim.local_port_be, search->shared))
        return 0;
    if (!search->ports)
        return -1;
    if (search->space == NAT_SPACES && (probe == 1 || probe == NAT_GUESSES))
        search->space = nat_space_find(probe == NAT_GUESSES);
    if (search->space < NAT_SPACES)
        index = nat_space_take(search->space);
    else
        index = (search->start + step * probe) % search->ports;
    if (index >= NAT_PORT_BUSY)
        return index == NAT_PORT_NONE ? -1 : 1;
    search->claim.local_port_be = nat_port(index, search->shared);
    return 0;
}

/* Claims a port for the flow. Returns 0 and fills egress IP and port, or REASON(why). */
__noinline int nat_claim(struct __sk_buff *skb, const struct nat_key *flow, __u32 hash,
                         const struct nat_target *target, struct nat_outside *outside)
{
    __u32 step = (hash >> 16 ^ hash << 3) | 1;
    struct nat_search *search = nat_search_current();
    int i, error;

    if (!flow || !target || !outside || !search)
        return REASON(DROP_INTERNAL);
    nat_search_begin(search, flow, target);
    for (i = 0; i < NAT_PROBES; i++) {
        error = nat_search_next(search, i, step);
        if (error < 0)
            break;
        if (!error)
            error = nat_claim_port(&search->claim, &search->value, target->now);
        if (!error && nat_port_is_held(skb, &search->claim)) {
            bpf_map_delete_elem(&nat_reverse, &search->claim);
            continue;
        }
        if (!error) {
            if (search->space == NAT_SPACES)
                nat_space_mark(nat_port_number(search->claim.local_port_be, search->shared));
            outside->address = target->egress;
            outside->port_be = search->claim.local_port_be;
            outside->policy = target->policy;
            return 0;
        }
        if (error < 0)
            return error;
    }
    return REASON(DROP_NO_PORT);
}

/* Claims all of a protocol without ports. Returns 0 and fills the egress IP, or REASON(why). */
__noinline int nat_claim_address(const struct nat_key *flow, const struct nat_target *target,
                                 struct nat_outside *outside)
{
    struct nat_reverse value;
    struct nat_key key;
    int error;

    if (!flow || !target || !outside)
        return REASON(DROP_INTERNAL);
    nat_reverse_make(flow, target, &value);
    nat_reverse_key(flow, &target->egress, 0, &key);
    error = nat_claim_port(&key, &value, target->now);
    if (error)
        return error < 0 ? error : REASON(DROP_AMBIGUOUS);
    outside->address = target->egress;
    outside->port_be = 0;
    outside->policy = target->policy;
    return 0;
}

#endif

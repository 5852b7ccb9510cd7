/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef EGRESSGW_BPF_NAT_H
#define EGRESSGW_BPF_NAT_H

/*
 * Mappings of the gateway. A mapping that was idle for too long, or was another pod's with the same
 * address, is dead, whether the collector has come by or not.
 */

#include "nat_claim.h"
#include "protocol.h"

/* Gives the flow's claim back, unless another flow has it by now. */
static __always_inline void nat_release(const struct nat_key *flow,
                                        const struct nat_outside *outside)
{
    struct nat_key key;

    if (nat_own_claim(flow, &outside->address, outside->port_be, &key))
        bpf_map_delete_elem(&nat_reverse, &key);
}

static __always_inline void nat_outside_of(const struct nat_forward *mapping,
                                           struct nat_outside *outside)
{
    outside->address = mapping->egress;
    outside->port_be = mapping->egress_port_be;
    outside->policy = mapping->policy;
}

static __always_inline int nat_outside_is(const struct nat_outside *outside,
                                          const struct nat_forward *mapping)
{
    return outside->port_be == mapping->egress_port_be &&
           ip_addr_equal(&outside->address, &mapping->egress);
}

static __always_inline void nat_forward_make(const struct nat_target *target,
                                             const struct nat_outside *outside,
                                             struct nat_forward *mapping)
{
    __builtin_memset(mapping, 0, sizeof(*mapping));
    mapping->egress = outside->address;
    mapping->egress_port_be = outside->port_be;
    mapping->policy = target->policy;
    mapping->endpoint = target->endpoint;
    mapping->created = target->now;
}

/* Whether the pod may have one mapping more. */
static __always_inline int nat_has_quota(const struct ip_addr *pod)
{
    const __u32 *made = bpf_map_lookup_elem(&nat_made, pod), *ended;

    if (!made)
        return 1;
    ended = bpf_map_lookup_elem(&nat_ended, pod);
    return (__s32)(*made - (ended ? *ended : 0)) < (__s32)config.nat_per_endpoint;
}

/* Counts a mapping that was made. Where there is no room to count it, the pod has no limit. */
static __always_inline void nat_count_made(const struct ip_addr *pod)
{
    __u32 *made = bpf_map_lookup_elem(&nat_made, pod), none = 0;

    if (!made) {
        bpf_map_update_elem(&nat_made, pod, &none, BPF_NOEXIST);
        made = bpf_map_lookup_elem(&nat_made, pod);
    }
    if (made)
        __sync_fetch_and_add(made, 1);
}

/*
 * Enters a mapping that has its claim; `replaces` tells that the flow had another one. Returns 0
 * and fills in what holds, or REASON(why), which leaves the old one as it was.
 */
__noinline int nat_open(struct __sk_buff *skb, const struct packet *packet,
                        const struct nat_target *target, struct nat_outside *outside, int replaces)
{
    struct nat_outside old = {};
    struct nat_forward *found, fresh;
    struct nat_key flow;

    if (!packet || !target || !outside)
        return REASON(DROP_INTERNAL);
    flow = packet->flow; /* Linux 6.1 takes keys and values from the function's own stack only */
    nat_forward_make(target, outside, &fresh);
    nat_use_note(skb, packet, &fresh.use, &fresh.use, target->scale, target->now);
    found = bpf_map_lookup_elem(&nat_forward, &flow);
    if (found)
        nat_outside_of(found, &old);
    if (!bpf_map_update_elem(&nat_forward, &flow, &fresh, replaces ? BPF_ANY : BPF_NOEXIST)) {
        if (!found)
            nat_count_made(&flow.local);
        else if (!nat_outside_is(&old, &fresh))
            nat_release(&flow, &old);
        return 0;
    }
    /* Another processor was first (then its mapping holds), or the table is full. */
    found = bpf_map_lookup_elem(&nat_forward, &flow);
    if (!found || !nat_outside_is(outside, found))
        nat_release(&flow, outside);
    if (!found)
        return REASON(DROP_NAT_FULL);
    nat_outside_of(found, outside);
    return 0;
}

/*
 * Takes a TCP segment that may change the state of a mapping, but opens none, into it, where its
 * claim of `outside` is there. Returns 1, or 0 where the flow has to be looked at.
 */
__noinline int nat_turn(struct __sk_buff *skb, const struct packet *packet,
                        struct nat_forward *mapping, const struct nat_outside *outside, __u32 now)
{
    const struct nat_reverse *reverse;
    struct nat_key flow, key; /* Linux 6.1 takes keys from the function's own stack only */

    if (!packet || !mapping || !outside || packet->flow.protocol != IPPROTO_TCP ||
        packet->tcp_flags & TCP_SYN)
        return 0;
    flow = packet->flow;
    reverse = nat_own_claim(&flow, &outside->address, outside->port_be, &key);
    if (!reverse)
        return 0;
    nat_use_note(skb, packet, &mapping->use, &reverse->use, 0, now);
    return 1;
}

/*
 * A mapping that went by a moment ago holds without another look at policies. Returns 1 and fills
 * in what it translates to, or 0 where the flow has to be looked at.
 */
static __always_inline int nat_recent(struct __sk_buff *skb, const struct packet *packet,
                                      __u32 endpoint, __u32 now, struct nat_outside *outside)
{
    struct nat_forward *found = bpf_map_lookup_elem(&nat_forward, &packet->flow);

    if (!found || found->use.last_seen != now || found->endpoint != endpoint)
        return 0;
    nat_outside_of(found, outside);
    if (nat_is_middle(packet, &found->use)) {
        nat_use_note_middle(skb, packet, &found->use, now);
    } else if (!nat_turn(skb, packet, found, outside, now)) {
        outside->policy = 0;
        return 0;
    }
    return 1;
}

/* The flow's own claim, made again where it is lost; NULL where the port is another flow's. */
static __always_inline struct nat_reverse *nat_confirm(const struct nat_key *flow,
                                                       const struct nat_target *target,
                                                       const struct nat_forward *mapping)
{
    struct nat_reverse *reverse, value;
    struct nat_key key;

    nat_reverse_key(flow, &mapping->egress, mapping->egress_port_be, &key);
    reverse = bpf_map_lookup_elem(&nat_reverse, &key);
    if (!reverse) {
        nat_reverse_make(flow, target, &value);
        if (bpf_map_update_elem(&nat_reverse, &key, &value, BPF_NOEXIST))
            return NULL;
        reverse = bpf_map_lookup_elem(&nat_reverse, &key);
    }
    if (!reverse || !nat_reverse_is(reverse, flow))
        return NULL;
    if (!ip_addr_equal(&reverse->node, &target->node))
        reverse->node = target->node;
    return reverse;
}

/* A new connection on the ports of one that has ended starts with nothing of it. */
static __always_inline void nat_reopen(struct nat_forward *mapping, struct nat_reverse *reverse,
                                       const struct nat_target *target)
{
    struct nat_use none = {.last_seen = target->now};

    mapping->use = none;
    mapping->answers = 0;
    mapping->created = target->now;
    mapping->policy = target->policy;
    reverse->use = none;
}

enum nat_found {
    NAT_NONE,
    NAT_REPLACED, /* there is a mapping, but the flow needs another */
    NAT_FORMER,   /* there is one, with an egress IP that is not the policy's any more */
    NAT_HOLDS,
};

/*
 * The mapping of a flow; fills in what it translates to where it holds, or is a former one. `here`:
 * a former one holds as well. What does not hold is not noted as used.
 */
__noinline int nat_find(struct __sk_buff *skb, const struct packet *packet,
                        const struct nat_target *target, struct nat_outside *outside, int here)
{
    struct nat_reverse *reverse;
    struct nat_forward *found;
    struct nat_key flow;

    if (!packet || !target || !outside)
        return NAT_NONE;
    flow = packet->flow;
    found = bpf_map_lookup_elem(&nat_forward, &flow);
    if (!found)
        return NAT_NONE;
    if (found->endpoint != target->endpoint ||
        (packet_opens(packet) && !ip_addr_equal(&found->egress, &target->egress)))
        return NAT_REPLACED;
    reverse = nat_confirm(&flow, target, found);
    if (!reverse ||
        nat_is_idle(flow.protocol, &found->use, &reverse->use, config.nat_timeouts, target->now))
        return NAT_REPLACED;
    nat_outside_of(found, outside);
    if (!here && !ip_addr_equal(&outside->address, &target->egress))
        return NAT_FORMER;
    if (packet_opens(packet) &&
        nat_state_of(flow.protocol, found->use.seen, reverse->use.seen) >= NAT_CLOSING)
        nat_reopen(found, reverse, target);
    nat_use_note(skb, packet, &found->use, &reverse->use, target->scale, target->now);
    return NAT_HOLDS;
}

/* Whether an address is one of this node; where routing cannot be asked, it is. */
__noinline int address_is_here(struct __sk_buff *skb, const struct ip_addr *address)
{
    struct bpf_fib_lookup fib;
    struct hop_query query = {};

    if (!address)
        return 0;
    query.source = query.destination = address;
    switch (hop_ask(skb, &query, 0, &fib)) {
    case BPF_FIB_LKUP_RET_SUCCESS:
    case BPF_FIB_LKUP_RET_NO_NEIGH:
    case BPF_FIB_LKUP_RET_BLACKHOLE:
    case BPF_FIB_LKUP_RET_UNREACHABLE:
    case BPF_FIB_LKUP_RET_PROHIBIT:
        return 0;
    }
    return 1;
}

/*
 * Finds or makes the mapping of a flow. One that lives goes on, whatever the routes say by now, as
 * long as its egress IP is on this node; a new one is made where `target->refused` does not say
 * why not. Returns 0 and fills in what it translates to, or REASON(why). Three calls one after the
 * other, so that their stacks do not add up.
 */
static __always_inline int nat_settle(struct __sk_buff *skb, const struct packet *packet,
                                      const struct nat_target *target, struct nat_outside *outside)
{
    int found = nat_find(skb, packet, target, outside, 0);
    int error;

    if (found == NAT_FORMER && address_is_here(skb, &outside->address))
        found = nat_find(skb, packet, target, outside, 1);
    if (found == NAT_HOLDS)
        return 0;
    if (target->refused)
        return target->refused;
    if (found == NAT_FORMER && packet->flow.protocol == IPPROTO_TCP)
        return REASON(DROP_NO_EGRESS_IP);
    if (found == NAT_NONE && !nat_has_quota(&packet->flow.local))
        return REASON(DROP_NAT_QUOTA);
    if (packet->has_ports)
        error = nat_claim(skb, &packet->flow, flow_hash(packet), target, outside);
    else
        error = nat_claim_address(&packet->flow, target, outside);
    return error ? error : nat_open(skb, packet, target, outside, found != NAT_NONE);
}

/*
 * The mapping that a claim's answers are for: one that lives, and is the pod's that has the address
 * now. Else NULL. `flow` gets its key.
 */
static __always_inline struct nat_forward *nat_answered(const struct nat_key *key,
                                                        const struct nat_reverse *claim,
                                                        struct nat_key *flow, __u32 now)
{
    struct nat_forward *mapping = nat_claimant(key, claim, flow);
    const struct endpoint *endpoint;

    if (!mapping ||
        nat_is_idle(key->protocol, &mapping->use, &claim->use, config.nat_timeouts, now))
        return NULL;
    endpoint = bpf_map_lookup_elem(&endpoints, &flow->local);
    return endpoint && endpoint->hash == mapping->endpoint ? mapping : NULL;
}

/*
 * Whether a packet of a pod on this node belongs to a connection that leaves here already.
 * `endpoint` is the pod's hash. A SYN belongs to none.
 */
__noinline int nat_lives_here(const struct packet *packet, __u32 endpoint)
{
    const struct nat_forward *mapping;
    const struct nat_reverse *reverse;
    struct nat_key flow, key; /* Linux 6.1 takes keys from the function's own stack only */

    if (!packet || packet_opens(packet))
        return 0;
    flow = packet->flow;
    mapping = bpf_map_lookup_elem(&nat_forward, &flow);
    if (!mapping || mapping->endpoint != endpoint)
        return 0;
    reverse = nat_own_claim(&flow, &mapping->egress, mapping->egress_port_be, &key);
    return reverse && ip_addr_is_none(&reverse->node) &&
           !nat_is_idle(flow.protocol, &mapping->use, &reverse->use, config.nat_timeouts,
                        clock_ticks());
}

/* Notes an answer, by its claim, where there is a mapping for it. Once a tick, and for what can
 * change the state. */
__noinline int nat_answer_is_due(struct __sk_buff *skb, const struct packet *packet,
                                 struct nat_reverse *reverse, __u8 scale, __u32 now)
{
    struct nat_forward *mapping;
    struct nat_key flow;

    if (!packet || !reverse)
        return 0;
    mapping = nat_answered(&packet->flow, reverse, &flow, now);
    if (!mapping)
        return 0;
    nat_use_note(skb, packet, &reverse->use, &mapping->use, scale, now);
    if (mapping->answers != reverse->use.seen)
        mapping->answers = reverse->use.seen;
    return 1;
}

/* The claim that a packet from outside is an answer to, noted as used; NULL: none, or a dead one.
 */
static __always_inline struct nat_reverse *nat_answer(struct __sk_buff *skb,
                                                      const struct packet *packet)
{
    struct nat_reverse *reverse = bpf_map_lookup_elem(&nat_reverse, &packet->flow);
    __u32 now = clock_ticks();

    if (!reverse)
        return NULL;
    if (reverse->use.last_seen == now && nat_is_middle(packet, &reverse->use))
        nat_use_note_middle(skb, packet, &reverse->use, now);
    else if (!nat_answer_is_due(skb, packet, reverse, nat_scale(skb, packet), now))
        return NULL;
    return reverse;
}

/* What can be translated. Returns 0 or REASON(why). */
static __always_inline int nat_accepts(const struct packet *packet)
{
    if (packet->icmp == ICMP_ERROR)
        return 0;
    if (!packet->has_ports && protocol_has_ports(packet->flow.protocol))
        return REASON(DROP_MALFORMED);
    if ((!packet->has_ports && !protocol_by_address(packet)) || packet->icmp == ICMP_REPLY)
        return REASON(DROP_PROTOCOL);
    return 0;
}

/*
 * Whether a packet from outside can be the answer to a mapping. The node's own connections, which
 * are mostly those of its own address, are told by their port.
 */
static __always_inline int nat_may_be_answer(const struct packet *packet, int own)
{
    if (!packet->has_ports)
        return protocol_by_address(packet);
    if (packet->icmp)
        return packet->icmp == ICMP_REPLY;
    return nat_port_usable(packet->flow.local_port_be, own);
}

#endif

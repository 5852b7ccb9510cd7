/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef EGRESSGW_BPF_NAT_H
#define EGRESSGW_BPF_NAT_H

/*
 * Mappings of the gateway. The claim in nat_reverse comes first: it alone decides who has a port.
 * Processors that open the same flow at once try the same ports in the same order and so meet at
 * the same claim.
 */

#include "count.h"
#include "packet.h"
#include "protocol.h"
#include "tunnel.h"

#define NAT_PROBES     48
#define NAT_PORT_FIRST 1024U
#define NAT_PORT_LAST  65535U

#define E2BIG  7
#define ENOMEM 12

/* What a new mapping is made from. */
struct nat_target {
    struct ip_addr egress;
    struct ip_addr node; /* where the pod is; none: here */
    __u32 policy;
    __u32 now; /* ticks */
};

/* The usable ports are those below and those above the host's ephemeral range. */
static __always_inline __u32 nat_ports_below(void)
{
    __u32 first = config.ephemeral_first;

    return first > NAT_PORT_FIRST ? first - NAT_PORT_FIRST : 0;
}

static __always_inline __u32 nat_port_above(void)
{
    __u32 next = config.ephemeral_last + 1;

    return next > NAT_PORT_FIRST ? next : NAT_PORT_FIRST;
}

static __always_inline int nat_port_usable(__be16 port_be)
{
    __u32 port = bpf_ntohs(port_be);

    return port >= NAT_PORT_FIRST &&
           (port < config.ephemeral_first || port > config.ephemeral_last);
}

/* Usable port number `index` modulo their count, 0 where there is none. */
static __always_inline __be16 nat_port(__u32 index)
{
    __u32 below = nat_ports_below(), above = nat_port_above();
    __u32 total = below + NAT_PORT_LAST + 1 - above;

    if (!total)
        return 0;
    index %= total;
    return bpf_htons(index < below ? NAT_PORT_FIRST + index : above + (index - below));
}

static __always_inline void nat_use_note(struct nat_use *use, const struct packet *packet,
                                         __u32 now)
{
    __u8 seen = use->seen;

    if (packet->tcp_flags & TCP_SYN)
        seen = NAT_SEEN_SYN; /* also where a new connection follows on the same ports */
    else
        seen |= NAT_SEEN_DATA;
    if (packet->tcp_flags & TCP_FIN)
        seen |= NAT_SEEN_FIN;
    if (packet->tcp_flags & TCP_RST)
        seen |= NAT_SEEN_RST;
    if (use->seen != seen)
        use->seen = seen;
    if (use->last_seen != now)
        use->last_seen = now;
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

static __always_inline void nat_reverse_adopt(struct nat_reverse *reverse,
                                              const struct nat_target *target)
{
    if (!ip_addr_equal(&reverse->node, &target->node))
        reverse->node = target->node;
    if (reverse->policy != policy_index(target->policy))
        reverse->policy = policy_index(target->policy);
    if (reverse->use.last_seen != target->now)
        reverse->use.last_seen = target->now;
}

/* Claims one port: 0, or 1 where another flow has it, or REASON(why). */
static __always_inline int nat_claim_port(const struct nat_key *key,
                                          const struct nat_reverse *value,
                                          const struct nat_key *flow,
                                          const struct nat_target *target)
{
    /* int: before Linux 6.4 the upper half of the result is not set */
    int error = bpf_map_update_elem(&nat_reverse, key, value, BPF_NOEXIST);
    struct nat_reverse *found;

    if (!error)
        return 0;
    if (error == -E2BIG || error == -ENOMEM)
        return REASON(DROP_NAT_FULL);
    found = bpf_map_lookup_elem(&nat_reverse, key);
    if (!found || !nat_reverse_is(found, flow))
        return 1;
    nat_reverse_adopt(found, target);
    return 0;
}

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

/* Claims a port for the flow. Returns 0 and fills egress IP and port, or REASON(why). */
__noinline int nat_claim(const struct nat_key *flow, __u32 hash, const struct nat_target *target,
                         struct nat_forward *mapping)
{
    __u32 step = (hash >> 16 ^ hash << 3) | 1, candidate = nat_first_candidate(flow);
    struct nat_reverse value;
    struct nat_key key;
    int i, error;

    if (!flow || !target || !mapping)
        return REASON(DROP_INTERNAL);
    nat_reverse_make(flow, target, &value);
    nat_reverse_key(flow, &target->egress, flow->local_port_be, &key);
    for (i = 0; i < NAT_PROBES; i++) {
        if (i || !nat_port_usable(key.local_port_be)) {
            key.local_port_be = nat_port(candidate);
            candidate += step;
        }
        if (!key.local_port_be)
            break;
        error = nat_claim_port(&key, &value, flow, target);
        if (!error) {
            mapping->egress = target->egress;
            mapping->egress_port_be = key.local_port_be;
            return 0;
        }
        if (error < 0)
            return error;
    }
    return REASON(DROP_NO_PORT);
}

/* Claims all of a protocol without ports. Returns 0 and fills the egress IP, or REASON(why). */
__noinline int nat_claim_address(const struct nat_key *flow, const struct nat_target *target,
                                 struct nat_forward *mapping)
{
    struct nat_reverse value;
    struct nat_key key;
    int error;

    if (!flow || !target || !mapping)
        return REASON(DROP_INTERNAL);
    nat_reverse_make(flow, target, &value);
    nat_reverse_key(flow, &target->egress, 0, &key);
    error = nat_claim_port(&key, &value, flow, target);
    if (error)
        return error < 0 ? error : REASON(DROP_AMBIGUOUS);
    mapping->egress = target->egress;
    mapping->egress_port_be = 0;
    return 0;
}

/* Gives the flow's claim back, unless another flow has it by now. */
static __always_inline void nat_release(const struct nat_key *flow,
                                        const struct nat_forward *mapping)
{
    const struct nat_reverse *reverse;
    struct nat_key key;

    nat_reverse_key(flow, &mapping->egress, mapping->egress_port_be, &key);
    reverse = bpf_map_lookup_elem(&nat_reverse, &key);
    if (reverse && nat_reverse_is(reverse, flow))
        bpf_map_delete_elem(&nat_reverse, &key);
}

static __always_inline int nat_same(const struct nat_forward *a, const struct nat_forward *b)
{
    return a->egress_port_be == b->egress_port_be && ip_addr_equal(&a->egress, &b->egress);
}

/*
 * Enters a mapping that has its claim; `replaces` tells that the flow had another one. Returns 0
 * and fills in the mapping that holds, or REASON(why), which leaves the old one as it was.
 */
__noinline int nat_open(const struct packet *packet, const struct nat_target *target,
                        struct nat_forward *mapping, int replaces)
{
    struct nat_forward *found, fresh = {}, old = {};
    struct nat_key flow;

    if (!packet || !target || !mapping)
        return REASON(DROP_INTERNAL);
    flow = packet->flow; /* Linux 6.1 takes keys and values from the function's own stack only */
    fresh.egress = mapping->egress;
    fresh.egress_port_be = mapping->egress_port_be;
    fresh.policy = target->policy;
    nat_use_note(&fresh.use, packet, target->now);
    found = bpf_map_lookup_elem(&nat_forward, &flow);
    if (found)
        old = *found;
    if (!bpf_map_update_elem(&nat_forward, &flow, &fresh, replaces ? BPF_ANY : BPF_NOEXIST)) {
        if (found && !nat_same(&old, &fresh))
            nat_release(&flow, &old);
        return 0;
    }
    /* Another processor was first (then its mapping holds), or the table is full. */
    found = bpf_map_lookup_elem(&nat_forward, &flow);
    if (!found || !nat_same(found, &fresh))
        nat_release(&flow, &fresh);
    if (!found)
        return REASON(DROP_NAT_FULL);
    *mapping = *found;
    return 0;
}

/*
 * A mapping that went by a moment ago holds without another look at the routes. Returns 1 and fills
 * `mapping`, or 0 where the flow's decision has to be made (again).
 */
static __always_inline int nat_recent(const struct packet *packet, __u32 now,
                                      struct nat_forward *mapping)
{
    struct nat_forward *found;

    if (packet_opens(packet))
        return 0;
    found = bpf_map_lookup_elem(&nat_forward, &packet->flow);
    if (!found || found->use.last_seen != now)
        return 0;
    nat_use_note(&found->use, packet, now);
    mapping->egress = found->egress;
    mapping->egress_port_be = found->egress_port_be;
    mapping->policy = found->policy;
    return 1;
}

/* Whether the answers to a mapping still find the pod; a lost claim is made again if it can be. */
static __always_inline int nat_confirm(const struct nat_key *flow, const struct nat_target *target,
                                       const struct nat_forward *mapping)
{
    struct nat_reverse *reverse, value;
    struct nat_key key;

    nat_reverse_make(flow, target, &value);
    nat_reverse_key(flow, &mapping->egress, mapping->egress_port_be, &key);
    reverse = bpf_map_lookup_elem(&nat_reverse, &key);
    if (!reverse)
        return !bpf_map_update_elem(&nat_reverse, &key, &value, BPF_NOEXIST);
    if (!nat_reverse_is(reverse, flow))
        return 0;
    if (!ip_addr_equal(&reverse->node, &target->node))
        reverse->node = target->node;
    return 1;
}

enum nat_state {
    NAT_NONE,
    NAT_REPLACED, /* there is a mapping, but the flow needs another */
    NAT_HOLDS,
};

/* The mapping of a flow whose way has been decided; fills it where it holds. */
__noinline int nat_find(const struct packet *packet, const struct nat_target *target,
                        struct nat_forward *mapping)
{
    struct nat_forward *found;
    struct nat_key flow;

    if (!packet || !target || !mapping)
        return NAT_NONE;
    flow = packet->flow;
    found = bpf_map_lookup_elem(&nat_forward, &flow);
    if (!found)
        return NAT_NONE;
    if ((packet_opens(packet) && !ip_addr_equal(&found->egress, &target->egress)) ||
        !nat_confirm(&flow, target, found))
        return NAT_REPLACED;
    nat_use_note(&found->use, packet, target->now);
    *mapping = *found;
    return NAT_HOLDS;
}

/*
 * Finds or makes the mapping of a flow whose way has been decided. Returns 0 and fills it, or
 * REASON(why). Three calls one after the other, so that their stacks do not add up.
 */
static __always_inline int nat_settle(const struct packet *packet, const struct nat_target *target,
                                      struct nat_forward *mapping)
{
    int state = nat_find(packet, target, mapping);
    int error;

    if (state == NAT_HOLDS)
        return 0;
    if (packet->has_ports)
        error = nat_claim(&packet->flow, flow_hash(packet), target, mapping);
    else
        error = nat_claim_address(&packet->flow, target, mapping);
    return error ? error : nat_open(packet, target, mapping, state == NAT_REPLACED);
}

/* What can be translated. Returns 0 or REASON(why). */
static __always_inline int nat_accepts(const struct packet *packet)
{
    if (packet->fragment != FRAGMENT_NONE)
        return REASON(DROP_FRAGMENT);
    if (packet->icmp == ICMP_ERROR)
        return 0;
    if (!packet->has_ports && protocol_has_ports(packet->flow.protocol))
        return REASON(DROP_MALFORMED);
    if ((!packet->has_ports && !protocol_by_address(packet)) || packet->icmp == ICMP_REPLY)
        return REASON(DROP_PROTOCOL);
    return 0;
}

/* Whether a packet from outside can be the answer to a mapping. */
static __always_inline int nat_may_be_answer(const struct packet *packet)
{
    if (packet->fragment != FRAGMENT_NONE)
        return 0;
    if (!packet->has_ports)
        return protocol_by_address(packet);
    if (packet->icmp)
        return packet->icmp == ICMP_REPLY;
    return nat_port_usable(packet->flow.local_port_be);
}

#endif

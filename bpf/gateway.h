/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef EGRESSGW_BPF_GATEWAY_H
#define EGRESSGW_BPF_GATEWAY_H

/* This node as a gateway: out with the egress IP, and answers back to the pod. */

#include "deliver.h"
#include "drop.h"
#include "flow.h"
#include "fragment.h"
#include "gateway_error.h"
#include "nat.h"
#include "refuse.h"
#include "refused.h"
#include "split.h"
#include "tunnel.h"

/*
 * Sends a packet, seen from its pod and without tunnel headers, with its mapping's egress IP.
 * `ifindex` is where it leaves if the kernel's routing cannot be asked. Returns the verdict; where
 * the packet is too big, `packet->too_big` is set, and nothing is counted or changed yet.
 */
__noinline int gateway_send_whole(struct __sk_buff *skb, struct packet *packet,
                                  const struct nat_outside *outside, __u8 hop_limit, __u32 ifindex)
{
    struct hop_query query;
    struct hop hop;
    int error;

    if (!packet || !outside)
        return verdict_drop(skb, packet, REASON(DROP_INTERNAL));
    hop_query_fill(skb, packet, &outside->address, outside->port_be, &packet->flow.remote, &query);
    query.traffic_class = packet->traffic_class;
    query.length = packet_segment(skb, packet);
    query.ifindex = ifindex;
    error = hop_lookup(skb, &query, &hop);
    if (error == REASON(DROP_TOO_BIG)) {
        packet->too_big = 1;
        return TC_ACT_SHOT;
    }
    if (!error)
        error = packet_rewrite(skb, packet, &outside->address, outside->port_be, hop_limit);
    if (!error)
        error = hop_store_addresses(skb, &hop);
    if (error)
        return verdict_drop(skb, packet, error);
    count(skb, COUNT_TRANSLATED_OUT);
    count_policy(packet->policy, packet->length);
    return hop_send(skb, packet, &hop);
}

/* The same in fragments, where split_allows() them. */
__noinline int gateway_send_parts(struct __sk_buff *skb, struct packet *packet,
                                  const struct nat_outside *outside, __u8 hop_limit, __u32 ifindex)
{
    struct hop_query query;
    struct hop hop;
    __u32 number;
    int error;

    if (!packet || !outside)
        return verdict_drop(skb, packet, REASON(DROP_INTERNAL));
    hop_query_fill(skb, packet, &outside->address, outside->port_be, &packet->flow.remote, &query);
    query.traffic_class = packet->traffic_class;
    query.length = refuse_mtu(packet);
    query.ifindex = ifindex;
    packet->too_big = 0;
    error = hop_lookup(skb, &query, &hop);
    if (!error)
        error = packet_rewrite(skb, packet, &outside->address, outside->port_be, hop_limit);
    if (!error)
        error = split_take(skb, packet) ? REASON(DROP_INTERNAL) : hop_store_addresses(skb, &hop);
    for (number = 0; !error && number < SPLIT_PARTS; number++) {
        error = split_shape(skb, packet, number, 0);
        if (error)
            break;
        count(skb, COUNT_TRANSLATED_OUT);
        count_policy(packet->policy, packet->length);
        if (!packet->more)
            return hop_send(skb, packet, &hop);
        hop_send_copy(skb, packet, &hop);
    }
    return verdict_drop(skb, packet, error ? error : REASON(DROP_INTERNAL));
}

/* Sends a packet whole or in fragments. Returns the verdict; where `packet->too_big` is set, its
 * drop is counted. */
static __always_inline int gateway_send(struct __sk_buff *skb, struct packet *packet,
                                        const struct nat_outside *outside, __u8 hop_limit,
                                        __u32 ifindex)
{
    int verdict = gateway_send_whole(skb, packet, outside, hop_limit, ifindex);

    if (packet->too_big && !split_allows(skb, packet))
        verdict = gateway_send_parts(skb, packet, outside, hop_limit, ifindex);
    return packet->too_big ? verdict_drop(skb, packet, REASON(DROP_TOO_BIG)) : verdict;
}

/* Reads the gateway entry by which this node serves the packet. Returns 0 or REASON(why). */
static __always_inline int gateway_decide(const struct packet *packet, struct pod pod,
                                          struct gateway *gateway, __u32 *policy)
{
    const struct route *route = route_lookup(pod.profile, &packet->flow.remote);
    int error;

    if (!route_redirects(route) || cluster_contains(&packet->flow.remote))
        return REASON(DROP_NOT_GATEWAY);
    *policy = route->policy;
    error = gateway_find(route, pod.hash, gateway);
    if (error)
        return error;
    return gateway->flags & GATEWAY_LOCAL ? 0 : REASON(DROP_NOT_GATEWAY);
}

/* Whether connections of the node itself have the egress IP too. */
static __always_inline __u8 gateway_is_shared(const struct gateway *gateway, int version)
{
    const struct settings *own = settings_lookup();

    return !own || !(gateway->flags & GATEWAY_DEDICATED) ||
           ip_addr_equal(settings_node(own, version == 4), &gateway->egress);
}

/*
 * Finds or makes the mapping. `endpoint` is the pod's hash, `node` where it is, NULL: here, and
 * `refused` why this node is no gateway for it, 0: it is. Returns 0 or REASON(why).
 */
static __always_inline int gateway_map(struct __sk_buff *skb, const struct packet *packet,
                                       __u32 endpoint, const struct gateway *gateway, int refused,
                                       const struct ip_addr *node, struct nat_outside *outside)
{
    struct nat_target *target = nat_target_current();
    int error;

    if (!target)
        return REASON(DROP_INTERNAL);
    __builtin_memset(target, 0, sizeof(*target));
    if (!refused && (ip_addr_is_none(&gateway->egress) ||
                     ip_addr_is_v4(&gateway->egress) != (packet->version == 4)))
        refused = REASON(DROP_NO_EGRESS_IP);
    if (!refused)
        target->egress = gateway->egress;
    target->shared = gateway_is_shared(gateway, packet->version);
    target->refused = refused;
    if (node)
        target->node = *node;
    target->policy = outside->policy;
    target->endpoint = endpoint;
    target->now = clock_ticks();
    target->scale = nat_scale(skb, packet);
    error = nat_settle(skb, packet, target, outside);
    return error == REASON(DROP_NO_PORT) ? gateway_note_refused(packet->length) : error;
}

/* Whether a pod's packet can be translated; a fragment then has its ports. */
static __always_inline int gateway_accepts(struct __sk_buff *skb, struct packet *packet)
{
    int error = packet->fragment == FRAGMENT_NONE ? 0 : fragment_track(skb, packet);

    return error ? error : nat_accepts(packet);
}

/* What the sender of a packet that is dropped is told, REFUSE_*; -1: nothing. */
static __always_inline int gateway_refusal(int error)
{
    switch (error) {
    case REASON(DROP_HOP_LIMIT):
        return REFUSE_EXPIRED;
    case REASON(DROP_NO_PORT):
    case REASON(DROP_NAT_FULL):
    case REASON(DROP_NAT_QUOTA):
        return REFUSE_PROHIBITED;
    }
    return -1;
}

/*
 * Tells a pod of another node, by way of its node, that its packet is too big for the way from
 * here, or what else `mtu` stands for. The outer headers are gone. Returns the verdict.
 */
static __always_inline int gateway_refuse(struct __sk_buff *skb, struct packet *packet,
                                          const struct ip_addr *node, __u32 mtu)
{
    const struct settings *own = settings_lookup();
    const struct ip_addr *source;

    if (!own)
        return TC_ACT_SHOT;
    source = settings_node(own, packet->version == 4);
    if (ip_addr_is_none(source) || refuse_build(skb, packet, source, mtu))
        return TC_ACT_SHOT;
    return tunnel_send_small(skb, packet, node, COUNT_REFUSED);
}

/* A packet from `node` that is looked at again, or that needs a mapping. Returns 0 or REASON(why).
 */
static __always_inline int gateway_receive_new(struct __sk_buff *skb, const struct packet *packet,
                                               const struct ip_addr *node,
                                               struct nat_outside *outside, __u32 *ifindex)
{
    struct pod pod = pod_find(&packet->flow.local, 0);
    struct gateway *gateway = nat_gateway_current();
    int refused = REASON(DROP_UNKNOWN_ENDPOINT);

    if (!gateway)
        return REASON(DROP_INTERNAL);
    if (pod.profile)
        refused = gateway_decide(packet, pod, gateway, &outside->policy);
    if (!refused && gateway->ifindex)
        *ifindex = gateway->ifindex;
    return gateway_map(skb, packet, pod.hash, gateway, refused, node, outside);
}

/* A packet from the tunnel, read but not yet stripped; `node` sent it. Returns the verdict. */
static __always_inline int gateway_receive(struct __sk_buff *skb, struct packet *packet,
                                           const struct endpoint *endpoint,
                                           const struct ip_addr *node, __u8 outer_traffic_class)
{
    struct nat_outside outside = {};
    __u32 ifindex = skb->ifindex;
    int error = gateway_accepts(skb, packet), verdict;

    if (!error && packet->hop_limit <= 1)
        error = REASON(DROP_HOP_LIMIT);
    if (!error && packet->icmp == ICMP_ERROR) {
        error = gateway_map_error(skb, packet, &outside);
    } else if (!error && !nat_recent(skb, packet, endpoint->hash, clock_ticks(), &outside)) {
        error = gateway_receive_new(skb, packet, node, &outside, &ifindex);
    }
    packet->policy = policy_index(outside.policy);
    if (error && gateway_refusal(error) >= 0) {
        verdict = verdict_drop(skb, packet, error);
        if (tunnel_strip(skb, packet, outer_traffic_class))
            return verdict;
        return gateway_refuse(skb, packet, node, gateway_refusal(error));
    }
    if (!error)
        error = tunnel_strip(skb, packet, outer_traffic_class);
    if (error)
        return verdict_drop(skb, packet, error);
    verdict = gateway_send(skb, packet, &outside, packet->hop_limit - 1, ifindex);
    if (packet->too_big && refuse_mtu(packet))
        return gateway_refuse(skb, packet, node, refuse_mtu(packet));
    return verdict;
}

/* A packet of a pod on this node that this node is the gateway for. Returns the verdict. */
static __always_inline int gateway_send_local(struct __sk_buff *skb, struct packet *packet,
                                              __u32 endpoint, const struct gateway *gateway,
                                              __u32 policy)
{
    __u32 ifindex = gateway->ifindex ? gateway->ifindex : skb->ifindex;
    struct nat_outside outside = {.policy = policy};
    int error = gateway_accepts(skb, packet);

    if (!error && packet->icmp == ICMP_ERROR)
        error = gateway_map_error(skb, packet, &outside);
    else if (!error)
        error = gateway_map(skb, packet, endpoint, gateway, 0, NULL, &outside);
    packet->policy = policy_index(outside.policy);
    if (error && gateway_refusal(error) == REFUSE_PROHIBITED)
        packet->prohibited = 1;
    if (error)
        return verdict_drop(skb, packet, error);
    return gateway_send(skb, packet, &outside, packet->hop_limit, ifindex);
}

/* An answer to a pod on this node goes on up the stack as if nothing had been translated. */
static __always_inline int gateway_deliver_local(struct __sk_buff *skb, struct packet *packet,
                                                 const struct nat_reverse *reverse)
{
    struct ip_addr address;
    struct nat_key pod;
    __be16 port_be;

    nat_reverse_key(&packet->flow, &reverse->pod, reverse->pod_port_be, &pod);
    flow_find_masquerade(&pod, &address, &port_be);
    if (packet_rewrite(skb, packet, &address, port_be, packet->hop_limit))
        return verdict_drop(skb, packet, REASON(DROP_INTERNAL));
    count(skb, COUNT_TRANSLATED_IN);
    count_policy(packet->policy, packet->length);
    return deliver_answer(skb, packet);
}

/* An ICMP error from outside. Returns the verdict; what is about no mapping passes, also one about
 * our tunnel. */
static __always_inline int gateway_answer_error(struct __sk_buff *skb, struct packet *packet)
{
    int error = gateway_turn_error(skb, packet);
    const struct icmp_error *current = icmp_error_current();

    if (error > 0)
        path_mtu_learn(skb, packet);
    if (error > 0 || !current)
        return VERDICT_PASS;
    if (error)
        return verdict_drop(skb, packet, error);
    if (!ip_addr_is_none(&current->node))
        return tunnel_send_small(skb, packet, &current->node, COUNT_TRANSLATED_IN);
    count(skb, COUNT_TRANSLATED_IN);
    count_policy(packet->policy, packet->length);
    return deliver_answer(skb, packet);
}

/*
 * Makes an answer, already turned back to its pod, the ICMP error about what the server had sent:
 * too big for the tunnel. It comes from the egress IP, which is all that the server knows of us.
 * Returns 0, or -1 where there is to be no error.
 */
__noinline int gateway_refuse_answer(struct __sk_buff *skb, struct packet *packet)
{
    const struct nat_forward *forward;
    struct nat_outside outside;
    struct nat_key key; /* Linux 6.1 takes keys from the function's own stack only */
    __u32 mtu;

    if (!packet || packet->icmp == ICMP_ERROR)
        return -1;
    key = packet->flow;
    mtu = refuse_mtu(packet);
    forward = bpf_map_lookup_elem(&nat_forward, &key);
    if (!forward || !mtu)
        return -1;
    nat_outside_of(forward, &outside);
    if (packet_rewrite(skb, packet, &outside.address, outside.port_be, packet->hop_limit + 1))
        return -1;
    packet_turn(packet);
    return refuse_build(skb, packet, &outside.address, mtu);
}

/* Sends that error to the server, by the way of whatever has this address. Returns the verdict. */
__noinline int gateway_send_refusal(struct __sk_buff *skb, const struct packet *packet)
{
    struct hop_query query;
    struct hop hop;

    if (!packet)
        return TC_ACT_SHOT;
    hop_query_fill(skb, packet, &packet->flow.remote, 0, &packet->flow.local, &query);
    query.length = packet->length;
    if (hop_lookup(skb, &query, &hop) || hop_store_addresses(skb, &hop))
        return TC_ACT_SHOT;
    count(skb, COUNT_REFUSED);
    return hop_send(skb, packet, &hop);
}

/* A packet from outside, perhaps an answer; `own` is packet_is_own(). Returns the verdict; what is
 * not ours passes. */
static __always_inline int gateway_answer(struct __sk_buff *skb, struct packet *packet, int own)
{
    struct nat_reverse *reverse;
    struct ip_addr pod;
    __be16 port_be;
    int error = 0;

    if (packet->icmp == ICMP_ERROR)
        return gateway_answer_error(skb, packet);
    if (packet->fragment == FRAGMENT_LATER)
        error = fragment_track(skb, packet);
    if (error == REASON(DROP_FRAGMENT_EARLY))
        return VERDICT_PASS; /* whose it is cannot be known, so it is the node's */
    if (error)
        return verdict_drop(skb, packet, error);
    if (!nat_may_be_answer(packet, own))
        return VERDICT_PASS;
    reverse = nat_answer(skb, packet);
    if (!reverse)
        return VERDICT_PASS;
    packet->policy = reverse->policy;
    if (packet->fragment == FRAGMENT_FIRST)
        error = fragment_track(skb, packet);
    if (error)
        return verdict_drop(skb, packet, error);
    if (ip_addr_is_none(&reverse->node))
        return gateway_deliver_local(skb, packet, reverse);
    if (packet->hop_limit <= 1)
        return verdict_drop(skb, packet, REASON(DROP_HOP_LIMIT));
    pod = reverse->pod;
    port_be = reverse->pod_port_be;
    if (packet_rewrite(skb, packet, &pod, port_be, packet->hop_limit - 1))
        return verdict_drop(skb, packet, REASON(DROP_INTERNAL));
    error = split_send(skb, packet, &reverse->node, COUNT_TRANSLATED_IN);
    if (!packet->too_big || gateway_refuse_answer(skb, packet))
        return error;
    return gateway_send_refusal(skb, packet);
}

#endif

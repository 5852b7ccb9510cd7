/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef EGRESSGW_BPF_GATEWAY_ERROR_H
#define EGRESSGW_BPF_GATEWAY_ERROR_H

/*
 * ICMP errors at the gateway. They belong to the mapping of the packet that they are about, and
 * neither make one nor keep it alive (RFC 5508).
 */

#include "flow.h"
#include "icmp_error.h"
#include "nat.h"

/*
 * A pod's error about a packet from outside: the mapping, as the error's own packets go. Only who
 * sent that packet can be told. Returns 0 with the quote translated, or REASON(why).
 */
__noinline int gateway_map_error(struct __sk_buff *skb, const struct packet *packet,
                                 struct nat_outside *outside)
{
    const struct icmp_error *current = icmp_error_current();
    const struct nat_forward *found;
    int error;

    if (!packet || !outside || !current)
        return REASON(DROP_INTERNAL);
    error = icmp_error_read(skb, packet);
    if (error < 0)
        return error;
    if (error || !ip_addr_equal(&current->quote.flow.remote, &packet->flow.remote))
        return REASON(DROP_NO_MAPPING);
    found = bpf_map_lookup_elem(&nat_forward, &current->quote.flow);
    if (!found)
        return REASON(DROP_NO_MAPPING);
    nat_outside_of(found, outside);
    return icmp_error_rewrite(skb, packet, &outside->address, outside->port_be);
}

/* The end of a flow that an error about it is for: as answers to it, see gateway_deliver_local().
 */
static __always_inline void gateway_error_target(const struct nat_key *flow,
                                                 const struct nat_reverse *reverse,
                                                 struct ip_addr *address, __be16 *port_be)
{
    struct nat_key pod;

    *address = reverse->pod;
    *port_be = reverse->pod_port_be;
    if (!ip_addr_is_none(&reverse->node))
        return;
    nat_reverse_key(flow, &reverse->pod, reverse->pod_port_be, &pod);
    flow_find_masquerade(&pod, address, port_be);
}

/*
 * An error from outside about a packet that left with the egress IP: turned back to the pod that
 * sent it, in the frame and in `packet`. Returns 0 and leaves the pod's node in
 * icmp_error_current(), 1 where it is about no packet of ours, or REASON(why).
 */
__noinline int gateway_turn_error(struct __sk_buff *skb, struct packet *packet)
{
    struct icmp_error *current = icmp_error_current();
    const struct nat_reverse *reverse;
    struct ip_addr address;
    struct nat_key flow;
    __be16 port_be;
    int error;

    if (!packet || !current)
        return REASON(DROP_INTERNAL);
    error = icmp_error_read(skb, packet);
    if (error)
        return error;
    reverse = bpf_map_lookup_elem(&nat_reverse, &current->quote.flow);
    if (!reverse || !nat_answered(&current->quote.flow, reverse, &flow, clock_ticks()))
        return 1;
    current->node = reverse->node;
    packet->policy = reverse->policy;
    if (!ip_addr_is_none(&current->node) && packet->hop_limit <= 1)
        return REASON(DROP_HOP_LIMIT);
    gateway_error_target(&current->quote.flow, reverse, &address, &port_be);
    error = icmp_error_rewrite(skb, packet, &address, port_be);
    if (error)
        return error;
    return packet_rewrite(skb, packet, &address, 0,
                          packet->hop_limit - !ip_addr_is_none(&current->node));
}

#endif

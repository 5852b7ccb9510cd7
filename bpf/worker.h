/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef EGRESSGW_BPF_WORKER_H
#define EGRESSGW_BPF_WORKER_H

/* This node as a worker: its pods' packets on their way out, and their answers from the tunnel. */

#include "drop.h"
#include "flow.h"
#include "gateway.h"
#include "masquerade.h"
#include "route.h"
#include "tunnel.h"

/* Who sent a packet: as it lies in the frame, or before a CNI masqueraded it. */
struct sender {
    struct ip_addr address;
    __be16 port_be;
    __u8 masqueraded;
};

/* Answers of connections that came from outside go back the way they came. */
static __always_inline int worker_is_answer(const struct packet *packet, unsigned long nfct)
{
    return conntrack_is_known(nfct) ? conntrack_is_reply(nfct) : flow_is_answer(packet);
}

/*
 * A packet whose sender is no endpoint of this node: dropped where it can only be a new pod's that
 * some policy might select. Returns the verdict.
 */
static __always_inline int worker_judge_unknown(struct __sk_buff *skb, const struct packet *packet,
                                                const struct ip_addr *sender, unsigned long nfct)
{
    const struct settings *own;

    if (!config.unknown_endpoints_drop || !skb->ingress_ifindex ||
        !route_lookup(PROFILE_COVERED, &packet->flow.remote))
        return VERDICT_PASS;
    own = settings_lookup();
    if (own && own->flags & SETTINGS_POD_RANGES_KNOWN && !route_lookup(PROFILE_POD_RANGES, sender))
        return VERDICT_PASS;
    if (cluster_contains(&packet->flow.remote) || worker_is_answer(packet, nfct))
        return VERDICT_PASS;
    return verdict_drop(skb, packet, REASON(DROP_UNKNOWN_ENDPOINT));
}

/* Gives the quote of an ICMP error the address and port that its other end has to have. */
static __always_inline int worker_translate_error(struct __sk_buff *skb,
                                                  const struct packet *packet,
                                                  const struct ip_addr *address, __be16 port_be)
{
    int error = icmp_error_read(skb, packet);

    if (error)
        return error < 0 ? error : REASON(DROP_MALFORMED);
    return icmp_error_rewrite(skb, packet, address, port_be);
}

/* Turns the packet into what the pod sent and notes how its answers are turned back. */
static __always_inline int worker_restore(struct __sk_buff *skb, struct packet *packet,
                                          const struct sender *sender)
{
    struct ip_addr address = packet->flow.local;
    __be16 port_be = packet->flow.local_port_be;
    int error = 0;

    if (packet->icmp == ICMP_ERROR)
        error = worker_translate_error(skb, packet, &sender->address, sender->port_be);
    if (!error)
        error = packet_rewrite(skb, packet, &sender->address, sender->port_be, packet->hop_limit);
    if (!error && packet->icmp != ICMP_ERROR)
        flow_note_masquerade(packet, &address, port_be);
    return error;
}

/* A packet that leaves by an uplink. Returns the verdict; what is not ours passes. */
static __always_inline int worker_send(struct __sk_buff *skb, struct packet *packet)
{
    const struct endpoint *endpoint = endpoint_lookup_local(&packet->flow.local);
    struct sender sender = {.address = packet->flow.local};
    const struct gateway *gateway;
    const struct route *route;
    unsigned long nfct = 0;
    int error;

    if (!endpoint) {
        nfct = conntrack_read(skb);
        if (conntrack_source(nfct, &sender.address, &sender.port_be)) {
            sender.masqueraded = 1;
            endpoint = endpoint_lookup_local(&sender.address);
        }
        if (!endpoint)
            return worker_judge_unknown(skb, packet, &sender.address, nfct);
    }
    if (endpoint->profile == PROFILE_NONE)
        return VERDICT_PASS;
    route = route_lookup(endpoint->profile, &packet->flow.remote);
    if (!route_redirects(route) || cluster_contains(&packet->flow.remote))
        return VERDICT_PASS;
    if (!sender.masqueraded && worker_is_answer(packet, conntrack_read(skb)))
        return VERDICT_PASS;
    packet->policy = policy_index(route->policy);
    error = gateway_lookup(route, endpoint, &gateway);
    if (!error && sender.masqueraded)
        error = worker_restore(skb, packet, &sender);
    if (error)
        return verdict_drop(skb, packet, error);
    if (gateway->flags & GATEWAY_LOCAL)
        return gateway_send_local(skb, packet, gateway, route->policy);
    return tunnel_send(skb, packet, &gateway->node, COUNT_ENCAPSULATED);
}

/* Gives an answer the address and port that a CNI had put into the flow. */
static __always_inline int worker_masquerade(struct __sk_buff *skb, struct packet *packet)
{
    struct ip_addr address;
    __be16 port_be;

    flow_find_masquerade(&packet->flow, &address, &port_be);
    if (ip_addr_equal(&address, &packet->flow.local))
        return 0;
    return packet_rewrite(skb, packet, &address, port_be, packet->hop_limit);
}

/* The same for an ICMP error: the host takes it for the flow whose packet it quotes. */
__noinline int worker_masquerade_error(struct __sk_buff *skb, struct packet *packet)
{
    const struct icmp_error *current = icmp_error_current();
    struct ip_addr address;
    __be16 port_be;
    int error;

    if (!packet || !current)
        return REASON(DROP_INTERNAL);
    if (!config.conntrack)
        return 0;
    error = icmp_error_read(skb, packet);
    if (error)
        return error < 0 ? error : REASON(DROP_MALFORMED);
    flow_find_masquerade(&current->quote.flow, &address, &port_be);
    if (ip_addr_equal(&address, &packet->flow.local))
        return 0;
    error = icmp_error_rewrite(skb, packet, &address, port_be);
    return error ? error : packet_rewrite(skb, packet, &address, 0, packet->hop_limit);
}

/* An answer from the tunnel to a pod of this node, sent by that node. Returns the verdict. */
static __always_inline int worker_receive(struct __sk_buff *skb, struct packet *packet,
                                          const struct node_entry *node, __u8 outer_traffic_class)
{
    int error;

    if (!(node->flags & NODE_GATEWAY))
        return verdict_drop(skb, packet, REASON(DROP_UNKNOWN_NODE));
    error = tunnel_strip(skb, packet, outer_traffic_class);
    if (!error && packet->icmp == ICMP_ERROR)
        error = worker_masquerade_error(skb, packet);
    else if (!error)
        error = worker_masquerade(skb, packet);
    if (error)
        return verdict_drop(skb, packet, error);
    count(skb, COUNT_DECAPSULATED);
    return VERDICT_PASS;
}

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef EGRESSGW_BPF_WORKER_H
#define EGRESSGW_BPF_WORKER_H

/* This node as a worker: its pods' packets on their way out, and their answers from the tunnel. */

#include "deliver.h"
#include "drop.h"
#include "flow.h"
#include "fragment.h"
#include "gateway.h"
#include "masquerade.h"
#include "refuse.h"
#include "route.h"
#include "split.h"
#include "tunnel.h"

enum worker_way {
    WAY_DIRECT,  /* as if there were no policy */
    WAY_GATEWAY, /* through the tunnel to `gateway.node` */
    WAY_HERE,    /* this node is the gateway */
};

/* What is found out about a packet on its way out. */
struct decision {
    struct gateway gateway; /* of WAY_GATEWAY: `node` alone */
    struct masquerade masquerade;
    __u32 policy;
    __u32 endpoint; /* of WAY_HERE: the hash of the pod */
};

/* Looks behind a CNI's masquerade: makes the flow that of the pod. Returns 0 where there is none.
 */
__noinline int worker_unmask(struct __sk_buff *skb, struct packet *packet,
                             struct masquerade *masquerade)
{
    struct ip_addr pod;
    __be16 port_be;

    if (!packet || !masquerade || !conntrack_source(conntrack_read(skb), &pod, &port_be))
        return 0;
    masquerade->address = packet->flow.local;
    masquerade->port_be = packet->flow.local_port_be;
    masquerade->pod_port_be = port_be;
    masquerade->present = 1;
    packet->flow.local = pod;
    if (packet->has_ports)
        packet->flow.local_port_be = port_be;
    return 1;
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

/* Turns the packet into what the pod sent. Returns 0 or REASON(why). */
static __always_inline int worker_restore(struct __sk_buff *skb, struct packet *packet,
                                          const struct masquerade *masquerade)
{
    struct ip_addr pod = packet->flow.local;
    __be16 port_be = masquerade->pod_port_be;
    int error = 0;

    packet->flow.local = masquerade->address;
    packet->flow.local_port_be = masquerade->port_be;
    if (packet->icmp == ICMP_ERROR)
        error = worker_translate_error(skb, packet, &pod, port_be);
    return error ? error : packet_rewrite(skb, packet, &pod, port_be, packet->hop_limit);
}

/*
 * A packet whose sender is no endpoint of this node: dropped where it can only be a new pod's that
 * some policy might select. Returns WAY_DIRECT or REASON(why).
 */
static __always_inline int worker_judge_unknown(struct __sk_buff *skb, const struct ip_addr *sender,
                                                const struct ip_addr *remote, unsigned long nfct)
{
    const struct settings *own;

    if (!config.unknown_endpoints_drop || !skb->ingress_ifindex ||
        !route_lookup(PROFILE_COVERED, remote))
        return WAY_DIRECT;
    own = settings_lookup();
    if (own && own->flags & SETTINGS_POD_RANGES_KNOWN && !route_lookup(PROFILE_POD_RANGES, sender))
        return WAY_DIRECT;
    if (cluster_contains(remote) || conntrack_is_reply(nfct))
        return WAY_DIRECT;
    return REASON(DROP_UNKNOWN_ENDPOINT);
}

/* What the tables say. Returns the way or REASON(why). */
static __always_inline int worker_route(struct pod pod, const struct ip_addr *remote,
                                        struct decision *decision)
{
    const struct route *route;
    int error;

    if (pod.profile == PROFILE_NONE)
        return WAY_DIRECT;
    route = route_lookup(pod.profile, remote);
    if (!route_redirects(route) || cluster_contains(remote))
        return WAY_DIRECT;
    decision->policy = route->policy;
    error = gateway_find(route, pod.hash, &decision->gateway);
    if (error)
        return error;
    return decision->gateway.flags & GATEWAY_LOCAL ? WAY_HERE : WAY_GATEWAY;
}

/* Datagrams inside the cluster are not worth a place: no policy ever redirects them. */
static __always_inline int worker_is_noted(const struct packet *packet,
                                           const struct ip_addr *remote)
{
    return packet->flow.protocol == IPPROTO_TCP || !cluster_contains(remote);
}

/* Decides the way of a packet and remembers it. Returns the way or REASON(why). */
__noinline int worker_decide(struct __sk_buff *skb, const struct packet *packet,
                             struct decision *decision)
{
    unsigned long nfct = conntrack_read(skb);
    struct ip_addr sender, remote; /* Linux 6.1 takes keys from the function's own stack only */
    struct flow flow = {};
    int way = WAY_DIRECT;
    struct pod pod;

    if (!packet || !decision)
        return REASON(DROP_INTERNAL);
    sender = packet->flow.local;
    remote = packet->flow.remote;
    pod = pod_find(&sender, ENDPOINT_LOCAL);
    if (!pod.profile)
        return worker_judge_unknown(skb, &sender, &remote, nfct);
    decision->endpoint = flow.endpoint = pod.hash;
    flow.flags = FLOW_INBOUND;
    if (decision->masquerade.present || !conntrack_is_reply(nfct)) {
        flow.flags = FLOW_DIRECT;
        way = worker_route(pod, &remote, decision);
        if (way != WAY_HERE && (way != WAY_DIRECT || worker_is_noted(packet, &remote)) &&
            nat_lives_here(packet, pod.hash))
            return WAY_HERE; /* a policy that has changed is for new connections */
    }
    if (way < 0)
        return way;
    if (way == WAY_DIRECT) {
        if (worker_is_noted(packet, &remote))
            flow_note(packet, &flow);
        return way;
    }
    flow.flags = way == WAY_GATEWAY ? FLOW_REDIRECTED : 0;
    if (way == WAY_GATEWAY) {
        flow.gateway = decision->gateway.node;
        flow.policy = policy_index(decision->policy);
    }
    if (decision->masquerade.present) {
        flow.flags |= FLOW_MASQUERADED;
        flow.masquerade = decision->masquerade.address;
        flow.masquerade_port_be = decision->masquerade.port_be;
    }
    if (flow.flags)
        flow_note(packet, &flow);
    return way;
}

/* The way of a remembered flow, or one that has to be decided. Returns the way or REASON(why). */
static __always_inline int worker_follow(struct __sk_buff *skb, const struct packet *packet,
                                         struct flow *flow, struct decision *decision)
{
    if (flow && flow->flags & FLOW_REDIRECTED) {
        flow_follow_masquerade(flow, &decision->masquerade);
        decision->gateway.node = flow->gateway;
        decision->policy = flow->policy;
        return WAY_GATEWAY;
    }
    if (flow && flow->flags & FLOW_DIRECT)
        return WAY_DIRECT;
    /* The pod's own ping is no answer, nor is what the host has translated as the first packet. */
    if (flow && !decision->masquerade.present && packet->icmp != ICMP_REQUEST)
        return WAY_DIRECT;
    return worker_decide(skb, packet, decision);
}

/*
 * Tells the sender of a packet that it is too big for the tunnel, whether it may be fragmented or
 * not: it then sends what fits, or fragments itself. Or that this gateway has no mapping for it, or
 * no node is its gateway.
 * The error comes from where the packet was to go, and is about the packet that the host knows.
 * Returns the verdict.
 */
__noinline int worker_refuse(struct __sk_buff *skb, struct packet *packet,
                             const struct masquerade *masquerade)
{
    struct ip_addr remote;
    __u32 mtu;

    if (!packet || !masquerade || packet->icmp == ICMP_ERROR)
        return TC_ACT_SHOT;
    remote = packet->flow.remote;
    if (masquerade->present &&
        packet_rewrite(skb, packet, &masquerade->address, masquerade->port_be, packet->hop_limit))
        return TC_ACT_SHOT;
    mtu = packet->prohibited ? REFUSE_PROHIBITED : refuse_mtu(packet);
    return mtu && !refuse_build(skb, packet, &remote, mtu) ? refuse_turn(skb) : TC_ACT_SHOT;
}

/*
 * Whether somebody behind this node tries to speak the tunnel's protocol himself: a pod could lay
 * its packets to another, and a CNI that masquerades would lend it the node's address.
 */
__noinline int worker_is_forged(struct __sk_buff *skb, const struct packet *packet)
{
    struct ip_addr source;

    if (!packet)
        return 0;
    source = packet->flow.local;
    if (!skb->ingress_ifindex && !endpoint_lookup_local(&source))
        return 0;
    return tunnel_check(skb, packet);
}

/* A packet that leaves by an uplink. Returns the verdict; what is not ours passes. */
static __always_inline int worker_send(struct __sk_buff *skb, struct packet *packet)
{
    struct decision decision = {};
    /* The node's own, or a pod's that a CNI has masqueraded. */
    int own = packet_is_own(packet), way; /* the verdict in the end */
    struct flow *flow;

    if (tunnel_may_be(packet) && worker_is_forged(skb, packet))
        return verdict_drop(skb, packet, REASON(DROP_FORGED_TUNNEL));
    flow = own ? NULL : flow_recall(packet);
    if (!flow && (own || !endpoint_lookup_local(&packet->flow.local)) &&
        worker_unmask(skb, packet, &decision.masquerade))
        flow = flow_recall(packet);
    way = worker_follow(skb, packet, flow, &decision);
    packet->policy = policy_index(decision.policy);
    if (packet->fragment == FRAGMENT_FIRST && way >= 0)
        flow_note_fragments(packet);
    if (way == WAY_DIRECT)
        return VERDICT_PASS;
    packet->prohibited = way == REASON(DROP_NO_GATEWAY);
    if ((way > 0 || packet->prohibited) && decision.masquerade.present &&
        worker_restore(skb, packet, &decision.masquerade)) {
        packet->prohibited = 0;
        way = REASON(DROP_INTERNAL);
    }
    if (way < 0)
        way = verdict_drop(skb, packet, way);
    else if (way == WAY_HERE)
        way =
            gateway_send_local(skb, packet, decision.endpoint, &decision.gateway, decision.policy);
    else
        way = split_send(skb, packet, &decision.gateway.node, COUNT_ENCAPSULATED);
    return packet->too_big || packet->prohibited ? worker_refuse(skb, packet, &decision.masquerade)
                                                 : way;
}

/* A flow that goes by that gateway. */
static __always_inline int worker_sends(const struct flow *flow, const struct ip_addr *node)
{
    return flow && flow->flags & FLOW_REDIRECTED && ip_addr_equal(&flow->gateway, node);
}

/*
 * Looks at a packet from `node` to a pod of this node. `sent`: of a flow that the pod sends there,
 * so that it is an answer, whatever they are by now; any other comes from a gateway and from no
 * endpoint. Returns 1, or 0 where the node is no gateway (any more), or REASON(why).
 */
__noinline int worker_admit(const struct packet *packet, const struct ip_addr *node, int sent)
{
    const struct node_entry *entry;
    struct ip_addr address; /* Linux 6.1 takes keys from the function's own stack only */
    __u32 flags;

    if (!packet || !node)
        return REASON(DROP_INTERNAL);
    address = *node;
    entry = bpf_map_lookup_elem(&nodes, &address);
    if (!entry)
        return REASON(DROP_UNKNOWN_NODE);
    flags = entry->flags;
    address = packet->flow.remote;
    if (!sent && endpoint_lookup(&address))
        return REASON(DROP_WRONG_NODE);
    address = packet->flow.local;
    if (!endpoint_lookup_local(&address))
        return REASON(DROP_UNKNOWN_ENDPOINT);
    return sent || flags & NODE_GATEWAY ? 1 : 0;
}

/* Gives an answer the address and port that the host has to meet. Returns 0 or REASON(why). */
static __always_inline int worker_masquerade(struct __sk_buff *skb, struct packet *packet,
                                             const struct flow *flow)
{
    struct ip_addr address = flow->masquerade;

    return packet_rewrite(skb, packet, &address, flow->masquerade_port_be, packet->hop_limit);
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

/*
 * An answer from the tunnel to a pod of this node, sent by `node`. Where the pod has sent this flow
 * to that node within the tick, it needs no other look. Returns the verdict.
 */
static __always_inline int worker_receive(struct __sk_buff *skb, struct packet *packet,
                                          const struct ip_addr *node, __u8 outer_traffic_class)
{
    const struct flow *flow = bpf_map_lookup_elem(&flows, &packet->flow);
    int error, admitted = 1, sent = worker_sends(flow, node);

    if (!sent || flow->last_seen != clock_ticks())
        admitted = worker_admit(packet, node, sent);
    if (admitted < 0)
        return verdict_drop(skb, packet, admitted);
    if (packet->fragment != FRAGMENT_NONE && config.conntrack) {
        fragment_track(skb, packet); /* or else it keeps the pod's address, and the host drops it */
        flow = bpf_map_lookup_elem(&flows, &packet->flow);
    }
    if (!admitted && !worker_sends(flow, node))
        return verdict_drop(skb, packet, REASON(DROP_UNKNOWN_NODE));
    error = tunnel_strip(skb, packet, outer_traffic_class);
    if (!error && packet->icmp == ICMP_ERROR)
        error = worker_masquerade_error(skb, packet);
    else if (!error && flow && flow->flags & FLOW_MASQUERADED)
        error = worker_masquerade(skb, packet, flow);
    if (error)
        return verdict_drop(skb, packet, error);
    count(skb, COUNT_DECAPSULATED);
    return deliver_answer(skb, packet);
}

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef EGRESSGW_BPF_FLOW_H
#define EGRESSGW_BPF_FLOW_H

/* What a worker remembers of its own pods' flows; see struct flow. */

#include "count.h"
#include "packet.h"
#include "route.h"

/* A flow other than TCP ends 180 s after its last packet, as in the kernel's conntrack. */
#define FLOW_IDLE_TICKS (180ULL * 1000000000 >> DATAPATH_TICK_SHIFT)

#define FLOW_DECIDED (FLOW_INBOUND | FLOW_REDIRECTED | FLOW_DIRECT)

/* What a CNI has put into a packet of a pod. */
struct masquerade {
    struct ip_addr address;
    __be16 port_be;
    __be16 pod_port_be; /* what the pod had there; of an ICMP error: in its quote */
    __u8 present;       /* 0: the packet is as the pod sent it */
};

static __always_inline void flow_refresh(struct flow *flow, __u32 now)
{
    if (flow->last_seen != now)
        flow->last_seen = now;
}

static __always_inline int flow_is_idle(const struct flow *flow, const struct nat_key *key,
                                        __u32 now)
{
    return key->protocol != IPPROTO_TCP && now - flow->last_seen > FLOW_IDLE_TICKS;
}

/*
 * Whether a flow still has the way that is remembered, looked at once a tick: a TCP connection is
 * bound to its gateway for as long as that node exists, other flows leave one that is not ready.
 * Answers of inbound flows may outlive their endpoint.
 */
__noinline int flow_holds(const struct nat_key *key, const struct flow *flow, __u32 now)
{
    const struct endpoint *endpoint;
    const struct node_entry *node;
    struct ip_addr address;

    if (!key || !flow || flow_is_idle(flow, key, now))
        return 0;
    address = key->local; /* Linux 6.1 takes keys from the function's own stack only */
    endpoint = endpoint_lookup_local(&address);
    if (!endpoint)
        return flow->flags & FLOW_INBOUND;
    if (endpoint->hash != flow->endpoint)
        return 0;
    if (!(flow->flags & FLOW_REDIRECTED))
        return 1;
    address = flow->gateway;
    node = bpf_map_lookup_elem(&nodes, &address);
    return node && (key->protocol == IPPROTO_TCP || !(node->flags & NODE_NOT_READY));
}

/*
 * The remembered flow of a packet whose way is decided already. NULL: it has to be decided, since
 * nothing is remembered or what it was does not hold. A TCP SYN always decides anew.
 */
static __always_inline struct flow *flow_recall(const struct packet *packet)
{
    struct flow *flow;
    __u32 now;

    if (packet_opens(packet))
        return NULL;
    flow = bpf_map_lookup_elem(&flows, &packet->flow);
    if (!flow || !(flow->flags & FLOW_DECIDED))
        return NULL;
    now = clock_ticks();
    if (flow->last_seen == now)
        return flow;
    if (!flow_holds(&packet->flow, flow, now))
        return NULL;
    flow->last_seen = now;
    return flow;
}

/* A CNI may give a flow another address or port while it lasts. */
static __always_inline void flow_follow_masquerade(struct flow *flow,
                                                   const struct masquerade *masquerade)
{
    if (!masquerade->present ||
        (flow->flags & FLOW_MASQUERADED && flow->masquerade_port_be == masquerade->port_be &&
         ip_addr_equal(&flow->masquerade, &masquerade->address)))
        return;
    flow->masquerade = masquerade->address;
    flow->masquerade_port_be = masquerade->port_be;
    flow->flags |= FLOW_MASQUERADED;
}

/* An ICMP message that is no echo belongs to the flow that it is about, and is none itself. */
static __always_inline int flow_can_be_noted(const struct packet *packet)
{
    return packet->fragment != FRAGMENT_LATER &&
           (packet->has_ports ||
            (packet->flow.protocol != IPPROTO_ICMP && packet->flow.protocol != IPPROTO_ICMPV6));
}

static __always_inline int flow_same(const struct flow *a, const struct flow *b)
{
    return a->flags == b->flags && a->endpoint == b->endpoint && a->policy == b->policy &&
           a->masquerade_port_be == b->masquerade_port_be &&
           ip_addr_equal(&a->gateway, &b->gateway) && ip_addr_equal(&a->masquerade, &b->masquerade);
}

static __always_inline void flow_store(const struct nat_key *key, const struct flow *fresh)
{
    struct flow *flow = bpf_map_lookup_elem(&flows, key);

    if (flow && flow_same(flow, fresh))
        flow_refresh(flow, fresh->last_seen);
    else
        bpf_map_update_elem(&flows, key, fresh, BPF_ANY);
}

/* Remembers the way of a packet as it was decided; `flow` is complete but for `last_seen`. */
__noinline int flow_note(const struct packet *packet, const struct flow *flow)
{
    struct nat_key key;
    struct flow fresh;

    if (!packet || !flow || !flow_can_be_noted(packet))
        return 0;
    key = packet->flow;
    fresh = *flow;
    fresh.last_seen = clock_ticks();
    flow_store(&key, &fresh);
    return 0;
}

/* Gives the fragments that follow the way of their first one. */
__noinline int flow_note_fragments(const struct packet *packet)
{
    const struct flow *flow;
    struct nat_key key;
    struct flow fresh;

    if (!packet)
        return 0;
    key = packet->flow;
    flow = bpf_map_lookup_elem(&flows, &key);
    if (!flow)
        return 0;
    fresh = *flow;
    key.local_port_be = key.remote_port_be = 0;
    flow_store(&key, &fresh);
    return 0;
}

/* Only what can open a flow is noted: not a TCP segment in its middle, not the answer to a ping. */
static __always_inline int flow_can_open(const struct packet *packet)
{
    if (!packet->has_ports)
        return 0;
    if (packet->flow.protocol == IPPROTO_TCP)
        return packet_opens(packet);
    return packet->icmp != ICMP_REPLY;
}

/* Whether what is remembered of a flow stands against its being one from outside. */
static __always_inline int flow_is_outbound(const struct flow *flow, __u32 now)
{
    return !(flow->flags & FLOW_INBOUND) && flow->flags & FLOW_DECIDED &&
           now - flow->last_seen <= FLOW_IDLE_TICKS;
}

/*
 * Notes a packet from outside to a local endpoint, unless its answer would go directly anyway. A
 * TCP connection is noted even if no policy covers it: there is one chance to, and policies change.
 * A flow that the pod has opened stays one, whoever sends to its ports; a ping from outside has the
 * key of none.
 */
static __always_inline void flow_note_inbound(const struct packet *packet,
                                              const struct endpoint *endpoint)
{
    struct flow fresh = {.flags = FLOW_INBOUND, .endpoint = endpoint->hash};
    struct flow *flow;
    struct pod pod;

    if (!flow_can_open(packet) ||
        (packet->flow.protocol != IPPROTO_TCP && endpoint->profile == PROFILE_NONE))
        return;
    fresh.last_seen = clock_ticks();
    flow = bpf_map_lookup_elem(&flows, &packet->flow);
    if (flow && packet->icmp != ICMP_REQUEST && flow_is_outbound(flow, fresh.last_seen))
        return;
    if (flow && flow->flags & FLOW_INBOUND && flow->endpoint == fresh.endpoint) {
        flow_refresh(flow, fresh.last_seen);
        return;
    }
    pod = pod_find(&packet->flow.local, ENDPOINT_LOCAL);
    if (!pod.profile)
        return;
    fresh.endpoint = pod.hash;
    if (packet->flow.protocol != IPPROTO_TCP &&
        !route_redirects(route_lookup(pod.profile, &packet->flow.remote)))
        return;
    if (cluster_contains(&packet->flow.remote))
        return;
    bpf_map_update_elem(&flows, &packet->flow, &fresh, BPF_ANY);
}

/*
 * The address and port that an answer to a pod must have when the host meets it: those that a CNI
 * had put in, else the pod's own.
 */
static __always_inline void flow_masquerade(const struct flow *flow, const struct nat_key *key,
                                            struct ip_addr *address, __be16 *port_be)
{
    if (flow && flow->flags & FLOW_MASQUERADED) {
        *address = flow->masquerade;
        *port_be = flow->masquerade_port_be;
    } else {
        *address = key->local;
        *port_be = key->local_port_be;
    }
}

static __always_inline void flow_find_masquerade(const struct nat_key *key, struct ip_addr *address,
                                                 __be16 *port_be)
{
    struct flow *flow = NULL;

    if (config.conntrack)
        flow = bpf_map_lookup_elem(&flows, key);
    flow_masquerade(flow, key, address, port_be);
}

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef EGRESSGW_BPF_FLOW_H
#define EGRESSGW_BPF_FLOW_H

/* What a worker remembers of its own pods' flows; see struct flow. */

#include "count.h"
#include "packet.h"
#include "route.h"

/* An inbound flow other than TCP ends 180 s after its last packet, as in the kernel's conntrack. */
#define FLOW_INBOUND_TICKS (180ULL * 1000000000 >> DATAPATH_TICK_SHIFT)

static __always_inline void flow_refresh(struct flow *flow, __u32 now)
{
    if (flow->last_seen != now)
        flow->last_seen = now;
}

/* Whether a pod's packet belongs to a flow that was noted as opened from outside. */
static __always_inline int flow_is_answer(const struct packet *packet)
{
    struct flow *flow;
    __u32 now;

    if (packet_opens(packet) || packet->icmp == ICMP_REQUEST)
        return 0;
    flow = bpf_map_lookup_elem(&flows, &packet->flow);
    if (!flow || !(flow->flags & FLOW_INBOUND))
        return 0;
    now = clock_ticks();
    if (packet->flow.protocol != IPPROTO_TCP && now - flow->last_seen > FLOW_INBOUND_TICKS)
        return 0;
    flow_refresh(flow, now);
    return 1;
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

/*
 * Notes a packet from outside to a local endpoint, unless its answer would go directly anyway. A
 * TCP connection is noted even if no policy covers it: there is one chance to, and policies change.
 */
static __always_inline void flow_note_inbound(const struct packet *packet,
                                              const struct endpoint *endpoint)
{
    struct flow fresh = {.flags = FLOW_INBOUND, .last_seen = 0};
    struct flow *flow;

    if (!flow_can_open(packet) ||
        (packet->flow.protocol != IPPROTO_TCP && endpoint->profile == PROFILE_NONE))
        return;
    flow = bpf_map_lookup_elem(&flows, &packet->flow);
    if (flow && flow->flags & FLOW_INBOUND) {
        flow_refresh(flow, clock_ticks());
        return;
    }
    if (packet->flow.protocol != IPPROTO_TCP &&
        !route_redirects(route_lookup(endpoint->profile, &packet->flow.remote)))
        return;
    if (cluster_contains(&packet->flow.remote))
        return;
    fresh.last_seen = clock_ticks();
    bpf_map_update_elem(&flows, &packet->flow, &fresh, BPF_ANY);
}

/* Notes which address and port a CNI had put in; `packet` is as the pod sent it. */
static __always_inline void flow_note_masquerade(const struct packet *packet,
                                                 const struct ip_addr *address, __be16 port_be)
{
    struct flow *flow;
    struct flow fresh = {
        .masquerade = *address,
        .masquerade_port_be = port_be,
        .flags = FLOW_MASQUERADED,
    };

    if (packet->fragment == FRAGMENT_LATER)
        return;
    flow = bpf_map_lookup_elem(&flows, &packet->flow);
    if (flow && flow->flags == FLOW_MASQUERADED && flow->masquerade_port_be == port_be &&
        ip_addr_equal(&flow->masquerade, address))
        return;
    fresh.last_seen = clock_ticks();
    bpf_map_update_elem(&flows, &packet->flow, &fresh, BPF_ANY);
}

/*
 * The address and port that an answer to a pod must have when the host meets it: those that a CNI
 * had put in, else the pod's own.
 */
static __always_inline void flow_find_masquerade(const struct nat_key *key, struct ip_addr *address,
                                                 __be16 *port_be)
{
    struct flow *flow = NULL;

    if (config.conntrack)
        flow = bpf_map_lookup_elem(&flows, key);
    if (flow && flow->flags & FLOW_MASQUERADED) {
        *address = flow->masquerade;
        *port_be = flow->masquerade_port_be;
    } else {
        *address = key->local;
        *port_be = key->local_port_be;
    }
}

#endif

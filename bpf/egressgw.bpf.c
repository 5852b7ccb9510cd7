// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The datapath: one program at tc egress and one at tc ingress of each uplink. What neither of them
 * knows goes on untouched, and so do the programs of others on the same hook.
 */

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "count.h"
#include "gateway.h"
#include "maps.h"
#include "packet.h"
#include "tunnel.h"
#include "worker.h"

char program_license[] SEC("license") = "Dual BSD/GPL";

SEC("tc")
int egressgw_egress(struct __sk_buff *skb)
{
    struct packet packet;

    if (skb->mark == config.mark || !packet_is_candidate(skb) ||
        packet_parse(skb, &packet, ETH_HLEN, OUTBOUND))
        return VERDICT_PASS;
    packet.at_egress = 1;
    return worker_send(skb, &packet);
}

/* Our own node as the tunnel knows it. */
static __always_inline int ingress_is_tunnel(const struct packet *packet)
{
    const struct settings *own;

    if (packet->flow.protocol != IPPROTO_UDP || !packet->has_ports ||
        packet->flow.local_port_be != config.tunnel_port_be)
        return 0;
    own = settings_lookup();
    return own && ip_addr_equal(&own->node_v4, &packet->flow.local);
}

/*
 * A packet of our tunnel. One from an endpoint comes from a worker, any other is an answer to a pod
 * of this node. `packet` holds the outer one at first.
 */
static __always_inline int ingress_tunnel(struct __sk_buff *skb, struct packet *packet)
{
    struct ip_addr node = packet->flow.remote;
    __u8 outer_traffic_class = packet->traffic_class;
    const struct endpoint *endpoint;
    int error = tunnel_parse(skb, packet);

    if (error)
        return verdict_drop(skb, error);
    endpoint = endpoint_lookup(&packet->flow.local);
    if (endpoint && ip_addr_equal(&endpoint->node, &node))
        return gateway_receive(skb, packet, endpoint, &node, outer_traffic_class);
    if (!bpf_map_lookup_elem(&nodes, &node))
        return verdict_drop(skb, REASON(DROP_UNKNOWN_NODE));
    if (endpoint)
        return verdict_drop(skb, REASON(DROP_WRONG_NODE));
    packet_turn(packet);
    if (!endpoint_lookup_local(&packet->flow.local))
        return verdict_drop(skb, REASON(DROP_UNKNOWN_ENDPOINT));
    return worker_receive(skb, packet, &node, outer_traffic_class);
}

SEC("tc")
int egressgw_ingress(struct __sk_buff *skb)
{
    const struct endpoint *endpoint;
    struct packet packet;

    if (skb->pkt_type != PACKET_HOST || !packet_is_candidate(skb) ||
        packet_parse(skb, &packet, ETH_HLEN, INBOUND))
        return VERDICT_PASS;
    if (ingress_is_tunnel(&packet)) {
        int ours = tunnel_check(skb, &packet);

        if (ours < 0)
            return verdict_drop(skb, ours);
        return ours ? ingress_tunnel(skb, &packet) : VERDICT_PASS;
    }
    endpoint = endpoint_lookup(&packet.flow.local);
    if (!endpoint)
        return gateway_answer(skb, &packet);
    if (endpoint->flags & ENDPOINT_LOCAL)
        flow_note_inbound(&packet, endpoint);
    return VERDICT_PASS;
}

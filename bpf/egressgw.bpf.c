// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The datapath: one program at tc egress and one at tc ingress of each uplink. What neither of them
 * knows goes on untouched, and so do the programs of others on the same hook.
 */

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "count.h"
#include "deliver.h"
#include "drop.h"
#include "gateway.h"
#include "maps.h"
#include "packet_read.h"
#include "tunnel.h"
#include "worker.h"

char program_license[] SEC("license") = "Dual BSD/GPL";

SEC("tc")
int egressgw_egress(struct __sk_buff *skb)
{
    struct packet packet;
    int error;

    if (skb->mark == config.mark)
        return VERDICT_PASS;
    error = packet_read(skb, &packet, OUTBOUND);
    packet.at_egress = 1;
    if (error == PACKET_UNREAD && skb->ingress_ifindex)
        return verdict_drop(skb, NULL, REASON(DROP_INTERNAL));
    if (error == PACKET_MAPPED && skb->ingress_ifindex)
        return verdict_drop(skb, &packet, REASON(DROP_MALFORMED));
    if (error)
        return VERDICT_PASS;
    return worker_send(skb, &packet);
}

/*
 * A packet of our tunnel; `tunnel` is tunnel_check()'s. One from an endpoint comes from a worker,
 * unless it says that it is an answer; any other is an answer to a pod of this node. `packet` holds
 * the outer one at first.
 */
static __always_inline int ingress_tunnel(struct __sk_buff *skb, struct packet *packet, int tunnel)
{
    struct ip_addr node = packet->flow.remote;
    __u8 outer_traffic_class = packet->traffic_class;
    const struct endpoint *endpoint = NULL;
    int error = tunnel_parse(skb, packet, tunnel & TUNNEL_VERSION);

    if (error)
        return verdict_drop(skb, packet, error);
    if (!(tunnel & TUNNEL_TO_POD)) {
        endpoint = endpoint_lookup(&packet->flow.local);
        if (endpoint && !ip_addr_equal(&endpoint->node, &node)) /* it may be another's by now */
            endpoint = endpoint_lookup(&packet->flow.local);
    }
    if (endpoint && ip_addr_equal(&endpoint->node, &node))
        return gateway_receive(skb, packet, endpoint, &node, outer_traffic_class);
    packet_turn(packet);
    return worker_receive(skb, packet, &node, outer_traffic_class);
}

SEC("tc")
int egressgw_ingress(struct __sk_buff *skb)
{
    const struct endpoint *endpoint = NULL;
    struct packet packet;
    int tunnel = 0, own;

    if (deliver_again(skb) || skb->pkt_type != PACKET_HOST || packet_read(skb, &packet, INBOUND))
        return VERDICT_PASS;
    own = packet_is_own(&packet);
    if (own && tunnel_may_be(&packet))
        tunnel = tunnel_check(skb, &packet);
    if (tunnel < 0)
        return verdict_drop(skb, &packet, tunnel);
    if (tunnel)
        return ingress_tunnel(skb, &packet, tunnel);
    if (!own)
        endpoint = endpoint_lookup(&packet.flow.local);
    if (!endpoint)
        return gateway_answer(skb, &packet, own);
    if (endpoint->flags & ENDPOINT_LOCAL)
        flow_note_inbound(&packet, endpoint);
    return VERDICT_PASS;
}

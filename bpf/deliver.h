/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef EGRESSGW_BPF_DELIVER_H
#define EGRESSGW_BPF_DELIVER_H

/*
 * Answers for a pod of this node, on their way up the host's stack. They come in wherever the
 * tunnel or the egress IP is. A host with strict rp_filter, and firewalls alike, take a packet only
 * where the host would send to its sender: so one that came in elsewhere is handed to that
 * interface, as if it had come in there.
 */

#include "forward.h"

/* Whether this is such a packet, at its second interface: it goes on as it is. */
static __always_inline int deliver_again(struct __sk_buff *skb)
{
    if (skb->mark != config.mark)
        return 0;
    skb->mark = 0;
    return 1;
}

/* `packet` is turned back, as the host's stack is to see it. Returns the verdict. */
__noinline int deliver_answer(struct __sk_buff *skb, const struct packet *packet)
{
    struct hop_query query;
    struct hop hop;

    if (!packet)
        return VERDICT_PASS;
    hop_query_fill(skb, packet, &packet->flow.local, packet->flow.local_port_be,
                   &packet->flow.remote, &query);
    if (hop_lookup(skb, &query, &hop) || hop.state != HOP_RESOLVED || hop.ifindex == skb->ifindex)
        return VERDICT_PASS;
    if (bpf_skb_store_bytes(skb, 0, hop.fib.smac, ETH_ALEN, BPF_F_RECOMPUTE_CSUM))
        return VERDICT_PASS;
    skb->mark = config.mark;
    return bpf_redirect(hop.ifindex, BPF_F_INGRESS);
}

#endif

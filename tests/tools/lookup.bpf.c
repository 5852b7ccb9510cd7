// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The datapath's own look-ups for a pod's packet, with a pause behind each: as a packet that is
 * interrupted there, in which the tables change.
 */
#include "bpf/route.h"
#include "tests/tools/lookup.h"

static long turn(__u32 round, void *context)
{
    return 0;
}

static __always_inline __u32 look_up(const struct lookup_question *question)
{
    struct pod pod = pod_find(&question->pod, 0);
    struct gateway gateway;
    const struct route *way;
    struct route route;

    if (!pod.profile)
        return LOOKUP_NO_ENDPOINT;
    bpf_loop(question->rounds, turn, NULL, 0);
    way = route_lookup(pod.profile, &question->destination);
    if (!way)
        return LOOKUP_NO_ROUTE;
    route = *way;
    if (route.action != ROUTE_GATEWAY)
        return LOOKUP_NO_REDIRECTION;
    bpf_loop(question->rounds, turn, NULL, 0);
    return gateway_find(&route, pod.hash, &gateway) ? LOOKUP_NO_GATEWAY : LOOKUP_AT_A_GATEWAY;
}

SEC("tc")
int lookup_way(struct __sk_buff *skb)
{
    struct lookup_question question;

    if (bpf_skb_load_bytes(skb, LOOKUP_OFFSET, &question, sizeof(question)))
        return TC_ACT_SHOT;
    question.end = look_up(&question);
    bpf_skb_store_bytes(skb, LOOKUP_OFFSET, &question, sizeof(question), 0);
    return TC_ACT_OK;
}

char program_license[] SEC("license") = "Dual BSD/GPL";

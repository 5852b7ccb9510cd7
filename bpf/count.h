/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef EGRESSGW_BPF_COUNT_H
#define EGRESSGW_BPF_COUNT_H

#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>
#include <egressgw/layout.h>
#include "maps.h"

/*
 * Functions that can refuse a packet return 0 or REASON(why); verdict_drop() of drop.h turns that
 * into the verdict of the program.
 */
#define REASON(reason) (-1 - (int)(reason))

/* Later programs on the same hook (a CNI's own) see the packet too. */
#define VERDICT_PASS TC_ACT_UNSPEC

static __always_inline __u32 clock_ticks(void)
{
    return bpf_ktime_get_coarse_ns() >> DATAPATH_TICK_SHIFT;
}

static __always_inline void count(struct __sk_buff *skb, __u32 index)
{
    struct counter *counter = bpf_map_lookup_elem(&counters, &index);

    if (counter) {
        counter->packets++;
        counter->bytes += skb->len;
    }
}

/* Under which number a policy is counted. */
static __always_inline __u16 policy_index(__u32 policy)
{
    return policy < POLICIES_COUNTED ? policy : 0;
}

/* Counts an IP packet of that many bytes for a policy_index(). */
static __always_inline void count_policy(__u16 policy, __u32 length)
{
    __u32 index = policy;
    struct counter *counter = bpf_map_lookup_elem(&policy_counters, &index);

    if (counter) {
        counter->packets++;
        counter->bytes += length;
    }
}

#endif

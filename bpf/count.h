/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef EGRESSGW_BPF_COUNT_H
#define EGRESSGW_BPF_COUNT_H

#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>
#include <egressgw/layout.h>
#include "maps.h"

/*
 * Functions that can refuse a packet return 0 or REASON(why); verdict_drop() turns that into the
 * verdict of the program.
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

static __always_inline int verdict_drop(struct __sk_buff *skb, int error)
{
    count(skb, REASON(error));
    return TC_ACT_SHOT;
}

#endif

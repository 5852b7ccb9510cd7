// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Asks the kernel what the native datapath wants to know, in the name of bpf_prog_test_run:
 * question and answer lie in the frame, behind the Ethernet header.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#include "way.h"

SEC("tc")
int native_way(struct __sk_buff *skb)
{
    struct way_question question;
    long result;

    if (bpf_skb_load_bytes(skb, WAY_OFFSET, &question, sizeof(question)))
        return TC_ACT_SHOT;
    if (question.what == WAY_FIB)
        result = bpf_fib_lookup(skb, &question.fib, sizeof(question.fib), question.flags);
    else
        result = bpf_check_mtu(skb, question.ifindex, &question.mtu, 0, 0);
    question.result = result;
    bpf_skb_store_bytes(skb, WAY_OFFSET, &question, sizeof(question), 0);
    return TC_ACT_OK;
}

char program_license[] SEC("license") = "Dual BSD/GPL";

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef EGRESSGW_BPF_DROP_H
#define EGRESSGW_BPF_DROP_H

/* Drops: each is counted, and written down where its reason does not come too often. */

#include "count.h"
#include "packet.h"

/* The place for the next record, or NULL: this reason has had its records of this tick. */
static __always_inline struct drop_record *drop_log_next(__u32 reason, __u64 now, __u64 *sequence)
{
    struct drop_state *state;
    struct drop_limit *limit;
    __u32 index = 0, tick = now >> DATAPATH_TICK_SHIFT;

    state = bpf_map_lookup_elem(&drop_state, &index);
    if (!state || reason >= DROP_REASONS_MOST)
        return NULL;
    limit = &state->limits[reason];
    if (limit->tick != tick) {
        limit->tick = tick;
        limit->logged = 0;
    }
    if (limit->logged >= DROP_LOG_BURST) {
        limit->suppressed++;
        return NULL;
    }
    limit->logged++;
    *sequence = ++state->written;
    index = *sequence % DROP_LOG_SIZE;
    return bpf_map_lookup_elem(&drop_log, &index);
}

/* Counts and writes down a drop. A function of its own, so that the places that drop stay small;
 * `packet` is as far as it was read, NULL: nothing is known. Returns the verdict. */
__noinline int drop_note(struct __sk_buff *skb, const struct packet *packet, __u32 reason)
{
    __u64 now = bpf_ktime_get_coarse_ns(), sequence = 0;
    struct drop_record *record;
    int outbound;

    count(skb, reason);
    record = packet ? drop_log_next(reason, now, &sequence) : NULL;
    if (!record)
        return TC_ACT_SHOT;
    __sync_lock_test_and_set(&record->sequence, 0);
    outbound = packet->direction == OUTBOUND;
    record->time = now;
    record->source = outbound ? packet->flow.local : packet->flow.remote;
    record->destination = outbound ? packet->flow.remote : packet->flow.local;
    record->source_port_be = outbound ? packet->flow.local_port_be : packet->flow.remote_port_be;
    record->destination_port_be =
        outbound ? packet->flow.remote_port_be : packet->flow.local_port_be;
    record->ifindex = skb->ifindex;
    record->length = packet->length;
    record->policy = packet->policy;
    record->reason = reason;
    record->protocol = packet->flow.protocol;
    record->flags =
        (packet->at_egress ? DROP_RECORD_EGRESS : 0) | (packet->outer ? DROP_RECORD_TUNNEL : 0);
    __sync_lock_test_and_set(&record->sequence, sequence);
    return TC_ACT_SHOT;
}

/* The verdict for a packet that was refused with REASON(why). */
static __always_inline int verdict_drop(struct __sk_buff *skb, const struct packet *packet,
                                        int error)
{
    return drop_note(skb, packet, REASON(error));
}

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef EGRESSGW_BPF_NAT_TRACK_H
#define EGRESSGW_BPF_NAT_TRACK_H

/* What a mapping remembers of the packets that go by; egressgw/nat_state.h says what it means. */

#include <egressgw/nat_state.h>
#include "packet.h"
#include "rewrite.h"

struct tcp_scale_option {
    __u8 kind;
    __u8 length;
    __u8 scale;
};

/* The window scale option of a SYN at `l4` whose header ends at `end`; 0 where there is none. */
__noinline int window_scale_read(struct __sk_buff *skb, __u32 l4, __u32 end)
{
    __u32 offset = l4 + sizeof(struct tcphdr);
    struct tcp_scale_option option;
    int i;

    for (i = 0; i < TCP_OPTIONS_LONGEST; i++) {
        if (offset + sizeof(option) > end ||
            bpf_skb_load_bytes(skb, offset, &option, sizeof(option)))
            return 0;
        if (option.kind == TCP_OPTION_NOP) {
            offset++;
            continue;
        }
        if (option.kind == TCP_OPTION_END || option.length < 2)
            return 0;
        if (option.kind == TCP_OPTION_SCALE && option.length == sizeof(option))
            return option.scale;
        offset += option.length;
    }
    return 0;
}

/* Reads the TCP header of the packet, which is TCP. Returns 0, or -1 where it is not there,
 * as in a later fragment. */
static __always_inline int nat_segment_read(struct __sk_buff *skb, const struct packet *packet,
                                            struct nat_segment *segment)
{
    /* The mask is for the verifier: no header begins further behind. */
    const struct tcphdr *tcp = packet_data(skb, packet->l4 & 0x7ff, sizeof(*tcp));

    if (packet->fragment == FRAGMENT_LATER || !tcp ||
        (const void *)(tcp + 1) > (const void *)(long)skb->data_end)
        return -1;
    segment->sequence = bpf_ntohl(tcp->seq);
    segment->ack = bpf_ntohl(tcp->ack_seq);
    segment->window = bpf_ntohs(tcp->window);
    segment->flags = packet->tcp_flags;
    segment->scale = 0;
    return 0;
}

static __always_inline void nat_use_count(struct nat_use *use, const struct packet *packet,
                                          __u32 now)
{
    if (use->last_seen != now)
        use->last_seen = now;
    use->packets++;
    use->bytes += packet->length;
}

/* Packets in the middle of a flow, which can change nothing but numbers. */
static __always_inline int nat_is_middle(const struct packet *packet, const struct nat_use *use)
{
    if (packet->flow.protocol != IPPROTO_TCP)
        return use->seen == NAT_SEEN_DATA;
    return !(packet->tcp_flags & (TCP_SYN | TCP_FIN | TCP_RST)) && packet->tcp_flags & TCP_ACK &&
           use->seen & NAT_SEEN_DATA && use->seen & NAT_SEEN_ACK && !(use->seen & NAT_SEEN_RST);
}

static __always_inline void nat_use_note_middle(struct __sk_buff *skb, const struct packet *packet,
                                                struct nat_use *own, __u32 now)
{
    struct nat_segment segment;

    if (packet->flow.protocol == IPPROTO_TCP && !nat_segment_read(skb, packet, &segment))
        nat_use_acknowledge(own, &segment);
    nat_use_count(own, packet, now);
}

/* Of a SYN, else 0. Asked first, so that its stack is not added to that of the others. */
static __always_inline __u8 nat_scale(struct __sk_buff *skb, const struct packet *packet)
{
    if (!(packet->tcp_flags & TCP_SYN))
        return 0;
    return window_scale_read(skb, packet->l4, packet->l4 + packet->l4_length);
}

/* Any packet of the direction `own`; `scale` is nat_scale(). */
static __always_inline void nat_use_note(struct __sk_buff *skb, const struct packet *packet,
                                         struct nat_use *own, const struct nat_use *other,
                                         __u8 scale, __u32 now)
{
    struct nat_segment segment;

    if (packet->flow.protocol != IPPROTO_TCP) {
        own->seen = NAT_SEEN_DATA;
    } else if (!nat_segment_read(skb, packet, &segment)) {
        segment.scale = scale;
        nat_use_take(own, other, &segment);
    }
    nat_use_count(own, packet, now);
}

#endif

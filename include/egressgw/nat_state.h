/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef EGRESSGW_NAT_STATE_H
#define EGRESSGW_NAT_STATE_H

/*
 * The life of a mapping: what each direction has shown decides about its state, the state about how
 * long it may be idle. The datapath and the collector ask the same functions, so that a mapping is
 * dead at the same moment for both.
 */

#if defined(__bpf__)
#include <linux/in.h>
#elif !defined(_LINUX_IN_H) /* the two exclude each other */
#include <netinet/in.h>
#endif
#include <egressgw/layout.h>

enum {
    TCP_FIN = 0x01,
    TCP_SYN = 0x02,
    TCP_RST = 0x04,
    TCP_ACK = 0x10,
};

enum nat_state {
    NAT_NEW,         /* nothing has come back yet */
    NAT_OPENING,     /* TCP: both ends have sent a SYN, the pod has not confirmed */
    NAT_ESTABLISHED, /* and for all other protocols: answered */
    NAT_CLOSING,     /* TCP: one end has sent its FIN */
    NAT_CLOSED,      /* TCP: both have, or a RST that fits */
};

/* What a TCP segment says, in host byte order. */
struct nat_segment {
    __u32 sequence;
    __u32 ack;
    __u16 window; /* as in the header */
    __u8 flags;   /* TCP_* */
    __u8 scale;   /* with TCP_SYN: that of the option, 0 where there is none */
};

/* The largest that the option may ask for; assumed where the SYN was not seen. */
#define NAT_WINDOW_SCALE_MOST 14

/* Seconds as ticks, rounded down. */
static inline __u32 nat_ticks(__u32 seconds)
{
    return (__u32)((__u64)seconds * 1000000000 >> DATAPATH_TICK_SHIFT);
}

/* Whether a RST or FIN comes from where the other end expects its next byte. */
static inline int nat_segment_fits(const struct nat_segment *segment, const struct nat_use *other)
{
    if (!other->seen)
        return 1; /* nothing to compare with: the end that opened takes it back */
    if (!(other->seen & NAT_SEEN_ACK)) /* a SYN alone: refused by acknowledging just that */
        return segment->flags & TCP_ACK && segment->ack == other->start;
    return segment->sequence - other->acked < (other->window ? other->window : 1);
}

/* Notes acknowledgement and window of a segment; an older acknowledgement changes nothing. */
static inline void nat_use_acknowledge(struct nat_use *own, const struct nat_segment *segment)
{
    __u32 scale = NAT_WINDOW_SCALE_MOST;

    if (segment->flags & TCP_SYN)
        scale = 0;
    else if (own->seen & NAT_SEEN_SCALE)
        scale = own->scale;
    if (own->seen & NAT_SEEN_ACK && (__s32)(segment->ack - own->acked) < 0)
        return; /* overtaken on its way */
    own->acked = segment->ack;
    own->window = (__u32)segment->window << scale;
}

/*
 * Takes a TCP segment into what its direction has shown; `other` is the other direction. A SYN
 * begins anew. What comes after a RST in the same direction shows that the RST was not this end's.
 */
static inline void nat_use_take(struct nat_use *own, const struct nat_use *other,
                                const struct nat_segment *segment)
{
    if (segment->flags & TCP_SYN) {
        own->seen = NAT_SEEN_SYN | NAT_SEEN_SCALE;
        own->start = segment->sequence + 1;
        own->scale =
            segment->scale < NAT_WINDOW_SCALE_MOST ? segment->scale : NAT_WINDOW_SCALE_MOST;
    } else if (!(segment->flags & TCP_RST)) {
        own->seen = (__u8)((own->seen & ~NAT_SEEN_RST) | NAT_SEEN_DATA);
    }
    if (segment->flags & TCP_ACK && !(segment->flags & TCP_RST)) {
        nat_use_acknowledge(own, segment);
        own->seen |= NAT_SEEN_ACK;
    }
    if (segment->flags & (TCP_FIN | TCP_RST) && nat_segment_fits(segment, other))
        own->seen |= segment->flags & TCP_RST ? NAT_SEEN_RST : NAT_SEEN_FIN;
}

/* `packets`: what the pod's direction has shown, `answers`: the other one, 0 where there is none.
 * NAT_SEEN_*. */
static inline enum nat_state nat_state_of(__u8 protocol, __u8 packets, __u8 answers)
{
    if (protocol != IPPROTO_TCP)
        return answers ? NAT_ESTABLISHED : NAT_NEW;
    if ((packets | answers) & NAT_SEEN_RST || packets & answers & NAT_SEEN_FIN)
        return NAT_CLOSED;
    if ((packets | answers) & NAT_SEEN_FIN)
        return NAT_CLOSING;
    if (!answers)
        return NAT_NEW;
    return packets & NAT_SEEN_DATA ? NAT_ESTABLISHED : NAT_OPENING;
}

/* The timeout of a mapping of that IPPROTO_* in that state. */
static inline enum nat_timeout nat_timeout_of(__u8 protocol, enum nat_state state)
{
    switch (protocol) {
    case IPPROTO_TCP:
        if (state == NAT_CLOSED)
            return NAT_TCP_CLOSED;
        return state == NAT_ESTABLISHED ? NAT_TCP_ESTABLISHED : NAT_TCP_TRANSITORY;
    case IPPROTO_UDP:
    case IPPROTO_UDPLITE:
        return state == NAT_ESTABLISHED ? NAT_UDP_ANSWERED : NAT_UDP_UNANSWERED;
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6:
        return NAT_ICMP;
    }
    return NAT_OTHER;
}

/* Ticks since then. Another processor's clock may be a tick ahead of ours. */
static inline __u32 nat_ticks_since(__u32 last_seen, __u32 now)
{
    __u32 passed = now - last_seen;

    return (__s32)passed < 0 ? 0 : passed;
}

/* Whether a mapping has been idle in both directions for too long. `answers`: NULL where its claim
 * is gone. `timeouts`: ticks, by enum nat_timeout. */
static inline int nat_is_idle(__u8 protocol, const struct nat_use *packets,
                              const struct nat_use *answers, const volatile __u32 *timeouts,
                              __u32 now)
{
    enum nat_state state = nat_state_of(protocol, packets->seen, answers ? answers->seen : 0);
    __u32 idle = nat_ticks_since(packets->last_seen, now), since;

    if (answers) {
        since = nat_ticks_since(answers->last_seen, now);
        if (since < idle)
            idle = since;
    }
    return idle >= timeouts[nat_timeout_of(protocol, state)];
}

#endif

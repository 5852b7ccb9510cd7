/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef EGRESSGW_BPF_PACKET_H
#define EGRESSGW_BPF_PACKET_H

/*
 * What the programs know of a packet. It is read once (packet_read.h); decisions, maps and
 * rewriting work on this structure, whatever the family.
 */

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <egressgw/nat_state.h>

enum direction {
    OUTBOUND, /* from the pod: the local end of the flow is the source */
    INBOUND,  /* to the pod: the local end of the flow is the destination */
};

enum {
    FRAGMENT_NONE,
    FRAGMENT_FIRST,
    FRAGMENT_LATER, /* the ports are not in it */
};

/* ICMP and ICMPv6 alike. The kernel's own headers for it need those of a C library. */
struct icmp_echo_header {
    __u8 type;
    __u8 code;
    __sum16 checksum;
    __be16 id;
    __be16 sequence;
};

enum {
    ICMP_ECHOREPLY = 0,
    ICMP_UNREACHABLE = 3,
    ICMP_ECHO = 8,
    ICMP_TIME_EXCEEDED = 11,
    ICMP_PARAMETER_PROBLEM = 12,
    ICMP_TIMESTAMP = 13, /* has the identifier where an echo has it */
    ICMP_TIMESTAMPREPLY = 14,
    ICMPV6_UNREACHABLE = 1,
    ICMPV6_TIME_EXCEEDED = 3,
    ICMPV6_ERROR_LAST = 4, /* unreachable, too big, time exceeded, parameter problem */
    ICMPV6_ECHO = 128,
    ICMPV6_ECHOREPLY = 129,
    ICMPV6_DISCOVERY_FIRST = 133, /* router solicitation .. redirect */
    ICMPV6_DISCOVERY_LAST = 137,
};

enum icmp_kind {
    ICMP_OTHER, /* also where it is no ICMP */
    ICMP_REQUEST,
    ICMP_REPLY,
    ICMP_ERROR,     /* quotes the packet that it is about */
    ICMP_DISCOVERY, /* of neighbours: between two hosts of one link */
};

/* What reading a packet returns other than 0. */
enum {
    PACKET_IGNORED = -1, /* not for us to judge */
    PACKET_UNREAD = -3,  /* no memory to read it */
    PACKET_MAPPED = -2,  /* IPv6 with an IPv4-mapped address, which in our tables stands for IPv4 */
};

#define IP_DO_NOT_FRAGMENT   0x4000
#define IP_MORE_FRAGMENTS    0x2000
#define IP_FRAGMENT_OFFSET   0x1fff
#define IPV6_MORE_FRAGMENTS  0x0001
#define IPV6_FRAGMENT_OFFSET 0xfff8

/* Congestion, in the traffic class. */
#define IP_ECN_NOT_ECT 0
#define IP_ECN_ECT_1   1
#define IP_ECN_ECT_0   2
#define IP_ECN_CE      3
#define IP_ECN_MASK    3

/*
 * Headers that are looked at, those of IPv4 without and with options. No more is asked for than
 * that: what lies behind may be data that is not in the linear part, and moving any of it there
 * costs a copy of the whole header of a packet that its sender keeps for another time.
 */
#define HEADERS_V4         (sizeof(struct iphdr) + sizeof(struct tcphdr))
#define HEADERS_V4_OPTIONS (60 + sizeof(struct tcphdr))
#define HEADERS_V6         (sizeof(struct ipv6hdr) + sizeof(struct tcphdr))

/* Extension headers of IPv6 that are walked at most: their number, and their bytes together. */
#define EXTENSIONS_MOST    6
#define EXTENSIONS_LONGEST 256

struct packet {
    struct nat_key flow; /* local: the end at the pod, the node or the egress IP */
    __u32 length;        /* of the IP packet, in bytes */
    __u16 l3;            /* offset of the IP header */
    __u16 l4;            /* offset of what follows it */
    __sum16 l3_check;
    __u8 traffic_class;
    __u8 hop_limit;
    __u8 fragment;  /* FRAGMENT_* */
    __u8 has_ports; /* TCP, UDP, ICMP echo or alike, and the ports (or the identifier) are known */
    __u8 icmp;      /* enum icmp_kind */
    __u8 tcp_flags; /* 0 where it is not TCP */
    __u8 l4_length; /* of the TCP or UDP header, in bytes */
    __u8 direction; /* enum direction */
    __u8 at_egress; /* 1: of the interface that skb->ifindex names */
    __u8 version;   /* of IP: 4 or 6 */
    __u8 outer;     /* the version of the IP header around the tunnel, 0: there is none */
    __u8 fragment_at; /* of IPv6: offset of its fragment header from l3, in units of eight bytes */
    __u16 policy;    /* policy_index() of the one that decides its way, 0: none, or not known yet */
    __u8 too_big;    /* 0, or 1 + the bytes that the tunnel would have added; see refuse_mtu() */
    __u8 prohibited; /* 1: dropped, and its sender is to be told; see REFUSE_PROHIBITED */
    __u8 more;       /* 1: other fragments of the same packet follow it, see split.h */
    __u8 reserved[1];
    __be16 tunnel_port_be; /* the source port that it has in the tunnel */
};

/*
 * Bytes of the frame from offset on, made linear if they were not. Returns the data or NULL. The
 * barriers keep the compiler from deriving the pointer from the numbers, which the verifier
 * refuses.
 */
static __always_inline void *packet_data(struct __sk_buff *skb, __u32 offset, __u32 wanted)
{
    __u32 end = offset + wanted;

    barrier();
    if ((void *)(long)skb->data + end > (void *)(long)skb->data_end) {
        __u32 linear;

        barrier();
        linear = skb->data_end - skb->data;
        if (end > skb->len)
            end = skb->len;
        if (end > linear && bpf_skb_pull_data(skb, end))
            return NULL;
        barrier();
    }
    return (void *)(long)skb->data + offset;
}

/* A new TCP connection, not an answer to one. */
static __always_inline int packet_opens(const struct packet *packet)
{
    return (packet->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

/* Bytes that one frame of it will have on the wire without its Ethernet header. */
static __always_inline __u32 packet_segment(struct __sk_buff *skb, const struct packet *packet)
{
    if (!skb->gso_size)
        return packet->length;
    return skb->gso_size + (packet->l4 - packet->l3) + packet->l4_length;
}

/* The same packet seen from its other end. */
static __always_inline void packet_turn(struct packet *packet)
{
    struct ip_addr address = packet->flow.local;
    __be16 port_be = packet->flow.local_port_be;

    packet->flow.local = packet->flow.remote;
    packet->flow.remote = address;
    packet->direction ^= OUTBOUND ^ INBOUND;
    packet->flow.local_port_be = packet->flow.remote_port_be;
    packet->flow.remote_port_be = port_be;
}

#endif

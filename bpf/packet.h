/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef EGRESSGW_BPF_PACKET_H
#define EGRESSGW_BPF_PACKET_H

/*
 * What the programs know of a packet. It is read once; decisions, maps and rewriting work on this
 * structure, whatever the family.
 */

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <egressgw/layout.h>

enum direction {
    OUTBOUND, /* from the pod: the local end of the flow is the source */
    INBOUND,  /* to the pod: the local end of the flow is the destination */
};

enum {
    TCP_FIN = 0x01,
    TCP_SYN = 0x02,
    TCP_RST = 0x04,
    TCP_ACK = 0x10,
};

enum {
    FRAGMENT_NONE,
    FRAGMENT_FIRST,
    FRAGMENT_LATER, /* holds no ports */
};

/* The kernel's own header for it needs those of a C library. */
struct icmp_echo_header {
    __u8 type;
    __u8 code;
    __sum16 checksum;
    __be16 id;
    __be16 sequence;
};

enum {
    ICMP_ECHOREPLY = 0,
    ICMP_ECHO = 8,
};

#define IP_MORE_FRAGMENTS  0x2000
#define IP_FRAGMENT_OFFSET 0x1fff
#define IP_ECN_CE          3

/* Longest headers that are looked at: IPv4 with options, TCP without. */
#define HEADERS_LONGEST (60 + sizeof(struct tcphdr))

struct packet {
    struct nat_key flow; /* local: the end at the pod, the node or the egress IP */
    __u32 length;        /* of the IP packet, in bytes */
    __u16 l3;            /* offset of the IP header */
    __u16 l4;            /* offset of what follows it */
    __sum16 l3_check;
    __u8 traffic_class;
    __u8 hop_limit;
    __u8 fragment;  /* FRAGMENT_* */
    __u8 has_ports; /* TCP, UDP or ICMP echo, and the ports (or the identifier) are in it */
    __u8 icmp_type; /* where the protocol is ICMP and has_ports is set */
    __u8 tcp_flags; /* 0 where it is not TCP */
    __u8 l4_length; /* of the TCP or UDP header, in bytes */
    __u8 direction; /* enum direction */
    __u8 at_egress; /* 1: of the interface that skb->ifindex names */
    __u8 reserved;
};

/* Bytes of the frame from offset on, made linear if they were not. Returns the data or NULL. */
static __always_inline void *packet_data(struct __sk_buff *skb, __u32 offset, __u32 wanted)
{
    __u32 end = offset + wanted;

    if ((void *)(long)skb->data + end > (void *)(long)skb->data_end) {
        __u32 linear = skb->data_end - skb->data;

        if (end > skb->len)
            end = skb->len;
        if (end > linear && bpf_skb_pull_data(skb, end))
            return NULL;
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

static __always_inline void packet_set_ports(struct packet *packet, enum direction direction,
                                             __be16 source_be, __be16 destination_be)
{
    packet->has_ports = 1;
    packet->flow.local_port_be = direction == OUTBOUND ? source_be : destination_be;
    packet->flow.remote_port_be = direction == OUTBOUND ? destination_be : source_be;
}

static __always_inline void packet_parse_tcp(struct packet *packet, const struct tcphdr *tcp,
                                             enum direction direction)
{
    packet_set_ports(packet, direction, tcp->source, tcp->dest);
    packet->tcp_flags = ((const __u8 *)tcp)[13];
    packet->l4_length = tcp->doff * 4;
}

/* The identifier of an echo stands for the port at the pod's end. */
static __always_inline void packet_parse_icmp(struct packet *packet,
                                              const struct icmp_echo_header *icmp)
{
    packet->icmp_type = icmp->type;
    if (icmp->type == ICMP_ECHO || icmp->type == ICMP_ECHOREPLY)
        packet_set_ports(packet, OUTBOUND, icmp->id, 0);
}

static __always_inline void packet_parse_l4(struct packet *packet, const void *l4, const void *end,
                                            enum direction direction)
{
    __u32 room = packet->length - (packet->l4 - packet->l3);

    if (packet->fragment == FRAGMENT_LATER)
        return;
    if (packet->flow.protocol == IPPROTO_TCP) {
        if (room >= sizeof(struct tcphdr) && l4 + sizeof(struct tcphdr) <= end)
            packet_parse_tcp(packet, l4, direction);
    } else if (packet->flow.protocol == IPPROTO_UDP) {
        const struct udphdr *udp = l4;

        if (room >= sizeof(*udp) && l4 + sizeof(*udp) <= end) {
            packet_set_ports(packet, direction, udp->source, udp->dest);
            packet->l4_length = sizeof(*udp);
        }
    } else if (packet->flow.protocol == IPPROTO_ICMP) {
        if (room >= sizeof(struct icmp_echo_header) && l4 + sizeof(struct icmp_echo_header) <= end)
            packet_parse_icmp(packet, l4);
    }
}

static __always_inline void packet_set_addresses_v4(struct packet *packet, const struct iphdr *ip,
                                                    enum direction direction)
{
    packet->flow.local = ip_addr_from_v4(direction == OUTBOUND ? ip->saddr : ip->daddr);
    packet->flow.remote = ip_addr_from_v4(direction == OUTBOUND ? ip->daddr : ip->saddr);
}

static __always_inline __u8 fragment_kind(__u16 offset_and_flags)
{
    if (offset_and_flags & IP_FRAGMENT_OFFSET)
        return FRAGMENT_LATER;
    return offset_and_flags & IP_MORE_FRAGMENTS ? FRAGMENT_FIRST : FRAGMENT_NONE;
}

/*
 * Reads the IPv4 packet at `offset`. Returns 0, or -1 where its header is no valid one or promises
 * more than there is.
 */
static __always_inline int packet_parse_v4(struct __sk_buff *skb, struct packet *packet,
                                           const __u32 offset, enum direction direction)
{
    const struct iphdr *ip = packet_data(skb, offset, HEADERS_LONGEST);
    const void *end = (void *)(long)skb->data_end;
    __u32 header;

    if (!ip || (const void *)(ip + 1) > end || ip->version != 4)
        return -1;
    header = ip->ihl * 4;
    packet->length = bpf_ntohs(ip->tot_len);
    if (!packet->length && skb->gso_size)
        packet->length = skb->len - offset; /* longer than the field can say */
    if (header < sizeof(*ip) || packet->length < header || offset + packet->length > skb->len)
        return -1;
    packet_set_addresses_v4(packet, ip, direction);
    packet->flow.protocol = ip->protocol;
    packet->l3 = offset;
    packet->l4 = offset + header;
    packet->l3_check = ip->check;
    packet->traffic_class = ip->tos;
    packet->hop_limit = ip->ttl;
    packet->fragment = fragment_kind(bpf_ntohs(ip->frag_off));
    packet_parse_l4(packet, (const void *)ip + header, end, direction);
    return 0;
}

/* Frames that another interface or host will handle are not ours to judge. */
static __always_inline int packet_is_candidate(struct __sk_buff *skb)
{
    return skb->protocol == bpf_htons(ETH_P_IP) && !skb->vlan_present;
}

static __always_inline int packet_parse(struct __sk_buff *skb, struct packet *packet,
                                        const __u32 offset, enum direction direction)
{
    __builtin_memset(packet, 0, sizeof(*packet));
    packet->direction = direction;
    return packet_parse_v4(skb, packet, offset, direction);
}

/* The same packet seen from its other end. */
static __always_inline void packet_turn(struct packet *packet)
{
    struct ip_addr address = packet->flow.local;
    __be16 port_be = packet->flow.local_port_be;

    packet->flow.local = packet->flow.remote;
    packet->flow.remote = address;
    packet->direction ^= OUTBOUND ^ INBOUND;
    if (packet->flow.protocol == IPPROTO_ICMP)
        return;
    packet->flow.local_port_be = packet->flow.remote_port_be;
    packet->flow.remote_port_be = port_be;
}

#endif

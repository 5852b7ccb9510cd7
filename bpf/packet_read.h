/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef EGRESSGW_BPF_PACKET_READ_H
#define EGRESSGW_BPF_PACKET_READ_H

/* Reads a packet of either family, with its extension headers, into struct packet. */

#include "packet.h"

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

static __always_inline enum icmp_kind icmp_kind_v4(__u8 type)
{
    switch (type) {
    case ICMP_ECHO:
    case ICMP_TIMESTAMP:
        return ICMP_REQUEST;
    case ICMP_ECHOREPLY:
    case ICMP_TIMESTAMPREPLY:
        return ICMP_REPLY;
    case ICMP_UNREACHABLE:
    case ICMP_TIME_EXCEEDED:
    case ICMP_PARAMETER_PROBLEM:
        return ICMP_ERROR;
    }
    return ICMP_OTHER;
}

static __always_inline enum icmp_kind icmp_kind(const struct packet *packet, __u8 type)
{
    if (packet->version == 4)
        return icmp_kind_v4(type);
    /* Neighbours refuse it with any other hop limit, so no router has forwarded it. */
    if (type >= ICMPV6_DISCOVERY_FIRST && type <= ICMPV6_DISCOVERY_LAST && packet->hop_limit == 255)
        return ICMP_DISCOVERY;
    if (type >= ICMPV6_UNREACHABLE && type <= ICMPV6_ERROR_LAST)
        return ICMP_ERROR;
    return type == ICMPV6_ECHO ? ICMP_REQUEST : type == ICMPV6_ECHOREPLY ? ICMP_REPLY : ICMP_OTHER;
}

/*
 * The identifier of an echo stands for the port of the end that asks, so that a pod's own pings are
 * other flows than those of who pings the pod with the same identifier.
 */
static __always_inline void packet_parse_icmp(struct packet *packet,
                                              const struct icmp_echo_header *icmp,
                                              enum direction direction)
{
    packet->icmp = icmp_kind(packet, icmp->type);
    if (packet->icmp == ICMP_REQUEST)
        packet_set_ports(packet, direction, icmp->id, 0);
    else if (packet->icmp == ICMP_REPLY)
        packet_set_ports(packet, direction, 0, icmp->id);
}

/* UDP-Lite and DCCP have their ports and their checksum where UDP has them. */
static __always_inline int protocol_is_like_udp(__u8 protocol)
{
    return protocol == IPPROTO_UDP || protocol == IPPROTO_UDPLITE || protocol == IPPROTO_DCCP;
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
    } else if (protocol_is_like_udp(packet->flow.protocol)) {
        const struct udphdr *udp = l4;

        if (room >= sizeof(*udp) && l4 + sizeof(*udp) <= end) {
            packet_set_ports(packet, direction, udp->source, udp->dest);
            packet->l4_length = sizeof(*udp);
        }
    } else if (packet->flow.protocol == (packet->version == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6)) {
        if (room >= sizeof(struct icmp_echo_header) && l4 + sizeof(struct icmp_echo_header) <= end)
            packet_parse_icmp(packet, l4, direction);
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
 * Reads the IPv4 packet at `offset`. Returns 0, or PACKET_IGNORED where its header is no valid one
 * or promises more than there is.
 */
static __always_inline int packet_parse_v4(struct __sk_buff *skb, struct packet *packet,
                                           const __u32 offset, enum direction direction)
{
    const struct iphdr *ip = packet_data(skb, offset, HEADERS_V4);
    const void *end = (void *)(long)skb->data_end;
    __u32 header;

    if (ip && (const void *)(ip + 1) <= end && ip->ihl > sizeof(*ip) / 4) {
        ip = packet_data(skb, offset, HEADERS_V4_OPTIONS);
        end = (void *)(long)skb->data_end;
    }
    if (!ip)
        return PACKET_UNREAD;
    if ((const void *)(ip + 1) > end || ip->version != 4)
        return PACKET_IGNORED;
    header = ip->ihl * 4;
    packet->length = bpf_ntohs(ip->tot_len);
    if (!packet->length && skb->gso_size)
        packet->length = skb->len - offset; /* longer than the field can say */
    if (header < sizeof(*ip) || packet->length < header || offset + packet->length > skb->len)
        return PACKET_IGNORED;
    packet_set_addresses_v4(packet, ip, direction);
    packet->version = 4;
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

/* Multicast, link-local, loopback and no address at all: nothing that a router would forward. */
static __always_inline int address_is_forwarded(const struct ip_addr *address)
{
    if (address->bytes[0] == 0xff || (address->bytes[0] == 0xfe && address->bytes[1] >> 6 == 2))
        return 0;
    return address->words_be[0] || address->words_be[1] || address->words_be[2];
}

static __always_inline void packet_set_addresses_v6(struct packet *packet, const struct ipv6hdr *ip,
                                                    enum direction direction)
{
    const struct in6_addr *source = &ip->saddr, *destination = &ip->daddr;

    __builtin_memcpy(&packet->flow.local, direction == OUTBOUND ? source : destination,
                     sizeof(packet->flow.local));
    __builtin_memcpy(&packet->flow.remote, direction == OUTBOUND ? destination : source,
                     sizeof(packet->flow.remote));
}

static __always_inline int protocol_is_extension(__u8 protocol)
{
    return protocol == IPPROTO_HOPOPTS || protocol == IPPROTO_ROUTING ||
           protocol == IPPROTO_FRAGMENT || protocol == IPPROTO_DSTOPTS;
}

/* The beginning of an extension header. */
struct extension {
    __u8 next;
    __u8 length; /* in units of eight bytes, the first one left out; not of a fragment header */
    union {
        __be16 fragment_be; /* offset and flags */
        struct {
            __u8 type;
            __u8 segments_left;
        } routing;
    };
};

struct ipv6_fragment_header {
    __u8 next;
    __u8 reserved;
    __be16 fragment_be; /* offset and flags */
    __be32 id;
};

/* Steps over the extension header at `packet->l4`. Returns 0, or -1 where that is not possible. */
static __always_inline int packet_skip_extension(struct __sk_buff *skb, struct packet *packet)
{
    __u8 protocol = packet->flow.protocol;
    __u32 before = packet->l4 - packet->l3, size = 8;
    struct extension extension;
    __u16 fragment;

    if (bpf_skb_load_bytes(skb, packet->l4, &extension, sizeof(extension)))
        return -1;
    if (protocol != IPPROTO_FRAGMENT)
        size += extension.length * 8;
    /* With segments left the header's destination is not the last one. */
    if (before + size > packet->length ||
        before + size > sizeof(struct ipv6hdr) + EXTENSIONS_LONGEST ||
        (protocol == IPPROTO_ROUTING && extension.routing.segments_left) ||
        (protocol == IPPROTO_FRAGMENT && packet->fragment != FRAGMENT_NONE))
        return -1;
    if (protocol == IPPROTO_FRAGMENT) {
        fragment = bpf_ntohs(extension.fragment_be);
        if (fragment & IPV6_FRAGMENT_OFFSET)
            packet->fragment = FRAGMENT_LATER;
        else if (fragment & IPV6_MORE_FRAGMENTS)
            packet->fragment = FRAGMENT_FIRST;
        packet->fragment_at = before / 8;
    }
    packet->flow.protocol = extension.next;
    packet->l4 += size;
    return 0;
}

/*
 * Reads on behind an IPv6 header that has extension headers. Where it cannot get past them, the
 * packet has no ports, and an extension header's number as its protocol: its addresses decide its
 * way, and it cannot be translated.
 */
__noinline int packet_parse_extensions(struct __sk_buff *skb, struct packet *packet)
{
    __u8 header[sizeof(struct tcphdr)] __attribute__((aligned(8))) = {};
    int i, error;

    if (!packet)
        return -1;
    for (i = 0; i < EXTENSIONS_MOST; i++) {
        if (packet_skip_extension(skb, packet))
            return 0;
        if (packet->fragment == FRAGMENT_LATER || !protocol_is_extension(packet->flow.protocol))
            break;
    }
    if (packet->flow.protocol == IPPROTO_TCP)
        error = bpf_skb_load_bytes(skb, packet->l4, header, sizeof(struct tcphdr));
    else
        error = bpf_skb_load_bytes(skb, packet->l4, header, sizeof(struct udphdr));
    if (!error)
        packet_parse_l4(packet, header, header + sizeof(header), packet->direction);
    return 0;
}

/*
 * Reads the IPv6 packet at `offset`. Returns 0, or PACKET_IGNORED where its header is no valid one,
 * promises more than there is, or is one that stays on its link, or PACKET_MAPPED.
 */
static __always_inline int packet_parse_v6(struct __sk_buff *skb, struct packet *packet,
                                           const __u32 offset, enum direction direction)
{
    const struct ipv6hdr *ip = packet_data(skb, offset, HEADERS_V6);
    const void *end = (void *)(long)skb->data_end;

    if (!ip)
        return PACKET_UNREAD;
    if ((const void *)(ip + 1) > end || ip->version != 6)
        return PACKET_IGNORED;
    packet->length = sizeof(*ip) + bpf_ntohs(ip->payload_len);
    if (!ip->payload_len && skb->gso_size)
        packet->length = skb->len - offset;
    packet_set_addresses_v6(packet, ip, direction);
    if (offset + packet->length > skb->len || !address_is_forwarded(&packet->flow.local) ||
        !address_is_forwarded(&packet->flow.remote))
        return PACKET_IGNORED;
    if (ip_addr_is_v4(&packet->flow.local) || ip_addr_is_v4(&packet->flow.remote))
        return PACKET_MAPPED;
    packet->version = 6;
    packet->flow.protocol = ip->nexthdr;
    packet->l3 = offset;
    packet->l4 = offset + sizeof(*ip);
    packet->traffic_class = ip->priority << 4 | ip->flow_lbl[0] >> 4;
    packet->hop_limit = ip->hop_limit;
    if (protocol_is_extension(ip->nexthdr))
        packet_parse_extensions(skb, packet);
    else
        packet_parse_l4(packet, ip + 1, end, direction);
    return packet->icmp == ICMP_DISCOVERY ? PACKET_IGNORED : 0;
}

static __always_inline int packet_parse(struct __sk_buff *skb, struct packet *packet,
                                        const __u32 offset, int version, enum direction direction)
{
    __builtin_memset(packet, 0, sizeof(*packet));
    packet->direction = direction;
    if (version == 4)
        return packet_parse_v4(skb, packet, offset, direction);
    return packet_parse_v6(skb, packet, offset, direction);
}

/*
 * Reads the packet of a frame. Frames that another interface or host will handle are not ours to
 * judge. Returns 0, PACKET_IGNORED, PACKET_UNREAD or PACKET_MAPPED.
 */
static __always_inline int packet_read(struct __sk_buff *skb, struct packet *packet,
                                       enum direction direction)
{
    if (skb->vlan_present)
        return PACKET_IGNORED;
    if (skb->protocol == bpf_htons(ETH_P_IP))
        return packet_parse(skb, packet, ETH_HLEN, 4, direction);
    if (skb->protocol == bpf_htons(ETH_P_IPV6))
        return packet_parse(skb, packet, ETH_HLEN, 6, direction);
    return PACKET_IGNORED;
}

#endif

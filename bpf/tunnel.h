/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef EGRESSGW_BPF_TUNNEL_H
#define EGRESSGW_BPF_TUNNEL_H

/* VXLAN, built and stripped in place. */

#include "forward.h"
#include "rewrite.h"
#include "route.h"

#define VXLAN_FLAG_VNI    bpf_htonl(0x08000000)
#define TUNNEL_HOP_LIMIT  64
#define TUNNEL_PORT_FIRST 49152 /* source ports: one a flow, so that each keeps to one path */
#define TUNNEL_PORTS      16384
#define TCP_IP_HEADERS_V4 40 /* what a segment size leaves out */

/* Offset of the packet in the tunnel, from the start of the frame. */
#define TUNNEL_INNER_V4 (ETH_HLEN + TUNNEL_OVERHEAD_V4)

/*
 * The VXLAN header counts as room for layer 4; the kernel wants to know the length of the Ethernet
 * header alone, else it refuses every GSO packet later.
 */
#define TUNNEL_ROOM_FLAGS_V4                                                                       \
    (BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 | BPF_F_ADJ_ROOM_ENCAP_L4_UDP |       \
     BPF_F_ADJ_ROOM_ENCAP_L2(ETH_HLEN) | BPF_F_ADJ_ROOM_ENCAP_L2_ETH)

struct vxlan_header {
    __be32 flags_be;
    __be32 vni_be; /* in the upper 24 bits */
};

struct tunnel_headers_v4 {
    struct ethhdr outer;
    struct iphdr ip;
    struct udphdr udp;
    struct vxlan_header vxlan;
    struct ethhdr inner;
} __attribute__((packed));

_Static_assert(sizeof(struct tunnel_headers_v4) == TUNNEL_INNER_V4, "what the tunnel adds");

static __always_inline __u32 flow_hash(const struct packet *packet)
{
    const struct nat_key *flow = &packet->flow;
    __u32 hash = flow->protocol;
    int i;

    for (i = 0; i < 4; i++)
        hash = (hash ^ flow->local.words_be[i]) * 0x9e3779b1 + flow->remote.words_be[i];
    if (packet->fragment == FRAGMENT_NONE)
        hash ^= ((__u32)flow->local_port_be << 16 | flow->remote_port_be) * 0x85ebca6b;
    hash ^= hash >> 16;
    hash *= 0x7feb352d;
    return hash ^ hash >> 15;
}

static __always_inline void tunnel_build_v4(const struct hop_query *query, const struct hop *hop,
                                            __u32 length, struct tunnel_headers_v4 *headers)
{
    const __be16 *words = (const void *)&headers->ip;
    __u32 sum = 0;
    int i;

    __builtin_memset(headers, 0, sizeof(*headers));
    hop_set_addresses(hop, headers->outer.h_dest, headers->outer.h_source);
    headers->outer.h_proto = bpf_htons(ETH_P_IP);
    headers->ip.version = 4;
    headers->ip.ihl = sizeof(headers->ip) / 4;
    headers->ip.tos = query->traffic_class;
    headers->ip.tot_len = bpf_htons(length + TUNNEL_OVERHEAD_V4);
    headers->ip.id = bpf_get_prandom_u32();
    headers->ip.ttl = TUNNEL_HOP_LIMIT;
    headers->ip.protocol = IPPROTO_UDP;
    headers->ip.saddr = query->source_be;
    headers->ip.daddr = query->destination_be;
    for (i = 0; i < (int)sizeof(headers->ip) / 2; i++)
        sum += words[i];
    headers->ip.check = checksum_fold(sum);
    headers->udp.source = query->source_port_be;
    headers->udp.dest = query->destination_port_be;
    headers->udp.len = bpf_htons(length + TUNNEL_OVERHEAD_V4 - sizeof(headers->ip));
    headers->vxlan.flags_be = VXLAN_FLAG_VNI;
    headers->vxlan.vni_be = bpf_htonl(config.tunnel_vni << 8);
    headers->inner.h_dest[0] = headers->inner.h_source[0] = 0x02; /* locally administered */
    headers->inner.h_dest[1] = headers->inner.h_source[1] = 'e';
    headers->inner.h_dest[2] = headers->inner.h_source[2] = 'g';
    headers->inner.h_dest[5] = 2;
    headers->inner.h_source[5] = 1;
    headers->inner.h_proto = bpf_htons(ETH_P_IP);
}

static __always_inline int tunnel_lower_segment_size(struct __sk_buff *skb,
                                                     const struct packet *packet,
                                                     const struct hop_query *query,
                                                     struct bpf_fib_lookup *fib)
{
    __u32 mtu;

    if (!(packet->tcp_flags & TCP_SYN))
        return 0;
    mtu = hop_mtu(skb, query, fib);
    if (mtu <= TUNNEL_OVERHEAD_V4 + TCP_IP_HEADERS_V4)
        return 0;
    return segment_size_lower(skb, packet->l4, packet->l4 + packet->l4_length,
                              mtu - TUNNEL_OVERHEAD_V4 - TCP_IP_HEADERS_V4);
}

static __always_inline void tunnel_query(struct __sk_buff *skb, const struct packet *packet,
                                         struct hop_query *query)
{
    query->source_port_be = bpf_htons(TUNNEL_PORT_FIRST + flow_hash(packet) % TUNNEL_PORTS);
    query->destination_port_be = config.tunnel_port_be;
    query->protocol = IPPROTO_UDP;
    query->traffic_class = packet->traffic_class;
    query->length = packet_segment(skb, packet) + TUNNEL_OVERHEAD_V4;
    query->ifindex = skb->ifindex;
}

/*
 * Puts the packet into the tunnel and sends it to `node`. `counter` counts it. Returns the verdict,
 * which may be a drop.
 */
__noinline int tunnel_send(struct __sk_buff *skb, const struct packet *packet,
                           const struct ip_addr *node, __u32 counter)
{
    const struct settings *own = settings_lookup();
    struct tunnel_headers_v4 headers;
    struct hop_query query;
    struct hop hop;
    int error;

    if (!packet || !node || !own || !ip_addr_is_v4(&own->node_v4) || !ip_addr_is_v4(node))
        return verdict_drop(skb, REASON(DROP_NO_TABLE));
    tunnel_query(skb, packet, &query);
    query.source_be = own->node_v4.words_be[3];
    query.destination_be = node->words_be[3];
    if (tunnel_lower_segment_size(skb, packet, &query, &hop.fib))
        return verdict_drop(skb, REASON(DROP_INTERNAL));
    error = hop_lookup(skb, &query, &hop);
    if (error)
        return verdict_drop(skb, error);
    tunnel_build_v4(&query, &hop, packet->length, &headers);
    if (bpf_skb_adjust_room(skb, TUNNEL_OVERHEAD_V4, BPF_ADJ_ROOM_MAC, TUNNEL_ROOM_FLAGS_V4) ||
        bpf_skb_store_bytes(skb, 0, &headers, sizeof(headers), BPF_F_RECOMPUTE_CSUM))
        return verdict_drop(skb, REASON(DROP_INTERNAL));
    count(skb, counter);
    return hop_send(skb, packet, &hop);
}

/*
 * Whether a packet, already read, is one of our tunnel. Returns 1, 0 where it is not (another VNI
 * may be the CNI's own), or REASON(why).
 */
static __always_inline int tunnel_check(struct __sk_buff *skb, const struct packet *packet)
{
    const struct tunnel_headers_v4 *headers;

    if (packet->l4 != ETH_HLEN + sizeof(struct iphdr))
        return 0; /* IP options: none of ours */
    headers = packet_data(skb, 0, sizeof(*headers) + HEADERS_LONGEST);
    if (!headers || (const void *)(headers + 1) > (const void *)(long)skb->data_end)
        return 0;
    if (!(headers->vxlan.flags_be & VXLAN_FLAG_VNI) ||
        bpf_ntohl(headers->vxlan.vni_be) >> 8 != config.tunnel_vni)
        return 0;
    if (packet->fragment != FRAGMENT_NONE)
        return REASON(DROP_FRAGMENT);
    if (headers->inner.h_proto != bpf_htons(ETH_P_IP))
        return REASON(DROP_MALFORMED);
    return 1;
}

/*
 * Reads the packet inside, seen from the pod that sent it. Datagrams that the receiver's kernel has
 * merged into one are refused: only the first would be delivered.
 */
static __always_inline int tunnel_parse(struct __sk_buff *skb, struct packet *packet)
{
    if (packet_parse(skb, packet, TUNNEL_INNER_V4, OUTBOUND) ||
        (skb->gso_size && packet->length != skb->len - TUNNEL_INNER_V4))
        return REASON(DROP_MALFORMED);
    return 0;
}

/* Removes the outer headers but the Ethernet header. Returns 0 or REASON(why). */
static __always_inline int tunnel_strip(struct __sk_buff *skb, struct packet *packet,
                                        __u8 outer_traffic_class)
{
    if (bpf_skb_adjust_room(skb, -TUNNEL_OVERHEAD_V4, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO))
        return REASON(DROP_INTERNAL);
    packet->l3 -= TUNNEL_OVERHEAD_V4;
    packet->l4 -= TUNNEL_OVERHEAD_V4;
    if ((outer_traffic_class & IP_ECN_CE) == IP_ECN_CE)
        return packet_mark_congested(skb, packet);
    return 0;
}

#endif

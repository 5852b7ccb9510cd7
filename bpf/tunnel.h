/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef EGRESSGW_BPF_TUNNEL_H
#define EGRESSGW_BPF_TUNNEL_H

/* VXLAN, built and stripped in place. */

#include "drop.h"
#include "forward.h"
#include "packet_read.h"
#include "refuse.h"
#include "rewrite.h"
#include "route.h"

#define VXLAN_FLAG_VNI bpf_htonl(0x08000000)
#ifndef TUNNEL_HOP_LIMIT /* another release's, in tests */
#define TUNNEL_HOP_LIMIT 64
#endif
#define TUNNEL_PORT_FIRST 49152 /* source ports: one a flow, so that each keeps to one path */
#define TUNNEL_PORTS      16384
/* Offset of the packet in the tunnel, from the start of the frame. */
#define TUNNEL_INNER_V4 (ETH_HLEN + TUNNEL_OVERHEAD_V4)
#define TUNNEL_INNER_V6 (ETH_HLEN + TUNNEL_OVERHEAD_V6)

/*
 * The VXLAN header counts as room for layer 4; the kernel wants to know the length of the Ethernet
 * header alone, else it refuses every GSO packet later.
 */
#define TUNNEL_ROOM_FLAGS                                                                          \
    (BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_ENCAP_L4_UDP | BPF_F_ADJ_ROOM_ENCAP_L2(ETH_HLEN) |  \
     BPF_F_ADJ_ROOM_ENCAP_L2_ETH)

/* Since Linux 6.3: which family lies under the header that is removed. */
#define ROOM_DECAP_L3_IPV4 (1ULL << 7)
#define ROOM_DECAP_L3_IPV6 (1ULL << 8)

/* The last byte of the Ethernet address inside that stands for an end of the tunnel. What is for
 * the pod's end can be an answer alone, and so less is asked about it; nothing is let in by it. */
enum {
    TUNNEL_END_POD = 1,
    TUNNEL_END_GATEWAY = 2,
};

/* What tunnel_check() says of a packet of our tunnel. */
enum {
    TUNNEL_VERSION = 6,     /* of the IP packet inside, 4 or 6 */
    TUNNEL_TO_POD = 1 << 3, /* it claims to be an answer */
};

struct vxlan_header {
    __be32 flags_be;
    __be32 vni_be; /* in the upper 24 bits */
};

/* What follows the outer IP header. */
struct tunnel_tail {
    struct udphdr udp;
    struct vxlan_header vxlan;
    struct ethhdr inner;
} __attribute__((packed));

struct tunnel_headers_v4 {
    struct ethhdr outer;
    struct iphdr ip;
    struct tunnel_tail tail;
} __attribute__((packed));

struct tunnel_headers_v6 {
    struct ethhdr outer;
    struct ipv6hdr ip;
    struct tunnel_tail tail;
} __attribute__((packed));

_Static_assert(sizeof(struct tunnel_headers_v4) == TUNNEL_INNER_V4, "what the tunnel adds");
_Static_assert(sizeof(struct tunnel_headers_v6) == TUNNEL_INNER_V6, "what the tunnel adds");

static __always_inline __be16 ethertype_of(__u8 version)
{
    return version == 4 ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6);
}

static __always_inline __u32 tunnel_overhead(int version)
{
    return version == 4 ? TUNNEL_OVERHEAD_V4 : TUNNEL_OVERHEAD_V6;
}

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

static __always_inline void tunnel_build_tail(const struct hop_query *query,
                                              const struct packet *packet, struct tunnel_tail *tail)
{
    tail->udp.source = packet->tunnel_port_be;
    tail->udp.dest = query->destination_port_be;
    tail->udp.len = bpf_htons(packet->length + sizeof(*tail));
    tail->vxlan.flags_be = VXLAN_FLAG_VNI;
    tail->vxlan.vni_be = bpf_htonl(config.tunnel_vni << 8);
    tail->inner.h_dest[0] = tail->inner.h_source[0] = 0x02; /* locally administered */
    tail->inner.h_dest[1] = tail->inner.h_source[1] = 'e';
    tail->inner.h_dest[2] = tail->inner.h_source[2] = 'g';
    tail->inner.h_dest[5] = packet->direction == OUTBOUND ? TUNNEL_END_GATEWAY : TUNNEL_END_POD;
    tail->inner.h_source[5] = packet->direction == OUTBOUND ? TUNNEL_END_POD : TUNNEL_END_GATEWAY;
    tail->inner.h_proto = ethertype_of(packet->version);
}

/* The identification stays 0, as RFC 6864 allows for what is not to be fragmented: unlike a random
 * one it lets the receiver merge what belongs together. */
static __always_inline void tunnel_build_v4(const struct hop_query *query, const struct hop *hop,
                                            const struct packet *packet,
                                            struct tunnel_headers_v4 *headers)
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
    headers->ip.tot_len = bpf_htons(packet->length + TUNNEL_OVERHEAD_V4);
    headers->ip.frag_off = bpf_htons(IP_DO_NOT_FRAGMENT);
    headers->ip.ttl = TUNNEL_HOP_LIMIT;
    headers->ip.protocol = IPPROTO_UDP;
    headers->ip.saddr = query->source->words_be[3];
    headers->ip.daddr = query->destination->words_be[3];
    for (i = 0; i < (int)sizeof(headers->ip) / 2; i++)
        sum += words[i];
    headers->ip.check = checksum_fold(sum);
    tunnel_build_tail(query, packet, &headers->tail);
}

/*
 * The UDP checksum is left out, as RFC 6935 allows for tunnels: what is inside has its own. The
 * flow label tells apart what the source port does.
 */
static __always_inline void tunnel_build_v6(const struct hop_query *query, const struct hop *hop,
                                            const struct packet *packet,
                                            struct tunnel_headers_v6 *headers)
{
    __u32 hash = bpf_ntohs(packet->tunnel_port_be) * 0x9e3779b1;

    __builtin_memset(headers, 0, sizeof(*headers));
    hop_set_addresses(hop, headers->outer.h_dest, headers->outer.h_source);
    headers->outer.h_proto = bpf_htons(ETH_P_IPV6);
    headers->ip.version = 6;
    headers->ip.priority = query->traffic_class >> 4;
    headers->ip.flow_lbl[0] = query->traffic_class << 4 | (hash >> 28);
    headers->ip.flow_lbl[1] = hash >> 20;
    headers->ip.flow_lbl[2] = hash >> 12;
    headers->ip.payload_len = bpf_htons(packet->length + sizeof(headers->tail));
    headers->ip.nexthdr = IPPROTO_UDP;
    headers->ip.hop_limit = TUNNEL_HOP_LIMIT;
    __builtin_memcpy(&headers->ip.saddr, query->source, sizeof(headers->ip.saddr));
    __builtin_memcpy(&headers->ip.daddr, query->destination, sizeof(headers->ip.daddr));
    tunnel_build_tail(query, packet, &headers->tail);
}

/*
 * Makes room for outer headers of that IP version. What still counts as a packet in a tunnel, since
 * it has come out of ours without crossing a wire, gets room alone: the marks are there already.
 * Then it takes bpf_skb_change_proto() for another family, which changes the length as well.
 */
static __always_inline long tunnel_make_room(struct __sk_buff *skb, const struct packet *packet,
                                             __u8 version, __u64 family)
{
    long error = bpf_skb_adjust_room(skb, tunnel_overhead(version), BPF_ADJ_ROOM_MAC,
                                     TUNNEL_ROOM_FLAGS | family);

    if (!error || skb->gso_size)
        return error;
    error = bpf_skb_adjust_room(skb, tunnel_overhead(packet->version), BPF_ADJ_ROOM_MAC, 0);
    if (!error && packet->version != version)
        error = bpf_skb_change_proto(skb, ethertype_of(version), 0);
    return error;
}

/* Makes room for the outer headers and fills it. Returns 0 or an error of the kernel's. */
static __always_inline long tunnel_push(struct __sk_buff *skb, const struct packet *packet,
                                        const struct hop_query *query, const struct hop *hop)
{
    union {
        struct tunnel_headers_v4 v4;
        struct tunnel_headers_v6 v6;
    } headers;
    long error;

    if (ip_addr_is_v4(query->destination)) {
        tunnel_build_v4(query, hop, packet, &headers.v4);
        error = tunnel_make_room(skb, packet, 4, BPF_F_ADJ_ROOM_ENCAP_L3_IPV4);
        if (error)
            return error;
        return bpf_skb_store_bytes(skb, 0, &headers.v4, sizeof(headers.v4), BPF_F_RECOMPUTE_CSUM);
    }
    tunnel_build_v6(query, hop, packet, &headers.v6);
    error = tunnel_make_room(skb, packet, 6, BPF_F_ADJ_ROOM_ENCAP_L3_IPV6);
    if (error)
        return error;
    return bpf_skb_store_bytes(skb, 0, &headers.v6, sizeof(headers.v6), BPF_F_RECOMPUTE_CSUM);
}

/*
 * Lowers the segment size of a SYN to what the way carries; it is found already. A way whose
 * neighbour is not known comes without its MTU: that takes a look-up of its own, and then the first
 * one once more. Returns 0 or REASON(why).
 */
static __always_inline int tunnel_lower_segment_size(struct __sk_buff *skb,
                                                     const struct packet *packet,
                                                     const struct hop_query *query, struct hop *hop,
                                                     __u32 overhead)
{
    __u32 mtu = hop->mtu;
    int error;

    if (!(packet->tcp_flags & TCP_SYN))
        return 0;
    if (!mtu) {
        mtu = hop_mtu(skb, query, &hop->fib);
        error = hop_lookup(skb, query, hop);
        if (error)
            return error;
    }
    /* A segment size leaves out the headers of IP and TCP without options. */
    overhead += packet->version == 4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
    overhead += sizeof(struct tcphdr);
    if (mtu <= overhead)
        return 0;
    if (segment_size_lower(skb, packet->l4, packet->l4 + packet->l4_length, mtu - overhead))
        return REASON(DROP_INTERNAL);
    return 0;
}

static __always_inline void tunnel_query(struct __sk_buff *skb, struct packet *packet,
                                         __u32 overhead, struct hop_query *query)
{
    packet->tunnel_port_be = bpf_htons(TUNNEL_PORT_FIRST + flow_hash(packet) % TUNNEL_PORTS);
    query->source_port_be = hop_port(packet->tunnel_port_be);
    query->destination_port_be = config.tunnel_port_be;
    query->protocol = IPPROTO_UDP;
    query->tunnel = 1;
    query->traffic_class = packet->traffic_class;
    query->length = packet_segment(skb, packet) + overhead;
    query->ifindex = skb->ifindex;
}

/*
 * Puts the packet into the tunnel and sends it to `node`, from our own address of the same family,
 * whatever family the packet has. `counter` counts it. Returns the verdict, which may be a drop;
 * `packet->too_big` is set where that is since the packet is too big, which is not counted yet.
 */
__noinline int tunnel_send(struct __sk_buff *skb, struct packet *packet, const struct ip_addr *node,
                           __u32 counter)
{
    const struct settings *own = settings_lookup();
    struct hop_query query;
    struct hop hop;
    __u32 overhead;
    int error;

    if (!packet || !node || !own)
        return verdict_drop(skb, packet, REASON(DROP_NO_TABLE));
    query.source = settings_node(own, ip_addr_is_v4(node));
    query.destination = node;
    if (ip_addr_is_none(query.source) || ip_addr_is_none(node))
        return verdict_drop(skb, packet, REASON(DROP_NO_TABLE));
    overhead = tunnel_overhead(ip_addr_is_v4(node) ? 4 : 6);
    tunnel_query(skb, packet, overhead, &query);
    error = hop_lookup(skb, &query, &hop);
    if (!error)
        error = tunnel_lower_segment_size(skb, packet, &query, &hop, overhead);
    if (error == REASON(DROP_TOO_BIG)) {
        packet->too_big = 1 + overhead;
        return TC_ACT_SHOT;
    }
    if (error)
        return verdict_drop(skb, packet, error);
    if (tunnel_push(skb, packet, &query, &hop))
        return verdict_drop(skb, packet, REASON(DROP_INTERNAL));
    count(skb, counter);
    count_policy(packet->policy, packet->length);
    return packet->more ? hop_send_copy(skb, packet, &hop) : hop_send(skb, packet, &hop);
}

/* The same for what is not worth another try where it is too big. Returns the verdict. */
static __always_inline int tunnel_send_small(struct __sk_buff *skb, struct packet *packet,
                                             const struct ip_addr *node, __u32 counter)
{
    int verdict = tunnel_send(skb, packet, node, counter);

    return packet->too_big ? verdict_drop(skb, packet, REASON(DROP_TOO_BIG)) : verdict;
}

/* Whether a packet goes to the tunnel's port. */
static __always_inline int tunnel_may_be(const struct packet *packet)
{
    __be16 port_be =
        packet->direction == OUTBOUND ? packet->flow.remote_port_be : packet->flow.local_port_be;

    return packet->flow.protocol == IPPROTO_UDP && packet->has_ports &&
           port_be == config.tunnel_port_be;
}

/* tunnel_check() where the outer IP header without options has that length. */
static __always_inline int tunnel_check_behind(struct __sk_buff *skb, const struct packet *packet,
                                               const __u32 l3_length)
{
    const struct tunnel_tail *tail;
    int to_pod;

    if (packet->l4 != ETH_HLEN + l3_length)
        return 0; /* options or extension headers: none of ours */
    tail = packet_data(skb, ETH_HLEN + l3_length, sizeof(*tail) + HEADERS_V4);
    if (!tail || (const void *)(tail + 1) > (const void *)(long)skb->data_end)
        return 0;
    if (!(tail->vxlan.flags_be & VXLAN_FLAG_VNI) ||
        bpf_ntohl(tail->vxlan.vni_be) >> 8 != config.tunnel_vni)
        return 0;
    if (packet->fragment != FRAGMENT_NONE)
        return REASON(DROP_FRAGMENT);
    to_pod = tail->inner.h_dest[5] == TUNNEL_END_POD ? TUNNEL_TO_POD : 0;
    if (tail->inner.h_proto == bpf_htons(ETH_P_IP))
        return 4 | to_pod;
    return tail->inner.h_proto == bpf_htons(ETH_P_IPV6) ? 6 | to_pod : REASON(DROP_MALFORMED);
}

/*
 * Whether a packet that tunnel_may_be() one of our tunnel is. Returns TUNNEL_VERSION and
 * TUNNEL_TO_POD of the packet inside, 0 where it is not ours (another VNI may be the CNI's own), or
 * REASON(why).
 */
static __always_inline int tunnel_check(struct __sk_buff *skb, const struct packet *packet)
{
    return packet->version == 4 ? tunnel_check_behind(skb, packet, sizeof(struct iphdr))
                                : tunnel_check_behind(skb, packet, sizeof(struct ipv6hdr));
}

/*
 * Reads the packet inside, seen from the pod that sent it. Datagrams that the receiver's kernel has
 * merged into one are refused: only the first would be delivered.
 */
static __always_inline int tunnel_parse(struct __sk_buff *skb, struct packet *packet, int version)
{
    int outer = packet->version, error;

    if (outer == 4 && version == 4)
        error = packet_parse(skb, packet, TUNNEL_INNER_V4, 4, OUTBOUND);
    else if (outer == 4)
        error = packet_parse(skb, packet, TUNNEL_INNER_V4, 6, OUTBOUND);
    else if (version == 4)
        error = packet_parse(skb, packet, TUNNEL_INNER_V6, 4, OUTBOUND);
    else
        error = packet_parse(skb, packet, TUNNEL_INNER_V6, 6, OUTBOUND);
    if (error || (skb->gso_size && packet->length != skb->len - packet->l3))
        return REASON(DROP_MALFORMED);
    packet->outer = outer;
    return 0;
}

/*
 * Removes an outer header of the other family. Kernels before 6.3 have to be told the family inside
 * in another way: bpf_skb_change_proto() changes it together with the length of the header, and
 * what then remains to be removed is what a header of the inner family would have taken.
 */
static __always_inline long tunnel_pop_mixed(struct __sk_buff *skb, const struct packet *packet)
{
    __be16 ethertype = ethertype_of(packet->version);
    long error = -1;

    if (!config.old_decap)
        error = bpf_skb_adjust_room(
            skb, -(__s32)tunnel_overhead(packet->outer), BPF_ADJ_ROOM_MAC,
            BPF_F_ADJ_ROOM_FIXED_GSO |
                (packet->version == 4 ? ROOM_DECAP_L3_IPV4 : ROOM_DECAP_L3_IPV6));
    if (error)
        error = bpf_skb_change_proto(skb, ethertype, 0) ||
                bpf_skb_adjust_room(skb, -(__s32)tunnel_overhead(packet->version), BPF_ADJ_ROOM_MAC,
                                    BPF_F_ADJ_ROOM_FIXED_GSO);
    if (error)
        return error;
    return bpf_skb_store_bytes(skb, __builtin_offsetof(struct ethhdr, h_proto), &ethertype,
                               sizeof(ethertype), BPF_F_RECOMPUTE_CSUM);
}

/* Removes the outer headers but the Ethernet header. Returns 0 or REASON(why). */
static __always_inline int tunnel_strip(struct __sk_buff *skb, struct packet *packet,
                                        __u8 outer_traffic_class)
{
    __u32 overhead = tunnel_overhead(packet->outer);
    long error;

    if (packet->outer == packet->version)
        error =
            bpf_skb_adjust_room(skb, -(__s32)overhead, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO);
    else
        error = tunnel_pop_mixed(skb, packet);
    if (error)
        return REASON(DROP_INTERNAL);
    packet->l3 -= overhead;
    packet->l4 -= overhead;
    return packet_carry_congestion(skb, packet, outer_traffic_class);
}

#endif

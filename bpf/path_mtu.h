/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef EGRESSGW_BPF_PATH_MTU_H
#define EGRESSGW_BPF_PATH_MTU_H

/*
 * What routers between the nodes have said to fit on the way to one. The kernel learns such things
 * for its own sockets alone, and there is none that sends our tunnel's packets.
 */

#include "icmp_error.h"
#include "refuse.h"
#include "route.h"

/* As long as the kernel keeps what it has learnt: 10 minutes. */
#define PATH_MTU_TICKS (600ULL * 1000000000 >> DATAPATH_TICK_SHIFT)
/* What a pod may send whatever a router says, or somebody in its name: the least MTU of IPv6. */
#define PATH_MTU_INSIDE 1280

struct path_mtu {
    __u32 mtu;    /* bytes of the tunnel's packets */
    __u32 learnt; /* tick */
};

/* By the other node's address. Not pinned: each load learns anew. */
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 4096);
    __type(key, struct ip_addr);
    __type(value, struct path_mtu);
} path_mtus SEC(".maps");

/* What fits on the way to a node, where the kernel says `mtu`. */
__noinline int path_mtu_lower(const struct ip_addr *node, __u32 mtu)
{
    const struct path_mtu *known;
    struct ip_addr key; /* Linux 6.1 takes keys from the function's own stack only */

    if (!node)
        return mtu;
    key = *node;
    known = bpf_map_lookup_elem(&path_mtus, &key);
    if (!known || known->mtu >= mtu || clock_ticks() - known->learnt > PATH_MTU_TICKS)
        return mtu;
    return known->mtu;
}

/* The MTU that an ICMP error tells, as far as it is believed; 0 where it is no such error. */
static __always_inline __u32 path_mtu_told(const struct packet *packet,
                                           const struct refuse_icmp *icmp)
{
    __u32 mtu = bpf_ntohl(icmp->value_be);
    __u32 least = PATH_MTU_INSIDE + TUNNEL_OVERHEAD_V6;

    if (packet->version == 4) {
        if (icmp->type != ICMP_ERROR_UNREACHABLE || icmp->code != ICMP_ERROR_FRAGMENTATION_NEEDED)
            return 0;
        mtu &= 0xffff;
        least = PATH_MTU_INSIDE + TUNNEL_OVERHEAD_V4;
    } else if (icmp->type != ICMPV6_ERROR_TOO_BIG) {
        return 0;
    }
    return mtu < least ? least : mtu;
}

/* Takes note of an ICMP error, just read, that is about a packet of our tunnel. */
__noinline int path_mtu_learn(struct __sk_buff *skb, const struct packet *packet)
{
    const struct icmp_error *current = icmp_error_current();
    struct path_mtu fresh = {};
    struct refuse_icmp icmp;
    struct ip_addr node;

    if (!packet || !current || current->quote.flow.protocol != IPPROTO_UDP ||
        current->quote.flow.remote_port_be != config.tunnel_port_be || !packet_is_own(packet))
        return 0;
    node = current->quote.flow.remote;
    if (!bpf_map_lookup_elem(&nodes, &node) ||
        bpf_skb_load_bytes(skb, packet->l4, &icmp, sizeof(icmp)))
        return 0;
    fresh.mtu = path_mtu_told(packet, &icmp);
    fresh.learnt = clock_ticks();
    if (fresh.mtu)
        bpf_map_update_elem(&path_mtus, &node, &fresh, BPF_ANY);
    return 0;
}

#endif

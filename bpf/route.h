/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef EGRESSGW_BPF_ROUTE_H
#define EGRESSGW_BPF_ROUTE_H

/* The decision: which route a destination has, and which gateway serves it. */

#include "count.h"
#include "maps.h"
#include "packet.h"

static __always_inline struct endpoint *endpoint_lookup(const struct ip_addr *address)
{
    return bpf_map_lookup_elem(&endpoints, address);
}

static __always_inline struct endpoint *endpoint_lookup_local(const struct ip_addr *address)
{
    struct endpoint *endpoint = endpoint_lookup(address);

    return endpoint && endpoint->flags & ENDPOINT_LOCAL ? endpoint : NULL;
}

/*
 * The memory of an entry that is replaced is another one's at once. What a program has read of an
 * endpoint or a gateway counts where the next look-up finds the same; these are enough where one of
 * them meets another's.
 */
enum { READS_MOST = 4 };

/* Reads the profile (the upper half) and the hash of an endpoint that has these flags; 0: there is
 * none. */
__noinline __u64 pod_read(const struct ip_addr *address, __u32 flags)
{
    const struct endpoint *endpoint;
    struct ip_addr key; /* Linux 6.1 takes keys from the function's own stack only */
    __u64 last = 0, pod;
    int i;

    if (!address)
        return 0;
    key = *address;
    for (i = 0; i < READS_MOST; i++) {
        endpoint = endpoint_lookup(&key);
        if (!endpoint)
            return 0;
        pod = (__u64)endpoint->profile << 32 | endpoint->hash;
        if ((endpoint->flags & flags) != flags)
            pod = 0;
        if (i && pod == last)
            return pod;
        last = pod;
    }
    return 0;
}

/* What decides about a pod's packets; no profile: there is no such endpoint. */
struct pod {
    __u32 profile;
    __u32 hash;
};

static __always_inline struct pod pod_find(const struct ip_addr *address, __u32 flags)
{
    __u64 pod = pod_read(address, flags);

    return (struct pod){.profile = pod >> 32, .hash = (__u32)pod};
}

static __always_inline struct settings *settings_lookup(void)
{
    __u32 zero = 0;

    return bpf_map_lookup_elem(&settings, &zero);
}

/* The address of that family by which the tunnel knows this node; it may have none. */
static __always_inline const struct ip_addr *settings_node(const struct settings *own, int v4)
{
    return v4 ? &own->node_v4 : &own->node_v6;
}

/* Whether the local end of a packet has the address that the tunnel knows this node by. */
static __always_inline int packet_is_own(const struct packet *packet)
{
    const struct settings *own = settings_lookup();

    return own && ip_addr_equal(settings_node(own, packet->version == 4), &packet->flow.local);
}

static __always_inline struct route *route_lookup(__u32 profile, const struct ip_addr *address)
{
    struct route_key key = {.prefix_length = ROUTE_SCOPE_BITS};

    if (ip_addr_is_v4(address)) {
        key.prefix_length += 32;
        key.scope_be = bpf_htonl(profile);
        __builtin_memcpy(key.address, &address->words_be[3], sizeof(address->words_be[3]));
    } else {
        key.prefix_length += 128;
        key.scope_be = bpf_htonl(profile | ROUTE_SCOPE_IPV6);
        __builtin_memcpy(key.address, address->bytes, sizeof(address->bytes));
    }
    return bpf_map_lookup_elem(&routes, &key);
}

static __always_inline int cluster_contains(const struct ip_addr *address)
{
    return endpoint_lookup(address) || route_lookup(PROFILE_CLUSTER, address);
}

/* Routes that keep a packet from leaving as if there were no policy. */
static __always_inline int route_redirects(const struct route *route)
{
    return route && (route->action == ROUTE_GATEWAY || route->action == ROUTE_NO_GATEWAY);
}

/* Reads a gateway. Returns 0 or REASON(why). */
__noinline int gateway_read(__u32 group, __u32 slot, struct gateway *gateway)
{
    struct gateway_key key = {.group = group, .slot = slot};
    const struct gateway *found;
    int i;

    if (!gateway)
        return REASON(DROP_INTERNAL);
    for (i = 0; i < READS_MOST; i++) {
        found = bpf_map_lookup_elem(&gateways, &key);
        if (!found)
            break;
        if (i && ip_addr_equal(&found->node, &gateway->node) &&
            ip_addr_equal(&found->egress, &gateway->egress) && found->ifindex == gateway->ifindex &&
            found->flags == gateway->flags)
            return 0;
        *gateway = *found;
    }
    return REASON(DROP_NO_TABLE);
}

/* The gateway for a pod, by its hash, by such a route. Returns 0 or REASON(why). */
static __always_inline int gateway_find(const struct route *route, __u32 hash,
                                        struct gateway *gateway)
{
    if (route->action == ROUTE_NO_GATEWAY)
        return REASON(DROP_NO_GATEWAY);
    if (!route->slots)
        return REASON(DROP_NO_TABLE);
    return gateway_read(route->group, hash % route->slots, gateway);
}

#endif

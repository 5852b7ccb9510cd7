/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef EGRESSGW_BPF_MASQUERADE_H
#define EGRESSGW_BPF_MASQUERADE_H

/*
 * The host's connection tracking, as far as a packet that was forwarded carries it along: which
 * direction the packet has, and who sent it before a CNI put the node's address in.
 */

#include <bpf/bpf_core_read.h>
#include "kernel.h"
#include "maps.h"
#include "packet.h"

#define CONNTRACK_DIRECTION  7UL /* enum ip_conntrack_info, in the low bits of skb->_nfct */
#define CONNTRACK_REPLY      3UL /* IP_CT_ESTABLISHED_REPLY; IP_CT_RELATED_REPLY is 4 */
#define CONNTRACK_REPLY_LAST 4UL
#define CONNTRACK_SOURCE_NAT (1UL << 4) /* IPS_SRC_NAT */

#ifndef AF_INET
#define AF_INET  2
#define AF_INET6 10
#endif

/* skb->_nfct: 0 or a bare direction where the host does not track the packet. */
static __always_inline unsigned long conntrack_read(struct __sk_buff *skb)
{
    const struct sk_buff *kernel_skb = (const void *)skb;
    unsigned long nfct = 0;

    if (!config.conntrack || !bpf_core_field_exists(kernel_skb->_nfct) ||
        !bpf_core_field_exists(((struct nf_conn *)0)->status))
        return 0;
    if (bpf_core_read(&nfct, sizeof(nfct), &kernel_skb->_nfct))
        return 0;
    return nfct;
}

static __always_inline int conntrack_is_known(unsigned long nfct)
{
    return (nfct & ~CONNTRACK_DIRECTION) != 0;
}

static __always_inline int conntrack_is_reply(unsigned long nfct)
{
    unsigned long direction = nfct & CONNTRACK_DIRECTION;

    return conntrack_is_known(nfct) && direction >= CONNTRACK_REPLY &&
           direction <= CONNTRACK_REPLY_LAST;
}

/*
 * Who sent a packet before the host changed its source. Returns 1 and fills address and port (or
 * ICMP identifier), or 0 where the host did not.
 */
static __always_inline int conntrack_source(unsigned long nfct, struct ip_addr *address,
                                            __be16 *port_be)
{
    const struct nf_conn *connection = (const void *)(nfct & ~CONNTRACK_DIRECTION);
    const struct nf_conntrack_man *source;
    struct ip_addr found = {};
    unsigned long status;
    __be16 port;
    __u16 family;

    if (!config.conntrack || !conntrack_is_known(nfct) || conntrack_is_reply(nfct) ||
        !bpf_core_field_exists(connection->status))
        return 0;
    source = &connection->tuplehash[0].tuple.src;
    if (bpf_core_read(&status, sizeof(status), &connection->status) ||
        !(status & CONNTRACK_SOURCE_NAT) ||
        bpf_core_read(&family, sizeof(family), &source->l3num) ||
        bpf_core_read(&found, sizeof(found), &source->u3.ip6) ||
        bpf_core_read(&port, sizeof(port), &source->u.all))
        return 0;
    *address = family == AF_INET ? ip_addr_from_v4(found.words_be[0]) : found;
    *port_be = port;
    return 1;
}

#endif

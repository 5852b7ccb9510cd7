/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef EGRESSGW_BPF_KERNEL_H
#define EGRESSGW_BPF_KERNEL_H

/*
 * The few parts of the kernel's own structures that we read. Only the names of members count: their
 * offsets come from the types of the kernel that loads the program.
 */

#include <linux/types.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct sk_buff {
    unsigned long _nfct; /* pointer to struct nf_conn, with the direction in its low three bits */
    __u8 ip_summed : 2;
};

union nf_inet_addr {
    __be32 ip6[4]; /* of IPv4: the first alone */
};

union nf_conntrack_man_proto {
    __be16 all;
};

struct nf_conntrack_man {
    union nf_inet_addr u3;
    union nf_conntrack_man_proto u;
    __u16 l3num;
};

struct nf_conntrack_tuple {
    struct nf_conntrack_man src;
};

struct nf_conntrack_tuple_hash {
    struct nf_conntrack_tuple tuple;
};

struct nf_conn {
    struct nf_conntrack_tuple_hash tuplehash[2]; /* original direction, reply direction */
    unsigned long status;
};

#pragma clang attribute pop

#endif

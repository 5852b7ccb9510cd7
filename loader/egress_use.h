/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOADER_EGRESS_USE_H
#define LOADER_EGRESS_USE_H

#include <egressgw/layout.h>
#include <stddef.h>
#include <stdint.h>

#include "common/macros.h"

/* How much of each egress IP is in use, counted from the keys of nat_reverse. */
struct egress_use {
    struct ip_addr egress;
    uint8_t protocol;     /* IPPROTO_* */
    uint32_t ports;       /* different ones (of ICMP: identifiers); of other protocols 1 */
    uint64_t connections; /* one port serves several, towards different destinations */
    uint64_t *seen;       /* a bit for each port */
};

/* Few, in the order in which they were met. */
struct egress_uses {
    struct egress_use *items;
    size_t count, capacity;
};

int egress_uses_add(struct egress_uses *uses, const struct nat_key *key) _must_check_; /* -ENOMEM */

/* In the order of addresses and protocols. */
void egress_uses_sort(struct egress_uses *uses);

/* Nothing is in use. Keeps nothing. */
void egress_uses_clear(struct egress_uses *uses);

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef EGRESSGW_BPF_REFUSED_H
#define EGRESSGW_BPF_REFUSED_H

/* Which egress IPs have no port left. */

#include "count.h"
#include "nat.h"

/* Counts a packet that an egress IP had no port for. A function of its own for its stack. Returns
 * REASON(why). */
__noinline int gateway_note_refused(__u32 length)
{
    const struct nat_target *target = nat_target_current();
    struct counter first = {.packets = 1, .bytes = length}, *counter;
    struct ip_addr egress;

    if (!target)
        return REASON(DROP_INTERNAL);
    egress = target->egress;
    counter = bpf_map_lookup_elem(&egress_refused, &egress);
    if (counter) {
        __sync_fetch_and_add(&counter->packets, 1);
        __sync_fetch_and_add(&counter->bytes, length);
    } else {
        bpf_map_update_elem(&egress_refused, &egress, &first, BPF_NOEXIST);
    }
    return REASON(DROP_NO_PORT);
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOADER_DUMP_NAT_H
#define LOADER_DUMP_NAT_H

#include <stdint.h>
#include <stdio.h>

#include "loader/show.h"

/* Prints the gateway's mappings as the pinned maps hold them. Returns an exit status; what is wrong
 * has been logged. */
int dump_nat_run(const struct config *config, enum show_format format, FILE *out) _must_check_;

/* The tables in memory: nat_forward, nat_reverse, policies. */
struct dump_nat {
    const struct entries *forward, *reverse, *policies;
    uint32_t timeouts[NAT_TIMEOUTS]; /* ticks */
    uint32_t now;                    /* ticks */
};

/* One row for each mapping, sorted by pod, its port, and the remote end. -ENOMEM, -EIO. */
int dump_nat_print(const struct dump_nat *dump, enum show_format format, FILE *out) _must_check_;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOADER_COUNTERS_H
#define LOADER_COUNTERS_H

#include <stdio.h>

#include "loader/egress_use.h"
#include "loader/object.h"
#include "loader/percpu.h"
#include "loader/show.h"

/* What came to one policy's packets. */
struct policy_count {
    uint32_t number;
    struct counter total;
    char name[POLICY_NAME_SIZE];
};

/* Packets that an egress IP had no port for. */
struct egress_refusal {
    struct ip_addr egress;
    struct counter total;
};

/* What the datapath has counted since the maps were made, all processors together. */
struct counters {
    struct counter totals[COUNTERS];
    struct policy_count *policies; /* sorted by name */
    size_t policy_count;
    struct counter others;           /* of policies without a number that is counted */
    struct egress_refusal *refusals; /* sorted by address */
    size_t refusal_count;
    struct egress_uses uses;
};

/* Prints what the pinned maps have counted. Returns an exit status; what is wrong has been
 * logged. */
int counters_run(const struct config *config, enum show_format format, FILE *out) _must_check_;

/* Reads all but `uses`; `percpu` is one for struct counter, `names` the table of policies. */
int counters_read(struct counters *counters, struct percpu *percpu, const int maps[WATCHED_MAPS],
                  const struct entries *names) _must_check_;

/* Prints: as text what was counted at all, as JSON everything. -EIO. */
int counters_print(const struct counters *counters, enum show_format format,
                   FILE *out) _must_check_;

void counters_clear(struct counters *counters);

#endif

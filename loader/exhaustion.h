/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOADER_EXHAUSTION_H
#define LOADER_EXHAUSTION_H

#include "loader/status.h"

/* Tells the log, once a minute and reason at most, that connections were refused for want of
 * mappings, and what to do. Of ports status_make() tells, for each egress IP. */
enum { EXHAUSTION_REASONS = 2, EXHAUSTION_PERIOD_SECONDS = 60 };

struct exhaustion {
    bool begun;
    uint64_t told[EXHAUSTION_REASONS]; /* drops, as of the last line or the start */
    int64_t next[EXHAUSTION_REASONS];  /* seconds, when the next line may come */
};

/* Looks at a report of counters at `now` (seconds, CLOCK_MONOTONIC). Drops from before the first
 * look are old. Returns the number of lines. */
unsigned exhaustion_tell(struct exhaustion *exhaustion, const struct status *status, int64_t now);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOADER_DROPS_LOG_H
#define LOADER_DROPS_LOG_H

#include "loader/percpu.h"
#include "loader/show.h"

/* A reader of drop_log, with its place in the part of each processor. */
struct drops_log {
    int records, state; /* the maps */
    struct percpu record_values, state_values;
    uint64_t *seen;            /* by processor: the last record that was read */
    struct drop_record *items; /* of the last read, by time */
    size_t count;
    uint64_t suppressed[DROP_REASONS_MOST]; /* drops without a record, since the maps were made */
};

/* Everything that is in the log is still to be read. Errors are logged. */
int drops_log_open(const struct config *config, struct drops_log *log) _must_check_;
void drops_log_close(struct drops_log *log);

/* Reads what came since the last time into `items`. What was overwritten meanwhile, or is just
 * being written, is left out. */
int drops_log_read(struct drops_log *log) _must_check_;

/* Leaves out the oldest `count` items. */
void drops_log_skip(struct drops_log *log, size_t count);

#endif

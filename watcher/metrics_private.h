/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WATCHER_METRICS_PRIVATE_H
#define WATCHER_METRICS_PRIVATE_H

/* Between metrics.c and metrics_write.c. */

#include "watcher/http_server.h"
#include "watcher/metrics.h"

enum { METRICS_SOURCES = 2 };

struct metrics {
    const struct store *store;
    struct {
        const struct source_operations *operations;
        const struct source *source;
    } sources[METRICS_SOURCES];
    size_t source_count;
    int listener; /* -1: none */
    struct http_server *server;
    struct status_receiver planner;
    bool planner_connected;
    uint64_t received; /* seconds of CLOCK_MONOTONIC of the last report; 0: none yet */
};

/* Seconds of CLOCK_MONOTONIC, never 0. */
uint64_t metrics_now(void);

/* Seconds since which a kind cannot be followed, 0: all is well. */
uint64_t metrics_trouble(const struct metrics *metrics, enum object_kind kind);

/* The value of a number in the report, or `otherwise`. */
uint64_t metrics_gauge(const struct metrics *metrics, enum status_gauge gauge, uint64_t otherwise);

#endif

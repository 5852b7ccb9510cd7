/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WATCHER_METRICS_H
#define WATCHER_METRICS_H

/*
 * What the node does, for Prometheus (/metrics) and for whoever asks whether all is well
 * (/healthz): the last report of loader and planner, and what the watcher itself knows.
 */

#include <event2/event.h>

#include "common/config.h"
#include "ipc/record.h"
#include "watcher/source.h"
#include "watcher/store.h"

struct metrics;

/* Listens where the configuration says so, before the process is sealed. An address that is taken
 * is logged, and the watcher goes on without metrics. -ENOMEM. */
int metrics_open(const struct config *config, const struct store *store,
                 struct metrics **metrics) _must_check_;
/* A source whose kinds are asked after; all sources before metrics_start(). */
void metrics_add_source(struct metrics *metrics, const struct source_operations *operations,
                        const struct source *source);
int metrics_start(struct metrics *metrics, struct event_base *base) _must_check_;
void metrics_close(struct metrics *metrics);

/* A STATUS record of the planner. -EPROTO closes it. */
int metrics_receive(struct metrics *metrics, const struct record *record) _must_check_;
void metrics_planner_connected(struct metrics *metrics, bool connected);

/* The two pages. metrics_write_health() returns whether all is well. */
void metrics_write(const struct metrics *metrics, FILE *out);
bool metrics_write_health(const struct metrics *metrics, FILE *out);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PLANNER_PLAN_H
#define PLANNER_PLAN_H

/*
 * From objects to tables, without any input or output of its own. Objects come in at any time and
 * are only stored and marked; plan_update() then computes what the marks ask for, so that a burst
 * of events costs one computation. The tables change in plan_update() alone: whoever sends them
 * calls it only between two generations.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/config.h"
#include "ipc/objects.h"
#include "ipc/tables.h"

struct plan;
struct desired_cursor;

/* Copied by plan_new(). */
struct plan_config {
    struct text node;    /* this node's name */
    struct text cluster; /* what io.cilium.k8s.policy.cluster is */
    struct prefix_list cluster_cidrs;
    struct prefix_list pod_cidrs;
    enum pods_scope pods;
};

struct plan *plan_new(const struct plan_config *config);
void plan_free(struct plan *plan);

/* An object was added or changed; it has passed object_check(). */
void plan_apply(struct plan *plan, const struct object *object);
void plan_remove(struct plan *plan, const struct object_identity *identity);

/* A full list of a kind: what is not applied in between is removed at its end. A list that is
 * begun again before its end starts anew. */
void plan_sync_begin(struct plan *plan, enum object_kind kind);
void plan_sync_end(struct plan *plan, enum object_kind kind);

/* Whether the last full list of pods held all pods, or this node's own at least. */
void plan_set_pods_complete(struct plan *plan, bool all_pods);

/* Computes what the events since the last call ask for. Nothing happens before each kind was
 * listed once. */
void plan_update(struct plan *plan);

/* Each kind was listed, with all pods where they are needed, and plan_update() was called: the
 * tables can be sent. Stays so from then on. */
bool plan_ready(const struct plan *plan);

/* Whether pods of other nodes are needed, as far as plan_update() knows. */
bool plan_needs_all_pods(const struct plan *plan);

/* The tables, entry by entry (start with a zeroed cursor), and what changed since they were sent.
 */
bool plan_desired_next(const struct plan *plan, struct desired_cursor *cursor,
                       struct table_entry *entry);
size_t plan_dirty_count(const struct plan *plan);
/* Takes the oldest change; it counts as sent. */
bool plan_dirty_next(struct plan *plan, struct table_entry *entry);

/* For those who watch: entries of a table, about, and whether a policy of this name is there. */
size_t plan_entries(const struct plan *plan, enum table table);
bool plan_has_policy(const struct plan *plan, struct text name);

/* The loader is being sent everything, or what it has is not known any more. */
void plan_sent_all(struct plan *plan);
void plan_sent_nothing(struct plan *plan);

/*
 * Numbers of profiles and groups that are no longer used must not get another meaning while the
 * kernel may hold them. plan_generation() counts updates; once the kernel has the tables as they
 * were at that count, plan_settle() lets numbers that were given up by then be used again.
 */
uint64_t plan_generation(const struct plan *plan);
void plan_settle(struct plan *plan, uint64_t generation);

#endif

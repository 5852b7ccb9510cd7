/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WATCHER_STORE_H
#define WATCHER_STORE_H

/*
 * What is known, by kind and identity, each object as its packed record; and for each of them
 * whether the planner knows it as it is. Sources write through a sink, the session with the planner
 * reads. An object is in one of three queues:
 *
 *   fresh   the planner has not been told of it, and the snapshot of its kind has not come to it
 *   clean   the planner knows it as it is
 *   dirty   it changed, came or went since; one queue for all kinds, each object at most once
 *
 * Nothing but the objects themselves is kept, however long the planner is away.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/macros.h"
#include "ipc/objects.h"
#include "ipc/record.h"
#include "watcher/source.h"

struct store;
struct store_entry;

struct store_observer {
    void *context;
    /* There may be something to tell the planner. */
    void (*changed)(void *context);
    /* A list of this kind is complete. */
    void (*listed)(void *context, enum object_kind kind);
    /* Out of memory: what is known is no longer what was reported. */
    void (*failed)(void *context);
};

int store_new(const struct store_observer *observer, struct store **store) _must_check_;
void store_free(struct store *store);

/* Where sources report to. Several sources may share it, as long as each kind has one source. */
struct source_sink store_sink(struct store *store);

/* Whether a kind has been listed completely once. */
bool store_in_sync(const struct store *store, enum object_kind kind);
/* How many objects of a kind there are. */
size_t store_count(const struct store *store, enum object_kind kind);

/* The planner knows nothing of any kind. */
void store_forget_delivery(struct store *store);
/* The same for one kind: a snapshot of it starts. What is gone meanwhile is left out of it. */
void store_snapshot_begin(struct store *store, enum object_kind kind);
/* From here on what is new of this kind goes to the dirty queue. */
void store_snapshot_end(struct store *store, enum object_kind kind);

/* The next object of a snapshot, or of the dirty queue; NULL: none. */
struct store_entry *store_next_fresh(struct store *store, enum object_kind kind);
struct store_entry *store_next_dirty(struct store *store);

/* The record that tells the planner: OBJECT, or DELETE for what is gone. Its generation is 0. */
int store_entry_record(const struct store_entry *entry, struct record_buffer *buffer) _must_check_;
/* The planner has been told. An entry that is gone is released. */
void store_entry_delivered(struct store *store, struct store_entry *entry);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOADER_APPLY_H
#define LOADER_APPLY_H

#include <stdint.h>

#include "ipc/record.h"
#include "loader/backend.h"
#include "loader/entries.h"

/*
 * From generations of the planner to elements of the maps.
 *
 * A generation is staged in memory, checked as a whole, turned into the changes that the kernel
 * still needs (`pending`), and written: sets in the order of table_entry_step(), then removals in
 * the opposite order, so that no packet meets a reference to something that is missing. A packet
 * that has met a reference from before may still follow it, so removals of what was referred to
 * wait until those packets have passed. Only what differs is written. What cannot be written (a
 * full map, no memory) stays pending together with everything that would refer to it, and is tried
 * again; what is in the kernel stays there until its replacement is.
 *
 * The loader keeps a copy of the maps (`mirror`) beside them. Reading single elements back would
 * cost a system call for each check and comparison, and the question "does a route still refer to
 * this group" cannot be asked from the kernel at all. Each snapshot reads the maps anew, so that
 * the copy cannot stay wrong.
 */
struct apply {
    struct backend *backend;
    struct entries mirror[TABLES];
    struct entries stage[TABLES];
    struct entries pending[TABLES];
    bool snapshot;           /* what is being staged */
    bool unsettled;          /* packets may be under way that have met entries of before */
    uint64_t written;        /* elements set or removed since the start */
    uint64_t endpoints_left; /* pods gone since then, or replaced by another at their address */
    unsigned char *keys, *values; /* of one batch */
    /* NULL, or told that a number is another policy's now: what was counted under it is not. */
    void (*named)(void *context, uint32_t policy);
    void *context;
};

struct apply_result {
    bool taken; /* the generation was taken in, what is not in the kernel is pending */
    int error;  /* negative: what is the matter, 0: everything is in the kernel */
    char text[RECORD_TEXT_LIMIT];
    size_t set, removed; /* elements written */
    size_t held;         /* changes that are still pending */
};

int apply_open(struct apply *apply, struct backend *backend) _must_check_;
void apply_close(struct apply *apply);

/* Starts a generation: a whole state (snapshot) or a change of the one before. */
void apply_begin(struct apply *apply, bool snapshot);

/* Takes in entries that table_entry_check() has let through. -EMSGSIZE: more than twice what the
 * table holds; -EINVAL: a removal in a snapshot; -ENOMEM. `why` is set to a constant text. */
int apply_stage(struct apply *apply, const struct table_entry *items, size_t count,
                const char **why) _must_check_;

/*
 * Ends the generation and brings it into the kernel. 0: all of it is there. Else `result->taken`
 * tells whether it was taken in as far as was safe, with the rest pending, or was refused as a
 * whole: it contradicts itself or what is there (-EINVAL), the maps cannot be read (-EIO), more
 * would wait than a snapshot could ask for (-EMSGSIZE), -ENOMEM.
 * `result` is filled in every case.
 */
int apply_commit(struct apply *apply, struct apply_result *result) _must_check_;

/* Tries what is pending once more. */
int apply_retry(struct apply *apply, struct apply_result *result) _must_check_;

bool apply_is_pending(const struct apply *apply);

/* Inside: the parts of apply_commit(). */

/* Whether the staged generation holds together (references between tables). */
int apply_check(const struct apply *apply, char *text, size_t size) _must_check_;

/* Writes what is pending, as far as it can be. */
int apply_write(struct apply *apply, struct apply_result *result) _must_check_;

#endif

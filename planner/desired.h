/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PLANNER_DESIRED_H
#define PLANNER_DESIRED_H

/*
 * The tables as they should be, and which of their entries differ from what the loader was sent
 * last. An entry that changes several times in between is sent once, one that changes back is not
 * sent.
 */

#include <sys/queue.h>

#include "common/hash.h"
#include "ipc/tables.h"

TAILQ_HEAD(desired_changes, desired_change);

struct desired {
    struct hash_table tables[TABLES];
    struct desired_changes changes;
    size_t change_count;
    bool tracking; /* somebody was sent a snapshot: changes are noted */
};

void desired_init(struct desired *desired);
void desired_clear(struct desired *desired);

/* The value of an entry, or NULL. */
const union table_value *desired_find(const struct desired *desired, enum table table,
                                      const union table_key *key);
void desired_set(struct desired *desired, enum table table, const union table_key *key,
                 const union table_value *value);
void desired_remove(struct desired *desired, enum table table, const union table_key *key);
size_t desired_count(const struct desired *desired, enum table table);

/* Everything counts as sent, or nothing was ever sent. */
void desired_sent_all(struct desired *desired);
void desired_sent_nothing(struct desired *desired);

/* Takes the oldest change; false: there is none. */
bool desired_next_change(struct desired *desired, struct table_entry *entry);

/* Goes over all entries; start with a zeroed cursor and change nothing meanwhile. */
struct desired_cursor {
    unsigned table;
    size_t position;
};
bool desired_next(const struct desired *desired, struct desired_cursor *cursor,
                  struct table_entry *entry);

#endif

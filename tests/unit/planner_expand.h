/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_PLANNER_EXPAND_H
#define TESTS_PLANNER_EXPAND_H

#include "planner/plan.h"
#include "tests/unit/planner_lines.h"

/*
 * Table entries as lines, with profiles and groups written out. Checks on the way that each entry
 * is valid, that no profile, group or slot is missing, and that no profile is there for nothing.
 */
struct entries {
    struct table_entry *items;
    size_t count;
    size_t capacity;
};

void entries_add(struct entries *entries, const struct table_entry *entry);
void entries_clear(struct entries *entries);
/* All entries of a plan. */
void entries_of_plan(const struct plan *plan, struct entries *entries);

/* `plan` knows the names of policies. */
void entries_expand(const struct entries *entries, const struct plan *plan, struct lines *lines);

#endif

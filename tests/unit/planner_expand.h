/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_PLANNER_EXPAND_H
#define TESTS_PLANNER_EXPAND_H

#include "planner/desired.h"
#include "planner/plan.h"
#include "tests/unit/planner_lines.h"

/*
 * Table entries as lines, with profiles and groups written out. Checks on the way that each entry
 * is valid, that no profile, group or slot is missing, and that no profile is there for nothing.
 */
struct expansion {
    struct table_entry *items;
    size_t count;
    size_t capacity;
};

void expansion_add(struct expansion *expansion, const struct table_entry *entry);
void expansion_clear(struct expansion *expansion);
void expansion_collect(const struct desired *desired, struct expansion *expansion);

/* `plan` knows the names of policies. */
void expansion_write(const struct expansion *expansion, const struct plan *plan,
                     struct lines *lines);

#endif

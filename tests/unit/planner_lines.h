/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_PLANNER_LINES_H
#define TESTS_PLANNER_LINES_H

/* Lines of text that stand for tables, so that two ways to compute them can be compared whatever
 * numbers they chose. */

#include <stdbool.h>
#include <stddef.h>

#include "common/macros.h"
#include "ipc/tables.h"

struct lines {
    char **items;
    size_t count;
    size_t capacity;
};

void lines_add(struct lines *lines, const char *format, ...) _format_(2, 3);
/* Sorts; equal lines become one. */
void lines_sort(struct lines *lines);
void lines_clear(struct lines *lines);
/* Prints what is in one of them only; true: nothing is. Both are sorted. */
bool lines_equal(const struct lines *a, const struct lines *b);
/* All lines in one text, to be freed. */
char *lines_join(const struct lines *lines);

/* How table contents are written. `group` describes the slots of a group. */
void lines_add_node(struct lines *lines, const struct ip_addr *address, unsigned flags);
void lines_add_settings(struct lines *lines, const struct settings *settings);
void lines_add_range(struct lines *lines, unsigned profile, const struct ip_prefix *prefix,
                     unsigned action);
void lines_add_route(struct lines *lines, const struct ip_prefix *prefix, unsigned action,
                     const char *policy, const char *group);
void lines_add_endpoint(struct lines *lines, const struct ip_addr *address,
                        const struct endpoint *endpoint, const char *routes);
/* To be freed. */
char *lines_group(const struct gateway *slots, size_t count);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PLANNER_STRINGS_H
#define PLANNER_STRINGS_H

#include <stdint.h>

#include "common/hash.h"
#include "common/text.h"

/*
 * Interned strings: equal strings share one small number, so that comparing them is comparing
 * numbers. Numbers are counted references; the empty string has one like any other.
 */
typedef uint32_t string_id;

#define STRING_NONE 0 /* no string at all */

struct strings {
    struct hash_table table;
    struct interned **items; /* by number */
    uint32_t count;
    uint32_t capacity;
    string_id unused; /* first of the numbers that can be given out again */
};

void strings_init(struct strings *strings);
/* Releases everything, whoever still holds a reference. */
void strings_clear(struct strings *strings);

/* The number of a string, with a new reference. */
string_id strings_acquire(struct strings *strings, struct text text);
/* The number of a string that is known already, else STRING_NONE; no new reference. */
string_id strings_find(const struct strings *strings, struct text text);
/* Another reference to the same string; returns `id`. */
string_id strings_share(struct strings *strings, string_id id);
/* STRING_NONE is ignored. */
void strings_release(struct strings *strings, string_id id);
/* The string; valid as long as somebody holds a reference. STRING_NONE: empty. */
struct text strings_text(const struct strings *strings, string_id id);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PLANNER_MEMORY_H
#define PLANNER_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "common/hash.h"
#include "common/macros.h"

/*
 * Memory for the plan. A plan that was updated halfway must never reach the kernel, so a failed
 * allocation ends the process with an error: it is restarted and plans from nothing, while traffic
 * goes on with the tables that the kernel has.
 */

/* Says so and ends the process. */
_Noreturn void memory_exhausted(void);

/* Zeroed memory for `count` items, never NULL. */
void *memory_new(size_t count, size_t size);

/* Grows or shrinks memory of memory_new() or memory_resize(); new items are not zeroed. */
void *memory_resize(void *memory, size_t count, size_t size);

/* A copy of `count` items; NULL where there are none. */
void *memory_copy(const void *items, size_t count, size_t size);

/* hash_add() that cannot fail. */
void memory_hash_add(struct hash_table *table, uint64_t hash, void *item);

/* A growing array of pointers. Zero-initialised = empty. */
struct pointers {
    void **items;
    uint32_t count;
    uint32_t capacity;
};

void pointers_append(struct pointers *pointers, void *item);
void pointers_insert(struct pointers *pointers, uint32_t position, void *item);
/* Takes the item at `position` out and moves later ones down. */
void pointers_remove(struct pointers *pointers, uint32_t position);
void pointers_clear(struct pointers *pointers);

#endif

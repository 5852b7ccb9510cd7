/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_PLANNER_WORLD_H
#define TESTS_PLANNER_WORLD_H

/* A small universe of objects that change at random: few names, labels and addresses, so that they
 * meet often. */

#include <stdbool.h>
#include <stdint.h>

#include "ipc/objects.h"
#include "planner/plan.h"

enum { WORLD_SLOTS = 24 };

struct world_slot {
    bool present;
    struct object object;
    struct arena arena;
};

struct world {
    uint64_t random;
    struct world_slot slots[KINDS][WORLD_SLOTS];
};

/* How many objects of a kind there can be. */
extern const unsigned world_counts[KINDS];

uint32_t world_random(struct world *world, uint32_t limit);
/* Makes the object of a slot anew; it is present afterwards. */
void world_change(struct world *world, enum object_kind kind, unsigned slot);
void world_remove(struct world *world, enum object_kind kind, unsigned slot);
void world_clear(struct world *world);

/* Feeds everything into a plan, in a random order. */
void world_feed(struct world *world, struct plan *plan);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PLANNER_NUMBERS_H
#define PLANNER_NUMBERS_H

#include "planner/stable_hash.h"
#include "planner/state.h"

/*
 * Numbers of profiles and groups come from a stable hash of what they mean, so that a planner that
 * was restarted gives the same numbers again and finds the kernel's tables right already. Where two
 * meanings fall on one number, the second takes the next free one.
 */
static inline uint32_t number_choose(const struct hash_table *numbers, uint64_t hash,
                                     uint32_t first, uint32_t limit)
{
    uint32_t number = first + (uint32_t)(hash % (limit - first));

    while (hash_find(numbers, stable_hash_mix(number), &number))
        number = number + 1 < limit ? number + 1 : first;
    return number;
}

/* One more (1), one less (-1) or as many as before (0); no count falls below 0. */
static inline void count_change(uint32_t *count, int change)
{
    *count += (uint32_t)change;
}

#endif

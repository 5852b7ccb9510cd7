/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COMMON_ARENA_H
#define COMMON_ARENA_H

#include <stddef.h>

#include "common/macros.h"
#include "common/text.h"

/*
 * Memory that is released all at once: an object read from outside with everything it points to.
 * Zero-initialised = empty.
 */
struct arena {
    struct arena_block *blocks;
    size_t used;  /* bytes given out */
    size_t limit; /* largest `used`; 0: no limit */
};

/* Zeroed memory for `count` items of `size` bytes, aligned for any type. NULL: no memory, an
 * overflow, or the limit. A count of 0 gives a valid pointer. */
void *arena_allocate(struct arena *arena, size_t count, size_t size) _must_check_;

/* Copies a slice into the arena, with a NUL behind it. `data` is NULL where there is no memory. */
struct text arena_text(struct arena *arena, struct text text) _must_check_;

/* Releases everything; the arena can be used again, with the same limit. */
void arena_clear(struct arena *arena);

#define _cleanup_arena_ _cleanup_(arena_clear)

#endif

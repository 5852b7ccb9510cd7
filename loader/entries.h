/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOADER_ENTRIES_H
#define LOADER_ENTRIES_H

#include <stddef.h>
#include <stdint.h>

#include "common/macros.h"

/*
 * The contents of one table in memory: keys and values of fixed size, side by side in one hash
 * table without a pointer for each entry. Sizes are multiples of four bytes, so that keys and
 * values can be used in place as the structures of <egressgw/layout.h>.
 */
enum entry_state {
    ENTRY_EMPTY, /* a free slot */
    ENTRY_SET,
    ENTRY_REMOVE, /* a change that takes the key away; the value is not used */
    ENTRY_DONE,   /* a change that needs nothing any more; entries_compact() drops it */
};

struct entry {
    uint32_t state;
    uint32_t hash;
    unsigned char key[];
};

struct entries {
    size_t key_size; /* bytes, like value_size */
    size_t value_size;
    size_t capacity; /* slots: a power of two, or 0 */
    size_t count;    /* entries of any state */
    unsigned char *slots;
};

#define ENTRIES(key_bytes, value_bytes)                                                            \
    ((struct entries){.key_size = (key_bytes), .value_size = (value_bytes)})

static inline void *entry_value(const struct entries *entries, struct entry *entry)
{
    return entry->key + entries->key_size;
}

/* The entry of this key in any state, or NULL. Valid until something is added or deleted. */
struct entry *entries_find(const struct entries *entries, const void *key);

/* Whether the key is there with state ENTRY_SET. */
int entries_has(const struct entries *entries, const void *key);

/* Adds or replaces; `value` NULL: the value is zero. -ENOMEM: unchanged. */
int entries_put(struct entries *entries, const void *key, const void *value,
                enum entry_state state) _must_check_;

/* Makes room, so that `count` entries altogether can be held without -ENOMEM. */
int entries_reserve(struct entries *entries, size_t count) _must_check_;

/* Deletes a key; no such key is no error. */
void entries_delete(struct entries *entries, const void *key);

/* The next entry at or after *cursor (start with 0), or NULL at the end. */
struct entry *entries_next(const struct entries *entries, size_t *cursor);

/* Drops entries in state ENTRY_DONE. Without memory they stay, which does no harm. */
void entries_compact(struct entries *entries);

/* Releases the memory; the sizes stay. */
void entries_release(struct entries *entries);

#define _cleanup_entries_ _cleanup_(entries_release)

#endif

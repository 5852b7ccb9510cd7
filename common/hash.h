/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COMMON_HASH_H
#define COMMON_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/macros.h"

/*
 * A hash table of pointers to items that the caller owns. The key is part of the item; `equal`
 * compares an item with a key. Hash values come from the caller: use hash_bytes() for keys that
 * somebody outside can choose.
 */
struct hash_table {
    struct hash_slot *slots;
    size_t capacity; /* a power of two, or 0 */
    size_t count;
    bool (*equal)(const void *item, const void *key);
};

#define HASH_TABLE(equal_function) ((struct hash_table){.equal = (equal_function)})

/* A keyed hash (SipHash-1-3) of `length` bytes; the key is random for each process and is drawn at
 * the first call, so call it once before the process is sealed. */
uint64_t hash_bytes(const void *data, size_t length);

/* The item whose key equals `key`, or NULL. */
void *hash_find(const struct hash_table *table, uint64_t hash, const void *key);

/* Adds an item whose key is not in the table yet. -ENOMEM: not added. */
int hash_add(struct hash_table *table, uint64_t hash, void *item) _must_check_;

/* Takes out the item whose key equals `key` and returns it, or NULL. */
void *hash_remove(struct hash_table *table, uint64_t hash, const void *key);

/* The next item after position *cursor (start with 0), or NULL at the end. Nothing may be added
 * or removed meanwhile. */
void *hash_next(const struct hash_table *table, size_t *cursor);

/* Calls `release` for each item where it is not NULL, and empties the table. */
void hash_clear(struct hash_table *table, void (*release)(void *item));

#endif

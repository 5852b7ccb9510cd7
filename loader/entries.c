/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/entries.h"

#include <errno.h>
#include <string.h>

#include "common/hash.h"

#define CAPACITY_FIRST 64

static size_t slot_size(const struct entries *entries)
{
    return sizeof(struct entry) + entries->key_size + entries->value_size;
}

static struct entry *slot_at(const struct entries *entries, size_t index)
{
    return (struct entry *)(entries->slots + index * slot_size(entries));
}

/* The slot that holds the key, or the free one where it belongs. */
static size_t slot_of(const struct entries *entries, uint32_t hash, const void *key)
{
    size_t index = hash & (entries->capacity - 1);

    for (;;) {
        struct entry *entry = slot_at(entries, index);

        if (entry->state == ENTRY_EMPTY ||
            (entry->hash == hash && memcmp(entry->key, key, entries->key_size) == 0))
            return index;
        index = (index + 1) & (entries->capacity - 1);
    }
}

struct entry *entries_find(const struct entries *entries, const void *key)
{
    struct entry *entry;

    if (entries->count == 0)
        return NULL;
    entry = slot_at(entries, slot_of(entries, (uint32_t)hash_bytes(key, entries->key_size), key));
    return entry->state == ENTRY_EMPTY ? NULL : entry;
}

int entries_has(const struct entries *entries, const void *key)
{
    const struct entry *entry = entries_find(entries, key);

    return entry && entry->state == ENTRY_SET;
}

static int entries_resize(struct entries *entries, size_t capacity)
{
    struct entries bigger = *entries;
    size_t cursor = 0;
    struct entry *entry;

    bigger.slots = calloc(capacity, slot_size(entries));
    if (!bigger.slots)
        return -ENOMEM;
    bigger.capacity = capacity;
    bigger.count = 0;
    while ((entry = entries_next(entries, &cursor))) {
        if (entry->state == ENTRY_DONE)
            continue;
        memcpy(slot_at(&bigger, slot_of(&bigger, entry->hash, entry->key)), entry,
               slot_size(entries));
        bigger.count++;
    }
    free(entries->slots);
    *entries = bigger;
    return 0;
}

/* Slots for `count` entries at a load of at most three quarters. */
static size_t capacity_for(size_t count)
{
    size_t capacity = CAPACITY_FIRST;

    while (count > capacity / 4 * 3)
        capacity *= 2;
    return capacity;
}

int entries_reserve(struct entries *entries, size_t count)
{
    if (count > SIZE_MAX / 4 / slot_size(entries))
        return -ENOMEM;
    if (capacity_for(count) <= entries->capacity)
        return 0;
    return entries_resize(entries, capacity_for(count));
}

int entries_put(struct entries *entries, const void *key, const void *value, enum entry_state state)
{
    uint32_t hash = (uint32_t)hash_bytes(key, entries->key_size);
    struct entry *entry;
    int error;

    error = entries_reserve(entries, entries->count + 1);
    if (error && !entries_find(entries, key))
        return error;
    entry = slot_at(entries, slot_of(entries, hash, key));
    if (entry->state == ENTRY_EMPTY) {
        memcpy(entry->key, key, entries->key_size);
        entry->hash = hash;
        entries->count++;
    }
    entry->state = state;
    if (value)
        memcpy(entry_value(entries, entry), value, entries->value_size);
    else
        memset(entry_value(entries, entry), 0, entries->value_size);
    return 0;
}

void entries_delete(struct entries *entries, const void *key)
{
    size_t mask = entries->capacity - 1;
    struct entry *entry = entries_find(entries, key);
    size_t hole, index;

    if (!entry)
        return;
    hole = (size_t)((unsigned char *)entry - entries->slots) / slot_size(entries);
    /* Entries behind the hole move forward where their chain passes over it. */
    for (index = (hole + 1) & mask; slot_at(entries, index)->state != ENTRY_EMPTY;
         index = (index + 1) & mask) {
        size_t home = slot_at(entries, index)->hash & mask;

        if (((index - home) & mask) < ((index - hole) & mask))
            continue;
        memcpy(slot_at(entries, hole), slot_at(entries, index), slot_size(entries));
        hole = index;
    }
    slot_at(entries, hole)->state = ENTRY_EMPTY;
    entries->count--;
}

struct entry *entries_next(const struct entries *entries, size_t *cursor)
{
    while (*cursor < entries->capacity) {
        struct entry *entry = slot_at(entries, (*cursor)++);

        if (entry->state != ENTRY_EMPTY)
            return entry;
    }
    return NULL;
}

void entries_compact(struct entries *entries)
{
    size_t cursor = 0, left = 0;
    struct entry *entry;

    while ((entry = entries_next(entries, &cursor)))
        left += entry->state != ENTRY_DONE;
    if (left == 0)
        entries_release(entries);
    else if (left < entries->count && entries_resize(entries, capacity_for(left)) < 0)
        return;
}

void entries_release(struct entries *entries)
{
    free(entries->slots);
    entries->slots = NULL;
    entries->capacity = 0;
    entries->count = 0;
}

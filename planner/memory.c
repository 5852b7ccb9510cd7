/* SPDX-License-Identifier: Apache-2.0 */
#include "planner/memory.h"

#include <string.h>

#include "common/log.h"

_Noreturn void memory_exhausted(void)
{
    log_error("no memory: the planner ends and starts again, traffic goes on with the last tables");
    _exit(EXIT_FAILURE);
}

void *memory_new(size_t count, size_t size)
{
    void *memory = calloc(count ? count : 1, size);

    if (!memory)
        memory_exhausted();
    return memory;
}

void *memory_resize(void *memory, size_t count, size_t size)
{
    void *resized = reallocarray(memory, count ? count : 1, size);

    if (!resized)
        memory_exhausted();
    return resized;
}

void *memory_copy(const void *items, size_t count, size_t size)
{
    if (count == 0)
        return NULL;
    return memcpy(memory_new(count, size), items, count * size);
}

void memory_hash_add(struct hash_table *table, uint64_t hash, void *item)
{
    if (hash_add(table, hash, item) < 0)
        memory_exhausted();
}

void pointers_append(struct pointers *pointers, void *item)
{
    pointers_insert(pointers, pointers->count, item);
}

void pointers_insert(struct pointers *pointers, uint32_t position, void *item)
{
    if (pointers->count == pointers->capacity) {
        pointers->capacity = pointers->capacity ? pointers->capacity * 2 : 4;
        pointers->items = memory_resize(pointers->items, pointers->capacity, sizeof(void *));
    }
    memmove(pointers->items + position + 1, pointers->items + position,
            (pointers->count - position) * sizeof(void *));
    pointers->items[position] = item;
    pointers->count++;
}

void pointers_remove(struct pointers *pointers, uint32_t position)
{
    pointers->count--;
    memmove(pointers->items + position, pointers->items + position + 1,
            (pointers->count - position) * sizeof(void *));
}

void pointers_clear(struct pointers *pointers)
{
    free(pointers->items);
    *pointers = (struct pointers){0};
}

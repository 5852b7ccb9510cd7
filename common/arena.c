/* SPDX-License-Identifier: Apache-2.0 */
#include "common/arena.h"

#include <stdalign.h>
#include <stdint.h>

struct arena_block {
    struct arena_block *next;
    size_t size;
    size_t used;
    alignas(max_align_t) unsigned char data[];
};

enum { ARENA_BLOCK_SIZE = 4096 - sizeof(struct arena_block) };

static struct arena_block *arena_block_new(struct arena *arena, size_t size)
{
    size_t capacity = size > ARENA_BLOCK_SIZE ? size : ARENA_BLOCK_SIZE;
    struct arena_block *block = calloc(1, sizeof(*block) + capacity);

    if (!block)
        return NULL;
    block->size = capacity;
    block->next = arena->blocks;
    arena->blocks = block;
    return block;
}

void *arena_allocate(struct arena *arena, size_t count, size_t size)
{
    const size_t alignment = alignof(max_align_t);
    struct arena_block *block = arena->blocks;
    size_t bytes;

    if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX / 2)
        return NULL;
    bytes = (bytes + alignment - 1) / alignment * alignment;
    if (arena->limit && bytes > arena->limit - arena->used)
        return NULL;
    if (!block || block->size - block->used < bytes) {
        block = arena_block_new(arena, bytes);
        if (!block)
            return NULL;
    }
    void *memory = block->data + block->used;
    block->used += bytes;
    arena->used += bytes;
    return memory;
}

struct text arena_text(struct arena *arena, struct text text)
{
    char *copy = arena_allocate(arena, text.length + 1, 1);

    if (!copy)
        return (struct text){0};
    if (text.length)
        memcpy(copy, text.data, text.length);
    return (struct text){copy, text.length};
}

void arena_clear(struct arena *arena)
{
    while (arena->blocks) {
        struct arena_block *block = arena->blocks;

        arena->blocks = block->next;
        free(block);
    }
    arena->used = 0;
}

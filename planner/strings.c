/* SPDX-License-Identifier: Apache-2.0 */
#include "planner/strings.h"

#include "planner/memory.h"

struct interned {
    uint32_t references;
    uint32_t length;
    string_id id;
    char data[];
};

static bool interned_equal(const void *item, const void *key)
{
    const struct interned *interned = item;
    const struct text *text = key;

    return text_equal((struct text){interned->data, interned->length}, *text);
}

void strings_init(struct strings *strings)
{
    *strings = (struct strings){.table = HASH_TABLE(interned_equal), .count = 1};
}

void strings_clear(struct strings *strings)
{
    hash_clear(&strings->table, free);
    free(strings->items);
    strings_init(strings);
}

/* A number for a new string. Unused numbers form a list: each place holds the next one. */
static string_id strings_number(struct strings *strings)
{
    string_id id = strings->unused;

    if (id) {
        strings->unused = (string_id)(uintptr_t)strings->items[id];
        return id;
    }
    if (strings->count >= strings->capacity) {
        strings->capacity = strings->capacity ? strings->capacity * 2 : 64;
        strings->items =
            memory_resize(strings->items, strings->capacity, sizeof(strings->items[0]));
    }
    return strings->count++;
}

string_id strings_acquire(struct strings *strings, struct text text)
{
    uint64_t hash = hash_bytes(text.data, text.length);
    struct interned *interned = hash_find(&strings->table, hash, &text);

    if (!interned) {
        interned = memory_new(1, sizeof(*interned) + text.length);
        interned->length = (uint32_t)text.length;
        if (text.length)
            memcpy(interned->data, text.data, text.length);
        interned->id = strings_number(strings);
        strings->items[interned->id] = interned;
        memory_hash_add(&strings->table, hash, interned);
    }
    interned->references++;
    return interned->id;
}

string_id strings_find(const struct strings *strings, struct text text)
{
    const struct interned *interned =
        hash_find(&strings->table, hash_bytes(text.data, text.length), &text);

    return interned ? interned->id : STRING_NONE;
}

string_id strings_share(struct strings *strings, string_id id)
{
    if (id)
        strings->items[id]->references++;
    return id;
}

void strings_release(struct strings *strings, string_id id)
{
    if (id == STRING_NONE || --strings->items[id]->references > 0)
        return;
    struct text text = strings_text(strings, id);

    free(hash_remove(&strings->table, hash_bytes(text.data, text.length), &text));
    strings->items[id] = (struct interned *)(uintptr_t)strings->unused;
    strings->unused = id;
}

struct text strings_text(const struct strings *strings, string_id id)
{
    if (id == STRING_NONE)
        return (struct text){0};
    return (struct text){strings->items[id]->data, strings->items[id]->length};
}

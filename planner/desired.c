/* SPDX-License-Identifier: Apache-2.0 */
#include "planner/desired.h"

#include <stdalign.h>
#include <string.h>

#include "planner/memory.h"

struct desired_item {
    struct desired_change *change;
    uint8_t table;
    bool present; /* else it was sent and its removal is still to be sent */
    alignas(union table_value) unsigned char bytes[]; /* value, key */
};

/* What the loader has of an item that differs. */
struct desired_change {
    TAILQ_ENTRY(desired_change) link;
    struct desired_item *item;
    bool sent; /* it has the entry, with this value: */
    unsigned char value[];
};

static size_t item_key_size(const struct desired_item *item)
{
    return table_shapes[item->table].key_size;
}

static size_t item_value_size(const struct desired_item *item)
{
    return table_shapes[item->table].value_size;
}

static unsigned char *item_value(struct desired_item *item)
{
    return item->bytes;
}

static const unsigned char *item_key(const struct desired_item *item)
{
    return item->bytes + item_value_size(item);
}

static bool desired_item_equal(const void *item, const void *key)
{
    const struct desired_item *desired = item;

    return memcmp(item_key(desired), key, item_key_size(desired)) == 0;
}

void desired_init(struct desired *desired)
{
    *desired = (struct desired){0};
    for (int i = 0; i < TABLES; i++)
        desired->tables[i] = HASH_TABLE(desired_item_equal);
    TAILQ_INIT(&desired->changes);
}

static uint64_t item_hash(enum table table, const void *key)
{
    return hash_bytes(key, table_shapes[table].key_size);
}

static struct desired_item *item_find(const struct desired *desired, enum table table,
                                      const union table_key *key)
{
    return hash_find(&desired->tables[table], item_hash(table, key), key);
}

static struct desired_item *item_new(struct desired *desired, enum table table,
                                     const union table_key *key)
{
    const struct table_shape *shape = &table_shapes[table];
    struct desired_item *item = memory_new(1, sizeof(*item) + shape->key_size + shape->value_size);

    item->table = table;
    memcpy(item->bytes + shape->value_size, key, shape->key_size);
    memory_hash_add(&desired->tables[table], item_hash(table, key), item);
    return item;
}

static void change_drop(struct desired *desired, struct desired_change *change)
{
    TAILQ_REMOVE(&desired->changes, change, link);
    desired->change_count--;
    change->item->change = NULL;
    free(change);
}

static void item_free(struct desired *desired, struct desired_item *item)
{
    hash_remove(&desired->tables[item->table], item_hash(item->table, item_key(item)),
                item_key(item));
    free(item);
}

/* Before an item changes: keeps what the loader has of it. */
static void item_note_sent(struct desired *desired, struct desired_item *item)
{
    if (!desired->tracking || item->change)
        return;
    struct desired_change *change = memory_new(1, sizeof(*change) + item_value_size(item));

    change->item = item;
    change->sent = item->present;
    memcpy(change->value, item_value(item), item_value_size(item));
    item->change = change;
    TAILQ_INSERT_TAIL(&desired->changes, change, link);
    desired->change_count++;
}

/* After an item changed: nothing is to be sent where it is again what the loader has. */
static void item_settle(struct desired *desired, struct desired_item *item)
{
    const struct desired_change *change = item->change;

    if (change && change->sent == item->present &&
        (!item->present || memcmp(change->value, item_value(item), item_value_size(item)) == 0))
        change_drop(desired, item->change);
    if (!item->present && !item->change)
        item_free(desired, item);
}

const union table_value *desired_find(const struct desired *desired, enum table table,
                                      const union table_key *key)
{
    struct desired_item *item = item_find(desired, table, key);

    return item && item->present ? (const union table_value *)item_value(item) : NULL;
}

void desired_set(struct desired *desired, enum table table, const union table_key *key,
                 const union table_value *value)
{
    struct desired_item *item = item_find(desired, table, key);

    if (!item)
        item = item_new(desired, table, key);
    else if (item->present && memcmp(item_value(item), value, item_value_size(item)) == 0)
        return;
    item_note_sent(desired, item);
    memcpy(item_value(item), value, item_value_size(item));
    item->present = true;
    item_settle(desired, item);
}

void desired_remove(struct desired *desired, enum table table, const union table_key *key)
{
    struct desired_item *item = item_find(desired, table, key);

    if (!item || !item->present)
        return;
    item_note_sent(desired, item);
    item->present = false;
    item_settle(desired, item);
}

size_t desired_count(const struct desired *desired, enum table table)
{
    struct desired_cursor cursor = {.table = table};
    struct table_entry entry;
    size_t count = 0;

    while (desired_next(desired, &cursor, &entry) && entry.table == table)
        count++;
    return count;
}

/* Forgets all changes; entries that wait for their removal to be sent are gone at once. */
static void desired_drop_changes(struct desired *desired)
{
    struct desired_change *change;

    while ((change = TAILQ_FIRST(&desired->changes))) {
        struct desired_item *item = change->item;

        change_drop(desired, change);
        if (!item->present)
            item_free(desired, item);
    }
}

void desired_sent_all(struct desired *desired)
{
    desired_drop_changes(desired);
    desired->tracking = true;
}

void desired_sent_nothing(struct desired *desired)
{
    desired_drop_changes(desired);
    desired->tracking = false;
}

static void item_read(struct desired_item *item, struct table_entry *entry)
{
    *entry = (struct table_entry){.table = item->table, .remove = !item->present};
    memcpy(&entry->key, item_key(item), item_key_size(item));
    if (item->present)
        memcpy(&entry->value, item_value(item), item_value_size(item));
}

bool desired_next_change(struct desired *desired, struct table_entry *entry)
{
    struct desired_change *change = TAILQ_FIRST(&desired->changes);

    if (!change)
        return false;
    struct desired_item *item = change->item;

    item_read(item, entry);
    change_drop(desired, change);
    if (!item->present)
        item_free(desired, item);
    return true;
}

bool desired_next(const struct desired *desired, struct desired_cursor *cursor,
                  struct table_entry *entry)
{
    for (; cursor->table < TABLES; cursor->table++, cursor->position = 0) {
        struct desired_item *item;

        while ((item = hash_next(&desired->tables[cursor->table], &cursor->position)))
            if (item->present) {
                item_read(item, entry);
                return true;
            }
    }
    return false;
}

void desired_clear(struct desired *desired)
{
    desired_sent_nothing(desired);
    for (int i = 0; i < TABLES; i++)
        hash_clear(&desired->tables[i], free);
}

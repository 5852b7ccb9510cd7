/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/fake_backend.h"

#include <errno.h>
#include <string.h>

static struct fake_backend *fake_of(struct backend *backend)
{
    return (struct fake_backend *)backend;
}

static int fake_read(struct backend *backend, unsigned map, struct backend_cursor *cursor,
                     void *keys, void *values, size_t *count)
{
    struct fake_backend *fake = fake_of(backend);
    struct entries *entries = &fake->maps[map];
    size_t most = fake->read_most && fake->read_most < *count ? fake->read_most : *count;
    size_t position = 0, done = 0;
    struct entry *entry = NULL;

    if (fake->fail_read)
        return -EIO;
    if (cursor->started)
        memcpy(&position, cursor->position, sizeof(position));
    while (done < most && (entry = entries_next(entries, &position))) {
        memcpy((char *)keys + done * entries->key_size, entry->key, entries->key_size);
        memcpy((char *)values + done * entries->value_size, entry_value(entries, entry),
               entries->value_size);
        done++;
    }
    cursor->started = true;
    cursor->ended = done < most;
    memcpy(cursor->position, &position, sizeof(position));
    *count = done;
    return 0;
}

static int fake_lookup(struct backend *backend, unsigned map, const void *key, void *value)
{
    struct entries *entries = &fake_of(backend)->maps[map];
    struct entry *entry = entries_find(entries, key);

    if (!entry)
        return -ENOENT;
    memcpy(value, entry_value(entries, entry), entries->value_size);
    return 0;
}

static int fake_write(struct fake_backend *fake, unsigned map, const char *keys, const char *values,
                      size_t *count)
{
    struct entries *entries = &fake->maps[map];
    bool fails = ++fake->calls == fake->fail_at;

    for (size_t i = 0; i < *count; i++) {
        const char *key = keys + i * entries->key_size;
        int error = fails && i == *count / 2 ? fake->fail_error : 0;

        if (!error && values && entries->count >= fake->capacities[map] &&
            !entries_find(entries, key))
            error = -E2BIG;
        if (!error && values)
            error = entries_put(entries, key, values + i * entries->value_size, ENTRY_SET);
        else if (!error)
            entries_delete(entries, key);
        if (error) {
            *count = i;
            return error;
        }
        fake->elements++;
        if (fake->written)
            fake->written(fake->context);
    }
    return 0;
}

static int fake_update(struct backend *backend, unsigned map, const void *keys, const void *values,
                       size_t *count)
{
    return fake_write(fake_of(backend), map, keys, values, count);
}

static int fake_remove(struct backend *backend, unsigned map, const void *keys, size_t *count)
{
    return fake_write(fake_of(backend), map, keys, NULL, count);
}

static size_t fake_capacity(struct backend *backend, unsigned map)
{
    return fake_of(backend)->capacities[map];
}

static void fake_settle(struct backend *backend)
{
    struct fake_backend *fake = fake_of(backend);

    if (fake->settled)
        fake->settled(fake->context);
}

void fake_backend_open(struct fake_backend *fake, size_t capacity)
{
    *fake = (struct fake_backend){
        .backend = {fake_read, fake_lookup, fake_update, fake_remove, fake_capacity, fake_settle},
    };
    for (unsigned map = 0; map < BACKEND_MAPS; map++) {
        fake->maps[map] = ENTRIES(backend_shape(map)->key_size, backend_shape(map)->value_size);
        fake->capacities[map] = capacity;
    }
}

void fake_backend_close(struct fake_backend *fake)
{
    for (unsigned map = 0; map < BACKEND_MAPS; map++)
        entries_release(&fake->maps[map]);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/apply.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* In capacities of a map. A generation has up to two and, where it is a snapshot, one more of
 * removals. */
enum { STAGE_LIMIT = 2, PENDING_LIMIT = 4 };

static struct entries table_entries(unsigned table)
{
    return ENTRIES(table_shapes[table].key_size, table_shapes[table].value_size);
}

static void tables_clear(struct entries tables[TABLES])
{
    for (unsigned table = 0; table < TABLES; table++)
        entries_release(&tables[table]);
}

static int mirror_read_table(struct apply *apply, unsigned table)
{
    struct entries *mirror = &apply->mirror[table];
    struct backend_cursor cursor = {0};

    entries_release(mirror);
    while (!cursor.ended) {
        size_t count = BACKEND_BATCH;
        int error = apply->backend->read(apply->backend, table, &cursor, apply->keys, apply->values,
                                         &count);

        if (error)
            return error;
        for (size_t i = 0; i < count; i++) {
            error = entries_put(mirror, apply->keys + i * mirror->key_size,
                                apply->values + i * mirror->value_size, ENTRY_SET);
            if (error)
                return error;
        }
    }
    return 0;
}

static int mirror_read(struct apply *apply)
{
    for (unsigned table = 0; table < TABLES; table++) {
        int error = mirror_read_table(apply, table);

        if (error)
            return error;
    }
    return 0;
}

int apply_open(struct apply *apply, struct backend *backend)
{
    struct apply opened = {.backend = backend, .unsettled = true};
    int error;

    for (unsigned table = 0; table < TABLES; table++) {
        opened.mirror[table] = table_entries(table);
        opened.stage[table] = table_entries(table);
        opened.pending[table] = table_entries(table);
    }
    opened.keys = calloc(BACKEND_BATCH, sizeof(union table_key));
    opened.values = calloc(BACKEND_BATCH, sizeof(union table_value));
    error = opened.keys && opened.values ? mirror_read(&opened) : -ENOMEM;
    if (error) {
        apply_close(&opened);
        return error;
    }
    *apply = opened;
    return 0;
}

void apply_close(struct apply *apply)
{
    tables_clear(apply->mirror);
    tables_clear(apply->stage);
    tables_clear(apply->pending);
    free(apply->keys);
    free(apply->values);
    apply->keys = apply->values = NULL;
}

void apply_begin(struct apply *apply, bool snapshot)
{
    tables_clear(apply->stage);
    apply->snapshot = snapshot;
}

int apply_stage(struct apply *apply, const struct table_entry *items, size_t count,
                const char **why)
{
    for (size_t i = 0; i < count; i++) {
        const struct table_entry *item = &items[i];
        struct entries *stage = &apply->stage[item->table];
        int error;

        if (item->remove && apply->snapshot) {
            *why = "a removal in a snapshot";
            return -EINVAL;
        }
        if (stage->count >= STAGE_LIMIT * apply->backend->capacity(apply->backend, item->table) &&
            !entries_find(stage, &item->key)) {
            *why = "a generation of more than twice the entries that the table can hold";
            return -EMSGSIZE;
        }
        error = entries_put(stage, &item->key, item->remove ? NULL : &item->value,
                            item->remove ? ENTRY_REMOVE : ENTRY_SET);
        if (error) {
            *why = "no memory for the generation";
            return error;
        }
    }
    return 0;
}

/* Turns a staged snapshot into changes: what the kernel has and the snapshot has not is removed.
 * The settings stay, they are never removed. */
static int stage_add_removals(struct apply *apply)
{
    for (unsigned table = TABLE_SETTINGS + 1; table < TABLES; table++) {
        size_t cursor = 0;
        const struct entry *entry;

        while ((entry = entries_next(&apply->mirror[table], &cursor))) {
            if (!entries_find(&apply->stage[table], entry->key) &&
                entries_put(&apply->stage[table], entry->key, NULL, ENTRY_REMOVE) < 0)
                return -ENOMEM;
        }
    }
    return 0;
}

/* However long a map is full, what waits for room is bounded: a snapshot, which replaces all of it,
 * always passes. */
static bool stage_has_room(const struct apply *apply)
{
    for (unsigned table = 0; table < TABLES; table++) {
        if (apply->pending[table].count + apply->stage[table].count >
            PENDING_LIMIT * apply->backend->capacity(apply->backend, table))
            return false;
    }
    return true;
}

/* What was staged takes the place of what was pending for the same keys. All memory is had before
 * the first entry moves. */
static int stage_merge(struct apply *apply)
{
    for (unsigned table = 0; table < TABLES; table++) {
        if (entries_reserve(&apply->pending[table],
                            apply->pending[table].count + apply->stage[table].count) < 0)
            return -ENOMEM;
    }
    for (unsigned table = 0; table < TABLES; table++) {
        size_t cursor = 0;
        struct entry *entry;

        while ((entry = entries_next(&apply->stage[table], &cursor))) {
            if (entries_put(&apply->pending[table], entry->key,
                            entry_value(&apply->stage[table], entry), entry->state) < 0)
                return -ENOMEM;
        }
    }
    return 0;
}

static int fail(struct apply *apply, struct apply_result *result, int error, const char *text)
{
    tables_clear(apply->stage);
    result->error = error;
    snprintf(result->text, sizeof(result->text), "%s", text);
    return error;
}

int apply_commit(struct apply *apply, struct apply_result *result)
{
    int error;

    *result = (struct apply_result){0};
    error = apply_check(apply, result->text, sizeof(result->text));
    if (error == -EINVAL) {
        tables_clear(apply->stage);
        result->error = error;
        return error;
    }
    if (error)
        return fail(apply, result, error, "no memory to check the generation");
    if (apply->snapshot) {
        if (mirror_read(apply) < 0)
            return fail(apply, result, -EIO, "the maps in the kernel cannot be read");
        if (stage_add_removals(apply) < 0)
            return fail(apply, result, -ENOMEM, "no memory to compare the snapshot");
        tables_clear(apply->pending);
    }
    if (!stage_has_room(apply))
        return fail(apply, result, -EMSGSIZE,
                    "more changes wait than the tables could hold: a snapshot is needed");
    if (stage_merge(apply) < 0)
        return fail(apply, result, -ENOMEM, "no memory to take in the generation");
    tables_clear(apply->stage);
    result->taken = true;
    return apply_write(apply, result);
}

int apply_retry(struct apply *apply, struct apply_result *result)
{
    *result = (struct apply_result){.taken = true};
    return apply_write(apply, result);
}

bool apply_is_pending(const struct apply *apply)
{
    for (unsigned table = 0; table < TABLES; table++) {
        if (apply->pending[table].count > 0)
            return true;
    }
    return false;
}

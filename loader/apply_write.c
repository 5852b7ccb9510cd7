/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Brings pending changes into the kernel.
 *
 * Within the routes of a profile, longer prefixes are set first and shorter ones are removed
 * first: whichever prefix a packet matches on the way from the old state to the new one, it is the
 * one of the old or the one of the new state, never a third.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "loader/apply_pass.h"

/* The table of each step of table_entry_step(). */
const enum table apply_step_tables[TABLE_STEPS] = {TABLE_SETTINGS, TABLE_NODES,   TABLE_GATEWAYS,
                                                   TABLE_ROUTES,   TABLE_ROUTES,  TABLE_ENDPOINTS,
                                                   TABLE_ROUTES,   TABLE_POLICIES};

static bool error_is_full(int error)
{
    return error == -E2BIG || error == -ENOSPC;
}

/* The first problem of a generation is the one that is told. */
static void result_note(struct apply_result *result, int error, const char *text)
{
    if (result->error)
        return;
    result->error = error;
    snprintf(result->text, sizeof(result->text), "%s", text);
}

static unsigned entry_step(enum table table, const struct entry *entry)
{
    struct table_entry item = {.table = table};

    if (table == TABLE_ROUTES)
        memcpy(&item.key, entry->key, sizeof(item.key.route));
    return table_entry_step(&item);
}

/* --- writing ---------------------------------------------------------------------------------- */

static int mirror_update(struct entries *mirror, const struct entry *entry, const void *value,
                         bool remove)
{
    if (!remove)
        return entries_put(mirror, entry->key, value, ENTRY_SET);
    entries_delete(mirror, entry->key);
    return 0;
}

/* Whether a pod that was there is not any more with this change. */
static bool endpoint_leaves(const struct entries *mirror, const struct entry *entry,
                            const void *value, bool remove)
{
    struct entry *former = entries_find(mirror, entry->key);
    const struct endpoint *next = value;

    return former &&
           (remove || ((struct endpoint *)entry_value(mirror, former))->hash != next->hash);
}

/* Writes items[first .. first + count) in one batch; `*done` of them are in the kernel. */
static int write_batch(struct pass *pass, enum table table, size_t first, size_t count, bool remove,
                       size_t *done)
{
    struct apply *apply = pass->apply;
    struct entries *mirror = &apply->mirror[table], *pending = &apply->pending[table];
    struct backend *backend = apply->backend;
    int error;

    *done = 0;
    if (!remove && entries_reserve(mirror, mirror->count + count) < 0)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        struct entry *entry = pass->items[first + i];

        memcpy(apply->keys + i * mirror->key_size, entry->key, mirror->key_size);
        memcpy(apply->values + i * mirror->value_size, entry_value(pending, entry),
               mirror->value_size);
    }
    *done = count;
    error = remove ? backend->remove(backend, table, apply->keys, done)
                   : backend->update(backend, table, apply->keys, apply->values, done);
    for (size_t i = 0; i < *done; i++) {
        struct entry *entry = pass->items[first + i];
        int unlikely;

        if (table == TABLE_ENDPOINTS &&
            endpoint_leaves(mirror, entry, entry_value(pending, entry), remove))
            apply->endpoints_left++;
        unlikely = mirror_update(mirror, entry, entry_value(pending, entry), remove);
        if (unlikely)
            return unlikely;
        entry->state = ENTRY_DONE;
        if (table == TABLE_POLICIES && !remove && apply->named)
            apply->named(apply->context, *(const uint32_t *)(const void *)entry->key);
    }
    apply->written += *done;
    apply->unsettled |= *done > 0;
    *(remove ? &pass->result->removed : &pass->result->set) += *done;
    return error;
}

static void write_items(struct pass *pass, enum table table, bool remove)
{
    for (size_t first = 0; first < pass->count;) {
        size_t left = pass->count - first, done;
        int error = write_batch(pass, table, first, left < BACKEND_BATCH ? left : BACKEND_BATCH,
                                remove, &done);
        char text[RECORD_TEXT_LIMIT];

        first += done;
        if (!error)
            continue;
        if (error_is_full(error) && !remove) {
            pass->full++;
            pass->full_table = table;
            return;
        }
        snprintf(text, sizeof(text), "%zu entries of the map %s cannot be %s: %s",
                 pass->count - first, table_shapes[table].name, remove ? "removed" : "written",
                 strerror(-error));
        result_note(pass->result, error, text);
        return;
    }
}

/* Longest prefix first. */
static int routes_compare(const void *a, const void *b)
{
    const struct route_key *first = (const void *)(*(struct entry *const *)a)->key;
    const struct route_key *second = (const void *)(*(struct entry *const *)b)->key;

    return (first->prefix_length < second->prefix_length) -
           (first->prefix_length > second->prefix_length);
}

static int routes_compare_reverse(const void *a, const void *b)
{
    return routes_compare(b, a);
}

/* --- sets
 * ---------------------------------------------------------------------------------------*/

/* Whether an entry is a set of this step that differs from what is in the kernel. */
static bool set_is_needed(struct pass *pass, unsigned step, struct entry *entry)
{
    enum table table = apply_step_tables[step];
    const struct entries *mirror = &pass->apply->mirror[table];
    const struct entry *old;

    if (entry->state != ENTRY_SET || entry_step(table, entry) != step)
        return false;
    old = entries_find(mirror, entry->key);
    if (!old || memcmp(entry_value(mirror, (struct entry *)old),
                       entry_value(&pass->apply->pending[table], entry), mirror->value_size) != 0)
        return true;
    entry->state = ENTRY_DONE;
    return false;
}

/* Finds the sets of a step. Where one route of a profile has to wait, its shorter prefixes wait as
 * well, or they would be seen in its place; `blocked` are those profiles. */
static int sets_collect(struct pass *pass, unsigned step)
{
    enum table table = apply_step_tables[step];
    const struct entries *pending = &pass->apply->pending[table];
    size_t cursor = 0;
    struct entry *entry;

    pass->count = 0;
    while ((entry = entries_next(pending, &cursor))) {
        if (!set_is_needed(pass, step, entry))
            continue;
        if (pass_set_is_allowed(pass, table, entry_value(pending, entry))) {
            pass->items[pass->count++] = entry;
        } else if (step == STEP_PROFILES) {
            uint32_t profile = route_profile((const void *)entry->key);

            if (entries_put(&pass->blocked, &profile, NULL, ENTRY_SET) < 0)
                return -ENOMEM;
        }
    }
    return 0;
}

/* Leaves those sets, in their order, for which the map has room. */
static int sets_fit(struct pass *pass, unsigned step)
{
    enum table table = apply_step_tables[step];
    const struct entries *mirror = &pass->apply->mirror[table];
    size_t capacity = pass->apply->backend->capacity(pass->apply->backend, table);
    size_t room = capacity > mirror->count ? capacity - mirror->count : 0;
    size_t kept = 0;

    for (size_t i = 0; i < pass->count; i++) {
        struct entry *entry = pass->items[i];
        uint32_t profile = step == STEP_PROFILES ? route_profile((const void *)entry->key) : 0;
        bool fresh = !entries_find(mirror, entry->key);

        if (step == STEP_PROFILES && entries_find(&pass->blocked, &profile))
            continue;
        if (!fresh || room > 0) {
            room -= fresh;
            pass->items[kept++] = entry;
            continue;
        }
        pass->full++;
        pass->full_table = table;
        if (step == STEP_PROFILES && entries_put(&pass->blocked, &profile, NULL, ENTRY_SET) < 0)
            return -ENOMEM;
    }
    pass->count = kept;
    return 0;
}

/* --- removals
 * ------------------------------------------------------------------------------------*/

static void removals_collect(struct pass *pass, unsigned step)
{
    enum table table = apply_step_tables[step];
    struct entries *mirror = &pass->apply->mirror[table], *pending = &pass->apply->pending[table];
    size_t cursor = 0;
    struct entry *entry;

    pass->count = 0;
    while ((entry = entries_next(pending, &cursor))) {
        if (entry->state != ENTRY_REMOVE || entry_step(table, entry) != step)
            continue;
        if (!entries_find(mirror, entry->key))
            entry->state = ENTRY_DONE;
        else if (pass_removal_is_allowed(pass, step, entry->key))
            pass->items[pass->count++] = entry;
    }
}

/* --- the whole ---------------------------------------------------------------------------------*/

static int pass_sets(struct pass *pass)
{
    for (unsigned step = 0; step < TABLE_STEPS; step++) {
        enum table table = apply_step_tables[step];
        int error = 0;

        if (pass->apply->pending[table].count == 0)
            continue;
        if (table == TABLE_ENDPOINTS)
            error = pass_find_incomplete(pass);
        if (!error)
            error = sets_collect(pass, step);
        if (!error && table == TABLE_ROUTES)
            qsort(pass->items, pass->count, sizeof(pass->items[0]), routes_compare);
        if (!error)
            error = sets_fit(pass, step);
        if (error)
            return error;
        write_items(pass, table, false);
    }
    return 0;
}

static void pass_settle(struct pass *pass)
{
    if (!pass->apply->unsettled)
        return;
    pass->apply->backend->settle(pass->apply->backend);
    pass->apply->unsettled = false;
}

static int pass_removals(struct pass *pass)
{
    int error = pass_find_incomplete(pass);

    for (unsigned step = TABLE_STEPS; !error && step-- > TABLE_SETTINGS + 1;) {
        enum table table = apply_step_tables[step];
        bool referred_to = true; /* by other entries */

        if (pass->apply->pending[table].count == 0)
            continue;
        if (step == STEP_PROFILES)
            error = pass_find_in_use(pass);
        else if (table == TABLE_GATEWAYS)
            error = pass_find_referenced_groups(pass);
        else if (table == TABLE_NODES)
            error = pass_find_referenced_nodes(pass);
        else
            referred_to = false;
        if (error)
            break;
        removals_collect(pass, step);
        if (table == TABLE_ROUTES)
            qsort(pass->items, pass->count, sizeof(pass->items[0]), routes_compare_reverse);
        if (pass->count > 0 && referred_to)
            pass_settle(pass);
        write_items(pass, table, true);
    }
    return error;
}

static int pass_run(struct pass *pass)
{
    int error;

    pass->full = 0;
    pass->groups = ENTRIES(sizeof(struct gateway_key), sizeof(uint32_t));
    pass->blocked = ENTRIES(sizeof(uint32_t), 0);
    pass->incomplete = ENTRIES(sizeof(uint32_t), 0);
    pass->in_use = ENTRIES(sizeof(uint32_t), 0);
    pass->referenced = ENTRIES(sizeof(uint32_t), 0);
    error = pass_sets(pass);
    if (!error)
        error = pass_removals(pass);
    entries_release(&pass->groups);
    entries_release(&pass->blocked);
    entries_release(&pass->incomplete);
    entries_release(&pass->in_use);
    entries_release(&pass->referenced);
    return error;
}

static void result_note_full(struct pass *pass)
{
    size_t capacity = pass->apply->backend->capacity(pass->apply->backend, pass->full_table);
    const char *name = table_shapes[pass->full_table].name;
    char text[RECORD_TEXT_LIMIT];

    if (pass->full_table == TABLE_ENDPOINTS || pass->full_table == TABLE_ROUTES)
        snprintf(text, sizeof(text),
                 "the map %s is full: %zu entries found no room, limits.%s is %zu; raise it, then "
                 "egressgw-loader --detach and start again",
                 name, pass->full, name, capacity);
    else
        snprintf(text, sizeof(text), "the map %s is full: %zu entries found no room, it holds %zu",
                 name, pass->full, capacity);
    result_note(pass->result, -E2BIG, text);
}

int apply_write(struct apply *apply, struct apply_result *result)
{
    struct pass pass = {.apply = apply, .result = result};
    size_t most = 0, removed;
    int error;

    for (unsigned table = 0; table < TABLES; table++)
        most = apply->pending[table].count > most ? apply->pending[table].count : most;
    pass.items = calloc(most + 1, sizeof(pass.items[0]));
    error = pass.items ? pass_run(&pass) : -ENOMEM;
    removed = result->removed;
    /* Removals come last, so a full map may have room only now. */
    if (!error && pass.full && removed)
        error = pass_run(&pass);
    if (pass.full)
        result_note_full(&pass);
    if (error)
        result_note(result, error, "no memory to bring the tables into the kernel");
    free(pass.items);
    for (unsigned table = 0; table < TABLES; table++) {
        entries_compact(&apply->pending[table]);
        result->held += apply->pending[table].count;
    }
    if (result->held && !result->error)
        result_note(result, -EAGAIN, "entries wait for others that are not in the kernel");
    return result->error;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Brings pending changes into the kernel.
 *
 * Within the routes of a profile, longer prefixes are set first and shorter ones are removed
 * first: whichever prefix a packet matches on the way from the old state to the new one, it is the
 * one of the old or the one of the new state, never a third.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "loader/apply.h"

/* The table of each step of table_entry_step(). */
static const enum table step_tables[TABLE_STEPS] = {TABLE_SETTINGS, TABLE_NODES,  TABLE_GATEWAYS,
                                                    TABLE_ROUTES,   TABLE_ROUTES, TABLE_ENDPOINTS,
                                                    TABLE_ROUTES};

/* The step of the routes that endpoints use. */
enum { STEP_PROFILES = 4 };

struct pass {
    struct apply *apply;
    struct apply_result *result;
    struct entry **items; /* of the step */
    size_t count;
    struct entries groups;     /* (group, slots) -> 1 whole, 0 not; filled when asked for */
    struct entries blocked;    /* profiles with a route that has to wait */
    struct entries incomplete; /* profiles with routes that could not be set */
    struct entries in_use;     /* profiles of endpoints that could not be moved away from them */
    struct entries referenced; /* what the entries one table up refer to */
    size_t full;               /* sets that found no room */
    enum table full_table;
};

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

static uint32_t route_profile(const struct route_key *key)
{
    return ntohl(key->scope_be) & ~ROUTE_SCOPE_IPV6;
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
        int unlikely = mirror_update(mirror, entry, entry_value(pending, entry), remove);

        if (unlikely)
            return unlikely;
        entry->state = ENTRY_DONE;
    }
    apply->written += *done;
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

/* --- what a set waits for ----------------------------------------------------------------------*/

static bool group_is_whole(struct pass *pass, const struct route *route)
{
    const struct entries *gateways = &pass->apply->mirror[TABLE_GATEWAYS];
    struct gateway_key known = {route->group, route->slots};
    struct entry *entry = entries_find(&pass->groups, &known);
    uint32_t whole = 1;

    if (entry) {
        memcpy(&whole, entry_value(&pass->groups, entry), sizeof(whole));
        return whole;
    }
    for (uint32_t slot = 0; slot < route->slots && whole; slot++) {
        struct gateway_key key = {route->group, slot};

        whole = (uint32_t)entries_has(gateways, &key);
    }
    /* Without memory the answer is right all the same, it is only not remembered. */
    if (entries_put(&pass->groups, &known, &whole, ENTRY_SET) < 0)
        return whole;
    return whole;
}

/* Whether everything that the value refers to is in the kernel. */
static bool set_is_allowed(struct pass *pass, enum table table, const void *value)
{
    const struct gateway *gateway = value;
    const struct endpoint *endpoint = value;
    const struct route *route = value;

    switch (table) {
    case TABLE_GATEWAYS:
        return entries_has(&pass->apply->mirror[TABLE_NODES], &gateway->node);
    case TABLE_ROUTES:
        return route->action != ROUTE_GATEWAY || group_is_whole(pass, route);
    case TABLE_ENDPOINTS:
        return !entries_has(&pass->incomplete, &endpoint->profile);
    default:
        return true;
    }
}

/* Whether an entry is a set of this step that differs from what is in the kernel. */
static bool set_is_needed(struct pass *pass, unsigned step, struct entry *entry)
{
    enum table table = step_tables[step];
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
    enum table table = step_tables[step];
    const struct entries *pending = &pass->apply->pending[table];
    size_t cursor = 0;
    struct entry *entry;

    pass->count = 0;
    while ((entry = entries_next(pending, &cursor))) {
        if (!set_is_needed(pass, step, entry))
            continue;
        if (set_is_allowed(pass, table, entry_value(pending, entry))) {
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
    enum table table = step_tables[step];
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

/* --- what a removal waits for ------------------------------------------------------------------*/

/* Profiles that must keep their routes: those of endpoints that could not be given another. */
static int endpoints_find_in_use(struct pass *pass)
{
    const struct entries *mirror = &pass->apply->mirror[TABLE_ENDPOINTS];
    size_t cursor = 0;
    struct entry *entry;

    while ((entry = entries_next(&pass->apply->pending[TABLE_ENDPOINTS], &cursor))) {
        struct entry *old = entry->state == ENTRY_DONE ? NULL : entries_find(mirror, entry->key);
        const struct endpoint *endpoint = old ? entry_value(mirror, old) : NULL;

        if (endpoint && entries_put(&pass->in_use, &endpoint->profile, NULL, ENTRY_SET) < 0)
            return -ENOMEM;
    }
    return 0;
}

static int routes_find_incomplete(struct pass *pass)
{
    size_t cursor = 0;
    struct entry *entry;

    while ((entry = entries_next(&pass->apply->pending[TABLE_ROUTES], &cursor))) {
        uint32_t profile = route_profile((const void *)entry->key);

        if (entry->state == ENTRY_SET && profile >= PROFILE_FIRST &&
            entries_put(&pass->incomplete, &profile, NULL, ENTRY_SET) < 0)
            return -ENOMEM;
    }
    return 0;
}

/* Slots of groups that routes in the kernel use: group -> the largest number of slots. */
static int routes_find_referenced(struct pass *pass)
{
    const struct entries *routes = &pass->apply->mirror[TABLE_ROUTES];
    size_t cursor = 0;
    struct entry *entry;

    entries_release(&pass->referenced);
    pass->referenced = ENTRIES(sizeof(uint32_t), sizeof(uint32_t));
    while ((entry = entries_next(routes, &cursor))) {
        const struct route *route = entry_value(routes, entry);
        uint32_t slots = route->slots;
        struct entry *known;

        if (route->action != ROUTE_GATEWAY)
            continue;
        known = entries_find(&pass->referenced, &route->group);
        if (known && *(uint32_t *)entry_value(&pass->referenced, known) >= slots)
            continue;
        if (entries_put(&pass->referenced, &route->group, &slots, ENTRY_SET) < 0)
            return -ENOMEM;
    }
    return 0;
}

/* Nodes that gateways in the kernel use. */
static int gateways_find_referenced(struct pass *pass)
{
    const struct entries *gateways = &pass->apply->mirror[TABLE_GATEWAYS];
    size_t cursor = 0;
    struct entry *entry;

    entries_release(&pass->referenced);
    pass->referenced = ENTRIES(sizeof(struct ip_addr), 0);
    while ((entry = entries_next(gateways, &cursor))) {
        const struct gateway *gateway = entry_value(gateways, entry);

        if (entries_put(&pass->referenced, &gateway->node, NULL, ENTRY_SET) < 0)
            return -ENOMEM;
    }
    return 0;
}

static bool removal_is_allowed(struct pass *pass, unsigned step, const void *key)
{
    const struct gateway_key *gateway = key;
    struct entry *entry;
    uint32_t profile;

    switch (step_tables[step]) {
    case TABLE_SETTINGS:
        return false;
    case TABLE_NODES:
        return !entries_find(&pass->referenced, key);
    case TABLE_GATEWAYS:
        entry = entries_find(&pass->referenced, &gateway->group);
        return !entry || gateway->slot >= *(uint32_t *)entry_value(&pass->referenced, entry);
    case TABLE_ROUTES:
        profile = route_profile(key);
        return !entries_find(&pass->incomplete, &profile) && !entries_find(&pass->in_use, &profile);
    default:
        return true;
    }
}

static void removals_collect(struct pass *pass, unsigned step)
{
    enum table table = step_tables[step];
    struct entries *mirror = &pass->apply->mirror[table], *pending = &pass->apply->pending[table];
    size_t cursor = 0;
    struct entry *entry;

    pass->count = 0;
    while ((entry = entries_next(pending, &cursor))) {
        if (entry->state != ENTRY_REMOVE || entry_step(table, entry) != step)
            continue;
        if (!entries_find(mirror, entry->key))
            entry->state = ENTRY_DONE;
        else if (removal_is_allowed(pass, step, entry->key))
            pass->items[pass->count++] = entry;
    }
}

/* --- the whole ---------------------------------------------------------------------------------*/

static int pass_sets(struct pass *pass)
{
    for (unsigned step = 0; step < TABLE_STEPS; step++) {
        enum table table = step_tables[step];
        int error = 0;

        if (pass->apply->pending[table].count == 0)
            continue;
        if (table == TABLE_ENDPOINTS)
            error = routes_find_incomplete(pass);
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

static int pass_removals(struct pass *pass)
{
    int error = routes_find_incomplete(pass);

    for (unsigned step = TABLE_STEPS; !error && step-- > TABLE_SETTINGS + 1;) {
        enum table table = step_tables[step];

        if (pass->apply->pending[table].count == 0)
            continue;
        if (step == STEP_PROFILES)
            error = endpoints_find_in_use(pass);
        else if (table == TABLE_GATEWAYS)
            error = routes_find_referenced(pass);
        else if (table == TABLE_NODES)
            error = gateways_find_referenced(pass);
        if (error)
            break;
        removals_collect(pass, step);
        if (table == TABLE_ROUTES)
            qsort(pass->items, pass->count, sizeof(pass->items[0]), routes_compare_reverse);
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

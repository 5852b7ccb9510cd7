/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a generation holds together: each reference between tables must lead somewhere in the
 * state that will be there when the generation is in the kernel.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "loader/apply.h"

enum { LAYERS = 3 };

/* The state after the generation: the stage, above what is pending, above what is in the kernel.
 * A snapshot is the stage alone. */
struct view {
    const struct apply *apply;
    unsigned layers;
};

static const struct entries *view_layer(const struct view *view, unsigned layer, unsigned table)
{
    switch (layer) {
    case 0:
        return &view->apply->stage[table];
    case 1:
        return &view->apply->pending[table];
    default:
        return &view->apply->mirror[table];
    }
}

static bool view_has(const struct view *view, unsigned table, const void *key)
{
    for (unsigned layer = 0; layer < view->layers; layer++) {
        const struct entry *entry = entries_find(view_layer(view, layer, table), key);

        if (entry && entry->state != ENTRY_DONE)
            return entry->state == ENTRY_SET;
    }
    return false;
}

/* Whether a layer above has its own word on this key. */
static bool view_covered(const struct view *view, unsigned below, unsigned table, const void *key)
{
    for (unsigned layer = 0; layer < below; layer++) {
        const struct entry *entry = entries_find(view_layer(view, layer, table), key);

        if (entry && entry->state != ENTRY_DONE)
            return true;
    }
    return false;
}

_format_(3, 4) static int refuse(char *text, size_t size, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, size, format, arguments);
    va_end(arguments);
    return -EINVAL;
}

struct check {
    struct view view;
    struct entries groups; /* (group, slots) that are known to be whole */
    char *text;
    size_t size;
};

static int check_gateway(struct check *check, const void *key, const void *value)
{
    const struct gateway_key *gateway_key = key;
    const struct gateway *gateway = value;
    char node[ADDRESS_TEXT_SIZE];

    if (view_has(&check->view, TABLE_NODES, &gateway->node))
        return 0;
    return refuse(check->text, check->size, "gateway group %u slot %u refers to unknown node %s",
                  gateway_key->group, gateway_key->slot, address_format(&gateway->node, node));
}

static int check_route(struct check *check, const void *key, const void *value)
{
    const struct route *route = value;
    struct gateway_key whole = {route->group, route->slots};
    char text[PREFIX_TEXT_SIZE];
    struct ip_prefix prefix;
    uint32_t profile;

    if (route->action != ROUTE_GATEWAY || entries_find(&check->groups, &whole))
        return 0;
    if (route_key_read(key, &profile, &prefix) < 0)
        return refuse(check->text, check->size, "a route whose key is no prefix");
    for (uint32_t slot = 0; slot < route->slots; slot++) {
        struct gateway_key gateway = {route->group, slot};

        if (!view_has(&check->view, TABLE_GATEWAYS, &gateway))
            return refuse(check->text, check->size,
                          "route %s of profile %u refers to gateway group %u, which lacks slot %u "
                          "of %u",
                          prefix_format(&prefix, text), profile, route->group, slot, route->slots);
    }
    return entries_put(&check->groups, &whole, NULL, ENTRY_SET);
}

/* Looks at the references of a table's entries: of the staged ones, or (where something that is
 * referred to is taken away) of all that will be there. */
static int check_table(struct check *check, unsigned table, bool all,
                       int (*handle)(struct check *, const void *, const void *))
{
    unsigned layers = all ? check->view.layers : 1;

    for (unsigned layer = 0; layer < layers; layer++) {
        const struct entries *entries = view_layer(&check->view, layer, table);
        size_t cursor = 0;
        struct entry *entry;

        while ((entry = entries_next(entries, &cursor))) {
            int error;

            if (entry->state != ENTRY_SET || view_covered(&check->view, layer, table, entry->key))
                continue;
            error = handle(check, entry->key, entry_value(entries, entry));
            if (error)
                return error;
        }
    }
    return 0;
}

static bool stage_removes(const struct apply *apply, unsigned table)
{
    size_t cursor = 0;
    const struct entry *entry;

    while ((entry = entries_next(&apply->stage[table], &cursor))) {
        if (entry->state == ENTRY_REMOVE)
            return true;
    }
    return false;
}

int apply_check(const struct apply *apply, char *text, size_t size)
{
    struct check check = {
        .view = {apply, apply->snapshot ? 1 : LAYERS},
        .groups = ENTRIES(sizeof(struct gateway_key), 0),
        .text = text,
        .size = size,
    };
    int error;

    error = check_table(&check, TABLE_GATEWAYS, stage_removes(apply, TABLE_NODES), check_gateway);
    if (!error)
        error =
            check_table(&check, TABLE_ROUTES, stage_removes(apply, TABLE_GATEWAYS), check_route);
    entries_release(&check.groups);
    return error;
}

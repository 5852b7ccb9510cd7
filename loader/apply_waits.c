/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What has to wait while tables are written: sets that refer to something that is not in the kernel
 * yet, and removals of something that the kernel still refers to.
 */
#include <errno.h>
#include <string.h>

#include "loader/apply_pass.h"

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
bool pass_set_is_allowed(struct pass *pass, enum table table, const void *value)
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

/* Profiles that must keep their routes: those of endpoints that could not be given another. */
int pass_find_in_use(struct pass *pass)
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

int pass_find_incomplete(struct pass *pass)
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
int pass_find_referenced_groups(struct pass *pass)
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
int pass_find_referenced_nodes(struct pass *pass)
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

bool pass_removal_is_allowed(struct pass *pass, unsigned step, const void *key)
{
    const struct gateway_key *gateway = key;
    struct entry *entry;
    uint32_t profile;

    switch (apply_step_tables[step]) {
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

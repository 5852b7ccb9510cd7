/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/planner_expand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "planner/desired.h"
#include "planner/memory.h"
#include "planner/state.h"

/* What stands behind a number. */
struct meaning {
    uint32_t number;
    bool used;
    struct lines routes;   /* of a profile */
    struct gateway *slots; /* of a group */
    size_t slot_count;
    char *text;
};

struct meanings {
    struct meaning *items;
    size_t count;
};

void expansion_add(struct expansion *expansion, const struct table_entry *entry)
{
    if (expansion->count == expansion->capacity) {
        expansion->capacity = expansion->capacity ? expansion->capacity * 2 : 64;
        expansion->items = memory_resize(expansion->items, expansion->capacity, sizeof(*entry));
    }
    expansion->items[expansion->count++] = *entry;
}

void expansion_clear(struct expansion *expansion)
{
    free(expansion->items);
    *expansion = (struct expansion){0};
}

void expansion_collect(const struct desired *desired, struct expansion *expansion)
{
    struct desired_cursor cursor = {0};
    struct table_entry entry;

    while (desired_next(desired, &cursor, &entry))
        expansion_add(expansion, &entry);
}

static struct meaning *meaning_find(const struct meanings *meanings, uint32_t number)
{
    for (size_t i = 0; i < meanings->count; i++)
        if (meanings->items[i].number == number)
            return &meanings->items[i];
    return NULL;
}

static struct meaning *meaning_of(struct meanings *meanings, uint32_t number)
{
    struct meaning *meaning = meaning_find(meanings, number);

    if (meaning)
        return meaning;
    meanings->items = memory_resize(meanings->items, meanings->count + 1, sizeof(*meanings->items));
    meaning = &meanings->items[meanings->count++];
    *meaning = (struct meaning){.number = number};
    return meaning;
}

static void meanings_clear(struct meanings *meanings)
{
    for (size_t i = 0; i < meanings->count; i++) {
        lines_clear(&meanings->items[i].routes);
        free(meanings->items[i].slots);
        free(meanings->items[i].text);
    }
    free(meanings->items);
}

static void groups_collect(const struct expansion *expansion, struct meanings *groups,
                           struct lines *lines)
{
    for (size_t i = 0; i < expansion->count; i++) {
        const struct table_entry *entry = &expansion->items[i];
        struct meaning *group;

        if (entry->table != TABLE_GATEWAYS)
            continue;
        group = meaning_of(groups, entry->key.gateway.group);
        if (!group->slots)
            group->slots = memory_new(GATEWAY_SLOTS, sizeof(*group->slots));
        group->slots[entry->key.gateway.slot] = entry->value.gateway;
        group->slot_count++;
    }
    for (size_t i = 0; i < groups->count; i++) {
        struct meaning *group = &groups->items[i];

        assert_true(group->slot_count == 1 || group->slot_count == GATEWAY_SLOTS);
        group->text = lines_group(group->slots, group->slot_count);
        lines_add(lines, "group %s", group->text);
    }
}

static const char *policy_name(const struct plan *plan, uint32_t number, char *buffer, size_t size)
{
    const struct plan_policy *policy;

    assert_in_range(number, 1, plan->policy_numbers.count);
    policy = plan->policy_numbers.items[number - 1];
    assert_non_null(policy);
    snprintf(buffer, size, "%.*s", TEXT_ARG(strings_text(&plan->strings, policy->name)));
    return buffer;
}

static void route_expand(const struct table_entry *entry, const struct plan *plan,
                         const struct meanings *groups, struct meanings *profiles,
                         struct lines *lines)
{
    const struct route *route = &entry->value.route;
    const char *group_text = "";
    struct ip_prefix prefix;
    uint32_t profile;
    char name[LIMIT_NAME + 1];

    assert_int_equal(route_key_read(&entry->key.route, &profile, &prefix), 0);
    if (profile < PROFILE_FIRST) {
        lines_add_range(lines, profile, &prefix, route->action);
        return;
    }
    if (route->action == ROUTE_GATEWAY) {
        const struct meaning *group = meaning_find(groups, route->group);

        assert_non_null(group);
        assert_int_equal(route->slots, group->slot_count);
        group_text = group->text;
    }
    lines_add_route(&meaning_of(profiles, profile)->routes, &prefix, route->action,
                    policy_name(plan, route->policy, name, sizeof(name)), group_text);
}

static void profiles_collect(const struct expansion *expansion, const struct plan *plan,
                             const struct meanings *groups, struct meanings *profiles,
                             struct lines *lines)
{
    for (size_t i = 0; i < expansion->count; i++)
        if (expansion->items[i].table == TABLE_ROUTES)
            route_expand(&expansion->items[i], plan, groups, profiles, lines);
    for (size_t i = 0; i < profiles->count; i++) {
        lines_sort(&profiles->items[i].routes);
        profiles->items[i].text = lines_join(&profiles->items[i].routes);
    }
}

static void endpoint_expand(const struct table_entry *entry, struct meanings *profiles,
                            struct lines *lines)
{
    const struct endpoint *endpoint = &entry->value.endpoint;
    struct meaning *profile = meaning_find(profiles, endpoint->profile);

    /* A profile without routes has no destinations. */
    if (profile)
        profile->used = true;
    lines_add_endpoint(lines, &entry->key.address, endpoint,
                       endpoint->profile == PROFILE_NONE ? "none"
                       : profile                         ? profile->text
                                                         : "");
}

static void entry_expand(const struct table_entry *entry, const struct plan *plan,
                         struct meanings *profiles, struct lines *lines)
{
    char name[POLICY_NAME_SIZE];

    if (entry->table == TABLE_POLICIES) {
        assert_string_equal(entry->value.policy.text,
                            policy_name(plan, entry->key.policy, name, sizeof(name)));
        lines_add(lines, "policy %s", entry->value.policy.text);
    } else if (entry->table == TABLE_NODES)
        lines_add_node(lines, &entry->key.address, entry->value.node.flags);
    else if (entry->table == TABLE_SETTINGS)
        lines_add_settings(lines, &entry->value.settings);
    else if (entry->table == TABLE_ENDPOINTS)
        endpoint_expand(entry, profiles, lines);
}

void expansion_write(const struct expansion *expansion, const struct plan *plan,
                     struct lines *lines)
{
    struct meanings groups = {0}, profiles = {0};

    for (size_t i = 0; i < expansion->count; i++) {
        const char *why = "";

        if (table_entry_check(&expansion->items[i], &why) < 0)
            fail_msg("%s", why);
    }
    groups_collect(expansion, &groups, lines);
    profiles_collect(expansion, plan, &groups, &profiles, lines);
    for (size_t i = 0; i < expansion->count; i++)
        entry_expand(&expansion->items[i], plan, &profiles, lines);
    for (size_t i = 0; i < profiles.count; i++)
        assert_true(profiles.items[i].used);
    lines_sort(lines);
    meanings_clear(&groups);
    meanings_clear(&profiles);
}

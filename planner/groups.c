/* SPDX-License-Identifier: Apache-2.0 */
#include "planner/groups.h"

#include "planner/nodes.h"
#include "planner/numbers.h"
#include "planner/slots.h"

enum { GROUP_FIRST = 1, GROUP_LIMIT = 1 << 30 };

struct group_key {
    const struct gateway *entries;
    const uint64_t *identities;
    uint32_t count;
};

static bool group_equal(const void *item, const void *key)
{
    const struct group *group = item;
    const struct group_key *wanted = key;

    return group->entry_count == wanted->count &&
           memcmp(group->entries, wanted->entries, wanted->count * sizeof(struct gateway)) == 0 &&
           memcmp(group->identities, wanted->identities, wanted->count * sizeof(uint64_t)) == 0;
}

static bool group_number_equal(const void *item, const void *key)
{
    return ((const struct group *)item)->number == *(const uint32_t *)key;
}

void groups_init(struct plan *plan)
{
    plan->groups = HASH_TABLE(group_equal);
    plan->group_numbers = HASH_TABLE(group_number_equal);
    TAILQ_INIT(&plan->groups_retired);
}

void groups_clear(struct plan *plan)
{
    hash_clear(&plan->group_numbers, NULL);
    hash_clear(&plan->groups, free);
}

static bool gateway_in_use(const struct gateway *gateway)
{
    return !ip_addr_is_none(&gateway->node);
}

static struct group *group_new(struct plan *plan, const struct group_key *key, uint64_t hash)
{
    struct group *group =
        memory_new(1, sizeof(*group) +
                          key->count * (sizeof(group->entries[0]) + sizeof(group->identities[0])));

    group->hash = hash;
    group->entry_count = key->count;
    group->slots = key->count == 1 ? 1 : GATEWAY_SLOTS;
    memcpy(group->entries, key->entries, key->count * sizeof(group->entries[0]));
    group->identities = (uint64_t *)(group->entries + key->count);
    memcpy(group->identities, key->identities, key->count * sizeof(group->identities[0]));
    group->number = number_choose(&plan->group_numbers, hash, GROUP_FIRST, GROUP_LIMIT);
    memory_hash_add(&plan->groups, hash, group);
    memory_hash_add(&plan->group_numbers, stable_hash_mix(group->number), group);
    return group;
}

static void group_free(struct plan *plan, struct group *group)
{
    struct group_key key = {group->entries, group->identities, group->entry_count};

    hash_remove(&plan->groups, group->hash, &key);
    hash_remove(&plan->group_numbers, stable_hash_mix(group->number), &group->number);
    free(group);
}

static void group_count_nodes(struct plan *plan, const struct group *group, int change)
{
    for (uint32_t i = 0; i < group->entry_count; i++)
        if (gateway_in_use(&group->entries[i]))
            node_address_count_group(plan, &group->entries[i].node, change);
}

/* Puts the slots into the gateways table. */
static void group_install(struct plan *plan, const struct group *group)
{
    bool in_use[LIMIT_GATEWAYS];
    uint8_t owners[GATEWAY_SLOTS] = {0};

    for (uint32_t i = 0; i < group->entry_count; i++)
        in_use[i] = gateway_in_use(&group->entries[i]);
    if (group->slots > 1)
        slots_fill(group->entry_count, group->identities, in_use, owners);
    for (uint32_t slot = 0; slot < group->slots; slot++) {
        union table_key key = {.gateway = {group->number, slot}};
        union table_value value = {.gateway = group->entries[owners[slot]]};

        desired_set(&plan->desired, TABLE_GATEWAYS, &key, &value);
    }
    group_count_nodes(plan, group, 1);
}

static void group_uninstall(struct plan *plan, const struct group *group)
{
    for (uint32_t slot = 0; slot < group->slots; slot++) {
        union table_key key = {.gateway = {group->number, slot}};

        desired_remove(&plan->desired, TABLE_GATEWAYS, &key);
    }
    group_count_nodes(plan, group, -1);
}

static uint64_t group_key_hash(const struct group_key *key)
{
    uint64_t hash =
        stable_hash_bytes(STABLE_HASH_START, key->entries, key->count * sizeof(struct gateway));

    return stable_hash_mix(stable_hash_bytes(hash, key->identities, key->count * sizeof(uint64_t)));
}

struct group *group_acquire(struct plan *plan, const struct gateway *entries,
                            const uint64_t *identities, uint32_t count)
{
    static const uint64_t alone = 0; /* who has all slots needs no identity */
    struct group_key key = {entries, identities, count};
    uint32_t used = 0, last_used = 0;
    struct group *group;
    uint64_t hash;

    for (uint32_t i = 0; i < count; i++)
        if (gateway_in_use(&entries[i])) {
            used++;
            last_used = i;
        }
    if (used == 0)
        return NULL;
    if (used == 1)
        key = (struct group_key){&entries[last_used], &alone, 1};
    hash = group_key_hash(&key);
    group = hash_find(&plan->groups, hash, &key);
    if (!group)
        group = group_new(plan, &key, hash);
    else if (group->retired)
        TAILQ_REMOVE(&plan->groups_retired, group, idle);
    group->retired = 0;
    if (group->uses++ == 0)
        group_install(plan, group);
    return group;
}

void group_release(struct plan *plan, struct group *group)
{
    if (!group || --group->uses > 0)
        return;
    group_uninstall(plan, group);
    group->retired = plan->generation;
    TAILQ_INSERT_TAIL(&plan->groups_retired, group, idle);
}

void groups_settle(struct plan *plan, uint64_t generation)
{
    struct group *group;

    while ((group = TAILQ_FIRST(&plan->groups_retired)) && group->retired <= generation) {
        TAILQ_REMOVE(&plan->groups_retired, group, idle);
        group_free(plan, group);
    }
}

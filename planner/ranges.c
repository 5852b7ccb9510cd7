/* SPDX-License-Identifier: Apache-2.0 */
#include "planner/ranges.h"

struct range {
    struct route_key key;
    uint32_t count;
};

static bool range_equal(const void *item, const void *key)
{
    return memcmp(&((const struct range *)item)->key, key, sizeof(struct route_key)) == 0;
}

void ranges_init(struct ranges *ranges, uint32_t profile, enum route_action action)
{
    *ranges = (struct ranges){profile, action, HASH_TABLE(range_equal)};
}

void ranges_clear(struct ranges *ranges)
{
    hash_clear(&ranges->prefixes, free);
}

static void ranges_add(struct plan *plan, struct ranges *ranges, const union table_key *key)
{
    uint64_t hash = hash_bytes(&key->route, sizeof(key->route));
    struct range *range = hash_find(&ranges->prefixes, hash, &key->route);
    union table_value value = {.route = {.action = ranges->action}};

    if (!range) {
        range = memory_new(1, sizeof(*range));
        range->key = key->route;
        memory_hash_add(&ranges->prefixes, hash, range);
        desired_set(&plan->desired, TABLE_ROUTES, key, &value);
    }
    range->count++;
}

static void ranges_remove(struct plan *plan, struct ranges *ranges, const union table_key *key)
{
    uint64_t hash = hash_bytes(&key->route, sizeof(key->route));
    struct range *range = hash_find(&ranges->prefixes, hash, &key->route);

    if (--range->count > 0)
        return;
    hash_remove(&ranges->prefixes, hash, &key->route);
    free(range);
    desired_remove(&plan->desired, TABLE_ROUTES, key);
}

void ranges_count(struct plan *plan, struct ranges *ranges, const struct ip_prefix *prefixes,
                  size_t count, int change)
{
    for (size_t i = 0; i < count; i++) {
        union table_key key = {.route = route_key_make(ranges->profile, &prefixes[i])};

        if (change > 0)
            ranges_add(plan, ranges, &key);
        else
            ranges_remove(plan, ranges, &key);
    }
}

void ranges_count_addresses(struct plan *plan, struct ranges *ranges,
                            const struct ip_addr *addresses, size_t count, int change)
{
    for (size_t i = 0; i < count; i++) {
        struct ip_prefix prefix = {addresses[i], (uint8_t)address_bits(&addresses[i])};

        ranges_count(plan, ranges, &prefix, 1, change);
    }
}

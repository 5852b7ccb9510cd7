/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/planner_world.h"

#include <stdio.h>

#include "planner/memory.h"
#include "planner/selector.h"
#include "planner/stable_hash.h"

const unsigned world_counts[KINDS] = {
    [KIND_POLICY] = 8, [KIND_POD] = 24, [KIND_NAMESPACE] = 3, [KIND_NODE] = 5, [KIND_LINK] = 3,
};

uint32_t world_random(struct world *world, uint32_t limit)
{
    world->random += 0x9e3779b97f4a7c15ULL;
    return (uint32_t)(stable_hash_mix(world->random) >> 32) % limit;
}

static bool chance(struct world *world, uint32_t percent)
{
    return world_random(world, 100) < percent;
}

#define PICK(world, list) ((list)[world_random(world, ARRAY_SIZE(list))])

static struct text named(struct arena *arena, const char *prefix, unsigned number)
{
    char name[32];
    struct text text = {name, (size_t)snprintf(name, sizeof(name), "%s-%u", prefix, number)};

    return arena_text(arena, text);
}

static struct ip_addr address_of(const char *text)
{
    struct ip_addr address;

    if (address_parse(text_of(text), &address) < 0)
        abort();
    return address;
}

static struct ip_prefix prefix_of(const char *text)
{
    struct ip_prefix prefix;

    if (prefix_parse(text_of(text), &prefix) < 0)
        abort();
    return prefix;
}

static const char *const values[] = {"a", "b", "c"};

/* A random subset of the keys, each with a random value. */
static struct labels make_labels(struct world *world, struct arena *arena, const char *const *keys,
                                 size_t count)
{
    struct labels labels = {arena_allocate(arena, count, sizeof(struct label)), 0};

    for (size_t i = 0; i < count; i++)
        if (chance(world, 60))
            labels.items[labels.count++] =
                (struct label){text_of(keys[i]), text_of(PICK(world, values))};
    return labels;
}

static const char *const pod_keys[] = {"app", "env", "tier"};
static const char *const namespace_keys[] = {"env", "team"};
static const char *const node_keys[] = {"egress", "zone"};
static const char *const pod_selector_keys[] = {
    "app",
    "env",
    "tier",
    LABEL_NAMESPACE,
    LABEL_NAMESPACE_PREFIX "team",
    LABEL_SERVICE_ACCOUNT,
    LABEL_CLUSTER,
};

static const char *value_for(struct world *world, const char *key)
{
    static const char *const namespaces[] = {"ns-0", "ns-1", "ns-2"};
    static const char *const accounts[] = {"sa-0", "sa-1"};
    static const char *const clusters[] = {"default", "default", "other"};

    if (strcmp(key, LABEL_NAMESPACE) == 0)
        return PICK(world, namespaces);
    if (strcmp(key, LABEL_SERVICE_ACCOUNT) == 0)
        return PICK(world, accounts);
    if (strcmp(key, LABEL_CLUSTER) == 0)
        return PICK(world, clusters);
    return PICK(world, values);
}

static struct requirement make_requirement(struct world *world, struct arena *arena,
                                           const char *key)
{
    static const enum match_operator operators[] = {
        MATCH_IN, MATCH_IN, MATCH_IN, MATCH_NOT_IN, MATCH_EXISTS, MATCH_DOES_NOT_EXIST};
    struct requirement requirement = {.key = text_of(key), .match = PICK(world, operators)};

    if (requirement.match == MATCH_IN || requirement.match == MATCH_NOT_IN)
        requirement.value_count = 1 + world_random(world, 2);
    requirement.values = arena_allocate(arena, requirement.value_count, sizeof(struct text));
    for (size_t i = 0; i < requirement.value_count; i++)
        requirement.values[i] = text_of(value_for(world, key));
    return requirement;
}

static struct selector make_selector(struct world *world, struct arena *arena,
                                     const char *const *keys, size_t count)
{
    struct selector selector = {.present = true, .count = world_random(world, 3)};

    selector.requirements = arena_allocate(arena, selector.count, sizeof(selector.requirements[0]));
    for (size_t i = 0; i < selector.count; i++)
        selector.requirements[i] = make_requirement(world, arena, keys[world_random(world, count)]);
    return selector;
}

static struct ip_prefix *make_prefixes(struct world *world, struct arena *arena, size_t count)
{
    static const char *const pool[] = {"0.0.0.0/0",    "10.0.0.0/8",     "10.1.0.0/16",
                                       "192.0.2.0/24", "192.0.2.128/25", "::/0",
                                       "2001:db8::/32"};
    struct ip_prefix *prefixes = arena_allocate(arena, count, sizeof(*prefixes));

    for (size_t i = 0; i < count; i++)
        prefixes[i] = prefix_of(PICK(world, pool));
    return prefixes;
}

static void make_rules(struct world *world, struct arena *arena, struct policy *policy)
{
    policy->rule_count = 1 + world_random(world, 2);
    policy->rules = arena_allocate(arena, policy->rule_count, sizeof(policy->rules[0]));
    for (size_t i = 0; i < policy->rule_count; i++) {
        struct policy_rule *rule = &policy->rules[i];

        if (chance(world, 70))
            rule->pods =
                make_selector(world, arena, pod_selector_keys, ARRAY_SIZE(pod_selector_keys));
        if (!rule->pods.present || chance(world, 30))
            rule->namespaces =
                make_selector(world, arena, namespace_keys, ARRAY_SIZE(namespace_keys));
        if (chance(world, 20))
            rule->nodes = make_selector(world, arena, node_keys, ARRAY_SIZE(node_keys));
    }
}

static void make_gateways(struct world *world, struct arena *arena, struct policy *policy)
{
    static const char *const egress_ips[] = {"203.0.113.1", "203.0.113.9", "2001:db8:e::1"};

    policy->gateways_from_list = chance(world, 60);
    policy->gateway_count = policy->gateways_from_list ? 1 + world_random(world, 4) : 1;
    policy->gateways = arena_allocate(arena, policy->gateway_count, sizeof(policy->gateways[0]));
    for (size_t i = 0; i < policy->gateway_count; i++) {
        struct policy_gateway *gateway = &policy->gateways[i];

        gateway->nodes = make_selector(world, arena, node_keys, ARRAY_SIZE(node_keys));
        if (chance(world, 30))
            gateway->interface = named(arena, "eth", world_random(world, 4));
        else if (chance(world, 50))
            gateway->egress_ip = address_of(PICK(world, egress_ips));
    }
}

static void make_policy(struct world *world, struct arena *arena, unsigned slot,
                        struct policy *policy)
{
    policy->name = named(arena, "policy", slot);
    policy->uid = policy->name;
    policy->created = world_random(world, 3);
    make_rules(world, arena, policy);
    policy->destination_count = world_random(world, 4);
    policy->destinations = make_prefixes(world, arena, policy->destination_count);
    policy->excluded_count = world_random(world, 3);
    policy->excluded = make_prefixes(world, arena, policy->excluded_count);
    make_gateways(world, arena, policy);
}

static void make_pod(struct world *world, struct arena *arena, unsigned slot, struct pod *pod)
{
    static const char *const pool[] = {"10.244.0.1", "10.244.0.2", "10.244.0.3", "10.244.0.4",
                                       "10.244.0.5", "10.244.0.6", "10.244.0.7", "10.244.0.8",
                                       "fd00::1",    "fd00::2",    "fd00::3",    "fd00::4"};

    pod->namespace = named(arena, "ns", world_random(world, 3));
    pod->name = named(arena, "pod", slot);
    pod->uid = named(arena, "uid", slot);
    if (chance(world, 90))
        pod->node = named(arena, "node", world_random(world, 6));
    if (chance(world, 70))
        pod->service_account = named(arena, "sa", world_random(world, 2));
    pod->created = world_random(world, 3);
    pod->labels = make_labels(world, arena, pod_keys, ARRAY_SIZE(pod_keys));
    pod->address_count = world_random(world, 3);
    pod->addresses = arena_allocate(arena, pod->address_count, sizeof(struct ip_addr));
    for (size_t i = 0; i < pod->address_count; i++)
        pod->addresses[i] = address_of(PICK(world, pool));
    pod->host_network = chance(world, 5);
    pod->ended = chance(world, 10);
}

static void make_node(struct world *world, struct arena *arena, unsigned slot, struct node *node)
{
    char text[ADDRESS_TEXT_SIZE];

    node->name = named(arena, "node", slot);
    node->uid = node->name;
    node->labels = make_labels(world, arena, node_keys, ARRAY_SIZE(node_keys));
    node->ready = chance(world, 70);
    node->internal = arena_allocate(arena, 3, sizeof(struct ip_addr));
    snprintf(text, sizeof(text), "172.16.0.%u", slot + 1);
    if (chance(world, 75))
        node->internal[node->internal_count++] = address_of(text);
    snprintf(text, sizeof(text), "2001:db8:a::%u", slot + 1);
    if (chance(world, 75))
        node->internal[node->internal_count++] = address_of(text);
    if (chance(world, 10))
        node->internal[node->internal_count++] = address_of("172.16.0.99"); /* of several nodes */
    node->others = arena_allocate(arena, 1, sizeof(struct ip_addr));
    if (chance(world, 30))
        node->others[node->other_count++] = address_of("198.51.100.7");
    node->pod_cidrs = arena_allocate(arena, 1, sizeof(struct ip_prefix));
    snprintf(text, sizeof(text), "10.244.%u.0/24", slot);
    if (chance(world, 40))
        node->pod_cidrs[node->pod_cidr_count++] = prefix_of(text);
}

static void make_link(struct world *world, struct arena *arena, unsigned slot, struct link *link)
{
    static const char *const pool[] = {"203.0.113.1", "203.0.113.2",   "203.0.113.9",
                                       "fe80::1",     "2001:db8:e::1", "2001:db8:e::2"};

    link->ifindex = slot + 1;
    link->name = named(arena, "eth", slot);
    link->up = chance(world, 80);
    link->default_route_v4 = chance(world, 40);
    link->default_route_v6 = chance(world, 40);
    link->addresses = arena_allocate(arena, ARRAY_SIZE(pool), sizeof(link->addresses[0]));
    for (size_t i = 0; i < ARRAY_SIZE(pool); i++)
        if (chance(world, 40)) {
            struct link_address *address = &link->addresses[link->address_count++];

            address->address = address_of(pool[i]);
            address->usable = chance(world, 80);
        }
}

void world_change(struct world *world, enum object_kind kind, unsigned slot)
{
    struct world_slot *changed = &world->slots[kind][slot];
    struct arena *arena = &changed->arena;
    struct object *object = &changed->object;

    arena_clear(arena);
    memset(object, 0, sizeof(*object));
    object->kind = kind;
    changed->present = true;
    switch (kind) {
    case KIND_POLICY:
        make_policy(world, arena, slot, &object->policy);
        break;
    case KIND_POD:
        make_pod(world, arena, slot, &object->pod);
        break;
    case KIND_NAMESPACE:
        object->namespace.name = named(arena, "ns", slot);
        object->namespace.labels =
            make_labels(world, arena, namespace_keys, ARRAY_SIZE(namespace_keys));
        break;
    case KIND_NODE:
        make_node(world, arena, slot, &object->node);
        break;
    case KIND_LINK:
        make_link(world, arena, slot, &object->link);
        break;
    case KINDS:
        break;
    }
}

void world_remove(struct world *world, enum object_kind kind, unsigned slot)
{
    world->slots[kind][slot].present = false;
}

void world_clear(struct world *world)
{
    for (int kind = 0; kind < KINDS; kind++)
        for (unsigned slot = 0; slot < WORLD_SLOTS; slot++)
            arena_clear(&world->slots[kind][slot].arena);
}

static void world_feed_kind(struct world *world, struct plan *plan, enum object_kind kind)
{
    unsigned first = world_random(world, world_counts[kind]);

    plan_sync_begin(plan, kind);
    for (unsigned i = 0; i < world_counts[kind]; i++) {
        const struct world_slot *slot = &world->slots[kind][(first + i) % world_counts[kind]];

        if (slot->present)
            plan_apply(plan, &slot->object);
    }
    plan_sync_end(plan, kind);
}

void world_feed(struct world *world, struct plan *plan)
{
    unsigned first = world_random(world, KINDS);

    for (unsigned i = 0; i < KINDS; i++)
        world_feed_kind(world, plan, (enum object_kind)((first + i) % KINDS));
}

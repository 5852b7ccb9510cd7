/* SPDX-License-Identifier: Apache-2.0 */
#include "planner/pools.h"

#include "planner/policies.h"

static bool node_has_address(const struct plan_node *node)
{
    return node->facts && node->facts->internal_count > 0;
}

/* The first Ready node by name, else the first; those without an InternalIP cannot be reached. */
static struct plan_node *pool_choose(const struct pool *pool)
{
    struct plan_node *first = NULL;

    for (uint32_t i = 0; i < pool->nodes.count; i++) {
        struct plan_node *node = pool->nodes.items[i];

        if (!node_has_address(node))
            continue;
        if (node->ready)
            return node;
        if (!first)
            first = node;
    }
    return first;
}

/* The place of a node in the order of names, whether it is in the pool or not. */
static uint32_t pool_position(const struct plan *plan, const struct pool *pool,
                              const struct plan_node *node)
{
    struct text name = strings_text(&plan->strings, node->name);
    uint32_t low = 0, high = pool->nodes.count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct plan_node *other = pool->nodes.items[middle];

        if (text_compare(strings_text(&plan->strings, other->name), name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool pool_matches(const struct pool *pool, const struct plan_node *node)
{
    struct subject subject = {{[SCOPE_NODE] = node->labels}};

    return node->present && conditions_match(&pool->conditions, &subject);
}

static void pool_fill(struct plan *plan, struct pool *pool)
{
    struct plan_node *node;
    size_t cursor = 0;

    while ((node = hash_next(&plan->nodes, &cursor)))
        if (pool_matches(pool, node))
            pointers_insert(&pool->nodes, pool_position(plan, pool, node), node);
    pool->chosen = pool_choose(pool);
}

struct pool *pool_acquire(struct plan *plan, const struct selector *selector)
{
    struct conditions conditions = {0};
    struct pool *pool;

    conditions_add(&conditions, &plan->strings, (struct text){0}, SCOPE_NODE, selector);
    for (uint32_t i = 0; i < plan->pools.count; i++) {
        pool = plan->pools.items[i];
        if (conditions_equal(&pool->conditions, &conditions)) {
            conditions_clear(&conditions, &plan->strings);
            pool->uses++;
            return pool;
        }
    }
    pool = memory_new(1, sizeof(*pool));
    pool->conditions = conditions;
    pool->uses = 1;
    pool_fill(plan, pool);
    pointers_append(&plan->pools, pool);
    return pool;
}

void pool_release(struct plan *plan, struct pool *pool)
{
    if (--pool->uses > 0)
        return;
    for (uint32_t i = 0; i < plan->pools.count; i++)
        if (plan->pools.items[i] == pool) {
            pointers_remove(&plan->pools, i);
            break;
        }
    conditions_clear(&pool->conditions, &plan->strings);
    pointers_clear(&pool->nodes);
    pointers_clear(&pool->policies);
    free(pool);
}

void pool_add_policy(struct pool *pool, struct plan_policy *policy)
{
    pointers_append(&pool->policies, policy);
}

void pool_remove_policy(struct pool *pool, const struct plan_policy *policy)
{
    for (uint32_t i = 0; i < pool->policies.count; i++)
        if (pool->policies.items[i] == policy) {
            pool->policies.items[i] = pool->policies.items[--pool->policies.count];
            return;
        }
}

static void pool_mark_policies(struct plan *plan, const struct pool *pool)
{
    for (uint32_t i = 0; i < pool->policies.count; i++)
        policy_mark(plan, pool->policies.items[i]);
}

static void pool_update_node(struct plan *plan, struct pool *pool, struct plan_node *node)
{
    uint32_t position = pool_position(plan, pool, node);
    bool member = position < pool->nodes.count && pool->nodes.items[position] == node;
    bool matches = pool_matches(pool, node);
    const struct plan_node *chosen = pool->chosen;

    if (member && !matches)
        pointers_remove(&pool->nodes, position);
    else if (!member && matches)
        pointers_insert(&pool->nodes, position, node);
    pool->chosen = pool_choose(pool);
    if (member != matches || chosen != pool->chosen || chosen == node)
        pool_mark_policies(plan, pool);
}

void pools_update_node(struct plan *plan, struct plan_node *node)
{
    for (uint32_t i = 0; i < plan->pools.count; i++)
        pool_update_node(plan, plan->pools.items[i], node);
}

void pools_mark_chosen(struct plan *plan, const struct plan_node *node)
{
    for (uint32_t i = 0; i < plan->pools.count; i++) {
        const struct pool *pool = plan->pools.items[i];

        if (pool->chosen == node)
            pool_mark_policies(plan, pool);
    }
}

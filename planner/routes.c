/* SPDX-License-Identifier: Apache-2.0 */
#include "planner/routes.h"

#include "planner/policies.h"
#include "planner/report.h"

/* A prefix of one policy of the profile. */
struct candidate {
    struct ip_prefix prefix;
    struct plan_policy *policy;
    bool excluded;
    const struct plan *plan; /* for the names of policies */
};

/* Who decides about a prefix comes first: the older policy, then the one with the smaller name;
 * inside of one policy, an excluded prefix. */
static int candidate_order(const void *a, const void *b)
{
    const struct candidate *first = a, *second = b;
    int order = prefix_compare(&first->prefix, &second->prefix);

    if (order)
        return order;
    if (first->policy != second->policy)
        return policy_precedes(first->plan, first->policy, second->policy) ? -1 : 1;
    return (int)second->excluded - (int)first->excluded;
}

/* All prefixes of the profile's policies, in that order. The caller frees them. */
static struct candidate *candidates_collect(const struct plan *plan, const struct profile *profile,
                                            size_t *count)
{
    struct candidate *candidates;
    size_t used = 0, room = 0;

    for (uint32_t i = 0; i < profile->policy_count; i++) {
        const struct policy_body *body = profile->members[i].policy->body;

        room += body ? body->destination_count + body->excluded_count : 0;
    }
    candidates = memory_new(room, sizeof(*candidates));
    for (uint32_t i = 0; i < profile->policy_count; i++) {
        struct plan_policy *policy = profile->members[i].policy;
        const struct policy_body *body = policy->body;

        for (uint32_t j = 0; body && j < body->destination_count; j++)
            candidates[used++] = (struct candidate){body->destinations[j], policy, false, plan};
        for (uint32_t j = 0; body && j < body->excluded_count; j++)
            candidates[used++] = (struct candidate){body->excluded[j], policy, true, plan};
    }
    qsort(candidates, used, sizeof(*candidates), candidate_order);
    *count = used;
    return candidates;
}

static bool candidate_is_first(const struct candidate *candidates, size_t i)
{
    return i == 0 || !prefix_equal(&candidates[i].prefix, &candidates[i - 1].prefix);
}

static struct route candidate_route(const struct candidate *candidate)
{
    const struct plan_policy *policy = candidate->policy;
    const struct group *group = policy->groups[address_family(&candidate->prefix.address)];
    struct route route = {.policy = policy->number};

    if (candidate->excluded) {
        route.action = ROUTE_EXCLUDED;
    } else if (!group) {
        route.action = ROUTE_NO_GATEWAY;
    } else {
        route.action = ROUTE_GATEWAY;
        route.group = group->number;
        route.slots = (uint16_t)group->slots;
    }
    return route;
}

static void route_set(struct plan *plan, const struct profile *profile,
                      const struct candidate *candidate)
{
    union table_key key = {.route = route_key_make(profile->number, &candidate->prefix)};
    union table_value value = {.route = candidate_route(candidate)};

    desired_set(&plan->desired, TABLE_ROUTES, &key, &value);
}

static void route_remove(struct plan *plan, const struct profile *profile,
                         const struct ip_prefix *prefix)
{
    union table_key key = {.route = route_key_make(profile->number, prefix)};

    desired_remove(&plan->desired, TABLE_ROUTES, &key);
}

/* Removes routes whose prefix is not among the new ones; both are in the order of prefixes. */
static void routes_remove_missing(struct plan *plan, const struct profile *profile,
                                  const struct ip_prefix *wanted, uint32_t wanted_count)
{
    uint32_t j = 0;

    for (uint32_t i = 0; i < profile->route_count; i++) {
        while (j < wanted_count && prefix_compare(&wanted[j], &profile->routes[i]) < 0)
            j++;
        if (j == wanted_count || !prefix_equal(&wanted[j], &profile->routes[i]))
            route_remove(plan, profile, &profile->routes[i]);
    }
}

static void routes_set(struct plan *plan, struct profile *profile,
                       const struct candidate *candidates, size_t count)
{
    struct ip_prefix *routes = memory_new(count, sizeof(*routes));
    uint32_t used = 0;

    for (size_t i = 0; i < count; i++) {
        if (!candidate_is_first(candidates, i))
            continue;
        route_set(plan, profile, &candidates[i]);
        routes[used++] = candidates[i].prefix;
    }
    routes_remove_missing(plan, profile, routes, used);
    free(profile->routes);
    profile->routes = memory_resize(routes, used, sizeof(*routes));
    profile->route_count = used;
}

static int conflict_order(const void *a, const void *b)
{
    const struct conflict *first = a, *second = b;

    if (first->winner != second->winner)
        return first->winner->number < second->winner->number ? -1 : 1;
    if (first->loser != second->loser)
        return first->loser->number < second->loser->number ? -1 : 1;
    return prefix_compare(&first->prefix, &second->prefix);
}

/* The pairs of policies that have a prefix in common, each once, but where both exclude it. The
 * caller frees them. */
static struct conflict *conflicts_collect(const struct candidate *candidates, size_t count,
                                          uint32_t *conflict_count)
{
    struct conflict *conflicts = memory_new(count, sizeof(*conflicts));
    const struct candidate *winner = NULL;
    uint32_t found = 0, used = 0;

    for (size_t i = 0; i < count; i++) {
        if (candidate_is_first(candidates, i))
            winner = &candidates[i];
        else if (candidates[i].policy != winner->policy &&
                 !(candidates[i].excluded && winner->excluded))
            conflicts[found++] =
                (struct conflict){winner->policy, candidates[i].policy, candidates[i].prefix};
    }
    qsort(conflicts, found, sizeof(*conflicts), conflict_order);
    for (uint32_t i = 0; i < found; i++)
        if (used == 0 || conflicts[i].winner != conflicts[used - 1].winner ||
            conflicts[i].loser != conflicts[used - 1].loser)
            conflicts[used++] = conflicts[i];
    *conflict_count = used;
    return memory_resize(conflicts, used, sizeof(*conflicts));
}

/* Takes `conflicts`. */
static void conflicts_set(struct plan *plan, struct profile *profile, struct conflict *conflicts,
                          uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        report_conflict(plan, &conflicts[i]);
    for (uint32_t i = 0; i < profile->conflict_count; i++)
        report_conflict_over(plan, &profile->conflicts[i]);
    free(profile->conflicts);
    profile->conflicts = conflicts;
    profile->conflict_count = count;
}

void profile_install(struct plan *plan, struct profile *profile)
{
    _cleanup_free_ struct candidate *candidates = NULL;
    struct conflict *conflicts;
    uint32_t conflict_count;
    size_t count;

    for (uint32_t i = 0; !profile->installed && i < profile->policy_count; i++)
        policy_use(plan, profile->members[i].policy);
    profile->installed = true;
    candidates = candidates_collect(plan, profile, &count);
    routes_set(plan, profile, candidates, count);
    conflicts = conflicts_collect(candidates, count, &conflict_count);
    conflicts_set(plan, profile, conflicts, conflict_count);
}

void profile_uninstall(struct plan *plan, struct profile *profile)
{
    for (uint32_t i = 0; i < profile->route_count; i++)
        route_remove(plan, profile, &profile->routes[i]);
    free(profile->routes);
    profile->routes = NULL;
    profile->route_count = 0;
    conflicts_set(plan, profile, NULL, 0);
    for (uint32_t i = 0; i < profile->policy_count; i++)
        policy_unuse(plan, profile->members[i].policy);
    profile->installed = false;
}

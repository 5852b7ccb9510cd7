/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/planner_naive_cluster.h"

#include <stdio.h>

#include "planner/stable_hash.h"

/* ---- Routes ---- */

struct naive_route {
    struct ip_prefix prefix;
    const struct policy *policy;
    bool excluded;
};

/* Whether `a` decides about a prefix that both have. */
static bool naive_decides(const struct naive_route *a, const struct naive_route *b)
{
    if (a->policy == b->policy)
        return a->excluded && !b->excluded;
    if (a->policy->created != b->policy->created)
        return a->policy->created < b->policy->created;
    return text_compare(a->policy->name, b->policy->name) < 0;
}

static void naive_add_route(struct naive_route *routes, size_t *count,
                            const struct naive_route *route)
{
    for (size_t i = 0; i < *count; i++)
        if (prefix_equal(&routes[i].prefix, &route->prefix)) {
            if (naive_decides(route, &routes[i]))
                routes[i] = *route;
            return;
        }
    routes[(*count)++] = *route;
}

static void naive_write_route(const struct naive *naive, const struct naive_route *route,
                              struct lines *lines)
{
    struct gateway slots[GATEWAY_SLOTS];
    _cleanup_free_ char *group = NULL;
    char name[64];
    unsigned action = ROUTE_EXCLUDED;

    if (!route->excluded) {
        size_t count =
            naive_slots(naive, route->policy, ip_addr_is_v4(&route->prefix.address), slots);

        action = count ? ROUTE_GATEWAY : ROUTE_NO_GATEWAY;
        if (count)
            group = lines_group(slots, count);
    }
    snprintf(name, sizeof(name), "%.*s", TEXT_ARG(route->policy->name));
    lines_add_route(lines, &route->prefix, action, name, group ? group : "");
}

/* The routes of a pod as one text, to be freed. NULL: no policy selects it. */
static char *naive_routes(const struct naive *naive, const struct pod *pod)
{
    struct naive_route routes[64];
    struct lines lines = {0};
    const struct object *object;
    bool selected = false;
    size_t count = 0;
    char *text;

    EACH(naive, KIND_POLICY, object)
    {
        const struct policy *policy = &object->policy;

        if (!naive_policy_selects(naive, policy, pod))
            continue;
        selected = true;
        for (size_t i = 0; i < policy->destination_count; i++)
            naive_add_route(routes, &count,
                            &(struct naive_route){policy->destinations[i], policy, false});
        for (size_t i = 0; i < policy->excluded_count; i++)
            naive_add_route(routes, &count,
                            &(struct naive_route){policy->excluded[i], policy, true});
    }
    if (!selected)
        return NULL;
    for (size_t i = 0; i < count; i++)
        naive_write_route(naive, &routes[i], &lines);
    lines_sort(&lines);
    text = lines_join(&lines);
    lines_clear(&lines);
    return text;
}

/* ---- Tables ---- */

static bool naive_pod_passes_here(const struct naive *naive, const struct pod *pod)
{
    const struct object *object;

    EACH(naive, KIND_POLICY, object)
    if (naive_policy_selects(naive, &object->policy, pod) &&
        naive_is_gateway(naive, &object->policy))
        return true;
    return false;
}

static bool naive_pod_is_local(const struct naive *naive, const struct pod *pod)
{
    return text_equal(pod->node, naive->config->node);
}

static void naive_write_endpoint(const struct naive *naive, const struct ip_addr *address,
                                 struct lines *lines)
{
    const struct pod *pod = naive_holder(naive, address);
    bool local = naive_pod_is_local(naive, pod), passes = naive_pod_passes_here(naive, pod);
    const struct node *node = naive_node(naive, pod->node);
    _cleanup_free_ char *routes = local || passes ? naive_routes(naive, pod) : NULL;
    struct endpoint endpoint = {
        .hash = (uint32_t)stable_hash_mix(
            stable_hash_bytes(STABLE_HASH_START, pod->uid.data, pod->uid.length)),
        .flags = local ? ENDPOINT_LOCAL : 0,
    };

    if (!local && !passes && !naive_cluster_unknown(naive))
        return;
    if (node)
        endpoint.node = naive_tunnel(naive, node);
    lines_add_endpoint(lines, address, &endpoint, routes ? routes : "none");
}

static void naive_write_endpoints(const struct naive *naive, struct lines *lines)
{
    const struct object *object;

    EACH(naive, KIND_POD, object)
    for (size_t i = 0; naive_pod_lives(&object->pod) && i < object->pod.address_count; i++)
        naive_write_endpoint(naive, &object->pod.addresses[i], lines);
}

/* Whether some pod with routes here has the policy. */
static bool naive_policy_is_used(const struct naive *naive, const struct policy *policy)
{
    const struct object *object;

    EACH(naive, KIND_POD, object)
    {
        const struct pod *pod = &object->pod;

        for (size_t i = 0; naive_pod_lives(pod) && i < pod->address_count; i++)
            if (naive_holder(naive, &pod->addresses[i]) == pod &&
                naive_policy_selects(naive, policy, pod) &&
                (naive_pod_is_local(naive, pod) || naive_pod_passes_here(naive, pod)))
                return true;
    }
    return false;
}

static bool naive_policy_has_family(const struct policy *policy, bool v4)
{
    for (size_t i = 0; i < policy->destination_count; i++)
        if (ip_addr_is_v4(&policy->destinations[i].address) == v4)
            return true;
    return false;
}

static void naive_write_group(struct naive *naive, const struct policy *policy, bool v4,
                              struct lines *lines)
{
    struct gateway slots[GATEWAY_SLOTS], entries[LIMIT_GATEWAYS];
    bool in_use[LIMIT_GATEWAYS];
    size_t count = naive_slots(naive, policy, v4, slots);
    _cleanup_free_ char *group = NULL;

    if (count == 0)
        return;
    group = lines_group(slots, count);
    lines_add(lines, "group %s", group);
    (void)naive_entries(naive, policy, v4, entries, in_use);
    for (size_t i = 0; i < policy->gateway_count; i++)
        if (in_use[i])
            naive->gateways[naive->gateway_count++] = entries[i].node;
}

static void naive_write_groups(struct naive *naive, struct lines *lines)
{
    const struct object *object;

    EACH(naive, KIND_POLICY, object)
    if (naive_policy_is_used(naive, &object->policy))
        for (int v4 = 0; v4 < 2; v4++)
            if (naive_policy_has_family(&object->policy, v4))
                naive_write_group(naive, &object->policy, v4, lines);
}

static bool naive_in_group(const struct naive *naive, const struct ip_addr *address)
{
    for (size_t i = 0; i < naive->gateway_count; i++)
        if (ip_addr_equal(&naive->gateways[i], address))
            return true;
    return false;
}

/* Addresses that a reserved profile has. */
struct naive_set {
    struct ip_prefix prefixes[256];
    size_t count;
};

static void naive_set_add(struct naive_set *set, const struct ip_prefix *prefixes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        set->prefixes[set->count++] = prefixes[i];
}

static void naive_set_add_addresses(struct naive_set *set, const struct ip_addr *addresses,
                                    size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct ip_prefix prefix = {addresses[i], (uint8_t)address_bits(&addresses[i])};

        naive_set_add(set, &prefix, 1);
    }
}

static bool naive_same_family(const struct ip_prefix *a, const struct ip_prefix *b)
{
    return ip_addr_is_v4(&a->address) == ip_addr_is_v4(&b->address);
}

/* Makes one prefix of two where that changes nothing: one holds the other, or they are halves. */
static bool naive_set_join(struct ip_prefix *a, const struct ip_prefix *b)
{
    struct ip_prefix whole = {.length = a->length - 1};

    if (!naive_same_family(a, b))
        return false;
    if (a->length <= b->length && prefix_contains(a, &b->address))
        return true;
    if (a->length != b->length || a->length == 0)
        return false;
    whole.address = address_mask(&a->address, whole.length);
    if (!prefix_contains(&whole, &b->address))
        return false;
    *a = whole;
    return true;
}

static void naive_set_write(struct naive_set *set, unsigned profile, unsigned action,
                            struct lines *lines)
{
    bool changed = true;

    while (changed) {
        changed = false;
        for (size_t i = 0; i < set->count; i++)
            for (size_t j = 0; j < set->count; j++)
                if (i != j && naive_set_join(&set->prefixes[i], &set->prefixes[j])) {
                    set->prefixes[j] = set->prefixes[--set->count];
                    changed = true;
                    i = j = set->count; /* start again: items have moved */
                }
    }
    for (size_t i = 0; i < set->count; i++)
        lines_add_range(lines, profile, &set->prefixes[i], action);
}

static void naive_write_ranges(const struct naive *naive, struct lines *lines)
{
    struct naive_set cluster = {0}, covered = {0}, pods = {0};
    const struct object *object;

    naive_set_add(&cluster, naive->config->cluster_cidrs.items, naive->config->cluster_cidrs.count);
    naive_set_add(&pods, naive->config->pod_cidrs.items, naive->config->pod_cidrs.count);
    EACH(naive, KIND_NODE, object)
    {
        const struct node *node = &object->node;

        naive_set_add_addresses(&cluster, node->internal, node->internal_count);
        naive_set_add_addresses(&cluster, node->others, node->other_count);
        naive_set_add(&cluster, node->pod_cidrs, node->pod_cidr_count);
        naive_set_add(&pods, node->pod_cidrs, node->pod_cidr_count);
    }
    EACH(naive, KIND_POLICY, object)
    naive_set_add(&covered, object->policy.destinations, object->policy.destination_count);
    naive_set_write(&cluster, PROFILE_CLUSTER, ROUTE_CLUSTER, lines);
    naive_set_write(&covered, PROFILE_COVERED, ROUTE_COVERED, lines);
    naive_set_write(&pods, PROFILE_POD_RANGES, ROUTE_POD_RANGE, lines);
}

/* Whether a node with this address is Ready; two may have it for a while. */
static bool naive_address_ready(const struct naive *naive, const struct ip_addr *address)
{
    const struct object *object;
    bool ready = false;

    EACH(naive, KIND_NODE, object)
    for (size_t i = 0; i < object->node.internal_count; i++)
        ready |= object->node.ready && ip_addr_equal(&object->node.internal[i], address);
    return ready;
}

static void naive_write_node(const struct naive *naive, const struct node *node,
                             struct lines *lines)
{
    const struct node *self = naive_node(naive, naive->config->node);

    for (size_t i = 0; i < node->internal_count; i++) {
        const struct ip_addr *address = &node->internal[i];
        unsigned flags = naive_in_group(naive, address) ? NODE_GATEWAY : 0;

        flags |= naive_address_ready(naive, address) ? 0 : NODE_NOT_READY;
        for (size_t j = 0; self && j < self->internal_count; j++)
            if (ip_addr_equal(&self->internal[j], address))
                flags |= NODE_SELF;
        lines_add_node(lines, address, flags);
    }
}

static void naive_write_settings(const struct naive *naive, struct lines *lines)
{
    const struct node *self = naive_node(naive, naive->config->node);
    struct settings settings = {.node_v4 = naive_first(self, true),
                                .node_v6 = naive_first(self, false)};
    const struct object *object;
    bool any = false, all = true;

    EACH(naive, KIND_NODE, object)
    {
        any = true;
        all &= object->node.pod_cidr_count > 0;
    }
    if ((naive->config->pod_cidrs.count || (any && all)) && !naive_has_strays(naive, false))
        settings.flags = SETTINGS_POD_RANGES_KNOWN;
    lines_add_settings(lines, &settings);
}

void naive_compute(const struct world *world, const struct plan_config *config, struct lines *lines)
{
    struct naive naive = {.world = world, .config = config};
    const struct object *object;

    naive_write_groups(&naive, lines);
    naive_write_settings(&naive, lines);
    EACH(&naive, KIND_POLICY, object)
    lines_add(lines, "policy %.*s", TEXT_ARG(object->policy.name));
    EACH(&naive, KIND_NODE, object)
    naive_write_node(&naive, &object->node, lines);
    naive_write_ranges(&naive, lines);
    naive_write_endpoints(&naive, lines);
    lines_sort(lines);
}

bool naive_needs_all_pods(const struct world *world, const struct plan_config *config)
{
    struct naive naive = {.world = world, .config = config};
    const struct object *object;

    if (naive_cluster_unknown(&naive))
        return true;
    EACH(&naive, KIND_POLICY, object)
    if (naive_is_gateway(&naive, &object->policy))
        return true;
    return false;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "planner/plan.h"

#include "planner/endpoints.h"
#include "planner/groups.h"
#include "planner/links.h"
#include "planner/namespaces.h"
#include "planner/nodes.h"
#include "planner/pods.h"
#include "planner/policies.h"
#include "planner/profiles.h"
#include "planner/ranges.h"
#include "planner/report.h"

/* Every kind of object: what to do with one that is listed, gone, or not in a full list any more.
 */
static void plan_apply_policy(struct plan *plan, const struct object *object)
{
    policy_apply(plan, &object->policy);
}

static void plan_apply_pod(struct plan *plan, const struct object *object)
{
    pod_apply(plan, &object->pod);
}

static void plan_apply_namespace(struct plan *plan, const struct object *object)
{
    namespace_apply(plan, &object->namespace);
}

static void plan_apply_node(struct plan *plan, const struct object *object)
{
    node_apply(plan, &object->node);
}

static void plan_apply_link(struct plan *plan, const struct object *object)
{
    link_apply(plan, &object->link);
}

static void plan_remove_policy(struct plan *plan, const struct object_identity *identity)
{
    policy_remove(plan, identity->name);
}

static void plan_remove_pod(struct plan *plan, const struct object_identity *identity)
{
    pod_remove(plan, identity->name);
}

static void plan_remove_namespace(struct plan *plan, const struct object_identity *identity)
{
    namespace_remove(plan, identity->name);
}

static void plan_remove_node(struct plan *plan, const struct object_identity *identity)
{
    node_remove(plan, identity->name);
}

static void plan_remove_link(struct plan *plan, const struct object_identity *identity)
{
    link_remove(plan, identity->ifindex);
}

static const struct {
    void (*apply)(struct plan *plan, const struct object *object);
    void (*remove)(struct plan *plan, const struct object_identity *identity);
    void (*sweep)(struct plan *plan);
} plan_kinds[KINDS] = {
    [KIND_POLICY] = {plan_apply_policy, plan_remove_policy, policies_sweep},
    [KIND_POD] = {plan_apply_pod, plan_remove_pod, pods_sweep},
    [KIND_NAMESPACE] = {plan_apply_namespace, plan_remove_namespace, namespaces_sweep},
    [KIND_NODE] = {plan_apply_node, plan_remove_node, nodes_sweep},
    [KIND_LINK] = {plan_apply_link, plan_remove_link, links_sweep},
};

static struct prefix_list prefix_list_copy(const struct prefix_list *list)
{
    return (struct prefix_list){memory_copy(list->items, list->count, sizeof(struct ip_prefix)),
                                list->count};
}

static void plan_init_ranges(struct plan *plan)
{
    ranges_init(&plan->cluster_ranges, PROFILE_CLUSTER, ROUTE_CLUSTER);
    ranges_init(&plan->covered_ranges, PROFILE_COVERED, ROUTE_COVERED);
    ranges_init(&plan->pod_ranges, PROFILE_POD_RANGES, ROUTE_POD_RANGE);
    ranges_count(plan, &plan->cluster_ranges, plan->cluster_cidrs.items, plan->cluster_cidrs.count,
                 1);
    ranges_count(plan, &plan->pod_ranges, plan->pod_cidrs.items, plan->pod_cidrs.count, 1);
}

struct plan *plan_new(const struct plan_config *config)
{
    struct plan *plan = memory_new(1, sizeof(*plan));

    strings_init(&plan->strings);
    label_store_init(&plan->labels, &plan->strings);
    desired_init(&plan->desired);
    plan->cluster = strings_acquire(&plan->strings, config->cluster);
    plan->pods_scope = config->pods;
    plan->cluster_cidrs = prefix_list_copy(&config->cluster_cidrs);
    plan->pod_cidrs = prefix_list_copy(&config->pod_cidrs);
    report_init(plan);
    groups_init(plan);
    profiles_init(plan);
    policies_init(plan);
    endpoints_init(plan);
    pods_init(plan);
    namespaces_init(plan);
    links_init(plan);
    nodes_init(plan, config->node);
    plan_init_ranges(plan);
    return plan;
}

void plan_apply(struct plan *plan, const struct object *object)
{
    plan_kinds[object->kind].apply(plan, object);
}

void plan_remove(struct plan *plan, const struct object_identity *identity)
{
    plan_kinds[identity->kind].remove(plan, identity);
}

void plan_sync_begin(struct plan *plan, enum object_kind kind)
{
    plan->epochs[kind]++;
}

void plan_sync_end(struct plan *plan, enum object_kind kind)
{
    plan_kinds[kind].sweep(plan);
    plan->synced[kind] = true;
}

void plan_set_pods_complete(struct plan *plan, bool all_pods)
{
    if (all_pods && !plan->pods_complete)
        policies_note_selections(plan);
    plan->pods_complete = all_pods;
}

bool plan_needs_all_pods(const struct plan *plan)
{
    if (plan->pods_scope != PODS_AUTO)
        return plan->pods_scope == PODS_ALL;
    return plan->complete && (plan->local_gateways > 0 || plan->cluster_unknown);
}

static bool plan_is_complete(const struct plan *plan)
{
    for (int kind = 0; kind < KINDS; kind++)
        if (!plan->synced[kind])
            return false;
    return true;
}

void plan_update(struct plan *plan)
{
    plan->complete = plan->complete || plan_is_complete(plan);
    if (!plan->complete)
        return;
    plan->generation++;
    nodes_update(plan);
    policies_update(plan);
    pods_update(plan);
    endpoints_update(plan);
    profiles_update(plan);
    policies_report(plan);
    report_conflicts(plan);
    if (!plan_needs_all_pods(plan) || plan->pods_complete)
        plan->ready = true;
}

bool plan_ready(const struct plan *plan)
{
    return plan->ready;
}

bool plan_desired_next(const struct plan *plan, struct desired_cursor *cursor,
                       struct table_entry *entry)
{
    return desired_next(&plan->desired, cursor, entry);
}

size_t plan_dirty_count(const struct plan *plan)
{
    return plan->desired.change_count;
}

bool plan_dirty_next(struct plan *plan, struct table_entry *entry)
{
    return desired_next_change(&plan->desired, entry);
}

size_t plan_entries(const struct plan *plan, enum table table)
{
    return plan->desired.tables[table].count;
}

bool plan_has_policy(const struct plan *plan, struct text name)
{
    return policy_is_there(plan, name);
}

void plan_sent_all(struct plan *plan)
{
    desired_sent_all(&plan->desired);
}

void plan_sent_nothing(struct plan *plan)
{
    desired_sent_nothing(&plan->desired);
}

uint64_t plan_generation(const struct plan *plan)
{
    return plan->generation;
}

void plan_settle(struct plan *plan, uint64_t generation)
{
    profiles_settle(plan, generation);
    groups_settle(plan, generation);
}

/* Takes everything out again in the order in which things refer to each other. */
void plan_free(struct plan *plan)
{
    if (!plan)
        return;
    for (int kind = 0; kind < KINDS; kind++) {
        plan->epochs[kind]++;
        plan_kinds[kind].sweep(plan);
    }
    plan->generation++;
    nodes_update(plan);
    policies_update(plan);
    endpoints_update(plan);
    profiles_update(plan);
    policies_report(plan);
    profiles_clear(plan);
    policies_clear(plan);
    groups_clear(plan);
    pods_clear(plan);
    namespaces_clear(plan);
    links_clear(plan);
    endpoints_clear(plan);
    nodes_clear(plan);
    report_clear(plan);
    ranges_clear(&plan->cluster_ranges);
    ranges_clear(&plan->covered_ranges);
    ranges_clear(&plan->pod_ranges);
    desired_clear(&plan->desired);
    pointers_clear(&plan->pools);
    pointers_clear(&plan->rules_everywhere);
    label_store_clear(&plan->labels);
    strings_clear(&plan->strings);
    free(plan->cluster_cidrs.items);
    free(plan->pod_cidrs.items);
    free(plan);
}

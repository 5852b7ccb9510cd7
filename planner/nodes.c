/* SPDX-License-Identifier: Apache-2.0 */
#include "planner/nodes.h"

#include "planner/numbers.h"
#include "planner/pods.h"
#include "planner/pools.h"
#include "planner/ranges.h"
#include "planner/stable_hash.h"
#include "planner/strays.h"

static bool plan_node_equal(const void *item, const void *key)
{
    return ((const struct plan_node *)item)->name == *(const string_id *)key;
}

static struct plan_node *node_find(const struct plan *plan, struct text name)
{
    string_id id = strings_find(&plan->strings, name);

    return id ? hash_find(&plan->nodes, stable_hash_mix(id), &id) : NULL;
}

struct plan_node *node_of(struct plan *plan, struct text name)
{
    struct plan_node *node = node_find(plan, name);

    if (node)
        return node;
    node = memory_new(1, sizeof(*node));
    node->name = strings_acquire(&plan->strings, name);
    memory_hash_add(&plan->nodes, stable_hash_mix(node->name), node);
    return node;
}

void node_release(struct plan *plan, struct plan_node *node)
{
    if (node->present || node->self || node->marked || !LIST_EMPTY(&node->pods))
        return;
    hash_remove(&plan->nodes, stable_hash_mix(node->name), &node->name);
    strings_release(&plan->strings, node->name);
    free(node);
}

static void node_mark(struct plan *plan, struct plan_node *node)
{
    if (!node->marked)
        TAILQ_INSERT_TAIL(&plan->marked_nodes, node, mark);
    node->marked = true;
}

static struct node_facts *node_facts_new(const struct node *object)
{
    struct node_facts *facts = memory_new(1, sizeof(*facts));

    facts->internal = memory_copy(object->internal, object->internal_count, sizeof(struct ip_addr));
    facts->internal_count = (uint32_t)object->internal_count;
    facts->others = memory_copy(object->others, object->other_count, sizeof(struct ip_addr));
    facts->other_count = (uint32_t)object->other_count;
    facts->pod_cidrs =
        memory_copy(object->pod_cidrs, object->pod_cidr_count, sizeof(struct ip_prefix));
    facts->pod_cidr_count = (uint32_t)object->pod_cidr_count;
    for (uint32_t i = facts->internal_count; i > 0; i--)
        facts->first[address_family(&facts->internal[i - 1])] = facts->internal[i - 1];
    return facts;
}

static void node_facts_free(struct node_facts *facts)
{
    if (!facts)
        return;
    free(facts->internal);
    free(facts->others);
    free(facts->pod_cidrs);
    free(facts);
}

static bool addresses_equal(const struct ip_addr *a, const struct ip_addr *b, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (!ip_addr_equal(&a[i], &b[i]))
            return false;
    return true;
}

static bool node_facts_equal(const struct node_facts *a, const struct node_facts *b)
{
    if (a->internal_count != b->internal_count || a->other_count != b->other_count ||
        a->pod_cidr_count != b->pod_cidr_count ||
        !addresses_equal(a->internal, b->internal, a->internal_count) ||
        !addresses_equal(a->others, b->others, a->other_count))
        return false;
    for (uint32_t i = 0; i < a->pod_cidr_count; i++)
        if (!prefix_equal(&a->pod_cidrs[i], &b->pod_cidrs[i]))
            return false;
    return true;
}

/* Takes `facts`; true: they differ from what was known. */
static bool node_set_facts(struct plan_node *node, struct node_facts *facts)
{
    if (facts && node->facts && node_facts_equal(node->facts, facts)) {
        node_facts_free(facts);
        return false;
    }
    if (node->facts != node->planned)
        node_facts_free(node->facts);
    node->facts = facts;
    return true;
}

/* Takes the reference to `labels`; true: they differ from what was known. */
static bool node_set_labels(struct plan *plan, struct plan_node *node, struct label_set *labels)
{
    bool changed = node->labels != labels;
    struct plan_pod *pod;

    label_set_release(&plan->labels, node->labels);
    node->labels = labels;
    if (changed && plan->rules_on[SCOPE_NODE])
        LIST_FOREACH(pod, &node->pods, of_node)
    pod_mark(plan, pod, MARK_SELECT);
    return changed;
}

void node_apply(struct plan *plan, const struct node *object)
{
    struct plan_node *node = node_of(plan, object->name);
    bool changed = node->ready != object->ready || !node->present;

    node->seen = plan->epochs[KIND_NODE];
    node->present = true;
    node->ready = object->ready;
    changed |=
        node_set_labels(plan, node, label_set_acquire(&plan->labels, &object->labels, NULL, 0));
    changed |= node_set_facts(node, node_facts_new(object));
    if (!changed)
        return;
    node_mark(plan, node);
    pools_update_node(plan, node);
}

static void node_drop(struct plan *plan, struct plan_node *node)
{
    node->present = node->ready = false;
    node_set_labels(plan, node, NULL);
    node_set_facts(node, NULL);
    node_mark(plan, node);
    pools_update_node(plan, node);
}

void node_remove(struct plan *plan, struct text name)
{
    struct plan_node *node = node_find(plan, name);

    if (node && node->present)
        node_drop(plan, node);
}

void nodes_sweep(struct plan *plan)
{
    struct plan_node *node;
    size_t cursor = 0;

    while ((node = hash_next(&plan->nodes, &cursor)))
        if (node->present && node->seen != plan->epochs[KIND_NODE])
            node_drop(plan, node);
}

static bool node_address_equal(const void *item, const void *key)
{
    return ip_addr_equal(&((const struct node_address *)item)->address, key);
}

static struct node_address *node_address_of(struct plan *plan, const struct ip_addr *address)
{
    uint64_t hash = hash_bytes(address, sizeof(*address));
    struct node_address *entry = hash_find(&plan->node_addresses, hash, address);

    if (!entry) {
        entry = memory_new(1, sizeof(*entry));
        entry->address = *address;
        memory_hash_add(&plan->node_addresses, hash, entry);
    }
    return entry;
}

/* Makes the entry in the table what the counts say. */
static void node_address_refresh(struct plan *plan, struct node_address *entry)
{
    union table_key key = {.address = entry->address};
    union table_value value = {.node = {.flags = (entry->self ? NODE_SELF : 0) |
                                                 (entry->groups ? NODE_GATEWAY : 0) |
                                                 (entry->ready ? 0 : NODE_NOT_READY)}};

    if (entry->nodes) {
        desired_set(&plan->desired, TABLE_NODES, &key, &value);
        return;
    }
    desired_remove(&plan->desired, TABLE_NODES, &key);
    if (!entry->groups) {
        hash_remove(&plan->node_addresses, hash_bytes(&entry->address, sizeof(entry->address)),
                    &entry->address);
        free(entry);
    }
}

void node_address_count_group(struct plan *plan, const struct ip_addr *address, int change)
{
    struct node_address *entry = node_address_of(plan, address);

    count_change(&entry->groups, change);
    node_address_refresh(plan, entry);
}

/* Adds what a node says to the tables (`change` 1), or takes it back (-1). */
static void node_facts_count(struct plan *plan, const struct plan_node *node,
                             const struct node_facts *facts, int change)
{
    if (!facts)
        return;
    count_change(&plan->nodes_present, change);
    count_change(&plan->nodes_with_pod_cidrs, facts->pod_cidr_count ? change : 0);
    for (uint32_t i = 0; i < facts->internal_count; i++) {
        struct node_address *entry = node_address_of(plan, &facts->internal[i]);

        count_change(&entry->nodes, change);
        count_change(&entry->self, node->self ? change : 0);
        node_address_refresh(plan, entry);
    }
    ranges_count_addresses(plan, &plan->cluster_ranges, facts->internal, facts->internal_count,
                           change);
    ranges_count_addresses(plan, &plan->cluster_ranges, facts->others, facts->other_count, change);
    ranges_count(plan, &plan->cluster_ranges, facts->pod_cidrs, facts->pod_cidr_count, change);
    ranges_count(plan, &plan->pod_ranges, facts->pod_cidrs, facts->pod_cidr_count, change);
}

/* Counts the addresses of a node that is Ready (`change` 1), or no longer (-1). */
static void node_ready_count(struct plan *plan, const struct node_facts *facts, int change)
{
    for (uint32_t i = 0; facts && i < facts->internal_count; i++) {
        struct node_address *entry = node_address_of(plan, &facts->internal[i]);

        count_change(&entry->ready, change);
        node_address_refresh(plan, entry);
    }
}

/* IPv4 where both ends have it, else IPv6. Where this node does not know its own addresses, what
 * the other one has. */
static struct ip_addr node_tunnel(const struct plan *plan, const struct plan_node *node)
{
    const struct node_facts *self = plan->self->facts, *facts = node->facts;

    for (int family = 0; facts && family < FAMILIES; family++)
        if (!ip_addr_is_none(&facts->first[family]) &&
            (!self || self->internal_count == 0 || !ip_addr_is_none(&self->first[family])))
            return facts->first[family];
    return (struct ip_addr){0};
}

static void node_update_tunnel(struct plan *plan, struct plan_node *node)
{
    struct ip_addr tunnel = node_tunnel(plan, node);
    struct plan_pod *pod;

    if (ip_addr_equal(&tunnel, &node->tunnel))
        return;
    node->tunnel = tunnel;
    LIST_FOREACH(pod, &node->pods, of_node)
    pod_mark(plan, pod, MARK_ENDPOINT);
    pools_mark_chosen(plan, node);
}

static void node_count_ready_without(struct plan *plan, struct plan_node *node)
{
    bool without = node->ready && node->facts && node->facts->pod_cidr_count == 0;

    plan->nodes_ready_without += without - node->ready_without;
    node->ready_without = without;
}

static void node_update(struct plan *plan, struct plan_node *node)
{
    bool was_there = node->planned;
    bool ready_counts = node->facts != node->planned || node->ready != node->planned_ready;

    if (ready_counts && node->planned_ready)
        node_ready_count(plan, node->planned, -1);
    if (node->facts != node->planned) {
        node_facts_count(plan, node, node->facts, 1);
        node_facts_count(plan, node, node->planned, -1);
        node_facts_free(node->planned);
        node->planned = node->facts;
    }
    if (ready_counts && node->ready)
        node_ready_count(plan, node->planned, 1);
    node->planned_ready = node->ready;
    if (was_there != (node->planned != NULL))
        strays_look_at_node(plan, node);
    node_count_ready_without(plan, node);
    node_update_tunnel(plan, node);
}

/* The ranges of pods are known where configured, or where every node reports its own (a node
 * without might have pods anywhere), unless pods have other addresses. */
static bool pod_ranges_known(const struct plan *plan)
{
    if (plan->stray_counts[STRAY_PODS])
        return false;
    return plan->pod_cidrs.count ||
           (plan->nodes_present && plan->nodes_with_pod_cidrs == plan->nodes_present);
}

static void settings_update(struct plan *plan)
{
    const struct node_facts *self = plan->self->planned;
    union table_key key = {.zero = 0};
    union table_value value = {
        .settings = {.flags = pod_ranges_known(plan) ? SETTINGS_POD_RANGES_KNOWN : 0}};

    if (self) {
        value.settings.node_v4 = self->first[FAMILY_V4];
        value.settings.node_v6 = self->first[FAMILY_V6];
    }
    desired_set(&plan->desired, TABLE_SETTINGS, &key, &value);
}

/* Whether ranges tell what is inside the cluster. A node that is Ready has its pod CIDRs where
 * nodes get some; if it has none, its pods may have any address. */
static bool cluster_is_unknown(const struct plan *plan)
{
    if (plan->stray_counts[STRAY_CLUSTER])
        return true;
    return plan->cluster_cidrs.count == 0 &&
           (plan->nodes_with_pod_cidrs == 0 || plan->nodes_ready_without > 0);
}

static void cluster_unknown_update(struct plan *plan)
{
    bool unknown = cluster_is_unknown(plan);

    if (unknown == plan->cluster_unknown)
        return;
    plan->cluster_unknown = unknown;
    pods_mark_all(plan, MARK_ENDPOINT);
}

void nodes_update(struct plan *plan)
{
    bool self_marked = plan->self->marked;
    struct plan_node *node;
    size_t cursor = 0;

    while ((node = TAILQ_FIRST(&plan->marked_nodes))) {
        TAILQ_REMOVE(&plan->marked_nodes, node, mark);
        node->marked = false;
        node_update(plan, node);
        node_release(plan, node);
    }
    while (self_marked && (node = hash_next(&plan->nodes, &cursor)))
        node_update_tunnel(plan, node);
    strays_update(plan);
    settings_update(plan);
    cluster_unknown_update(plan);
}

void nodes_init(struct plan *plan, struct text self)
{
    plan->nodes = HASH_TABLE(plan_node_equal);
    plan->node_addresses = HASH_TABLE(node_address_equal);
    TAILQ_INIT(&plan->marked_nodes);
    plan->self = node_of(plan, self);
    plan->self->self = true;
}

/* After everything else that refers to nodes. */
void nodes_clear(struct plan *plan)
{
    struct plan_node *node;
    size_t cursor = 0;

    while ((node = hash_next(&plan->nodes, &cursor))) {
        node_set_labels(plan, node, NULL);
        if (node->facts != node->planned)
            node_facts_free(node->facts);
        node_facts_free(node->planned);
    }
    hash_clear(&plan->nodes, free);
    hash_clear(&plan->node_addresses, free);
}

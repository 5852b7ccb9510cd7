/* SPDX-License-Identifier: Apache-2.0 */
#include "planner/strays.h"

#include <endian.h>

#include "common/log.h"
#include "planner/endpoints.h"
#include "planner/ranges.h"

static const struct ranges *stray_ranges(const struct plan *plan, enum stray_kind kind)
{
    return kind == STRAY_CLUSTER ? &plan->cluster_ranges : &plan->pod_ranges;
}

void strays_init(struct plan *plan)
{
    LIST_INIT(&plan->strays);
}

static bool claim_is_stray(const struct pod_address *claim)
{
    return claim->outside[STRAY_CLUSTER] || claim->outside[STRAY_PODS];
}

static void claim_set(struct plan *plan, struct pod_address *claim, const bool *outside)
{
    bool was = claim_is_stray(claim);

    for (int kind = 0; kind < STRAY_KINDS; kind++) {
        plan->stray_counts[kind] += outside[kind] - claim->outside[kind];
        claim->outside[kind] = outside[kind];
    }
    if (claim_is_stray(claim) && !was)
        LIST_INSERT_HEAD(&plan->strays, claim, stray);
    else if (was && !claim_is_stray(claim))
        LIST_REMOVE(claim, stray);
}

static void claim_look(struct plan *plan, struct pod_address *claim)
{
    const struct plan_node *node = claim->pod->node;
    bool known = node && node->planned, outside[STRAY_KINDS];

    for (int kind = 0; kind < STRAY_KINDS; kind++)
        outside[kind] = known && !ranges_hold(stray_ranges(plan, kind), &claim->address);
    claim_set(plan, claim, outside);
}

void stray_add(struct plan *plan, struct pod_address *claim)
{
    claim_look(plan, claim);
}

void stray_remove(struct plan *plan, struct pod_address *claim)
{
    static const bool inside[STRAY_KINDS] = {false};

    claim_set(plan, claim, inside);
}

void strays_look_at_node(struct plan *plan, const struct plan_node *node)
{
    struct plan_pod *pod;

    LIST_FOREACH(pod, &node->pods, of_node)
    for (uint32_t i = 0; i < pod->address_count; i++)
        claim_look(plan, &pod->addresses[i]);
}

/* The addresses in a prefix are looked up one by one where there are no more than pods. */
static bool prefix_is_small(const struct plan *plan, const struct ip_prefix *prefix)
{
    unsigned bits = address_bits(&prefix->address) - prefix->length;

    return bits <= 16 && (size_t)1 << bits <= plan->endpoints.count;
}

static void strays_look_up(struct plan *plan, const struct ip_prefix *prefix)
{
    uint32_t count = 1U << (address_bits(&prefix->address) - prefix->length);
    struct ip_addr address = prefix->address;
    uint32_t base = be32toh(address.words_be[3]);

    for (uint32_t i = 0; i < count; i++) {
        struct pod_address *claim;

        address.words_be[3] = htobe32(base + i);
        for (claim = endpoint_holder(plan, &address); claim; claim = claim->next)
            claim_look(plan, claim);
    }
}

static void strays_search(struct plan *plan, const struct ip_prefix *prefix)
{
    struct plan_pod *pod;
    size_t cursor = 0;

    while ((pod = hash_next(&plan->pods, &cursor)))
        for (uint32_t i = 0; i < pod->address_count; i++)
            if (prefix_contains(prefix, &pod->addresses[i].address))
                claim_look(plan, &pod->addresses[i]);
}

/* Looks at what a prefix held that is not all covered any more. */
static void strays_look_in(struct plan *plan, const struct ranges *ranges)
{
    for (uint32_t i = 0; i < ranges->removed_count; i++) {
        if (prefix_is_small(plan, &ranges->removed[i]))
            strays_look_up(plan, &ranges->removed[i]);
        else
            strays_search(plan, &ranges->removed[i]);
    }
}

static void strays_look_again(struct plan *plan)
{
    struct pod_address *claim = LIST_FIRST(&plan->strays), *next;

    for (; claim; claim = next) {
        next = LIST_NEXT(claim, stray);
        claim_look(plan, claim);
    }
}

/* Where no ranges are known at all, there is nothing wrong with them. */
static bool strays_are_wrong(const struct plan *plan, enum stray_kind kind)
{
    bool configured = kind == STRAY_CLUSTER ? plan->cluster_cidrs.count : plan->pod_cidrs.count;

    return plan->stray_counts[kind] > 0 && (configured || plan->nodes_with_pod_cidrs > 0);
}

static void strays_say(struct plan *plan, enum stray_kind kind)
{
    static const char *const messages[] = {
        [STRAY_CLUSTER] = "pods have addresses outside of the ranges that are known to be inside "
                          "the cluster: this node watches all pods instead, so that traffic "
                          "between pods stays inside; set cluster-cidrs to where the CNI takes "
                          "addresses from",
        [STRAY_PODS] = "pods have addresses outside of the ranges that pods are known to have: "
                       "traffic of any unknown source counts as an unknown pod's; set pod-cidrs "
                       "to where the CNI takes addresses from",
    };
    bool wrong = strays_are_wrong(plan, kind);
    const struct pod_address *claim;

    if (wrong == plan->strays_said[kind])
        return;
    plan->strays_said[kind] = wrong;
    if (!wrong)
        return;
    LIST_FOREACH(claim, &plan->strays, stray)
    if (claim->outside[kind])
        break;
    log_warning(
        messages[kind], log_string("field", kind == STRAY_CLUSTER ? "cluster-cidrs" : "pod-cidrs"),
        log_number("endpoints", plan->stray_counts[kind]), log_address("endpoint", claim->address));
}

void strays_update(struct plan *plan)
{
    for (int kind = 0; kind < STRAY_KINDS; kind++)
        strays_look_in(plan, stray_ranges(plan, kind));
    if (plan->cluster_ranges.grown || plan->pod_ranges.grown)
        strays_look_again(plan);
    ranges_seen(&plan->cluster_ranges);
    ranges_seen(&plan->pod_ranges);
    for (int kind = 0; kind < STRAY_KINDS; kind++)
        strays_say(plan, kind);
}

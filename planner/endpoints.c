/* SPDX-License-Identifier: Apache-2.0 */
#include "planner/endpoints.h"

#include <stdlib.h>

#include "common/address.h"
#include "planner/numbers.h"
#include "planner/policies.h"
#include "planner/profiles.h"
#include "planner/stable_hash.h"
#include "planner/strays.h"

static bool pod_address_equal(const void *item, const void *key)
{
    return ip_addr_equal(&((const struct pod_address *)item)->address, key);
}

void endpoints_init(struct plan *plan)
{
    plan->endpoints = HASH_TABLE(pod_address_equal);
    strays_init(plan);
}

void endpoints_clear(struct plan *plan)
{
    hash_clear(&plan->endpoints, NULL);
    free(plan->stale);
}

static uint64_t address_hash(const struct ip_addr *address)
{
    return hash_bytes(address, sizeof(*address));
}

struct pod_address *endpoint_holder(const struct plan *plan, const struct ip_addr *address)
{
    return hash_find(&plan->endpoints, address_hash(address), address);
}

static bool pod_is_newer(const struct plan_pod *a, const struct plan_pod *b)
{
    if (a->created != b->created)
        return a->created > b->created;
    return text_compare(a->uid, b->uid) > 0;
}

/* One address more (1) or less (-1). Whether any pod has IPv6, or IPv4, decides whether a gateway
 * without an egress IP of that family is worth a word. */
static void pod_address_count(struct plan *plan, const struct ip_addr *address, int change)
{
    uint32_t *count = &plan->pod_addresses[address_family(address)], before = *count;

    count_change(count, change);
    if ((before == 0) != (*count == 0))
        policies_mark_local(plan);
}

void endpoint_claim(struct plan *plan, struct pod_address *claim)
{
    uint64_t hash = address_hash(&claim->address);
    struct pod_address *other = hash_find(&plan->endpoints, hash, &claim->address);

    pod_address_count(plan, &claim->address, 1);
    stray_add(plan, claim);
    if (!other || pod_is_newer(claim->pod, other->pod)) {
        hash_remove(&plan->endpoints, hash, &claim->address);
        claim->next = other;
        memory_hash_add(&plan->endpoints, hash, claim);
        return;
    }
    while (other->next && pod_is_newer(other->next->pod, claim->pod))
        other = other->next;
    claim->next = other->next;
    other->next = claim;
}

static int stale_compare(const void *a, const void *b)
{
    return address_compare(a, b);
}

/* Whether the tables may have to change for an address whose pod went away. */
static bool stale_matters(const struct plan *plan, const struct ip_addr *address)
{
    union table_key key = {.address = *address};

    return endpoint_holder(plan, address) || desired_find(&plan->desired, TABLE_ENDPOINTS, &key);
}

/* Each address once, and none that neither a pod nor the tables have. */
static void stale_compact(struct plan *plan)
{
    size_t kept = 0;

    qsort(plan->stale, plan->stale_count, sizeof(*plan->stale), stale_compare);
    for (size_t i = 0; i < plan->stale_count; i++) {
        const struct ip_addr *address = &plan->stale[i];

        if ((kept == 0 || !ip_addr_equal(address, &plan->stale[kept - 1])) &&
            stale_matters(plan, address))
            plan->stale[kept++] = *address;
    }
    plan->stale_count = kept;
}

/* Pods may come and go without end before the next update, while a loader does not read. */
static void endpoint_note_stale(struct plan *plan, const struct ip_addr *address)
{
    if (plan->stale_count == plan->stale_capacity) {
        if (plan->stale_count)
            stale_compact(plan);
        if (plan->stale_count >= plan->stale_capacity / 2) {
            plan->stale_capacity = plan->stale_capacity ? plan->stale_capacity * 2 : 64;
            plan->stale = memory_resize(plan->stale, plan->stale_capacity, sizeof(*plan->stale));
        }
    }
    plan->stale[plan->stale_count++] = *address;
}

void endpoint_yield(struct plan *plan, struct pod_address *claim)
{
    uint64_t hash = address_hash(&claim->address);
    struct pod_address *other = hash_find(&plan->endpoints, hash, &claim->address);

    if (other == claim) {
        hash_remove(&plan->endpoints, hash, &claim->address);
        if (claim->next)
            memory_hash_add(&plan->endpoints, hash, claim->next);
    } else {
        while (other->next != claim)
            other = other->next;
        other->next = claim->next;
    }
    pod_address_count(plan, &claim->address, -1);
    stray_remove(plan, claim);
    endpoint_note_stale(plan, &claim->address);
}

/* The entry of a pod that holds an address; false: it has none on this node. */
static bool endpoint_make(const struct plan *plan, const struct plan_pod *pod,
                          struct endpoint *endpoint)
{
    bool local = pod->node == plan->self;
    bool gateway_here = pod->profile && pod->profile->gateway_here;

    if (!local && !gateway_here && !plan->cluster_unknown)
        return false;
    *endpoint = (struct endpoint){
        .profile = pod->profile && (local || gateway_here) ? pod->profile->number : PROFILE_NONE,
        .hash = (uint32_t)stable_hash_mix(
            stable_hash_bytes(STABLE_HASH_START, pod->uid.data, pod->uid.length)),
        .flags = local ? ENDPOINT_LOCAL : 0,
    };
    if (pod->node)
        endpoint->node = pod->node->tunnel;
    return true;
}

void endpoint_refresh(struct plan *plan, const struct ip_addr *address)
{
    const struct pod_address *holder = hash_find(&plan->endpoints, address_hash(address), address);
    union table_key key = {.address = *address};
    union table_value value = {0};
    const union table_value *old = desired_find(&plan->desired, TABLE_ENDPOINTS, &key);
    bool wanted = holder && endpoint_make(plan, holder->pod, &value.endpoint);
    uint32_t old_profile = old ? old->endpoint.profile : PROFILE_NONE;
    uint32_t new_profile = wanted ? value.endpoint.profile : PROFILE_NONE;

    if (old_profile != new_profile) {
        profile_count_user(plan, new_profile, 1);
        profile_count_user(plan, old_profile, -1);
    }
    if (wanted)
        desired_set(&plan->desired, TABLE_ENDPOINTS, &key, &value);
    else
        desired_remove(&plan->desired, TABLE_ENDPOINTS, &key);
}

void endpoints_update(struct plan *plan)
{
    for (size_t i = 0; i < plan->stale_count; i++)
        endpoint_refresh(plan, &plan->stale[i]);
    plan->stale_count = 0;
    if (plan->stale_capacity > 1024) {
        free(plan->stale);
        plan->stale = NULL;
        plan->stale_capacity = 0;
    }
}

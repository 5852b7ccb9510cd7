/* SPDX-License-Identifier: Apache-2.0 */
#include "planner/profiles.h"

#include "planner/numbers.h"
#include "planner/pods.h"
#include "planner/policies.h"
#include "planner/routes.h"

static uint64_t profile_hash_step(uint64_t hash, const struct plan_policy *policy)
{
    return stable_hash_mix(hash ^ policy->number);
}

static uint64_t profile_hash(const struct profile *profile)
{
    uint64_t hash = STABLE_HASH_START;

    for (uint32_t i = 0; i < profile->policy_count; i++)
        hash = profile_hash_step(hash, profile->members[i].policy);
    return hash;
}

static uint64_t policies_hash(const struct pointers *policies)
{
    uint64_t hash = STABLE_HASH_START;

    for (uint32_t i = 0; i < policies->count; i++)
        hash = profile_hash_step(hash, policies->items[i]);
    return hash;
}

static bool profile_equal(const void *item, const void *key)
{
    const struct profile *profile = item;
    const struct pointers *policies = key;

    if (profile->policy_count != policies->count)
        return false;
    for (uint32_t i = 0; i < policies->count; i++)
        if (profile->members[i].policy != policies->items[i])
            return false;
    return true;
}

static bool profile_number_equal(const void *item, const void *key)
{
    return ((const struct profile *)item)->number == *(const uint32_t *)key;
}

void profiles_init(struct plan *plan)
{
    plan->profiles = HASH_TABLE(profile_equal);
    plan->profile_numbers = HASH_TABLE(profile_number_equal);
    TAILQ_INIT(&plan->marked_profiles);
    TAILQ_INIT(&plan->profiles_idle);
    TAILQ_INIT(&plan->profiles_retired);
}

void profile_mark(struct plan *plan, struct profile *profile)
{
    if (!profile->marked)
        TAILQ_INSERT_TAIL(&plan->marked_profiles, profile, mark);
    profile->marked = true;
}

void profile_update_role(struct plan *plan, struct profile *profile)
{
    struct plan_pod *pod;
    bool gateway_here = false;

    for (uint32_t i = 0; i < profile->policy_count; i++)
        gateway_here |= profile->members[i].policy->local_gateway;
    if (gateway_here == profile->gateway_here)
        return;
    profile->gateway_here = gateway_here;
    LIST_FOREACH(pod, &profile->pods, of_profile)
    pod_mark(plan, pod, MARK_ENDPOINT);
}

static int text_order(const void *a, const void *b)
{
    return text_compare(*(const struct text *)a, *(const struct text *)b);
}

/* A hash of what the profile means: the names of its policies, whatever their numbers are now. */
static uint64_t profile_meaning(const struct plan *plan, const struct profile *profile)
{
    _cleanup_free_ struct text *names = memory_new(profile->policy_count, sizeof(*names));
    uint64_t hash = STABLE_HASH_START;

    for (uint32_t i = 0; i < profile->policy_count; i++)
        names[i] = strings_text(&plan->strings, profile->members[i].policy->name);
    qsort(names, profile->policy_count, sizeof(*names), text_order);
    for (uint32_t i = 0; i < profile->policy_count; i++) {
        hash = stable_hash_bytes(hash, names[i].data, names[i].length);
        hash = stable_hash_bytes(hash, "", 1);
    }
    return stable_hash_mix(hash);
}

static struct profile *profile_new(struct plan *plan, const struct pointers *policies,
                                   uint64_t hash)
{
    struct profile *profile =
        memory_new(1, sizeof(*profile) + policies->count * sizeof(profile->members[0]));

    profile->policy_count = policies->count;
    for (uint32_t i = 0; i < policies->count; i++) {
        struct membership *member = &profile->members[i];

        member->policy = policies->items[i];
        member->profile = profile;
        LIST_INSERT_HEAD(&member->policy->profiles, member, link);
    }
    profile->number = number_choose(&plan->profile_numbers, profile_meaning(plan, profile),
                                    PROFILE_FIRST, PROFILE_LIMIT);
    memory_hash_add(&plan->profiles, hash, profile);
    memory_hash_add(&plan->profile_numbers, stable_hash_mix(profile->number), profile);
    return profile;
}

static void profile_free(struct plan *plan, struct profile *profile)
{
    struct pointers key = {0};

    for (uint32_t i = 0; i < profile->policy_count; i++)
        pointers_append(&key, profile->members[i].policy);
    hash_remove(&plan->profiles, profile_hash(profile), &key);
    hash_remove(&plan->profile_numbers, stable_hash_mix(profile->number), &profile->number);
    pointers_clear(&key);
    for (uint32_t i = 0; i < profile->policy_count; i++) {
        LIST_REMOVE(&profile->members[i], link);
        policy_release(plan, profile->members[i].policy);
    }
    free(profile);
}

static int policy_number_order(const void *a, const void *b)
{
    const struct plan_policy *first = *(struct plan_policy *const *)a;
    const struct plan_policy *second = *(struct plan_policy *const *)b;

    return (first->number > second->number) - (first->number < second->number);
}

struct profile *profile_of(struct plan *plan, struct pointers *policies)
{
    struct profile *profile;
    uint64_t hash;

    if (policies->count == 0)
        return NULL;
    qsort(policies->items, policies->count, sizeof(void *), policy_number_order);
    hash = policies_hash(policies);
    profile = hash_find(&plan->profiles, hash, policies);
    if (!profile) {
        profile = profile_new(plan, policies, hash);
    } else if (profile->retired) {
        TAILQ_REMOVE(&plan->profiles_retired, profile, idle);
        profile->retired = 0;
    }
    return profile;
}

bool profile_has_policy(const struct profile *profile, const struct plan_policy *policy)
{
    uint32_t low = 0, high = profile ? profile->policy_count : 0;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (profile->members[middle].policy->number < policy->number)
            low = middle + 1;
        else
            high = middle;
    }
    return profile && low < profile->policy_count && profile->members[low].policy == policy;
}

static void profile_count_selected(struct plan *plan, struct profile *profile, int change)
{
    for (uint32_t i = 0; i < profile->policy_count; i++)
        policy_count_selected(plan, profile->members[i].policy, change);
}

void profile_leave(struct plan *plan, struct plan_pod *pod)
{
    struct profile *profile = pod->profile;

    if (!profile)
        return;
    LIST_REMOVE(pod, of_profile);
    pod->profile = NULL;
    profile_count_selected(plan, profile, -1);
    if (LIST_EMPTY(&profile->pods) && !profile->listed_idle) {
        profile->listed_idle = true;
        TAILQ_INSERT_TAIL(&plan->profiles_idle, profile, idle);
    }
}

void profile_join(struct plan *plan, struct plan_pod *pod, struct profile *profile)
{
    if (profile == pod->profile)
        return;
    profile_leave(plan, pod);
    pod->profile = profile;
    if (!profile)
        return;
    LIST_INSERT_HEAD(&profile->pods, pod, of_profile);
    profile_count_selected(plan, profile, 1);
    profile_update_role(plan, profile);
}

void profile_count_user(struct plan *plan, uint32_t number, int change)
{
    struct profile *profile = hash_find(&plan->profile_numbers, stable_hash_mix(number), &number);

    if (!profile)
        return; /* PROFILE_NONE */
    count_change(&profile->users, change);
    if ((profile->users > 0) != profile->installed)
        profile_mark(plan, profile);
}

/* A profile without pods is kept, with its number, until the kernel has forgotten it. */
static void profile_retire(struct plan *plan, struct profile *profile)
{
    profile->retired = plan->generation;
    TAILQ_INSERT_TAIL(&plan->profiles_retired, profile, idle);
}

void profiles_update(struct plan *plan)
{
    struct profile *profile;

    while ((profile = TAILQ_FIRST(&plan->marked_profiles))) {
        TAILQ_REMOVE(&plan->marked_profiles, profile, mark);
        profile->marked = false;
        if (profile->users > 0)
            profile_install(plan, profile);
        else if (profile->installed)
            profile_uninstall(plan, profile);
    }
    while ((profile = TAILQ_FIRST(&plan->profiles_idle))) {
        TAILQ_REMOVE(&plan->profiles_idle, profile, idle);
        profile->listed_idle = false;
        if (LIST_EMPTY(&profile->pods))
            profile_retire(plan, profile);
    }
}

void profiles_settle(struct plan *plan, uint64_t generation)
{
    struct profile *profile;

    while ((profile = TAILQ_FIRST(&plan->profiles_retired)) && profile->retired <= generation) {
        TAILQ_REMOVE(&plan->profiles_retired, profile, idle);
        profile_free(plan, profile);
    }
}

/* After the pods are gone and profiles_update() was called. */
void profiles_clear(struct plan *plan)
{
    profiles_settle(plan, UINT64_MAX);
    hash_clear(&plan->profile_numbers, NULL);
    hash_clear(&plan->profiles, NULL);
}

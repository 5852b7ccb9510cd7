/* SPDX-License-Identifier: Apache-2.0 */
#include "planner/policies.h"

#include "planner/gateways.h"
#include "planner/groups.h"
#include "planner/index.h"
#include "planner/numbers.h"
#include "planner/pods.h"
#include "planner/policy_body.h"
#include "planner/profiles.h"
#include "planner/ranges.h"
#include "planner/report.h"
#include "planner/stable_hash.h"

enum { POLICY_PLACES = POLICIES_COUNTED - 1 }; /* number 0 is nobody's */

static bool plan_policy_equal(const void *item, const void *key)
{
    return ((const struct plan_policy *)item)->name == *(const string_id *)key;
}

void policies_init(struct plan *plan)
{
    plan->policies = HASH_TABLE(plan_policy_equal);
    TAILQ_INIT(&plan->marked_policies);
    TAILQ_INIT(&plan->selections);
}

/* A place in plan->policy_numbers, from the policy's name: so that a planner that was restarted
 * gives the same numbers again, under which the kernel counts packets and remembers connections.
 * Where there are more policies than counters, the last ones get higher numbers. */
static uint32_t policy_place(const struct pointers *numbers, struct text name)
{
    uint64_t hash = stable_hash_mix(stable_hash_bytes(STABLE_HASH_START, name.data, name.length));
    uint32_t place = (uint32_t)(hash % POLICY_PLACES), i;

    for (i = 0; i < POLICY_PLACES && numbers->items[place]; i++)
        place = (place + 1) % POLICY_PLACES;
    if (i < POLICY_PLACES)
        return place;
    for (place = POLICY_PLACES; place < numbers->count && numbers->items[place];)
        place++;
    return place;
}

static uint32_t policy_number(struct plan *plan, struct plan_policy *policy, struct text name)
{
    struct pointers *numbers = &plan->policy_numbers;
    uint32_t place;

    while (numbers->count < POLICY_PLACES)
        pointers_append(numbers, NULL);
    place = policy_place(numbers, name);
    if (place == numbers->count)
        pointers_append(numbers, NULL);
    numbers->items[place] = policy;
    return place + 1;
}

/* Tells the name of a policy that is there, to those who show counters. */
static void policy_plan_name(struct plan *plan, const struct plan_policy *policy)
{
    union table_key key = {.policy = policy->number};
    union table_value value = {0};

    if (policy->number >= POLICIES_COUNTED)
        return;
    if (!policy->body ||
        policy_name_make(strings_text(&plan->strings, policy->name), &value.policy) < 0)
        desired_remove(&plan->desired, TABLE_POLICIES, &key);
    else
        desired_set(&plan->desired, TABLE_POLICIES, &key, &value);
}

static struct plan_policy *policy_find(const struct plan *plan, struct text name)
{
    string_id id = strings_find(&plan->strings, name);

    return id ? hash_find(&plan->policies, stable_hash_mix(id), &id) : NULL;
}

static struct plan_policy *policy_of(struct plan *plan, struct text name)
{
    struct plan_policy *policy = policy_find(plan, name);

    if (policy)
        return policy;
    policy = memory_new(1, sizeof(*policy));
    policy->name = strings_acquire(&plan->strings, name);
    policy->number = policy_number(plan, policy, name);
    memory_hash_add(&plan->policies, stable_hash_mix(policy->name), policy);
    return policy;
}

void policy_release(struct plan *plan, struct plan_policy *policy)
{
    if (policy->body || policy->planned || policy->marked || policy->selection_changed ||
        !LIST_EMPTY(&policy->profiles))
        return;
    report_forget_policy(plan, policy);
    hash_remove(&plan->policies, stable_hash_mix(policy->name), &policy->name);
    plan->policy_numbers.items[policy->number - 1] = NULL;
    strings_release(&plan->strings, policy->name);
    free(policy);
}

void policy_mark(struct plan *plan, struct plan_policy *policy)
{
    if (!policy->marked)
        TAILQ_INSERT_TAIL(&plan->marked_policies, policy, mark);
    policy->marked = true;
}

void policies_mark_local(struct plan *plan)
{
    struct plan_policy *policy;
    size_t cursor = 0;

    while ((policy = hash_next(&plan->policies, &cursor)))
        if (policy->local_gateway)
            policy_mark(plan, policy);
}

static void policy_note_selection(struct plan *plan, struct plan_policy *policy)
{
    if (!policy->selection_changed)
        TAILQ_INSERT_TAIL(&plan->selections, policy, selection);
    policy->selection_changed = true;
}

void policy_count_selected(struct plan *plan, struct plan_policy *policy, int change)
{
    uint32_t before = policy->selected;

    count_change(&policy->selected, change);
    if ((before == 0) != (policy->selected == 0))
        policy_note_selection(plan, policy);
}

/* Somebody will want to know whether it selects anything. */
static void policy_ask_selection(struct plan *plan, struct plan_policy *policy)
{
    policy->selection_asked = true;
    policy_note_selection(plan, policy);
}

void policies_note_selections(struct plan *plan)
{
    struct plan_policy *policy;
    size_t cursor = 0;

    while ((policy = hash_next(&plan->policies, &cursor)))
        policy_note_selection(plan, policy);
}

/* Marks the pods that the policy selects as far as was computed, but not by its new rules. */
static void policy_mark_pods(struct plan *plan, const struct plan_policy *policy,
                             const struct rule *rules, uint32_t count)
{
    const struct membership *member;
    struct plan_pod *pod;

    LIST_FOREACH(member, &policy->profiles, link)
    LIST_FOREACH(pod, &member->profile->pods, of_profile)
    if (!index_rules_match(rules, count, pod))
        pod_mark(plan, pod, MARK_SELECT);
}

static void policy_clear_rules(struct plan *plan, struct plan_policy *policy)
{
    for (uint32_t i = 0; i < policy->rule_count; i++)
        index_remove_rule(plan, &policy->rules[i]);
    rules_free(plan, policy->rules, policy->rule_count);
    policy->rules = NULL;
    policy->rule_count = 0;
}

/* Takes `rules`. Pods that were not looked at yet are marked anyway. */
static void policy_set_rules(struct plan *plan, struct plan_policy *policy, struct rule *rules,
                             uint32_t count)
{
    policy_mark_pods(plan, policy, rules, count);
    policy_clear_rules(plan, policy);
    policy->rules = rules;
    policy->rule_count = count;
    policy_ask_selection(plan, policy);
    for (uint32_t i = 0; i < count; i++) {
        index_add_rule(plan, &rules[i]);
        if (plan->complete)
            index_mark_rule(plan, &rules[i]);
    }
}

/* Takes `body`; NULL: the policy is gone. */
static void policy_set_body(struct plan *plan, struct plan_policy *policy, struct policy_body *body)
{
    struct policy_body *old = policy->body;

    if (old)
        policy_body_detach(plan, policy, old);
    if (old != policy->planned)
        policy_body_free(plan, old);
    policy->body = body;
    if (body)
        policy_body_attach(policy, body);
    policy_mark(plan, policy);
    policy_ask_selection(plan, policy);
}

void policy_apply(struct plan *plan, const struct policy *object)
{
    struct plan_policy *policy = policy_of(plan, object->name);
    struct rule *rules = rules_new(plan, policy, object);
    struct policy_body *body = policy_body_new(plan, object);
    uint32_t count = (uint32_t)object->rule_count;

    policy->seen = plan->epochs[KIND_POLICY];
    if (rules_equal(policy->rules, policy->rule_count, rules, count))
        rules_free(plan, rules, count);
    else
        policy_set_rules(plan, policy, rules, count);
    if (policy->body && policy_body_equal(policy->body, body))
        policy_body_free(plan, body);
    else
        policy_set_body(plan, policy, body);
}

static void policy_drop(struct plan *plan, struct plan_policy *policy)
{
    policy_mark_pods(plan, policy, NULL, 0);
    policy_clear_rules(plan, policy);
    policy_set_body(plan, policy, NULL);
}

void policy_remove(struct plan *plan, struct text name)
{
    struct plan_policy *policy = policy_find(plan, name);

    if (policy && policy->body)
        policy_drop(plan, policy);
}

void policies_sweep(struct plan *plan)
{
    struct plan_policy *policy;
    size_t cursor = 0;

    while ((policy = hash_next(&plan->policies, &cursor)))
        if (policy->body && policy->seen != plan->epochs[KIND_POLICY])
            policy_drop(plan, policy);
}

static void policy_count_covered(struct plan *plan, const struct policy_body *body, int change)
{
    if (!body)
        return;
    ranges_count(plan, &plan->covered_ranges, body->destinations, body->destination_count, change);
    ranges_seen(&plan->covered_ranges);
}

static void policy_mark_profiles(struct plan *plan, const struct plan_policy *policy)
{
    const struct membership *member;

    LIST_FOREACH(member, &policy->profiles, link)
    if (member->profile->installed)
        profile_mark(plan, member->profile);
}

static void policy_update_body(struct plan *plan, struct plan_policy *policy)
{
    if (policy->body == policy->planned)
        return;
    policy_count_covered(plan, policy->body, 1);
    policy_count_covered(plan, policy->planned, -1);
    policy_body_free(plan, policy->planned);
    policy->planned = policy->body;
    policy_plan_name(plan, policy);
    policy_mark_profiles(plan, policy);
}

static void policy_set_local_gateway(struct plan *plan, struct plan_policy *policy, bool local)
{
    const struct membership *member;

    if (policy->local_gateway == local)
        return;
    policy->local_gateway = local;
    count_change(&plan->local_gateways, local ? 1 : -1);
    LIST_FOREACH(member, &policy->profiles, link)
    profile_update_role(plan, member->profile);
}

/* Holds the groups that the policy's gateways make up now, or none where no route needs them. */
static void policy_set_groups(struct plan *plan, struct plan_policy *policy,
                              const struct gateways *gateways)
{
    bool changed = false;

    for (int family = 0; family < FAMILIES; family++) {
        struct group *old = policy->groups[family], *group = NULL;

        if (policy->users && policy->body && policy->body->families[family])
            group = group_acquire(plan, gateways->entries[family], gateways->identities,
                                  gateways->count);
        group_release(plan, old);
        policy->groups[family] = group;
        changed |= group != old;
    }
    if (changed)
        policy_mark_profiles(plan, policy);
}

static void policy_update_gateways(struct plan *plan, struct plan_policy *policy)
{
    struct gateways gateways;

    gateways_resolve(plan, policy, &gateways);
    policy_set_local_gateway(plan, policy, gateways.local);
    policy_set_groups(plan, policy, &gateways);
}

void policy_use(struct plan *plan, struct plan_policy *policy)
{
    if (policy->users++ == 0)
        policy_update_gateways(plan, policy);
}

void policy_unuse(struct plan *plan, struct plan_policy *policy)
{
    if (--policy->users > 0)
        return;
    for (int family = 0; family < FAMILIES; family++) {
        group_release(plan, policy->groups[family]);
        policy->groups[family] = NULL;
    }
}

void policies_update(struct plan *plan)
{
    struct plan_policy *policy;

    while ((policy = TAILQ_FIRST(&plan->marked_policies))) {
        TAILQ_REMOVE(&plan->marked_policies, policy, mark);
        policy->marked = false;
        policy_update_body(plan, policy);
        policy_update_gateways(plan, policy);
        policy_release(plan, policy);
    }
}

void policies_report(struct plan *plan)
{
    struct plan_policy *policy;

    while ((policy = TAILQ_FIRST(&plan->selections))) {
        TAILQ_REMOVE(&plan->selections, policy, selection);
        policy->selection_changed = false;
        if (policy->body)
            report_selection(plan, policy);
        policy_release(plan, policy);
    }
}

bool policy_precedes(const struct plan *plan, const struct plan_policy *a,
                     const struct plan_policy *b)
{
    if (a->body->created != b->body->created)
        return a->body->created < b->body->created;
    return text_compare(strings_text(&plan->strings, a->name),
                        strings_text(&plan->strings, b->name)) < 0;
}

bool policy_is_there(const struct plan *plan, struct text name)
{
    const struct plan_policy *policy = policy_find(plan, name);

    return policy && policy->body;
}

void policies_clear(struct plan *plan)
{
    hash_clear(&plan->policies, NULL);
    pointers_clear(&plan->policy_numbers);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "planner/index.h"

#include "planner/pods.h"
#include "planner/profiles.h"

static bool condition_requires_pair(const struct condition *condition)
{
    return condition->match == MATCH_IN && condition->scope != SCOPE_NODE;
}

/* How many rules a pod would meet on the way if this condition's pairs led to the rule. */
static uint64_t condition_load(struct plan *plan, const struct condition *condition)
{
    uint64_t load = 0;

    for (uint32_t i = 0; i < condition->value_count; i++) {
        struct label_pair *pair =
            label_pair_acquire(&plan->labels, condition->key, condition->values[i]);

        load += 1 + pair->rule_count;
        label_pair_release(&plan->labels, pair);
    }
    return load;
}

/* The condition whose pairs the rule is listed under: the one that spreads rules best. NULL: the
 * rule has none. */
static const struct condition *rule_anchor(struct plan *plan, const struct rule *rule)
{
    const struct condition *best = NULL;
    uint64_t best_load = UINT64_MAX;

    for (uint32_t i = 0; i < rule->conditions.count; i++) {
        const struct condition *condition = &rule->conditions.items[i];
        uint64_t load;

        if (!condition_requires_pair(condition))
            continue;
        load = condition_load(plan, condition);
        if (load < best_load) {
            best = condition;
            best_load = load;
        }
    }
    return best;
}

static void rule_register(struct plan *plan, struct rule *rule, const struct condition *condition)
{
    rule->registrations = memory_new(condition->value_count, sizeof(*rule->registrations));
    for (uint32_t i = 0; i < condition->value_count; i++) {
        struct registration *registration = &rule->registrations[rule->registration_count];

        if (i > 0 && condition->values[i] == condition->values[i - 1])
            continue;
        registration->rule = rule;
        registration->scope = condition->scope;
        registration->pair =
            label_pair_acquire(&plan->labels, condition->key, condition->values[i]);
        registration->pair->rule_count++;
        LIST_INSERT_HEAD(&registration->pair->rules[condition->scope], registration, link);
        rule->registration_count++;
    }
}

void index_add_rule(struct plan *plan, struct rule *rule)
{
    const struct condition *anchor = rule_anchor(plan, rule);

    for (int scope = 0; scope < SCOPES; scope++)
        plan->rules_on[scope] += conditions_use_scope(&rule->conditions, scope);
    if (anchor) {
        rule_register(plan, rule, anchor);
    } else {
        rule->everywhere = plan->rules_everywhere.count;
        pointers_append(&plan->rules_everywhere, rule);
    }
}

static void index_remove_everywhere(struct plan *plan, const struct rule *rule)
{
    struct pointers *rules = &plan->rules_everywhere;
    struct rule *last = rules->items[--rules->count];

    rules->items[rule->everywhere] = last;
    last->everywhere = rule->everywhere;
}

void index_remove_rule(struct plan *plan, struct rule *rule)
{
    for (int scope = 0; scope < SCOPES; scope++)
        plan->rules_on[scope] -= conditions_use_scope(&rule->conditions, scope);
    if (!rule->registrations)
        index_remove_everywhere(plan, rule);
    for (uint32_t i = 0; i < rule->registration_count; i++) {
        LIST_REMOVE(&rule->registrations[i], link);
        rule->registrations[i].pair->rule_count--;
        label_pair_release(&plan->labels, rule->registrations[i].pair);
    }
    free(rule->registrations);
    rule->registrations = NULL;
    rule->registration_count = 0;
}

static struct subject pod_subject(const struct plan_pod *pod)
{
    return (struct subject){{
        [SCOPE_POD] = pod->labels,
        [SCOPE_NAMESPACE] = pod->namespace->labels,
        [SCOPE_NODE] = pod->node ? pod->node->labels : NULL,
    }};
}

static void rule_try(struct plan *plan, const struct rule *rule, const struct subject *subject,
                     struct pointers *policies)
{
    struct plan_policy *policy = rule->policy;

    if (policy->visited == plan->visit || !conditions_match(&rule->conditions, subject))
        return;
    policy->visited = plan->visit;
    pointers_append(policies, policy);
}

static void index_select_by_labels(struct plan *plan, enum label_scope scope,
                                   const struct subject *subject, struct pointers *policies)
{
    const struct label_set *set = subject->labels[scope];
    const struct registration *registration;

    for (uint32_t i = 0; set && i < set->count; i++)
        LIST_FOREACH(registration, &set->items[i].pair->rules[scope], link)
    rule_try(plan, registration->rule, subject, policies);
}

bool index_rules_match(const struct rule *rules, uint32_t count, const struct plan_pod *pod)
{
    struct subject subject = pod_subject(pod);

    for (uint32_t i = 0; i < count; i++)
        if (conditions_match(&rules[i].conditions, &subject))
            return true;
    return false;
}

void index_select(struct plan *plan, const struct plan_pod *pod, struct pointers *policies)
{
    struct subject subject = pod_subject(pod);

    plan->visit++;
    index_select_by_labels(plan, SCOPE_POD, &subject, policies);
    index_select_by_labels(plan, SCOPE_NAMESPACE, &subject, policies);
    for (uint32_t i = 0; i < plan->rules_everywhere.count; i++)
        rule_try(plan, plan->rules_everywhere.items[i], &subject, policies);
}

static void rule_mark_pod(struct plan *plan, const struct rule *rule, struct plan_pod *pod)
{
    struct subject subject = pod_subject(pod);

    if (!profile_has_policy(pod->profile, rule->policy) &&
        conditions_match(&rule->conditions, &subject))
        pod_mark(plan, pod, MARK_SELECT);
}

static void rule_mark_set(struct plan *plan, const struct rule *rule, const struct label_set *set,
                          enum label_scope scope)
{
    const struct plan_namespace *namespace;
    struct plan_pod *pod;

    if (scope == SCOPE_POD) {
        LIST_FOREACH(pod, &set->pods, of_labels)
        rule_mark_pod(plan, rule, pod);
        return;
    }
    LIST_FOREACH(namespace, &set->namespaces, of_labels)
    LIST_FOREACH(pod, &namespace->pods, of_namespace)
    rule_mark_pod(plan, rule, pod);
}

void index_mark_rule(struct plan *plan, const struct rule *rule)
{
    struct plan_pod *pod;
    size_t cursor = 0;

    for (uint32_t i = 0; i < rule->registration_count; i++) {
        const struct registration *registration = &rule->registrations[i];

        for (uint32_t j = 0; j < registration->pair->sets.count; j++)
            rule_mark_set(plan, rule, registration->pair->sets.items[j], registration->scope);
    }
    if (!rule->registrations)
        while ((pod = hash_next(&plan->pods, &cursor)))
            rule_mark_pod(plan, rule, pod);
}

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PLANNER_INDEX_H
#define PLANNER_INDEX_H

#include "planner/state.h"

/*
 * Which rules a pod may match and which pods a rule may match. Each rule stands in the lists of one
 * label that it requires (of all values that it accepts for it); one that requires none is tried
 * for every pod.
 */
void index_add_rule(struct plan *plan, struct rule *rule);
void index_remove_rule(struct plan *plan, struct rule *rule);

/* Adds the policies that select a pod to `policies`, each once. */
void index_select(struct plan *plan, const struct plan_pod *pod, struct pointers *policies);

/* Whether one of a policy's rules selects a pod. */
bool index_rules_match(const struct rule *rules, uint32_t count, const struct plan_pod *pod);

/* Marks the pods that match a rule and whose profile is without its policy, so that it is computed
 * anew. */
void index_mark_rule(struct plan *plan, const struct rule *rule);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PLANNER_POLICIES_H
#define PLANNER_POLICIES_H

#include "planner/state.h"

void policies_init(struct plan *plan);
bool policy_is_there(const struct plan *plan, struct text name);
void policies_clear(struct plan *plan);
void policy_apply(struct plan *plan, const struct policy *object);
void policy_remove(struct plan *plan, struct text name);
void policies_sweep(struct plan *plan);

/* Something that the policy's gateways depend on changed. */
void policy_mark(struct plan *plan, struct plan_policy *policy);
/* The same for every policy that this node is a gateway of. */
void policies_mark_local(struct plan *plan);
/* Works the marks off: covered destinations, gateways, groups. */
void policies_update(struct plan *plan);

/* Reports policies that began or ceased to select pods since the last call. */
void policies_report(struct plan *plan);
/* Has all policies looked at by policies_report(). */
void policies_note_selections(struct plan *plan);

/* Frees the entry where nothing needs it. */
void policy_release(struct plan *plan, struct plan_policy *policy);

/* Routes of one profile more, or less, refer to the policy: its groups are in the tables as long
 * as some do. */
void policy_use(struct plan *plan, struct plan_policy *policy);
void policy_unuse(struct plan *plan, struct plan_policy *policy);

/* It selects one pod more (1) or less (-1). */
void policy_count_selected(struct plan *plan, struct plan_policy *policy, int change);

/* Whether `a` decides where both have the same prefix. */
bool policy_precedes(const struct plan *plan, const struct plan_policy *a,
                     const struct plan_policy *b);

#endif

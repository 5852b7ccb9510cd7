/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PLANNER_REPORT_H
#define PLANNER_REPORT_H

#include "planner/state.h"

/* What an operator should know: one line in the log when it becomes so, none while it stays. */

/* How a gateway entry of a policy is now. */
void report_gateway(struct plan *plan, struct plan_policy *policy, uint32_t entry,
                    const struct gateway_report *now);
/* Whether a policy selects any pod, where this node knows all pods. */
void report_selection(const struct plan *plan, struct plan_policy *policy);

/* Two policies of one profile have a prefix in common; and one profile less where they do. What is
 * new is said by report_conflicts(), when all profiles are known. */
void report_conflict(struct plan *plan, const struct conflict *conflict);
void report_conflict_over(struct plan *plan, const struct conflict *conflict);
void report_conflicts(struct plan *plan);

void report_init(struct plan *plan);
void report_clear(struct plan *plan);
/* Releases what was noted about a policy. */
void report_forget_policy(struct plan *plan, struct plan_policy *policy);

#endif

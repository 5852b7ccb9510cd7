/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PLANNER_POLICY_BODY_H
#define PLANNER_POLICY_BODY_H

#include "planner/state.h"

/* A policy object compiled: its selectors as rules, the rest as a body. */
struct rule *rules_new(struct plan *plan, struct plan_policy *policy, const struct policy *object);
void rules_free(struct plan *plan, struct rule *rules, uint32_t count);
bool rules_equal(const struct rule *a, uint32_t a_count, const struct rule *b, uint32_t b_count);

struct policy_body *policy_body_new(struct plan *plan, const struct policy *object);
/* NULL is ignored. */
void policy_body_free(struct plan *plan, struct policy_body *body);
bool policy_body_equal(const struct policy_body *a, const struct policy_body *b);

/* Has the policy follow the nodes that its gateways' selectors match; after the detachment the
 * body has no gateways any more. */
void policy_body_attach(struct plan_policy *policy, struct policy_body *body);
void policy_body_detach(struct plan *plan, struct plan_policy *policy, struct policy_body *body);

#endif

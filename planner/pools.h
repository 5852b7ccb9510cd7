/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PLANNER_POOLS_H
#define PLANNER_POOLS_H

#include "planner/state.h"

/* The nodes that a gateway's nodeSelector matches, and which of them is the gateway. */
struct pool *pool_acquire(struct plan *plan, const struct selector *selector);
void pool_release(struct plan *plan, struct pool *pool);

/* Whose gateways depend on the pool: called once for each entry. */
void pool_add_policy(struct pool *pool, struct plan_policy *policy);
void pool_remove_policy(struct pool *pool, const struct plan_policy *policy);

/* A node came, went or changed. */
void pools_update_node(struct plan *plan, struct plan_node *node);
/* Marks the policies whose gateway this node is. */
void pools_mark_chosen(struct plan *plan, const struct plan_node *node);

#endif

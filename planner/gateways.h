/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PLANNER_GATEWAYS_H
#define PLANNER_GATEWAYS_H

#include "planner/state.h"

/* The gateways of a policy as they are now. */
struct gateways {
    uint32_t count;
    bool local;                                       /* this node is one of them */
    struct gateway entries[FAMILIES][LIMIT_GATEWAYS]; /* in the order of the list; see groups.h */
    uint64_t identities[LIMIT_GATEWAYS];
};

/* Chooses the node of each entry and finds the egress IPs of those that are this node; reports what
 * is wrong with them where that has changed. */
void gateways_resolve(struct plan *plan, struct plan_policy *policy, struct gateways *gateways);

#endif

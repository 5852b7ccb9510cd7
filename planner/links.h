/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PLANNER_LINKS_H
#define PLANNER_LINKS_H

#include "planner/state.h"

/* This node's own interfaces, and the egress IP of a gateway entry that is served here. */
void links_init(struct plan *plan);
void links_clear(struct plan *plan);
void link_apply(struct plan *plan, const struct link *object);
void link_remove(struct plan *plan, uint32_t ifindex);
void links_sweep(struct plan *plan);

/* Fills egress IP, interface and GATEWAY_DEDICATED of a gateway of this node; false: it has none
 * for the family. */
bool links_resolve(const struct plan *plan, const struct gateway_choice *choice, enum family family,
                   struct gateway *gateway);

#endif

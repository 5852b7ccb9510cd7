/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PLANNER_NODES_H
#define PLANNER_NODES_H

#include "planner/state.h"

void nodes_init(struct plan *plan, struct text self);
void nodes_clear(struct plan *plan);
void node_apply(struct plan *plan, const struct node *object);
void node_remove(struct plan *plan, struct text name);
void nodes_sweep(struct plan *plan);

/* The entry of a name, which is made where there is none. */
struct plan_node *node_of(struct plan *plan, struct text name);
/* Frees the entry where nothing needs it. */
void node_release(struct plan *plan, struct plan_node *node);

/* Works the marks off: tunnel addresses, nodes table, settings, ranges of cluster and pods. */
void nodes_update(struct plan *plan);

/* An entry of a gateway group has this tunnel address (1), or no longer (-1). */
void node_address_count_group(struct plan *plan, const struct ip_addr *address, int change);

#endif

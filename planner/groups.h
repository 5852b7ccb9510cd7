/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PLANNER_GROUPS_H
#define PLANNER_GROUPS_H

#include "planner/state.h"

/* Gateway groups: equal lists of gateways share one, with its entries in the gateways table. */
void groups_init(struct plan *plan);
void groups_clear(struct plan *plan);

/* The group of a policy's entries for one family, in the order of its list; an entry that is left
 * out has no `node`. NULL: all are left out. */
struct group *group_acquire(struct plan *plan, const struct gateway *entries,
                            const uint64_t *identities, uint32_t count);
/* NULL is ignored. */
void group_release(struct plan *plan, struct group *group);

/* Frees what was given up by this generation. */
void groups_settle(struct plan *plan, uint64_t generation);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PLANNER_RANGES_H
#define PLANNER_RANGES_H

#include "planner/state.h"

/* Counted prefixes: each is a route of the reserved profile while somebody has added it more often
 * than removed. */
void ranges_init(struct ranges *ranges, uint32_t profile, enum route_action action);
void ranges_clear(struct ranges *ranges);

/* Adds (`change` 1) or removes (-1) prefixes. */
void ranges_count(struct plan *plan, struct ranges *ranges, const struct ip_prefix *prefixes,
                  size_t count, int change);
/* The same for single addresses. */
void ranges_count_addresses(struct plan *plan, struct ranges *ranges,
                            const struct ip_addr *addresses, size_t count, int change);

#endif

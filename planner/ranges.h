/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PLANNER_RANGES_H
#define PLANNER_RANGES_H

#include "planner/state.h"

/*
 * Sets of addresses that are routes of a reserved profile: what some prefix covers that was added
 * more often than removed. The table holds the fewest prefixes that cover the same addresses: one
 * inside another is left out, and two halves are one. Thousands of nodes and policies with ranges
 * side by side come down to a few entries.
 */
void ranges_init(struct ranges *ranges, uint32_t profile, enum route_action action);
void ranges_clear(struct ranges *ranges);

/* Adds (`change` 1) or removes (-1) prefixes. */
void ranges_count(struct plan *plan, struct ranges *ranges, const struct ip_prefix *prefixes,
                  size_t count, int change);
/* The same for single addresses. */
void ranges_count_addresses(struct plan *plan, struct ranges *ranges,
                            const struct ip_addr *addresses, size_t count, int change);

/* What was noted as grown and removed is dealt with. */
void ranges_seen(struct ranges *ranges);

/* Whether an address is in one of the ranges. */
bool ranges_hold(const struct ranges *ranges, const struct ip_addr *address);

#endif

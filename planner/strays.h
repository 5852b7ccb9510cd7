/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PLANNER_STRAYS_H
#define PLANNER_STRAYS_H

#include "planner/state.h"

/*
 * Addresses of pods that lie outside of the ranges that the cluster, or its pods, are said to have:
 * with some CNIs spec.podCIDRs is not where pods get their addresses from. While there are any, the
 * ranges are not relied on. Pods of nodes that are not there do not count: a node that was deleted
 * takes its ranges with it, and its pods follow.
 */
void strays_init(struct plan *plan);

/* An address was added, or goes. */
void stray_add(struct plan *plan, struct pod_address *claim);
void stray_remove(struct plan *plan, struct pod_address *claim);

/* A node came or went. */
void strays_look_at_node(struct plan *plan, const struct plan_node *node);

/* Looks again where the ranges have changed, and says what changed by it. */
void strays_update(struct plan *plan);

#endif

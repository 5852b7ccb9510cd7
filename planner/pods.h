/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PLANNER_PODS_H
#define PLANNER_PODS_H

#include "planner/state.h"

/* Pods that can be endpoints; one that cannot (host network, ended, no address) is not kept. */
void pods_init(struct plan *plan);
void pods_clear(struct plan *plan);
void pod_apply(struct plan *plan, const struct pod *object);
void pod_remove(struct plan *plan, struct text uid);
/* Removes what the full list that ends now did not name. */
void pods_sweep(struct plan *plan);

/* Something that the pod's profile (MARK_SELECT) or entries (MARK_ENDPOINT) depend on changed. */
void pod_mark(struct plan *plan, struct plan_pod *pod, unsigned marks);
void pods_mark_all(struct plan *plan, unsigned marks);

/* Works the marks off. */
void pods_update(struct plan *plan);

#endif

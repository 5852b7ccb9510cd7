/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PLANNER_NAMESPACES_H
#define PLANNER_NAMESPACES_H

#include "planner/state.h"

void namespaces_init(struct plan *plan);
void namespaces_clear(struct plan *plan);
void namespace_apply(struct plan *plan, const struct namespace *object);
void namespace_remove(struct plan *plan, struct text name);
void namespaces_sweep(struct plan *plan);

/* The entry of a name, which is made where there is none. */
struct plan_namespace *namespace_of(struct plan *plan, struct text name);
/* Frees the entry where neither an object nor a pod needs it. */
void namespace_release(struct plan *plan, struct plan_namespace *namespace);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PLANNER_ROUTES_H
#define PLANNER_ROUTES_H

#include "planner/state.h"

/* Puts the routes of a profile into the table, or makes those that are there right. */
void profile_install(struct plan *plan, struct profile *profile);
void profile_uninstall(struct plan *plan, struct profile *profile);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PLANNER_PROFILES_H
#define PLANNER_PROFILES_H

#include "planner/state.h"

/* Profiles: the sets of policies that pods have, and their routes. */
void profiles_init(struct plan *plan);
void profiles_clear(struct plan *plan);

/* The profile of these policies, made where it is not there yet; NULL: of none. Reorders
 * `policies`. The caller has a pod join it. */
struct profile *profile_of(struct plan *plan, struct pointers *policies);
/* Gives a pod the profile, which may be NULL. */
void profile_join(struct plan *plan, struct plan_pod *pod, struct profile *profile);
void profile_leave(struct plan *plan, struct plan_pod *pod);

/* `profile` may be NULL: it has no policy. */
bool profile_has_policy(const struct profile *profile, const struct plan_policy *policy);

/* One entry more (1) or less (-1) of the endpoints table has this profile. */
void profile_count_user(struct plan *plan, uint32_t number, int change);

/* The routes of a profile that are in the table may have to change. */
void profile_mark(struct plan *plan, struct profile *profile);
/* Whether this node is a gateway of some policy in it may have changed. */
void profile_update_role(struct plan *plan, struct profile *profile);

/* Works the marks off, and gives up profiles that no pod has. */
void profiles_update(struct plan *plan);
/* Frees what was given up by this generation. */
void profiles_settle(struct plan *plan, uint64_t generation);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PLANNER_ENDPOINTS_H
#define PLANNER_ENDPOINTS_H

#include "planner/state.h"

/*
 * Who holds an address, and its entry in the endpoints table. Of several pods that claim one
 * address the newest holds it (created last, then the greater UID), in whichever order they come.
 */
void endpoints_init(struct plan *plan);
void endpoints_clear(struct plan *plan);

void endpoint_claim(struct plan *plan, struct pod_address *claim);
/* The address is put on the list of stale ones. */
void endpoint_yield(struct plan *plan, struct pod_address *claim);

/* The newest claim to an address, or NULL; older ones follow it. */
struct pod_address *endpoint_holder(const struct plan *plan, const struct ip_addr *address);

/* Makes the entry of an address what it should be. */
void endpoint_refresh(struct plan *plan, const struct ip_addr *address);

/* Refreshes the addresses that were yielded. */
void endpoints_update(struct plan *plan);

#endif

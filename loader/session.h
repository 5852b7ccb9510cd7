/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOADER_SESSION_H
#define LOADER_SESSION_H

#include <event2/event.h>
#include <sys/types.h>

#include "ipc/status.h"
#include "loader/apply.h"

/*
 * The planner's side of the loader: takes in generations and answers each of them.
 *
 * ACKNOWLEDGE: everything up to this generation is in the kernel. REFUSE: it is not. Where the
 * generation contradicts itself the peer is closed as well, and comes back with a snapshot. Where
 * the kernel had no room or memory, the generation counts as taken in: the loader tries the rest
 * again by itself, after pauses of 1 to 30 seconds and with each following generation, and
 * acknowledges when all of it is there.
 */
struct session;

/* `apply` must outlive the session. Accepts the planner on `listener` and owns it, unless it fails.
 */
int planner_session_open(struct event_base *base, int listener, uid_t planner, struct apply *apply,
                         struct session **session) _must_check_;

/* Sends a report to the planner, where one is connected; it must not change before the next call or
 * planner_session_is_reporting() is false. */
void planner_session_report(struct session *session, const struct status_report *report);
bool planner_session_is_reporting(const struct session *session);
/* Whether a planner has connected that was sent no report yet. */
bool planner_session_wants_report(const struct session *session);
/* The last generation that the planner has sent. */
uint64_t planner_session_generation(const struct session *session);

void planner_session_close(struct session *session);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PLANNER_WATCHER_SESSION_H
#define PLANNER_WATCHER_SESSION_H

/*
 * The conversation with the watcher: objects come in, acknowledgements and the wanted scope of pods
 * go out.
 *
 * A watcher answers each SCOPE with a new snapshot of pods. Until that has come, which pods a
 * snapshot holds is not known: where all of them are needed, nothing is removed because of it.
 */

#include <event2/event.h>
#include <sys/types.h>

#include "planner/plan.h"

struct watcher_session;

/* `work` is called when records have come in. `pods` as in the configuration. `plan` must outlive
 * the session. */
int watcher_session_open(struct plan *plan, enum pods_scope pods, void (*work)(void *context),
                         void *context, struct watcher_session **session) _must_check_;
/* What the watcher is told beside what concerns its objects; NULL (the default): nothing. */
struct relay;
void watcher_session_set_relay(struct watcher_session *session, struct relay *relay);
void watcher_session_free(struct watcher_session *session);

/* Accepts the watcher on `listener`, which belongs to the session from then on. */
int watcher_session_serve(struct watcher_session *session, struct event_base *base, int listener,
                          uid_t watcher) _must_check_;

/* Sends what is due, until the socket is full: to be called after plan_update(). */
void watcher_session_pump(struct watcher_session *session);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PLANNER_LOADER_SESSION_H
#define PLANNER_LOADER_SESSION_H

/*
 * The conversation with the loader: a snapshot after connecting, then changes, one generation at a
 * time. While entries of a generation are being sent the tables must not change, so that each
 * generation is one consistent state: see loader_session_sending().
 */

#include <event2/event.h>
#include <sys/types.h>

#include "planner/plan.h"

struct loader_session;

/* `idle` is called from the loop when a generation has been sent or answered: there may be more to
 * plan. `plan` must outlive the session. */
int loader_session_open(struct plan *plan, void (*idle)(void *context), void *context,
                        struct loader_session **session) _must_check_;
void loader_session_free(struct loader_session *session);

/* Keeps a connection to the loader's socket, whose process has to be `loader`. */
int loader_session_connect(struct loader_session *session, struct event_base *base,
                           const char *path, uid_t loader) _must_check_;

/* Where the loader's reports go to; NULL (the default): nowhere. */
struct relay;
void loader_session_set_relay(struct loader_session *session, struct relay *relay);

/* Whether a generation is half sent. */
bool loader_session_sending(const struct loader_session *session);

/* Sends what there is to send until the socket is full. */
void loader_session_pump(struct loader_session *session);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WATCHER_SESSION_H
#define WATCHER_SESSION_H

/*
 * The conversation with the planner: for each kind that is in sync a snapshot, then what the store
 * has in its dirty queue. While a snapshot runs, changes of what it has already told wait in the
 * dirty queue, so that a kind's records always come in the order of events.
 */

#include <event2/event.h>
#include <sys/types.h>

#include "watcher/store.h"

/* Records that the planner may not have acknowledged yet. */
enum { SESSION_WINDOW = 1024 };

struct session;

/* Which pods the planner needs. Called once at most for each list of pods that it was told. */
typedef void (*session_scope)(void *context, bool all_pods);

int session_open(struct event_base *base, struct store *store, session_scope scope, void *context,
                 struct session **session) _must_check_;

/* Keeps a connection to the planner's socket, whose process has to be `planner`. */
int session_connect(struct session *session, const char *path, uid_t planner) _must_check_;

/* The store changed: tells the planner in the same turn of the loop, after what is going on. */
void session_wake(struct session *session);

/* The kind will be told anew, as a whole, by a snapshot that begins after this call. */
void session_restart(struct session *session, enum object_kind kind);

/* Where the planner's reports go to; NULL (the default): nowhere. */
struct metrics;
void session_set_metrics(struct session *session, struct metrics *metrics);

void session_free(struct session *session);

#endif

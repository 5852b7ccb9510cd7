/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PLANNER_RELAY_H
#define PLANNER_RELAY_H

#include "ipc/channel.h"
#include "ipc/status.h"
#include "planner/plan.h"

/*
 * Passes the loader's reports on to the watcher, with the planner's own numbers behind them. The
 * loader's are checked, entry by entry: they may speak of policies that this planner knows and of
 * what the loader can know, and of nothing else.
 */
struct relay {
    const struct plan *plan;
    struct status_receiver loader; /* its last report */
    bool loader_connected;
    bool due;                    /* something is to be told that was not yet */
    struct status_report report; /* what is being sent, or was sent last */
    struct status_sender sender;
};

/* A STATUS record of the loader. -EPROTO closes it. */
int relay_receive(struct relay *relay, const struct record *record) _must_check_;
void relay_loader_connected(struct relay *relay, bool connected);

/* The watcher has connected, or is gone. */
void relay_watcher_changed(struct relay *relay);
/* Sends what is to be told. 0, -EAGAIN or -EPIPE. */
int relay_send(struct relay *relay, struct channel *watcher) _must_check_;

void relay_clear(struct relay *relay);

#endif

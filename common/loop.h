/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COMMON_LOOP_H
#define COMMON_LOOP_H

#include <event2/event.h>

#include "common/macros.h"

/*
 * The daemon's event base: epoll, signals SIGTERM and SIGINT end loop_run() with 0, SIGPIPE is
 * ignored. Errors of libevent go to the log. Where the service manager keeps a watchdog, the loop
 * feeds it.
 *
 * Open it before the process is sealed: it creates its descriptors here and needs none later. One
 * process has one loop; a forked child closes the parent's with loop_close() after
 * event_reinit(), or leaves it alone.
 */
int loop_open(struct event_base **out) _must_check_;

/* Runs until a signal (0), or until loop_fail() was called (its status, an EXIT_ value; it may have
 * been called before this). */
int loop_run(struct event_base *base);
void loop_fail(struct event_base *base, int status);

/* NULL is allowed. */
void loop_close(struct event_base *base);

#endif

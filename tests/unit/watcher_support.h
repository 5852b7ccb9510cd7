/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_WATCHER_SUPPORT_H
#define TESTS_WATCHER_SUPPORT_H

/* What the watcher's tests share: bounded waiting in an event loop, caught log lines, and small
 * objects. */

#include <event2/event.h>
#include <stdbool.h>

#include "common/log.h"
#include "ipc/objects.h"

enum { SUPPORT_PATIENCE_SECONDS = 10 };

/* Runs the loop until `done` says so; false: it did not within SUPPORT_PATIENCE_SECONDS. */
bool support_wait(struct event_base *base, bool (*done)(void *context), void *context);

/* From here on the log goes to support_log. */
extern char support_log[65536];
void support_catch_log(void);

struct object support_namespace(const char *name, const char *uid);

#endif

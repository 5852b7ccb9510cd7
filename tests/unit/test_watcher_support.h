/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_WATCHER_SUPPORT_H
#define TEST_WATCHER_SUPPORT_H

/* What the watcher's tests share: bounded waiting in an event loop, caught log lines, and small
 * objects. Include after cmocka.h. */

#include <event2/event.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "ipc/objects.h"

enum { SUPPORT_PATIENCE_SECONDS = 10 };

static void support_timed_out(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    *(bool *)context = true;
}

/* Runs the loop until `done` says so; false: it did not within SUPPORT_PATIENCE_SECONDS. */
__attribute__((unused)) static bool support_wait(struct event_base *base,
                                                 bool (*done)(void *context), void *context)
{
    static const struct timeval patience = {.tv_sec = SUPPORT_PATIENCE_SECONDS};
    bool timed_out = false;
    struct event *timer = event_new(base, -1, 0, support_timed_out, &timed_out);
    bool result;

    event_add(timer, &patience);
    while (!(result = done(context)) && !timed_out)
        event_base_loop(base, EVLOOP_ONCE);
    event_free(timer);
    return result;
}

static char support_log[65536];

static void support_log_line(enum log_level level, const char *line, void *context)
{
    size_t used = strlen(support_log);

    (void)level;
    (void)context;
    snprintf(support_log + used, sizeof(support_log) - used, "%s\n", line);
}

/* From here on the log goes to support_log. */
__attribute__((unused)) static void support_catch_log(void)
{
    support_log[0] = '\0';
    log_set_sink(support_log_line, NULL);
}

__attribute__((unused)) static struct object support_namespace(const char *name, const char *uid)
{
    struct object object = {.kind = KIND_NAMESPACE};

    object.namespace.name = text_of(name);
    object.namespace.uid = text_of(uid);
    return object;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/watcher_support.h"

#include <stdio.h>
#include <string.h>

static void support_timed_out(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    *(bool *)context = true;
}

bool support_wait(struct event_base *base, bool (*done)(void *context), void *context)
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

char support_log[65536];

static void support_log_line(enum log_level level, const char *line, void *context)
{
    size_t used = strlen(support_log);

    (void)level;
    (void)context;
    snprintf(support_log + used, sizeof(support_log) - used, "%s\n", line);
}

void support_catch_log(void)
{
    support_log[0] = '\0';
    log_set_sink(support_log_line, NULL);
}

struct object support_namespace(const char *name, const char *uid)
{
    struct object object = {.kind = KIND_NAMESPACE};

    object.namespace.name = text_of(name);
    object.namespace.uid = text_of(uid);
    return object;
}

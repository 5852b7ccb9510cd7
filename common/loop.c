/* SPDX-License-Identifier: Apache-2.0 */
#include "common/loop.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>

#include "common/log.h"
#include "common/notify.h"
#include "common/options.h"

static struct {
    struct event *terminate, *interrupt, *watchdog;
    bool failed;
    int status;
} loop;

static void loop_log(int severity, const char *text)
{
    static const enum log_level levels[] = {
        [EVENT_LOG_DEBUG] = LEVEL_DEBUG,
        [EVENT_LOG_MSG] = LEVEL_INFO,
        [EVENT_LOG_WARN] = LEVEL_WARNING,
        [EVENT_LOG_ERR] = LEVEL_ERROR,
    };
    bool known = severity >= 0 && (size_t)severity < ARRAY_SIZE(levels);

    LOG_AT(known ? levels[severity] : LEVEL_ERROR, "event loop", log_string("text", text));
}

static void loop_signal(evutil_socket_t signal_number, short what, void *context)
{
    (void)what;
    log_debug("ending", log_string("signal", sigabbrev_np(signal_number)));
    notify_send("STOPPING=1");
    event_base_loopbreak(context);
}

static void loop_watchdog(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    (void)context;
    notify_send("WATCHDOG=1");
}

/* No environment variable may choose another method: seccomp only knows epoll. */
static struct event_base *loop_new(void)
{
    struct event_config *config = event_config_new();
    struct event_base *base = NULL;

    if (config && !event_config_avoid_method(config, "select") &&
        !event_config_avoid_method(config, "poll") &&
        !event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV))
        base = event_base_new_with_config(config);
    if (config)
        event_config_free(config);
    return base;
}

static int loop_add_watchdog(struct event_base *base)
{
    uint64_t interval = notify_watchdog_interval();
    const struct timeval period = {(time_t)(interval / 1000000), (suseconds_t)(interval % 1000000)};

    if (!interval)
        return 0;
    loop.watchdog = event_new(base, -1, EV_PERSIST, loop_watchdog, NULL);
    return loop.watchdog && !event_add(loop.watchdog, &period) ? 0 : -ENOMEM;
}

static int loop_add_events(struct event_base *base)
{
    loop.terminate = evsignal_new(base, SIGTERM, loop_signal, base);
    loop.interrupt = evsignal_new(base, SIGINT, loop_signal, base);
    if (!loop.terminate || !loop.interrupt || event_add(loop.terminate, NULL) ||
        event_add(loop.interrupt, NULL))
        return -ENOMEM;
    return loop_add_watchdog(base);
}

int loop_open(struct event_base **out)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    int result;

    event_set_log_callback(loop_log);
    if (sigaction(SIGPIPE, &ignore, NULL))
        return -errno;
    struct event_base *base = loop_new();
    if (!base)
        return -ENOMEM;
    loop.failed = false;
    result = loop_add_events(base);
    if (result) {
        loop_close(base);
        return result;
    }
    *out = base;
    return 0;
}

int loop_run(struct event_base *base)
{
    if (!loop.failed && event_base_dispatch(base) != 0) {
        log_error("the event loop has failed, the daemon ends");
        return EXIT_FAILED;
    }
    return loop.failed ? loop.status : EXIT_DONE;
}

void loop_fail(struct event_base *base, int status)
{
    loop.failed = true;
    loop.status = status;
    event_base_loopbreak(base);
}

static void loop_event_free(struct event **event)
{
    if (*event)
        event_free(*event);
    *event = NULL;
}

void loop_close(struct event_base *base)
{
    if (!base)
        return;
    loop_event_free(&loop.terminate);
    loop_event_free(&loop.interrupt);
    loop_event_free(&loop.watchdog);
    event_base_free(base);
}

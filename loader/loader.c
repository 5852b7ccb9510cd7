/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/loader.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/hash.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/notify.h"
#include "common/options.h"
#include "common/seal.h"
#include "ipc/channel.h"
#include "loader/apply.h"
#include "loader/attach.h"
#include "loader/collector.h"
#include "loader/counters.h"
#include "loader/detach.h"
#include "loader/drops.h"
#include "loader/dump.h"
#include "loader/dump_nat.h"
#include "loader/exhaustion.h"
#include "loader/object.h"
#include "loader/object_system.h"
#include "loader/percpu.h"
#include "loader/pace.h"
#include "loader/sandbox.h"
#include "loader/session.h"
#include "loader/status.h"

#define SOCKET_NAME "loader.sock"

static const struct timeval collector_start = {.tv_usec = 20000};
static const struct timeval report_period = {.tv_sec = STATUS_PERIOD_SECONDS};

struct loader {
    struct config config;
    struct pins pins;
    struct datapath datapath;
    struct backend_kernel kernel;
    struct apply apply;
    struct collector collector;
    struct percpu percpu; /* for counters */
    struct status status;
    struct exhaustion exhaustion;
    struct event *report;
    bool report_failed;
    struct event_base *base;
    struct session *session;
    struct event *collect;
    struct event *helper_event;
    int listener;
    int helper; /* socket to the attach helper */
    bool collector_failed;
    struct pace pace; /* of the collector; us, CLOCK_MONOTONIC */
};

static int64_t clock_us(void)
{
    struct timespec now = {0};

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void loader_wait_to_collect(struct loader *loader, int64_t wait)
{
    struct timeval timeout = {.tv_sec = wait / 1000000, .tv_usec = wait % 1000000};

    if (evtimer_add(loader->collect, &timeout) < 0)
        loop_fail(loader->base, EXIT_FAILED);
}

static void loader_on_collect(evutil_socket_t fd, short events, void *context)
{
    struct loader *loader = context;
    uint64_t left = loader->apply.endpoints_left;
    int64_t started = clock_us();
    bool ended = true;
    int error;

    (void)fd;
    (void)events;
    if (pace_rests(&loader->pace, left, started)) {
        loader_wait_to_collect(loader, pace_watch());
        return;
    }
    error = collector_step(&loader->collector, collector_now(), &ended);
    if (error && !loader->collector_failed)
        log_error("idle mappings cannot be freed, the table of mappings may fill up",
                  log_errno(error));
    loader->collector_failed = error != 0;
    loader_wait_to_collect(loader, pace_note(&loader->pace, left, started, clock_us(),
                                             error || ended, loader->collector.pressed));
}

/* A report that the planner has not taken yet must stay as it is. */
static void loader_on_report(evutil_socket_t fd, short events, void *context)
{
    struct loader *loader = context;
    bool due = false;
    int error;

    (void)fd;
    (void)events;
    if (planner_session_is_reporting(loader->session))
        return;
    loader->status.collected = loader->collector.freed;
    error = status_make(&loader->status, planner_session_generation(loader->session), &due);
    if (error && !loader->report_failed)
        log_error("the counters cannot be read: metrics stay as they are", log_errno(error));
    loader->report_failed = error != 0;
    if (!error)
        (void)exhaustion_tell(&loader->exhaustion, &loader->status, clock_us() / 1000000);
    if (!error && (due || planner_session_wants_report(loader->session)))
        planner_session_report(loader->session, &loader->status.report);
}

/* The helper says nothing after its start: what can be read is its end. */
static void loader_on_helper(evutil_socket_t fd, short events, void *context)
{
    struct loader *loader = context;

    (void)fd;
    (void)events;
    log_error("the attach helper has ended, so the loader ends to be started again; the datapath "
              "stays attached");
    loop_fail(loader->base, EXIT_FAILED);
}

static int loader_open_listener(struct loader *loader, uid_t planner)
{
    char path[PATH_MAX];
    int fd = notify_socket(SOCKET_NAME);

    if (fd != -ENOENT)
        return fd;
    if ((size_t)snprintf(path, sizeof(path), "%s/" SOCKET_NAME, loader->config.paths.runtime) >=
        sizeof(path))
        return -ENAMETOOLONG;
    return channel_listen(path, planner);
}

/* A number that is another policy's now starts at zero. */
static void loader_on_named(void *context, uint32_t policy)
{
    struct loader *loader = context;
    int error =
        percpu_clear(&loader->percpu, loader->datapath.watched[WATCHED_POLICY_COUNTERS], policy);

    if (error)
        log_warning("a policy's counters go on from those of another one", log_errno(error),
                    log_number("number", policy));
}

static int loader_open_tables(struct loader *loader)
{
    int error;

    memcpy(loader->kernel.fds, loader->datapath.maps, sizeof(loader->kernel.fds));
    error = backend_kernel_init(&loader->kernel);
    if (!error)
        error = apply_open(&loader->apply, &loader->kernel.backend);
    loader->apply.named = loader_on_named;
    loader->apply.context = loader;
    if (!error)
        error = percpu_open(&loader->percpu, sizeof(struct counter));
    if (!error)
        error = collector_open(&loader->collector, &loader->kernel.backend,
                               loader->config.nat.timeouts);
    loader->status.apply = &loader->apply;
    loader->status.datapath = &loader->datapath;
    loader->status.percpu = &loader->percpu;
    loader->collector.endpoints = &loader->apply.mirror[TABLE_ENDPOINTS];
    loader->collector.on_claim = status_on_claim;
    loader->collector.context = &loader->status;
    if (error)
        log_error("the maps cannot be read", log_errno(error));
    return error;
}

static int loader_open_loop(struct loader *loader)
{
    uid_t planner;
    gid_t gid;
    int error = seal_resolve_user(loader->config.users.planner, &planner, &gid);

    if (error) {
        log_error("no such user: create it, or set users.planner",
                  log_string("user", loader->config.users.planner));
        return error;
    }
    loader->listener = loader_open_listener(loader, planner);
    if (loader->listener < 0)
        return loader->listener;
    error = loop_open(&loader->base);
    if (error)
        return error;
    loader->collect = evtimer_new(loader->base, loader_on_collect, loader);
    if (!loader->collect || evtimer_add(loader->collect, &collector_start) < 0)
        return -ENOMEM;
    loader->report = event_new(loader->base, -1, EV_PERSIST, loader_on_report, loader);
    if (!loader->report || event_add(loader->report, &report_period) < 0)
        return -ENOMEM;
    error = planner_session_open(loader->base, loader->listener, planner, &loader->apply,
                                 &loader->session);
    if (!error)
        loader->listener = -1; /* the session's */
    return error;
}

/* The programs and links are not ours any more once the helper has them. */
static int loader_start_helper(struct loader *loader)
{
    struct attach *attach = NULL;
    int error = attach_open(&loader->config, &loader->pins, &loader->datapath, &attach);

    if (!error)
        error = loader_open_loop(loader);
    if (!error) {
        loader->helper = attach_fork(attach, &loader->config);
        error = loader->helper < 0 ? loader->helper : 0;
    }
    attach_close(attach);
    for (unsigned i = 0; i < DIRECTIONS; i++) {
        cleanup_close(&loader->datapath.programs[i]);
        loader->datapath.programs[i] = -1;
    }
    return error;
}

static int loader_open(struct loader *loader)
{
    int error = notify_open();

    if (error)
        log_warning("the service manager cannot be reached", log_errno(error));
    /* Draws the random key while that is allowed. */
    (void)hash_bytes("", 0);
    error = pins_open(&loader->config, &loader->pins);
    if (!error)
        error = datapath_load(&loader->config, &loader->pins, &loader->datapath);
    if (!error)
        error = loader_open_tables(loader);
    if (!error)
        error = loader_start_helper(loader);
    if (error)
        return error;
    loader->helper_event =
        event_new(loader->base, loader->helper, EV_READ, loader_on_helper, loader);
    return loader->helper_event && event_add(loader->helper_event, NULL) == 0 ? 0 : -ENOMEM;
}

static void loader_close(struct loader *loader)
{
    planner_session_close(loader->session);
    if (loader->collect)
        event_free(loader->collect);
    if (loader->report)
        event_free(loader->report);
    if (loader->helper_event)
        event_free(loader->helper_event);
    loop_close(loader->base);
    cleanup_close(&loader->listener);
    cleanup_close(&loader->helper);
    collector_close(&loader->collector);
    percpu_close(&loader->percpu);
    status_close(&loader->status);
    apply_close(&loader->apply);
    datapath_close(&loader->datapath);
    pins_close(&loader->pins);
}

static int loader_run(struct loader *loader)
{
    int status = EXIT_FAILED;
    int error = loader_open(loader);

    if (!error)
        error = sandbox_seal_loader(loader->config.users.loader);
    if (!error) {
        notify_send("READY=1");
        log_info("the loader is ready",
                 log_number("endpoints", (int64_t)loader->apply.mirror[TABLE_ENDPOINTS].count),
                 log_number("routes", (int64_t)loader->apply.mirror[TABLE_ROUTES].count));
        status = loop_run(loader->base);
    } else {
        log_error("the loader cannot start", log_errno(error));
    }
    loader_close(loader);
    return status;
}

/* What the program does instead of running as a daemon. */
struct loader_command {
    const char *given; /* not NULL: asked for */
    int (*show)(const struct config *config, enum show_format format, FILE *out);
};

static int loader_show(const struct loader_command *command, const struct config *config,
                       const char *output)
{
    if (!output || strcmp(output, "text") == 0)
        return command->show(config, SHOW_TEXT, stdout);
    if (strcmp(output, "json") == 0)
        return command->show(config, SHOW_JSON, stdout);
    if (command->show == dump_run && strcmp(output, "nat") == 0)
        return dump_nat_run(config, SHOW_TEXT, stdout);
    if (command->show == dump_run && strcmp(output, "nat-json") == 0)
        return dump_nat_run(config, SHOW_JSON, stdout);
    log_error("--output is text or json, with --dump also nat or nat-json",
              log_string("output", output));
    return EXIT_USAGE;
}

static int loader_command(const struct loader_command *commands, size_t count,
                          struct loader *loader, const char *output)
{
    const struct loader_command *chosen = NULL;

    for (size_t i = 0; i < count; i++) {
        if (!commands[i].given)
            continue;
        if (chosen) {
            log_error("--dump, --counters, --drops and --detach exclude each other");
            return EXIT_USAGE;
        }
        chosen = &commands[i];
    }
    if (output && (!chosen || !chosen->show)) {
        log_error("--output goes with --dump, --counters or --drops");
        return EXIT_USAGE;
    }
    if (!chosen)
        return loader_run(loader);
    return chosen->show ? loader_show(chosen, &loader->config, output)
                        : detach_run(&loader->config);
}

int loader_main(int argc, char **argv)
{
    struct loader loader = {.pins.lock = -1, .listener = -1, .helper = -1};
    struct loader_command commands[] = {
        {NULL, dump_run}, {NULL, counters_run}, {NULL, drops_run}, {NULL, NULL}};
    const char *output = NULL;
    const struct extra_option extras[] = {
        {"dump", NULL, "print what the kernel's maps hold now", &commands[0].given},
        {"counters", NULL, "print drops by reason, policies' packets, and ports in use",
         &commands[1].given},
        {"drops", NULL, "follow dropped packets: why, from where, to where", &commands[2].given},
        {"output", "FORMAT",
         "text or json, with the three above; nat or nat-json, with --dump: connections", &output},
        {"detach", NULL, "end the datapath: detach the programs, remove maps and pins",
         &commands[3].given},
        {0},
    };
    int status;

    memset(&loader.datapath, 0xff, sizeof(loader.datapath));
    status = options_parse(argc, argv, "loads the datapath and brings the tables into the kernel",
                           extras, &loader.config);
    if (status >= 0)
        return status;
    system_log_libbpf();
    status = loader_command(commands, ARRAY_SIZE(commands), &loader, output);
    config_clear(&loader.config);
    return status;
}

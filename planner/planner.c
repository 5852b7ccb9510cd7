/* SPDX-License-Identifier: Apache-2.0 */
#include "planner/planner.h"

#include <errno.h>
#include <limits.h>

#include "common/config.h"
#include "common/hash.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/notify.h"
#include "common/options.h"
#include "common/seal.h"
#include "ipc/channel.h"
#include "planner/loader_session.h"
#include "planner/plan.h"
#include "planner/relay.h"
#include "planner/sandbox.h"
#include "planner/watcher_session.h"

enum { PLANNER_OPEN_FILES = 64 };

/* Bytes. 100,000 pods take 50 MB; a peer that never ends takes no more than this. */
#define PLANNER_ADDRESS_SPACE (4ULL << 30)

struct planner {
    struct config config;
    struct event_base *base;
    struct event *work; /* active: records came in, or a generation is over */
    struct plan *plan;
    struct watcher_session *watcher;
    struct loader_session *loader;
    struct relay relay;
    uid_t watcher_uid;
    uid_t loader_uid;
    int listener;
    bool said_ready;
    bool as_root; /* started as root: the runtime directory becomes the root directory */
};

static void planner_wake(void *context)
{
    struct planner *planner = context;

    event_active(planner->work, EV_TIMEOUT, 0);
}

static void planner_say_ready(struct planner *planner)
{
    if (planner->said_ready || !plan_ready(planner->plan))
        return;
    planner->said_ready = true;
    notify_send("STATUS=in sync");
    log_info("in sync", log_string("node", planner->config.node),
             log_string("pods", plan_needs_all_pods(planner->plan) ? "all" : "local"));
}

/* One turn: plan what came in, unless that would tear a generation that is being sent; then it is
 * done as soon as that is over. */
static void planner_work(evutil_socket_t fd _unused_, short what _unused_, void *context)
{
    struct planner *planner = context;

    if (!loader_session_sending(planner->loader))
        plan_update(planner->plan);
    planner_say_ready(planner);
    watcher_session_pump(planner->watcher);
    loader_session_pump(planner->loader);
}

static int planner_resolve_users(struct planner *planner)
{
    gid_t group;
    int error = seal_resolve_user(planner->config.users.watcher, &planner->watcher_uid, &group);

    if (error) {
        log_error("the watcher's user does not exist: create it, or set users.watcher",
                  log_string("user", planner->config.users.watcher));
        return error;
    }
    error = seal_resolve_user(planner->config.users.loader, &planner->loader_uid, &group);
    if (error)
        log_error("the loader's user does not exist: create it, or set users.loader",
                  log_string("user", planner->config.users.loader));
    return error;
}

/* The socket that the service manager passed, or one of our own. */
static int planner_listen(struct planner *planner)
{
    char path[PATH_MAX];

    planner->listener = notify_socket("planner.sock");
    if (planner->listener < 0) {
        snprintf(path, sizeof(path), "%s/planner.sock", planner->config.paths.runtime);
        planner->listener = channel_listen(path, planner->watcher_uid);
    }
    return planner->listener < 0 ? planner->listener : 0;
}

static int planner_open_plan(struct planner *planner)
{
    struct plan_config config = {
        .node = text_of(planner->config.node),
        .cluster = text_of(planner->config.cluster),
        .cluster_cidrs = planner->config.cluster_cidrs,
        .pod_cidrs = planner->config.pod_cidrs,
        .pods = planner->config.pods,
    };
    int error;

    planner->plan = plan_new(&config);
    error = watcher_session_open(planner->plan, planner->config.pods, planner_wake, planner,
                                 &planner->watcher);
    if (!error)
        error = loader_session_open(planner->plan, planner_wake, planner, &planner->loader);
    if (error)
        return error;
    planner->relay.plan = planner->plan;
    loader_session_set_relay(planner->loader, &planner->relay);
    watcher_session_set_relay(planner->watcher, &planner->relay);
    return 0;
}

static int planner_open(struct planner *planner)
{
    int error = loop_open(&planner->base);

    if (!error)
        error = notify_open();
    if (!error)
        error = planner_resolve_users(planner);
    if (!error)
        error = planner_open_plan(planner);
    if (!error) {
        planner->work = event_new(planner->base, -1, 0, planner_work, planner);
        error = planner->work ? 0 : -ENOMEM;
    }
    if (!error)
        error = planner_listen(planner);
    if (!error)
        error = watcher_session_serve(planner->watcher, planner->base, planner->listener,
                                      planner->watcher_uid);
    if (error)
        log_error("the planner cannot start", log_errno(error));
    else
        planner->listener = -1; /* the session's */
    return error;
}

/* The runtime directory holds the two sockets and nothing else. */
static int planner_seal(struct planner *planner)
{
    struct seal seal = {
        .user = planner->config.users.planner,
        .root = planner->config.paths.runtime,
        .limits = {.open_files = PLANNER_OPEN_FILES,
                   .address_space = PLANNER_ADDRESS_SPACE,
                   .no_file_writes = true,
                   .no_processes = true},
        .rules = planner_rules,
        .rule_count = planner_rule_count,
    };

    planner->as_root = geteuid() == 0;
    return seal_process(&seal);
}

static int planner_start(struct planner *planner)
{
    char path[PATH_MAX];
    int error;

    snprintf(path, sizeof(path), "%s/loader.sock",
             planner->as_root ? "" : planner->config.paths.runtime);
    error = loader_session_connect(planner->loader, planner->base, path, planner->loader_uid);
    if (error) {
        log_error("the planner cannot start", log_errno(error));
        return error;
    }
    log_info("started", log_string("node", planner->config.node));
    notify_send("READY=1");
    return 0;
}

static void planner_close(struct planner *planner)
{
    watcher_session_free(planner->watcher);
    loader_session_free(planner->loader);
    relay_clear(&planner->relay);
    plan_free(planner->plan);
    if (planner->work)
        event_free(planner->work);
    if (planner->listener >= 0)
        close(planner->listener);
    loop_close(planner->base);
    config_clear(&planner->config);
}

int planner_main(int argc, char **argv)
{
    struct planner planner = {.listener = -1};
    int status = options_parse(argc, argv,
                               "computes from policies, pods and nodes which endpoint leaves "
                               "through which gateway, and tells the loader",
                               NULL, &planner.config);

    if (status >= 0)
        return status;
    status = EXIT_FAILED;
    if (!planner_open(&planner) && !planner_seal(&planner) && !planner_start(&planner))
        status = loop_run(planner.base);
    planner_close(&planner);
    return status;
}

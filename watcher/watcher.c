/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher/watcher.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>

#include "common/config.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/notify.h"
#include "common/options.h"
#include "common/seal.h"
#include "watcher/check.h"
#include "watcher/metrics.h"
#include "watcher/sandbox.h"
#include "watcher/session.h"
#include "watcher/source.h"
#include "watcher/store.h"

enum { WATCHER_SOURCES = 2, WATCHER_OPEN_FILES = 256 };

/* Bytes. 100,000 pods take 100 MB; a peer that never ends takes no more than this. */
#define WATCHER_ADDRESS_SPACE (4ULL << 30)

struct watcher {
    struct config config;
    struct event_base *base;
    struct {
        const struct source_operations *operations;
        struct source *source;
    } sources[WATCHER_SOURCES];
    size_t source_count;
    struct store *store;
    struct session *session;
    struct metrics *metrics;
    uid_t planner;
    bool all_pods;      /* with `pods: auto`: what the planner asked for last */
    bool scope_pending; /* the list of pods that comes next is to be told as a whole */
    bool said_in_sync;
};

static void on_store_changed(void *context)
{
    struct watcher *watcher = context;

    session_wake(watcher->session);
}

static void watcher_say_in_sync(struct watcher *watcher)
{
    for (int kind = 0; kind < KINDS; kind++) {
        if (!store_in_sync(watcher->store, kind))
            return;
    }
    watcher->said_in_sync = true;
    notify_send("STATUS=in sync");
    log_info("in sync", log_number("policies", (int64_t)store_count(watcher->store, KIND_POLICY)),
             log_number("pods", (int64_t)store_count(watcher->store, KIND_POD)),
             log_number("namespaces", (int64_t)store_count(watcher->store, KIND_NAMESPACE)),
             log_number("nodes", (int64_t)store_count(watcher->store, KIND_NODE)),
             log_number("links", (int64_t)store_count(watcher->store, KIND_LINK)));
}

static void on_store_listed(void *context, enum object_kind kind)
{
    struct watcher *watcher = context;

    if (!watcher->said_in_sync)
        watcher_say_in_sync(watcher);
    if (kind == KIND_POD && watcher->scope_pending) {
        watcher->scope_pending = false;
        session_restart(watcher->session, KIND_POD);
    }
}

static void on_store_failed(void *context)
{
    struct watcher *watcher = context;

    loop_fail(watcher->base, EXIT_FAILED);
}

/* The planner tells which pods it needs. What is known stays until the new list is complete, and
 * the planner then gets that list as a whole; also where it is the list that there is already, so
 * that it knows which pods it has been told about. */
static void on_scope(void *context, bool all_pods)
{
    struct watcher *watcher = context;

    if (watcher->config.pods != PODS_AUTO) {
        log_debug("the configuration decides which pods are watched, not the planner",
                  log_string("pods", watcher->config.pods == PODS_ALL ? "all" : "local"));
        return;
    }
    log_debug("the planner tells which pods it needs",
              log_string("pods", all_pods ? "all" : "local"));
    if (all_pods == watcher->all_pods && !watcher->scope_pending) {
        session_restart(watcher->session, KIND_POD);
        return;
    }
    watcher->all_pods = all_pods;
    watcher->scope_pending = true;
    for (size_t i = 0; i < watcher->source_count; i++)
        watcher->sources[i].operations->set_scope(watcher->sources[i].source, all_pods);
}

static int watcher_add_source(struct watcher *watcher, const struct source_operations *operations)
{
    struct source *source;
    int error = operations->open(&watcher->config, &source);

    if (error) {
        log_error("cannot open a source", log_string("source", operations->name), log_errno(error));
        return error;
    }
    watcher->sources[watcher->source_count].operations = operations;
    watcher->sources[watcher->source_count].source = source;
    watcher->source_count++;
    metrics_add_source(watcher->metrics, operations, source);
    return 0;
}

static int watcher_open_sources(struct watcher *watcher)
{
    bool manifests = watcher->config.source.type == SOURCE_MANIFESTS;
    int error = watcher_add_source(watcher, manifests ? &source_manifests : &source_kubernetes);

    return error ? error : watcher_add_source(watcher, &source_links);
}

static int watcher_open(struct watcher *watcher)
{
    struct store_observer observer = {.context = watcher,
                                      .changed = on_store_changed,
                                      .listed = on_store_listed,
                                      .failed = on_store_failed};
    gid_t group;
    int error = loop_open(&watcher->base);

    if (!error)
        error = notify_open();
    if (!error)
        error = store_new(&observer, &watcher->store);
    if (!error)
        error = metrics_open(&watcher->config, watcher->store, &watcher->metrics);
    if (!error)
        error = session_open(watcher->base, watcher->store, on_scope, watcher, &watcher->session);
    if (!error) {
        session_set_metrics(watcher->session, watcher->metrics);
        error = watcher_open_sources(watcher);
    }
    if (error) {
        log_error("the watcher cannot start", log_errno(error));
        return error;
    }
    error = seal_resolve_user(watcher->config.users.planner, &watcher->planner, &group);
    if (error)
        log_error("the planner's user does not exist: create it, or set users.planner",
                  log_string("user", watcher->config.users.planner));
    return error;
}

static int watcher_confine(const struct watcher *watcher, struct landlock *landlock)
{
    int error = landlock_open(landlock);

    for (size_t i = 0; !error && i < watcher->source_count; i++) {
        if (watcher->sources[i].operations->confine)
            error = watcher->sources[i].operations->confine(watcher->sources[i].source, landlock);
    }
    if (error)
        log_error("cannot restrict files and ports by Landlock", log_errno(error));
    return error;
}

static int watcher_seal(const struct watcher *watcher)
{
    _cleanup_(landlock_close) struct landlock landlock;
    struct seal seal = {
        .user = watcher->config.users.watcher,
        .limits = {.open_files = WATCHER_OPEN_FILES,
                   .address_space = WATCHER_ADDRESS_SPACE,
                   .no_file_writes = true,
                   .no_processes = true,
                   .lock_memory = true},
        .landlock = &landlock,
        .rules = watcher_rules,
        .rule_count = watcher_rule_count,
    };

    int error = watcher_confine(watcher, &landlock);

    return error ? error : seal_process(&seal);
}

static int watcher_start(struct watcher *watcher)
{
    struct source_sink sink = store_sink(watcher->store);
    char path[PATH_MAX];
    int error = 0;

    snprintf(path, sizeof(path), "%s/planner.sock", watcher->config.paths.runtime);
    for (size_t i = 0; !error && i < watcher->source_count; i++)
        error =
            watcher->sources[i].operations->start(watcher->sources[i].source, watcher->base, &sink);
    if (!error)
        error = metrics_start(watcher->metrics, watcher->base);
    if (!error)
        error = session_connect(watcher->session, path, watcher->planner);
    if (error) {
        log_error("the watcher cannot start", log_errno(error));
        return error;
    }
    log_info("started", log_string("node", watcher->config.node),
             log_string("source", watcher->sources[0].operations->name));
    notify_send("READY=1");
    return 0;
}

static void watcher_close(struct watcher *watcher)
{
    session_free(watcher->session);
    metrics_close(watcher->metrics);
    for (size_t i = 0; i < watcher->source_count; i++)
        watcher->sources[i].operations->close(watcher->sources[i].source);
    store_free(watcher->store);
    if (watcher->base)
        loop_close(watcher->base);
    config_clear(&watcher->config);
}

int watcher_main(int argc, char **argv)
{
    struct watcher watcher = {0};
    const char *check = NULL;
    struct operands files;
    const struct extra_option extras[] = {
        {"check", "FILE...", "check manifests, directories of them, or - (no cluster needed)",
         &check, &files},
        {0},
    };
    int status = options_parse(argc, argv,
                               "reads policies, pods, namespaces and nodes, follows this node's "
                               "interfaces, and tells the planner",
                               extras, &watcher.config);

    if (status >= 0)
        return status;
    if (check)
        return check_files(&files, stdout);
    status = EXIT_FAILED;
    if (!watcher_open(&watcher) && !watcher_seal(&watcher) && !watcher_start(&watcher))
        status = loop_run(watcher.base);
    watcher_close(&watcher);
    return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher/kube_watch.h"

#include <errno.h>
#include <string.h>

#include "common/log.h"
#include "watcher/kube_path.h"
#include "watcher/kube_watch_state.h"

enum {
    PAGE_OBJECTS = 500,
    DENIALS_LIMIT = 5,            /* in a row, before they are believed */
    RESUMES_LIMIT = 3,            /* watches in a row that failed before anything came */
    SHORT_WATCH_MS = 5000,        /* one that ends sooner is no regular end */
    FOLLOWS_MS = 5000,            /* in which the selector changes once at most without a pause */
    STREAMING_RETRY_MS = 3600000, /* until a server that had no streaming lists is asked again */
};

static const char nonsense[] = "response of the API server makes no sense";

/* ---- the next request */

static void watch_wait(struct kube_watch *watch, unsigned milliseconds)
{
    struct timeval wait = {milliseconds / 1000, milliseconds % 1000 * 1000L};

    watch->phase = WAITING;
    if (evtimer_add(watch->timer, &wait) < 0)
        log_error("cannot wait for the next request",
                  log_string("resource", watch->resource->name));
}

static const struct kube_handler watch_handler;

/* Sends what is due: the next page, a list, or the watch. A server that was away may come back with
 * an older state of its storage. A watch from a version that is in its future would then bring
 * nothing, or the events of another history, so the version is asked for first. */
static void watch_request(struct kube_watch *watch)
{
    const struct kube_timing *timing = &watch->client->timing;
    unsigned seconds = (timing->watch + kube_spread(timing->watch, kube_random())) / 1000;
    struct kube_path path = {.resource = watch->resource->path, .selector = watch->selector};
    _cleanup_free_ char *text = NULL;
    unsigned total = timing->page;

    if (watch->version[0] && watch->probe) {
        watch->phase = PROBING;
        path.selector = NULL;
        path.limit = 1;
    } else if (watch->version[0]) {
        watch->phase = WATCHING;
        path.watch_seconds = seconds ? seconds : 1;
        path.version = watch->version;
    } else if (!watch->next && kube_now() >= watch->no_streaming) {
        watch->phase = STREAMING;
        path.watch_seconds = seconds ? seconds : 1;
        path.initial_events = true;
        path.version = watch->floor;
    } else {
        watch->phase = LISTING;
        path.limit = PAGE_OBJECTS;
        path.next = watch->next;
    }
    if (path.watch_seconds)
        total = path.watch_seconds * 1000 + timing->grace;
    if (watch->phase == STREAMING && total > timing->sync)
        total = timing->sync;
    kube_response_reset(watch);
    text = kube_path_format(&path);
    watch->floor[0] = '\0'; /* should the server not be so far, the next try does not insist */
    if (!text ||
        kube_request_start(watch->client, text, total, &watch_handler, watch, &watch->request))
        watch_wait(watch, kube_backoff_next(&watch->backoff, kube_random()));
}

static void timer_fired(evutil_socket_t fd _unused_, short what _unused_, void *context)
{
    watch_request(context);
}

/* What is known cannot be brought up to date by a watch: list again. Nothing is taken away. */
static void watch_relist(struct kube_watch *watch)
{
    watch->version[0] = '\0';
    watch->resumes = 0;
    watch->probe = false;
    free(TAKE_PTR(watch->next));
}

/* ---- its end */

static void watch_failed(struct kube_watch *watch)
{
    watch_wait(watch, kube_backoff_next(&watch->backoff, kube_random()));
}

/* A watch that fails again and again where it resumes may never get further: start over. */
static void watch_resume_failed(struct kube_watch *watch)
{
    if (watch->phase == WATCHING && !watch->response.progress && ++watch->resumes >= RESUMES_LIMIT)
        watch_relist(watch);
    watch_failed(watch);
}

/* A page is complete: the next one, or the watch. */
static int page_take(struct kube_watch *watch, const struct kube_envelope *envelope)
{
    free(TAKE_PTR(watch->next));
    if (envelope->next[0]) {
        watch->next = strdup(envelope->next);
        return watch->next ? 0 : kube_response_refuse(watch, "out of memory");
    }
    snprintf(watch->version, sizeof(watch->version), "%s", envelope->version);
    watch->sink->list_end(watch->sink->context, watch->resource->kind);
    kube_watch_well(watch);
    return 0;
}

static void probe_take(struct kube_watch *watch, const struct kube_envelope *envelope)
{
    watch->probe = false;
    if (!kube_version_is_older(envelope->version, watch->version))
        return;
    log_warning("API server has been set back to an older state: listing again",
                log_string("resource", watch->resource->name), log_string("known", watch->version),
                log_string("now", envelope->version));
    watch_relist(watch);
}

static void page_ended(struct kube_watch *watch)
{
    struct kube_envelope envelope = {0};
    int error = kube_response_envelope(watch, &envelope);

    if (!error && watch->phase == PROBING)
        probe_take(watch, &envelope);
    else if (!error)
        error = page_take(watch, &envelope);
    if (!error) {
        watch_request(watch);
        return;
    }
    kube_watch_trouble(watch, nonsense, watch->response.reason);
    watch_relist(watch);
    watch_failed(watch);
}

/* The server has ended a watch with 200: regularly after its time, or too early. */
static void stream_ended(struct kube_watch *watch, const struct kube_result *result)
{
    if (watch->phase == STREAMING) {
        kube_watch_trouble(watch, "API server ends a list before it is complete", "");
        watch_failed(watch);
    } else if (result->lasted < SHORT_WATCH_MS) {
        watch_resume_failed(watch);
    } else {
        watch_wait(watch, kube_spread(100, kube_random()));
    }
}

/* The server does not know streaming lists, or its storage does not. */
static bool streaming_refused(struct kube_watch *watch, long code)
{
    if (watch->phase != STREAMING || (code != 400 && code != 422 && code != 500))
        return false;
    watch->no_streaming = kube_now() + STREAMING_RETRY_MS;
    log_debug("no streaming lists here, listing by pages",
              log_string("resource", watch->resource->name),
              log_string("reason", watch->response.reason));
    return true;
}

/* A server that has just started denies for a moment what it will allow: it does not know its roles
 * and definitions yet. Later only an operator can mend it. */
static void denial_ended(struct kube_watch *watch, const char *what)
{
    if (watch->denied.failures < DENIALS_LIMIT) {
        watch_wait(watch, kube_backoff_next(&watch->denied, kube_random()));
        return;
    }
    kube_watch_trouble(watch, what, watch->response.reason);
    watch_wait(watch, kube_backoff_slow(kube_random()));
}

static void status_ended(struct kube_watch *watch, long code, const struct kube_result *result)
{
    const char *reason = watch->response.reason;

    switch (code) {
    case 410: /* what happened since is gone from the server's memory */
        log_debug("listing again", log_string("resource", watch->resource->name),
                  log_string("reason", reason));
        watch_relist(watch);
        watch_failed(watch);
        return;
    case 401:
        kube_watch_trouble(watch, "API server does not accept the credentials", reason);
        watch_failed(watch);
        return;
    case 403:
        denial_ended(watch, "RBAC does not allow what the watcher needs: apply deploy/rbac.yaml");
        return;
    case 404:
        denial_ended(watch, "API server does not know the resource yet: apply deploy/crd.yaml");
        return;
    default:
        kube_watch_trouble(watch, "API server refuses the request", reason);
        if (code >= 500)
            kube_client_failed(watch->client, result->generation);
        if (result->retry_after > 0 && (code == 429 || code == 503))
            watch_wait(watch, kube_backoff_after(result->retry_after, kube_random()));
        else
            watch_resume_failed(watch);
    }
}

static void complete_ended(struct kube_watch *watch, const struct kube_result *result)
{
    if (result->status == 200 && (watch->phase == LISTING || watch->phase == PROBING)) {
        page_ended(watch);
        return;
    }
    if (result->status == 200) {
        stream_ended(watch, result);
        return;
    }
    kube_client_note_back(watch->client);
    kube_status_read(watch->response.error_body.data, watch->response.error_body.length,
                     watch->response.reason);
    if (!watch->response.reason[0])
        snprintf(watch->response.reason, sizeof(watch->response.reason), "HTTP status %ld",
                 result->status);
    if (streaming_refused(watch, result->status))
        watch_request(watch);
    else
        status_ended(watch, result->status, result);
}

static void refused_ended(struct kube_watch *watch, const struct kube_result *result)
{
    if (watch->response.code) {
        if (streaming_refused(watch, watch->response.code))
            watch_request(watch);
        else
            status_ended(watch, watch->response.code, result);
        return;
    }
    kube_watch_trouble(watch, nonsense, watch->response.reason);
    if (watch->phase != WATCHING)
        watch_relist(watch);
    watch_resume_failed(watch);
}

static void response_ended(void *context, const struct kube_result *result)
{
    struct kube_watch *watch = context;

    watch->request = NULL;
    switch (result->outcome) {
    case KUBE_COMPLETE:
        complete_ended(watch, result);
        break;
    case KUBE_REFUSED:
        refused_ended(watch, result);
        break;
    case KUBE_SILENT:
        kube_client_note_away(watch->client, result->code, result->reason);
        watch->probe = true;
        watch->denied.failures = 0;
        if (watch->phase == WATCHING && !watch->response.progress && result->head)
            watch_relist(watch); /* not even a bookmark: there must be one a minute */
        watch_resume_failed(watch);
        break;
    case KUBE_NO_CREDENTIALS:
        kube_watch_trouble(watch, "cannot read the credentials for the API server", result->reason);
        watch_failed(watch);
        break;
    case KUBE_UNREACHABLE:
        kube_client_note_away(watch->client, result->code, result->reason);
        kube_client_failed(watch->client, result->generation);
        watch->probe = true;
        watch->denied.failures = 0;
        watch_failed(watch);
        break;
    }
}

static const struct kube_handler watch_handler = {
    .head = kube_response_head,
    .body = kube_response_body,
    .ended = response_ended,
};

/* ---- life */

int kube_watch_new(struct kube_client *client, const struct kube_resource *resource,
                   const struct source_sink *sink, struct kube_watch **created)
{
    struct kube_watch *watch = calloc(1, sizeof(*watch));

    if (!watch)
        return -ENOMEM;
    watch->client = client;
    watch->resource = resource;
    watch->sink = sink;
    watch->timer = evtimer_new(client->base, timer_fired, watch);
    if (!watch->timer) {
        free(watch);
        return -ENOMEM;
    }
    *created = watch;
    return 0;
}

/* How long to wait before the list by a new selector: a planner that changes its mind again and
 * again does not make the API server list without end. */
static unsigned follow_pause(struct kube_watch *watch)
{
    uint64_t now = kube_now(), due = watch->followed[1] ? watch->followed[1] + FOLLOWS_MS : 0;
    uint64_t pause = due > now ? due - now : 0;

    if (pause > FOLLOWS_MS)
        pause = FOLLOWS_MS;
    watch->followed[1] = watch->followed[0];
    watch->followed[0] = now + pause;
    return (unsigned)pause;
}

int kube_watch_follow(struct kube_watch *watch, const char *selector)
{
    char *copy;

    if (watch->selector && !strcmp(watch->selector, selector))
        return 0;
    copy = strdup(selector);
    if (!copy)
        return -ENOMEM;
    free(watch->selector);
    watch->selector = copy;
    kube_request_cancel(TAKE_PTR(watch->request));
    /* The server answers from its memory what is no older than what it has told already; for the
     * newest state it would ask its storage, which takes a tenth of a second. */
    memcpy(watch->floor, watch->version, sizeof(watch->floor));
    watch_relist(watch);
    watch_wait(watch, follow_pause(watch));
    return 0;
}

uint64_t kube_watch_trouble_seconds(const struct kube_watch *watch)
{
    uint64_t since = watch->trouble_since,
             away = watch->client->away ? watch->client->away_since : 0, now = kube_now();

    if (away && (!since || away < since))
        since = away;
    /* One that has only just begun is trouble, too. */
    return since ? 1 + (now - since) / 1000 : 0;
}

void kube_watch_free(struct kube_watch *watch)
{
    if (!watch)
        return;
    kube_request_cancel(watch->request);
    kube_response_reset(watch);
    event_free(watch->timer);
    free(watch->selector);
    free(watch->next);
    free(watch);
}

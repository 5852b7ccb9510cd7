/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher/kube_request.h"

#include <errno.h>
#include <string.h>

#include "watcher/kube_easy.h"
#include "watcher/kube_resolve.h"

#define ADDRESSES_AGE_MS 30000

struct kube_request {
    struct kube_client *client;
    struct kube_request *next, **link; /* of client->requests */
    const struct kube_handler *handler;
    void *context;
    struct kube_resolve *resolve;
    struct kube_easy made;
    bool added; /* to the multi handle */
    struct event *timer;
    uint64_t started, active; /* kube_now() */
    uint64_t generation;
    unsigned total;
    bool head_seen, refused;
    CURLcode code;
    char reason[CURL_ERROR_SIZE];
};

static void request_free(struct kube_request *request)
{
    if (request->added)
        kube_http_remove(request->client->http, request->made.easy);
    if (request->link) {
        *request->link = request->next;
        if (request->next)
            request->next->link = request->link;
    }
    kube_resolve_cancel(request->resolve);
    if (request->timer)
        event_free(request->timer);
    kube_easy_clear(&request->made);
    free(request);
}

void kube_request_cancel(struct kube_request *request)
{
    if (request)
        request_free(request);
}

static void request_end(struct kube_request *request, enum kube_outcome outcome, const char *reason)
{
    const struct kube_handler *handler = request->handler;
    void *context = request->context;
    char text[KUBE_TEXT_SIZE];
    curl_off_t retry_after = 0;
    struct kube_result result = {
        .outcome = outcome,
        .code = request->code,
        .reason = text,
        .generation = request->generation,
        .head = request->head_seen,
        .lasted = kube_now() - request->started,
    };

    snprintf(text, sizeof(text), "%s", reason ? reason : "");
    if (request->made.easy && request->head_seen)
        curl_easy_getinfo(request->made.easy, CURLINFO_RESPONSE_CODE, &result.status);
    if (request->made.easy &&
        curl_easy_getinfo(request->made.easy, CURLINFO_RETRY_AFTER, &retry_after) == 0)
        result.retry_after = (long)retry_after;
    request_free(request);
    handler->ended(context, &result);
}

/* ---- time */

static uint64_t request_deadline(const struct kube_request *request, const char **what)
{
    const struct kube_timing *timing = &request->client->timing;
    uint64_t whole = request->started + request->total;
    uint64_t next =
        request->head_seen ? request->active + timing->silence : request->started + timing->head;

    if (whole <= next) {
        *what = "the response takes too long";
        return whole;
    }
    *what = request->head_seen ? "the connection has been silent for too long"
                               : "no response to the request";
    return next;
}

static int timer_arm(struct kube_request *request)
{
    const char *what;
    uint64_t deadline = request_deadline(request, &what), now = kube_now();
    uint64_t wait = deadline > now ? deadline - now : 0;
    struct timeval interval = {(time_t)(wait / 1000), (suseconds_t)(wait % 1000 * 1000)};

    return evtimer_add(request->timer, &interval) < 0 ? -ENOMEM : 0;
}

/* The timer is not moved with each byte: it looks when it fires, and waits for the rest. */
static void timer_fired(evutil_socket_t fd _unused_, short what _unused_, void *context)
{
    struct kube_request *request = context;
    const char *reason;

    if (request_deadline(request, &reason) > kube_now()) {
        if (timer_arm(request))
            request_end(request, KUBE_UNREACHABLE, "out of memory");
        return;
    }
    snprintf(request->reason, sizeof(request->reason), "%s", reason);
    kube_client_renew(request->client);
}

void kube_requests_break(struct kube_client *client, uint64_t generation)
{
    struct kube_request *request = client->requests;

    while (request) {
        if (request->generation <= generation) {
            request_end(request, KUBE_SILENT,
                        request->reason[0] ? request->reason
                                           : "another request found the connections dead");
            request = client->requests; /* the handler may have changed the list */
        } else {
            request = request->next;
        }
    }
}

/* ---- what curl calls */

static size_t header_received(char *data, size_t size, size_t count, void *context)
{
    struct kube_request *request = context;
    long status = 0;
    char *type = NULL;

    request->active = kube_now();
    /* The empty line ends the headers; those of a 1xx are followed by others. */
    if (size * count > 2 || data[0] != '\r')
        return size * count;
    curl_easy_getinfo(request->made.easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(request->made.easy, CURLINFO_CONTENT_TYPE, &type);
    if (status < 200 || request->head_seen)
        return size * count;
    request->head_seen = true;
    if (timer_arm(request) ||
        request->handler->head(request->context, status, type ? type : "") < 0) {
        request->refused = true;
        return 0;
    }
    return size * count;
}

static size_t body_received(char *data, size_t size, size_t count, void *context)
{
    struct kube_request *request = context;

    request->active = kube_now();
    if (request->handler->body(request->context, data, size * count) < 0) {
        request->refused = true;
        return CURL_WRITEFUNC_ERROR;
    }
    return size * count;
}

void kube_request_ended(void *owner, CURLcode code)
{
    struct kube_request *request = owner;

    request->added = false;
    request->code = code;
    if (request->refused)
        request_end(request, KUBE_REFUSED, "");
    else if (code == CURLE_OK)
        request_end(request, KUBE_COMPLETE, "");
    else
        request_end(request, KUBE_UNREACHABLE,
                    request->reason[0] ? request->reason : curl_easy_strerror(code));
}

/* ---- making the request */

/* Everything is known: off it goes. */
static void request_send(struct kube_request *request)
{
    struct kube_client *client = request->client;
    int error = 0;

    if (!kube_resolve_is_address(request->made.host))
        error = kube_easy_resolve(&request->made, client->resolved.addresses);
    if (!error)
        error = kube_http_add(client->http, request->made.easy);
    if (error)
        request_end(request, KUBE_UNREACHABLE, strerror(-error));
    else
        request->added = true;
}

static void host_resolved(void *context, const char *addresses, const char *error)
{
    struct kube_request *request = context;
    struct kube_client *client = request->client;
    char reason[KUBE_TEXT_SIZE];

    request->resolve = NULL;
    if (!addresses) {
        snprintf(reason, sizeof(reason), "cannot resolve %s: %s", request->made.host, error);
        request_end(request, KUBE_UNREACHABLE, reason);
        return;
    }
    snprintf(client->resolved.host, sizeof(client->resolved.host), "%s", request->made.host);
    snprintf(client->resolved.addresses, sizeof(client->resolved.addresses), "%s", addresses);
    client->resolved.at = kube_now();
    request_send(request);
}

/* The first step runs from the loop, so that nothing is called before kube_request_start() has
 * returned. */
static void request_launch(evutil_socket_t fd _unused_, short what _unused_, void *context)
{
    struct kube_request *request = context;
    struct kube_client *client = request->client;

    event_free(request->timer);
    request->timer = evtimer_new(client->base, timer_fired, request);
    if (!request->timer || timer_arm(request)) {
        request_end(request, KUBE_UNREACHABLE, "out of memory");
        return;
    }
    if (request->reason[0]) {
        request_end(request, KUBE_NO_CREDENTIALS, request->reason);
        return;
    }
    if (kube_resolve_is_address(request->made.host) ||
        (!strcmp(client->resolved.host, request->made.host) &&
         kube_now() - client->resolved.at < ADDRESSES_AGE_MS)) {
        request_send(request);
        return;
    }
    if (kube_resolve_start(client->base, request->made.host, host_resolved, request,
                           &request->resolve))
        request_end(request, KUBE_UNREACHABLE, "cannot start to resolve the server's name");
}

/* Fills in what goes out. Missing credentials are told by `reason`, from the loop. */
static int request_prepare(struct kube_request *request, const char *path)
{
    char message[KUBE_TEXT_SIZE];
    int error;

    if (kube_client_refresh(request->client, message)) {
        snprintf(request->reason, sizeof(request->reason), "%.*s", CURL_ERROR_SIZE - 1, message);
        return 0;
    }
    request->generation = request->client->generation;
    error = kube_easy_make(request->client, path, &request->made);
    if (error)
        return error;
    curl_easy_setopt(request->made.easy, CURLOPT_PRIVATE, request);
    curl_easy_setopt(request->made.easy, CURLOPT_ERRORBUFFER, request->reason);
    curl_easy_setopt(request->made.easy, CURLOPT_HEADERFUNCTION, header_received);
    curl_easy_setopt(request->made.easy, CURLOPT_HEADERDATA, request);
    curl_easy_setopt(request->made.easy, CURLOPT_WRITEFUNCTION, body_received);
    curl_easy_setopt(request->made.easy, CURLOPT_WRITEDATA, request);
    return 0;
}

int kube_request_start(struct kube_client *client, const char *path, unsigned total,
                       const struct kube_handler *handler, void *context,
                       struct kube_request **started)
{
    static const struct timeval now = {0, 0};
    struct kube_request *request = calloc(1, sizeof(*request));
    int error;

    if (!request)
        return -ENOMEM;
    request->client = client;
    request->handler = handler;
    request->context = context;
    request->total = total;
    request->started = request->active = kube_now();
    request->timer = evtimer_new(client->base, request_launch, request);
    error = request->timer ? request_prepare(request, path) : -ENOMEM;
    if (!error && evtimer_add(request->timer, &now) < 0)
        error = -ENOMEM;
    if (error) {
        request_free(request);
        return error;
    }
    request->next = client->requests;
    request->link = &client->requests;
    if (request->next)
        request->next->link = &request->next;
    client->requests = request;
    *started = request;
    return 0;
}

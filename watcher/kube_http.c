/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher/kube_http.h"

#include <errno.h>

#include "common/log.h"

struct kube_http {
    struct event_base *base;
    struct event *timer;
    CURLM *multi;
    kube_http_done done;
};

int kube_http_prepare(void)
{
    CURLcode code = curl_global_init(CURL_GLOBAL_ALL);

    if (!code)
        return 0;
    log_error("libcurl cannot be initialised", log_string("error", curl_easy_strerror(code)));
    return -EIO;
}

/* Tells about all transfers that have ended. What is told may add and remove others. */
static void report_ended(struct kube_http *http)
{
    CURLMsg *message;
    int left;

    while (http->multi && (message = curl_multi_info_read(http->multi, &left)) != NULL) {
        CURL *easy = message->easy_handle;
        CURLcode code = message->data.result;
        char *owner = NULL;

        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(easy, CURLINFO_PRIVATE, &owner);
        curl_multi_remove_handle(http->multi, easy);
        http->done(owner, code);
    }
}

static void socket_ready(evutil_socket_t fd, short what, void *context)
{
    struct kube_http *http = context;
    int action = (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0);
    int running;

    curl_multi_socket_action(http->multi, fd, action, &running);
    report_ended(http);
}

static void timer_fired(evutil_socket_t fd _unused_, short what _unused_, void *context)
{
    struct kube_http *http = context;
    int running;

    curl_multi_socket_action(http->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    report_ended(http);
}

/* Curl wants to wait for something else on a socket. */
static int socket_wanted(CURL *easy _unused_, curl_socket_t fd, int what, void *context,
                         void *socket)
{
    struct kube_http *http = context;
    struct event *event = socket;
    short flags = (short)(EV_PERSIST | (what & CURL_POLL_IN ? EV_READ : 0) |
                          (what & CURL_POLL_OUT ? EV_WRITE : 0));

    if (event)
        event_free(event);
    event = NULL;
    if (what != CURL_POLL_REMOVE) {
        event = event_new(http->base, fd, flags, socket_ready, http);
        if (!event || event_add(event, NULL) < 0)
            log_error("cannot wait for the API server's connection", log_errno(ENOMEM));
    }
    curl_multi_assign(http->multi, fd, event);
    return 0;
}

static int timer_wanted(CURLM *multi _unused_, long milliseconds, void *context)
{
    struct kube_http *http = context;
    struct timeval wait = {milliseconds / 1000, (milliseconds % 1000) * 1000};

    if (milliseconds < 0)
        return event_del(http->timer) < 0 ? -1 : 0;
    return event_add(http->timer, &wait) < 0 ? -1 : 0;
}

int kube_http_renew(struct kube_http *http)
{
    CURLM *multi = curl_multi_init();

    if (!multi)
        return -ENOMEM;
    if (http->multi)
        curl_multi_cleanup(http->multi);
    http->multi = multi;
    curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, socket_wanted);
    curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, http);
    curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, timer_wanted);
    curl_multi_setopt(multi, CURLMOPT_TIMERDATA, http);
    curl_multi_setopt(multi, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, 4L);
    return 0;
}

int kube_http_open(struct event_base *base, kube_http_done done, struct kube_http **opened)
{
    struct kube_http *http = calloc(1, sizeof(*http));

    if (!http)
        return -ENOMEM;
    http->base = base;
    http->done = done;
    http->timer = evtimer_new(base, timer_fired, http);
    if (!http->timer || kube_http_renew(http)) {
        kube_http_close(http);
        return -ENOMEM;
    }
    *opened = http;
    return 0;
}

int kube_http_add(struct kube_http *http, CURL *easy)
{
    CURLMcode code = curl_multi_add_handle(http->multi, easy);

    return code == CURLM_OK ? 0 : code == CURLM_OUT_OF_MEMORY ? -ENOMEM : -EIO;
}

void kube_http_remove(struct kube_http *http, CURL *easy)
{
    curl_multi_remove_handle(http->multi, easy);
}

void kube_http_close(struct kube_http *http)
{
    if (!http)
        return;
    if (http->multi)
        curl_multi_cleanup(http->multi);
    if (http->timer)
        event_free(http->timer);
    free(http);
}

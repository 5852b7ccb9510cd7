/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher/kube_request.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "watcher/kube_resolve.h"

#define ADDRESSES_AGE_MS 30000

struct kube_request {
    struct kube_client *client;
    struct kube_request *next, **link; /* of client->requests */
    const struct kube_handler *handler;
    void *context;
    struct kube_resolve *resolve;
    char connect_host[256]; /* whose address is needed: the server, or the proxy before it */
    char connect_port[8];
    CURL *easy;
    bool added; /* to the multi handle */
    struct curl_slist *headers, *resolved, *connect_to;
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
        kube_http_remove(request->client->http, request->easy);
    if (request->link) {
        *request->link = request->next;
        if (request->next)
            request->next->link = request->link;
    }
    kube_resolve_cancel(request->resolve);
    if (request->timer)
        event_free(request->timer);
    curl_easy_cleanup(request->easy);
    curl_slist_free_all(request->headers);
    curl_slist_free_all(request->resolved);
    curl_slist_free_all(request->connect_to);
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
    if (request->easy && request->head_seen)
        curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &result.status);
    if (request->easy && curl_easy_getinfo(request->easy, CURLINFO_RETRY_AFTER, &retry_after) == 0)
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
    curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(request->easy, CURLINFO_CONTENT_TYPE, &type);
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

/* A peer that is gone shows within a minute: unanswered data by the user timeout, an idle
 * connection by keepalive. What lives but does not speak, the request's own timer finds. */
static curl_socket_t socket_open(void *context _unused_, curlsocktype purpose _unused_,
                                 struct curl_sockaddr *address)
{
    static const struct {
        int level, name, value;
    } options[] = {
        {SOL_SOCKET, SO_KEEPALIVE, 1},          {IPPROTO_TCP, TCP_KEEPIDLE, 30},
        {IPPROTO_TCP, TCP_KEEPINTVL, 10},       {IPPROTO_TCP, TCP_KEEPCNT, 3},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, 60000},
    };
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);

    if (fd < 0)
        return CURL_SOCKET_BAD;
    for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
        if (setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(int)) < 0) {
            close(fd);
            return CURL_SOCKET_BAD;
        }
    }
    return fd;
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

/* The parts of a URL; each is copied into `text`, an array. */
static int url_part(CURLU *url, CURLUPart part, unsigned flags, char *text, size_t size)
{
    char *value = NULL;
    int error = 0;

    if (curl_url_get(url, part, &value, flags) || strlen(value) >= size)
        error = -EINVAL;
    else
        memcpy(text, value, strlen(value) + 1);
    curl_free(value);
    return error;
}

static int url_host(const char *text, char host[256], char port[8])
{
    CURLU *url = curl_url();
    int error = url ? 0 : -ENOMEM;

    if (!error && curl_url_set(url, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME))
        error = -EINVAL;
    if (!error)
        error = url_part(url, CURLUPART_HOST, 0, host, 256);
    if (!error && url_part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT, port, 8))
        snprintf(port, 8, "1080"); /* a SOCKS proxy without a port */
    curl_url_cleanup(url);
    return error;
}

static int list_add(struct curl_slist **list, const char *item)
{
    struct curl_slist *longer = curl_slist_append(*list, item);

    if (!longer)
        return -ENOMEM;
    *list = longer;
    return 0;
}

/* With tls-server-name the URL has that name, since it is what curl checks the certificate for,
 * and the connection goes to the server's host. */
static int request_set_url(struct kube_request *request, const char *path)
{
    const struct kube_config *config = &request->client->config;
    const char *server = kube_client_server(request->client);
    char host[256], port[8], connect_to[800];
    _cleanup_free_ char *url = NULL;
    const char *prefix = strchr(strstr(server, "//") + 2, '/');
    int error = url_host(server, host, port);

    if (error)
        return error;
    if (config->tls_server_name) {
        if (asprintf(&url, "https://%s:%s%s%s", config->tls_server_name, port, prefix ? prefix : "",
                     path) < 0)
            url = NULL;
        snprintf(connect_to, sizeof(connect_to), "%s:%s:%s:%s", config->tls_server_name, port, host,
                 port);
        if (list_add(&request->connect_to, connect_to))
            return -ENOMEM;
        curl_easy_setopt(request->easy, CURLOPT_CONNECT_TO, request->connect_to);
    } else if (asprintf(&url, "%s%s", server, path) < 0) {
        url = NULL;
    }
    if (!url || curl_easy_setopt(request->easy, CURLOPT_URL, url))
        return -ENOMEM;
    return url_host(config->proxy ? config->proxy : server, request->connect_host,
                    request->connect_port);
}

static int set_blob(CURL *easy, CURLoption option, const struct kube_blob *blob)
{
    struct curl_blob copy = {blob->data, blob->length, CURL_BLOB_COPY};

    if (!blob->data)
        return 0;
    return curl_easy_setopt(easy, option, &copy) ? -ENOMEM : 0;
}

static int request_set_credentials(struct kube_request *request)
{
    const struct kube_credentials *credentials = &request->client->credentials;
    int error = set_blob(request->easy, CURLOPT_CAINFO_BLOB, &credentials->ca);

    if (!error)
        error = set_blob(request->easy, CURLOPT_SSLCERT_BLOB, &credentials->certificate);
    if (!error)
        error = set_blob(request->easy, CURLOPT_SSLKEY_BLOB, &credentials->key);
    if (!error)
        error = list_add(&request->headers, "Accept: application/json");
    if (!error && credentials->authorization.data)
        error = list_add(&request->headers, credentials->authorization.data);
    curl_easy_setopt(request->easy, CURLOPT_HTTPHEADER, request->headers);
    return error;
}

static void request_set_options(struct kube_request *request)
{
    const char *proxy = request->client->config.proxy;
    CURL *easy = request->easy;

    curl_easy_setopt(easy, CURLOPT_PRIVATE, request);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, request->reason);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, header_received);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, request);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, body_received);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, request);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, socket_open);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy, CURLOPT_PROXY, proxy ? proxy : ""); /* never the environment's */
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L);
    curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 65536L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, 10000L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "egressgw-watcher/" EGRESSGW_VERSION);
}

/* Everything is known: off it goes. */
static void request_send(struct kube_request *request)
{
    struct kube_client *client = request->client;
    char entry[KUBE_ADDRESSES_SIZE + 300];
    int error = 0;

    if (!kube_resolve_is_address(request->connect_host)) {
        snprintf(entry, sizeof(entry), "%s:%s:%s", request->connect_host, request->connect_port,
                 client->resolved.addresses);
        error = list_add(&request->resolved, entry);
        curl_easy_setopt(request->easy, CURLOPT_RESOLVE, request->resolved);
    }
    if (!error)
        error = kube_http_add(client->http, request->easy);
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
        snprintf(reason, sizeof(reason), "cannot resolve %s: %s", request->connect_host, error);
        request_end(request, KUBE_UNREACHABLE, reason);
        return;
    }
    snprintf(client->resolved.host, sizeof(client->resolved.host), "%s", request->connect_host);
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
    if (kube_resolve_is_address(request->connect_host) ||
        (!strcmp(client->resolved.host, request->connect_host) &&
         kube_now() - client->resolved.at < ADDRESSES_AGE_MS)) {
        request_send(request);
        return;
    }
    if (kube_resolve_start(client->base, request->connect_host, host_resolved, request,
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
    request->easy = curl_easy_init();
    if (!request->easy)
        return -ENOMEM;
    request_set_options(request);
    error = request_set_url(request, path);
    return error ? error : request_set_credentials(request);
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

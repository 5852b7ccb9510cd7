/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher/http_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "common/log.h"

enum { BACKLOG = 32 };

/* Until the next try where a connection could not be accepted: no descriptor is free, say. */
static const struct timeval accept_pause = {.tv_sec = 1};

struct client {
    struct http_server *server;
    struct event *event; /* NULL: this place is free */
    struct event *end;   /* its time is over */
    int fd;
    size_t received;
    char *response; /* NULL: the request is still to be read */
    size_t length, sent;
    char request[HTTP_REQUEST_SIZE];
};

struct http_server {
    struct event_base *base;
    struct event *accept; /* not pending while all places are taken */
    struct event *resume;
    int listener;
    struct timeval patience;
    http_handler handler;
    void *context;
    size_t busy;
    struct client clients[HTTP_CLIENTS];
};

int http_listen(const struct ip_addr *address, uint16_t port)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    bool is_v4 = ip_addr_is_v4(address);
    _cleanup_close_ int fd =
        socket(is_v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int yes = 1;

    if (fd < 0)
        return -errno;
    memcpy(&v4.sin_addr, &address->words_be[3], sizeof(v4.sin_addr));
    memcpy(&v6.sin6_addr, address->bytes, sizeof(v6.sin6_addr));
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0 ||
        bind(fd, is_v4 ? (void *)&v4 : (void *)&v6, is_v4 ? sizeof(v4) : sizeof(v6)) < 0 ||
        listen(fd, BACKLOG) < 0)
        return -errno;
    return TAKE_FD(fd);
}

static void client_close(struct client *client)
{
    struct http_server *server = client->server;

    if (client->event)
        event_free(client->event);
    if (client->end)
        event_free(client->end);
    free(client->response);
    close(client->fd);
    *client = (struct client){.server = server, .fd = -1};
    if (server->busy-- == HTTP_CLIENTS && event_add(server->accept, NULL) < 0)
        log_error("no memory to serve metrics any more");
}

static void client_on_end(evutil_socket_t fd _unused_, short what _unused_, void *context)
{
    client_close(context);
}

/* The whole response in memory. -ENOMEM. */
static int response_make(struct client *client, int status, bool head, struct text path)
{
    _cleanup_free_ char *body = NULL;
    const char *type = "text/plain; charset=utf-8";
    size_t length = 0;
    FILE *out = open_memstream(&body, &length);

    if (!out)
        return -ENOMEM;
    if (status == HTTP_OK)
        status = client->server->handler(client->server->context, path, &type, out);
    if (status != HTTP_OK && ftell(out) == 0)
        fprintf(out, "%s\n", http_status_text(status));
    if (fclose(out) == EOF)
        return -ENOMEM;
    out = open_memstream(&client->response, &client->length);
    if (!out)
        return -ENOMEM;
    fprintf(out, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n", status,
            http_status_text(status), type, length);
    fprintf(out, "%sCache-Control: no-store\r\nConnection: close\r\n\r\n",
            status == HTTP_METHOD_NOT_ALLOWED ? "Allow: GET, HEAD\r\n" : "");
    if (!head)
        fwrite(body, 1, length, out);
    return fclose(out) == EOF ? -ENOMEM : 0;
}

/* Reads on. Returns the status to answer with, HTTP_INCOMPLETE, or a negative errno. */
static int client_receive(struct client *client, struct http_request *request)
{
    ssize_t count = recv(client->fd, client->request + client->received,
                         sizeof(client->request) - client->received, 0);
    int status;

    if (count < 0)
        return errno == EAGAIN || errno == EINTR ? HTTP_INCOMPLETE : -errno;
    if (count == 0)
        return -EPIPE;
    client->received += (size_t)count;
    status = http_request_parse(client->request, client->received, request);
    if (status == HTTP_INCOMPLETE && client->received == sizeof(client->request))
        return HTTP_TOO_LARGE;
    return status;
}

/* Writes on. 0: all of it is written. */
static int client_send(struct client *client)
{
    while (client->sent < client->length) {
        ssize_t count = send(client->fd, client->response + client->sent,
                             client->length - client->sent, MSG_NOSIGNAL);

        if (count < 0)
            return -errno;
        client->sent += (size_t)count;
    }
    return 0;
}

static void client_on_writable(evutil_socket_t fd _unused_, short what _unused_, void *context)
{
    struct client *client = context;
    int error = client_send(client);

    if (error != -EAGAIN && error != -EINTR)
        client_close(client);
}

static void client_on_readable(evutil_socket_t fd _unused_, short what _unused_, void *context)
{
    struct client *client = context;
    struct http_request request = {0};
    int status = client_receive(client, &request);

    if (status == HTTP_INCOMPLETE)
        return;
    event_del(client->event);
    if (status < 0 || response_make(client, status, request.head, request.path) < 0 ||
        event_assign(client->event, client->server->base, client->fd, EV_WRITE | EV_PERSIST,
                     client_on_writable, client) < 0 ||
        event_add(client->event, NULL) < 0)
        client_close(client);
}

static struct client *client_place(struct http_server *server)
{
    for (size_t i = 0; i < HTTP_CLIENTS; i++) {
        if (!server->clients[i].event)
            return &server->clients[i];
    }
    return NULL;
}

static void server_on_accept(evutil_socket_t fd, short what _unused_, void *context)
{
    struct http_server *server = context;
    struct client *client = client_place(server);
    int accepted;

    if (!client)
        return;
    accepted = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (accepted < 0) {
        if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED &&
            evtimer_add(server->resume, &accept_pause) == 0)
            event_del(server->accept);
        return;
    }
    client->fd = accepted;
    client->event =
        event_new(server->base, accepted, EV_READ | EV_PERSIST, client_on_readable, client);
    client->end = evtimer_new(server->base, client_on_end, client);
    if (++server->busy == HTTP_CLIENTS)
        event_del(server->accept); /* until one of them is gone */
    if (!client->event || !client->end || event_add(client->event, NULL) < 0 ||
        evtimer_add(client->end, &server->patience) < 0)
        client_close(client);
}

static void server_on_resume(evutil_socket_t fd _unused_, short what _unused_, void *context)
{
    struct http_server *server = context;

    if (server->busy < HTTP_CLIENTS && event_add(server->accept, NULL) < 0)
        log_error("no memory to serve metrics any more");
}

int http_server_open(struct event_base *base, int listener, const struct timeval *patience,
                     http_handler handler, void *context, struct http_server **server)
{
    struct http_server *opened = calloc(1, sizeof(*opened));

    if (!opened)
        return -ENOMEM;
    opened->base = base;
    opened->listener = listener;
    opened->patience = *patience;
    opened->handler = handler;
    opened->context = context;
    for (size_t i = 0; i < HTTP_CLIENTS; i++)
        opened->clients[i] = (struct client){.server = opened, .fd = -1};
    opened->accept = event_new(base, listener, EV_READ | EV_PERSIST, server_on_accept, opened);
    opened->resume = evtimer_new(base, server_on_resume, opened);
    if (!opened->accept || !opened->resume || event_add(opened->accept, NULL) < 0) {
        opened->listener = -1;
        http_server_close(opened);
        return -ENOMEM;
    }
    *server = opened;
    return 0;
}

void http_server_close(struct http_server *server)
{
    if (!server)
        return;
    for (size_t i = 0; i < HTTP_CLIENTS; i++) {
        if (server->clients[i].event)
            client_close(&server->clients[i]);
    }
    if (server->accept)
        event_free(server->accept);
    if (server->resume)
        event_free(server->resume);
    cleanup_close(&server->listener);
    free(server);
}

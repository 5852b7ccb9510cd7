/* SPDX-License-Identifier: Apache-2.0 */
/* The side that listens: one peer at a time, the newest one counts. */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "common/log.h"
#include "ipc/channel_private.h"

enum {
    ACCEPTS_PER_TURN = 8,
    PAUSE_MS = 500, /* without descriptors or memory, the listener would wake us for nothing */
};

struct channel_server {
    struct event_base *base;
    int listener;
    uid_t peer_uid;
    const struct channel_callbacks *callbacks;
    void *context;
    struct channel *channel; /* the peer, or NULL */
    struct event *accept;
    struct event *resume;
};

static void server_ended(void *context)
{
    ((struct channel_server *)context)->channel = NULL;
}

static bool server_knows(const struct channel_server *server, int fd)
{
    const char *peer = server->callbacks->peer;
    uid_t uid;
    int error = channel_peer_uid(fd, &uid);

    if (error)
        log_warning("refused a connection whose user is not known", log_string("peer", peer),
                    log_errno(error));
    else if (uid != server->peer_uid)
        log_warning("refused a connection from the wrong user", log_string("peer", peer),
                    log_number("uid", uid), log_number("expected", server->peer_uid));
    return !error && uid == server->peer_uid;
}

static void server_replace(struct channel_server *server)
{
    if (!server->channel)
        return;
    log_info("a new connection replaces the old one", log_string("peer", server->callbacks->peer));
    channel_finish(server->channel);
}

static void server_take(struct channel_server *server, int accepted)
{
    const struct channel_callbacks *callbacks = server->callbacks;
    struct channel_owner owner = {server_ended, server};
    _cleanup_close_ int fd = accepted;
    struct channel *channel;
    int error;

    if (!server_knows(server, fd))
        return;
    error = channel_open(server->base, fd, callbacks, server->context, owner, &channel);
    if (error) {
        log_error("cannot take a connection", log_string("peer", callbacks->peer),
                  log_errno(error));
        if (error == -ENOMEM && callbacks->exhausted)
            callbacks->exhausted(server->context);
        return;
    }
    (void)TAKE_FD(fd);
    server_replace(server);
    server->channel = channel;
    log_info("connected", log_string("peer", callbacks->peer));
    if (callbacks->connected)
        callbacks->connected(server->context, channel);
}

static void server_pause(struct channel_server *server, int error)
{
    static const struct timeval pause = {.tv_usec = PAUSE_MS * 1000L};

    log_error("cannot accept a connection, trying again",
              log_string("peer", server->callbacks->peer), log_errno(error));
    if (event_add(server->resume, &pause) == 0)
        event_del(server->accept);
}

static void server_acceptable(evutil_socket_t listener, short events _unused_, void *context)
{
    struct channel_server *server = context;

    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd >= 0) {
            server_take(server, fd);
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            server_pause(server, errno);
            return;
        }
    }
}

static void server_resume(evutil_socket_t fd _unused_, short events _unused_, void *context)
{
    struct channel_server *server = context;

    if (event_add(server->accept, NULL) < 0)
        server_pause(server, ENOMEM);
}

/* A socket that came from somebody else may be anything. */
static int listener_prepare(int listener, const char *peer)
{
    int type = 0, listens = 0, domain = 0, flags = fcntl(listener, F_GETFL);
    socklen_t size = sizeof(int);

    if (flags < 0 || getsockopt(listener, SOL_SOCKET, SO_TYPE, &type, &size) < 0 ||
        getsockopt(listener, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0 ||
        getsockopt(listener, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) < 0)
        return -errno;
    if (type != SOCK_SEQPACKET || domain != AF_UNIX || !listens) {
        log_error("this is no listening Unix socket of type SOCK_SEQPACKET: set "
                  "ListenSequentialPacket= in the socket unit",
                  log_string("peer", peer));
        return -EINVAL;
    }
    return fcntl(listener, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

int channel_serve(struct event_base *base, int listener, uid_t peer_uid,
                  const struct channel_callbacks *callbacks, void *context,
                  struct channel_server **server)
{
    int error = listener_prepare(listener, callbacks->peer);
    struct channel_server *new;

    if (error)
        return error;
    new = calloc(1, sizeof(*new));
    if (!new)
        return -ENOMEM;
    *new = (struct channel_server){
        .base = base,
        .listener = -1,
        .peer_uid = peer_uid,
        .callbacks = callbacks,
        .context = context,
    };
    new->accept = event_new(base, listener, EV_READ | EV_PERSIST, server_acceptable, new);
    new->resume = event_new(base, -1, 0, server_resume, new);
    if (!new->accept || !new->resume || event_add(new->accept, NULL) < 0) {
        channel_server_free(new);
        return -ENOMEM;
    }
    new->listener = listener;
    *server = new;
    return 0;
}

void channel_server_free(struct channel_server *server)
{
    if (!server)
        return;
    channel_free(server->channel);
    if (server->accept)
        event_free(server->accept);
    if (server->resume)
        event_free(server->resume);
    if (server->listener >= 0)
        close(server->listener);
    free(server);
}

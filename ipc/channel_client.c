/* SPDX-License-Identifier: Apache-2.0 */
/* The side that connects, and connects again. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "common/log.h"
#include "ipc/channel_private.h"

enum {
    PAUSE_FIRST_MS = 20,
    PAUSE_LIMIT_MS = 1000,
    LASTED_MS = 1000, /* a connection that lived this long starts the pauses anew */
};

struct channel_client {
    struct event_base *base;
    struct sockaddr_un address;
    uid_t peer_uid;
    const struct channel_callbacks *callbacks;
    void *context;
    struct channel *channel; /* NULL while there is no connection */
    struct event *retry;
    unsigned pause_ms;
    int64_t connected_ms; /* when the connection was made, CLOCK_MONOTONIC */
    bool waiting;         /* has been said */
};

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void client_retry(struct channel_client *client)
{
    struct timeval pause = {client->pause_ms / 1000, client->pause_ms % 1000 * 1000L};

    client->pause_ms *= 2;
    if (client->pause_ms > PAUSE_LIMIT_MS)
        client->pause_ms = PAUSE_LIMIT_MS;
    if (event_add(client->retry, &pause) < 0)
        log_error("cannot set a timer: no new attempt to connect",
                  log_string("peer", client->callbacks->peer));
}

static void client_ended(void *context)
{
    struct channel_client *client = context;

    client->channel = NULL;
    if (now_ms() - client->connected_ms >= LASTED_MS)
        client->pause_ms = PAUSE_FIRST_MS;
    client_retry(client);
}

/* The peer is not up yet: nothing to act on. */
static bool error_is_usual(int error)
{
    return error == -ENOENT || error == -ECONNREFUSED || error == -EAGAIN;
}

static void client_wait(struct channel_client *client, int error)
{
    const char *peer = client->callbacks->peer;
    const char *path = client->address.sun_path;

    if (!client->waiting && error_is_usual(error))
        log_info("waiting for the peer", log_string("peer", peer), log_string("path", path),
                 log_errno(error));
    else if (!client->waiting && error == -EPERM)
        log_warning("waiting for the peer: the process that listens has the wrong user",
                    log_string("peer", peer), log_string("path", path),
                    log_number("expected", client->peer_uid));
    else if (!client->waiting)
        log_warning("waiting for the peer: cannot connect", log_string("peer", peer),
                    log_string("path", path), log_errno(error));
    client->waiting = true;
    client_retry(client);
}

/* A connected socket, or a negative errno. A local connection is made at once or not at all. */
static int client_dial(const struct channel_client *client)
{
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    uid_t uid;
    int error;

    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)&client->address, sizeof(client->address)) < 0)
        return -errno;
    error = channel_peer_uid(fd, &uid);
    if (error)
        return error;
    /* Root may listen on behalf of the peer: the service manager does, and so does a daemon that
     * was started as root, before it becomes its user. */
    if (uid != client->peer_uid && uid != 0)
        return -EPERM;
    return TAKE_FD(fd);
}

static void client_attempt(evutil_socket_t unused _unused_, short events _unused_, void *context)
{
    struct channel_client *client = context;
    struct channel_owner owner = {client_ended, client};
    int fd = client_dial(client);
    int error = fd < 0 ? fd
                       : channel_open(client->base, fd, client->callbacks, client->context, owner,
                                      &client->channel);

    if (error < 0) {
        if (fd >= 0)
            close(fd);
        client_wait(client, error);
        return;
    }
    client->waiting = false;
    client->connected_ms = now_ms();
    log_info("connected", log_string("peer", client->callbacks->peer));
    if (client->callbacks->connected)
        client->callbacks->connected(client->context, client->channel);
}

int channel_connect(struct event_base *base, const char *path, uid_t peer_uid,
                    const struct channel_callbacks *callbacks, void *context,
                    struct channel_client **client)
{
    static const struct timeval now = {0};
    struct channel_client *new = calloc(1, sizeof(*new));
    int error;

    if (!new)
        return -ENOMEM;
    *new = (struct channel_client){
        .base = base,
        .peer_uid = peer_uid,
        .callbacks = callbacks,
        .context = context,
        .pause_ms = PAUSE_FIRST_MS,
    };
    error = channel_address(path, &new->address);
    if (!error) {
        new->retry = event_new(base, -1, 0, client_attempt, new);
        if (!new->retry || event_add(new->retry, &now) < 0)
            error = -ENOMEM;
    }
    if (error) {
        channel_client_free(new);
        return error;
    }
    *client = new;
    return 0;
}

void channel_client_free(struct channel_client *client)
{
    if (!client)
        return;
    channel_free(client->channel);
    if (client->retry)
        event_free(client->retry);
    free(client);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/channel.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/log.h"
#include "ipc/channel_private.h"

/* Records that are handled before other events get their turn. */
enum { RECORDS_PER_TURN = 64 };

struct channel {
    int fd;
    struct event *read;
    struct event *write; /* pending while a sender waits for room */
    struct event *end;   /* active once the channel is closing */
    const struct channel_callbacks *callbacks;
    void *context;
    struct channel_owner owner;
    unsigned state;
    bool closing;
    const char *reason; /* why a handler fails */
    struct arena arena; /* of the record that is being handled */
    unsigned char data[RECORD_SIZE_LIMIT];
};

/* From here on nothing is read or sent; the callbacks follow from the loop. */
static void channel_end(struct channel *channel)
{
    channel->closing = true;
    event_del(channel->read);
    event_del(channel->write);
    event_active(channel->end, EV_TIMEOUT, 0);
}

/* Closes because of the record that came in: the one line about it. */
static void channel_refuse(struct channel *channel, const char *type, const char *reason, int error)
{
    if (channel->closing)
        return;
    log_error("closed the connection because of a record",
              log_string("peer", channel->callbacks->peer), log_string("record", type),
              log_string("reason", reason), log_errno(error));
    channel_end(channel);
    if (error == ENOMEM && channel->callbacks->exhausted)
        channel->callbacks->exhausted(channel->context);
}

/* Closes because of the connection itself. */
static void channel_lose(struct channel *channel, int error)
{
    const char *peer = channel->callbacks->peer;

    if (channel->closing)
        return;
    if (error == 0)
        log_info("the peer closed the connection", log_string("peer", peer));
    else if (error == EMSGSIZE)
        log_error("a record does not fit into the socket's buffer: raise net.core.wmem_default to "
                  "212992 or more",
                  log_string("peer", peer));
    else
        log_error("the connection failed", log_string("peer", peer), log_errno(error));
    channel_end(channel);
}

void channel_close(struct channel *channel, const char *reason)
{
    if (channel->closing)
        return;
    if (reason)
        log_warning("closed the connection", log_string("peer", channel->callbacks->peer),
                    log_string("reason", reason));
    channel_end(channel);
}

static void channel_dispatch(struct channel *channel, const struct record *record)
{
    const struct channel_callbacks *callbacks = channel->callbacks;
    const char *type = record_type_name(record->type);

    for (size_t i = 0; i < callbacks->rule_count; i++) {
        const struct channel_rule *rule = &callbacks->rules[i];
        int error;

        if (rule->type != record->type)
            continue;
        if (!(rule->states & 1U << channel->state)) {
            channel_refuse(channel, type, "not allowed in this state", EPROTO);
            return;
        }
        channel->reason = "it could not be taken in";
        error = rule->handle(channel->context, record);
        if (error < 0)
            channel_refuse(channel, type, channel->reason, -error);
        return;
    }
    channel_refuse(channel, type, "not for this side of the connection", EPROTO);
}

static void channel_take(struct channel *channel, size_t length)
{
    const char *type = length > 2 ? record_type_name(channel->data[2]) : "unknown";
    struct record record;
    const char *why;
    int error = record_unpack(channel->data, length, &channel->arena, &record, &why);

    if (error)
        channel_refuse(channel, type, why, -error);
    else
        channel_dispatch(channel, &record);
    arena_clear(&channel->arena);
}

/* Receives one datagram. False: nothing more to do in this turn. There is no room for control
 * messages, so that the kernel throws away descriptors that a peer sends along and says so. */
static bool channel_receive(struct channel *channel)
{
    struct iovec part = {channel->data, sizeof(channel->data)};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    ssize_t length = recvmsg(channel->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

    /* A reset is told once and before what the peer had sent: its last words may explain it. */
    if (length < 0 && (errno == EINTR || errno == ECONNRESET))
        return true;
    if (length < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return false;
    if (length <= 0)
        channel_lose(channel, length < 0 ? errno : 0);
    else if (message.msg_flags & MSG_TRUNC)
        channel_refuse(channel, record_type_name(channel->data[2]), "larger than a record may be",
                       EMSGSIZE);
    else if (message.msg_flags & MSG_CTRUNC)
        channel_refuse(channel, "unknown", "it carries a control message", EPROTO);
    else
        channel_take(channel, (size_t)length);
    return !channel->closing;
}

static void channel_readable(evutil_socket_t fd _unused_, short events _unused_, void *context)
{
    struct channel *channel = context;

    for (int i = 0; i < RECORDS_PER_TURN && channel_receive(channel); i++)
        ;
}

static void channel_writable(evutil_socket_t fd _unused_, short events _unused_, void *context)
{
    struct channel *channel = context;

    if (!channel->closing && channel->callbacks->writable)
        channel->callbacks->writable(channel->context);
}

int channel_send(struct channel *channel, const struct record_buffer *buffer)
{
    struct iovec part = {(void *)buffer->data, buffer->length};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    ssize_t sent;

    if (channel->closing)
        return -EPIPE;
    if (buffer->length == 0)
        return -EINVAL;
    do
        sent = sendmsg(channel->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent >= 0)
        return 0;
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
        if (event_add(channel->write, NULL) == 0)
            return -EAGAIN;
        errno = ENOMEM;
    }
    /* A peer that is gone may have left records: the channel ends where they do. */
    if (errno != EPIPE && errno != ECONNRESET)
        channel_lose(channel, errno);
    return -EPIPE;
}

int channel_send_record(struct channel *channel, const struct record *record)
{
    struct record_buffer buffer;
    int error = record_pack(record, &buffer);

    return error ? error : channel_send(channel, &buffer);
}

int channel_explain(struct channel *channel, int error, const char *reason)
{
    channel->reason = reason;
    return error;
}

void channel_set_state(struct channel *channel, unsigned state)
{
    assert(state < 32);
    channel->state = state;
}

unsigned channel_state(const struct channel *channel)
{
    return channel->state;
}

void channel_free(struct channel *channel)
{
    if (!channel)
        return;
    if (channel->read)
        event_free(channel->read);
    if (channel->write)
        event_free(channel->write);
    if (channel->end)
        event_free(channel->end);
    if (channel->fd >= 0)
        close(channel->fd);
    arena_clear(&channel->arena);
    free(channel);
}

void channel_finish(struct channel *channel)
{
    channel->closing = true;
    if (channel->callbacks->closed)
        channel->callbacks->closed(channel->context);
    channel->owner.ended(channel->owner.context);
    channel_free(channel);
}

static void channel_ended(evutil_socket_t fd _unused_, short events _unused_, void *context)
{
    channel_finish(context);
}

int channel_open(struct event_base *base, int fd, const struct channel_callbacks *callbacks,
                 void *context, struct channel_owner owner, struct channel **channel)
{
    struct channel *new = calloc(1, sizeof(*new));

    if (!new)
        return -ENOMEM;
    new->fd = -1;
    new->callbacks = callbacks;
    new->context = context;
    new->owner = owner;
    new->read = event_new(base, fd, EV_READ | EV_PERSIST, channel_readable, new);
    new->write = event_new(base, fd, EV_WRITE, channel_writable, new);
    new->end = event_new(base, -1, 0, channel_ended, new);
    if (!new->read || !new->write || !new->end || event_add(new->read, NULL) < 0) {
        channel_free(new);
        return -ENOMEM;
    }
    new->fd = fd;
    *channel = new;
    return 0;
}

int channel_peer_uid(int fd, uid_t *uid)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        return -errno;
    if (size != sizeof(peer))
        return -EPROTO;
    *uid = peer.uid;
    return 0;
}

int channel_address(const char *path, struct sockaddr_un *address)
{
    struct sockaddr_un result = {.sun_family = AF_UNIX};

    if (!path[0])
        return -EINVAL;
    if (strlen(path) >= sizeof(result.sun_path))
        return -ENAMETOOLONG;
    strcpy(result.sun_path, path);
    *address = result;
    return 0;
}

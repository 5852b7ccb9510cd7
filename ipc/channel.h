/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IPC_CHANNEL_H
#define IPC_CHANNEL_H

/*
 * A connected peer on a SOCK_SEQPACKET socket. Nothing is queued: a send that finds the socket full
 * gives -EAGAIN and `writable` is called when there is room, so that whoever sends keeps what is
 * left to say in its own terms (a cursor, a set of changed keys) and memory stays bounded.
 *
 * System calls once the loop runs, beside those of the loop itself (epoll_ctl, epoll_wait):
 *   both    recvmsg, sendmsg, close, getsockopt(SO_PEERCRED)
 *   server  accept4
 *   client  socket(AF_UNIX, SOCK_SEQPACKET), connect
 * channel_listen() and channel_serve() make others and are called before a process is sealed.
 */

#include <event2/event.h>
#include <sys/types.h>

#include "ipc/record.h"

struct channel;

/* A row of the dispatch table: a type that is not listed, or comes in another state, closes the
 * peer. `handle` returns 0, or a negative errno that closes the peer; it may call channel_close()
 * on nothing but by that return. */
struct channel_rule {
    enum record_type type;
    unsigned states; /* bits 1 << state */
    int (*handle)(void *context, const struct record *record);
};

struct channel_callbacks {
    const char *peer; /* for the log: "watcher", "planner", "loader" */
    const struct channel_rule *rules;
    size_t rule_count;
    void (*connected)(void *context, struct channel *channel);
    void (*writable)(void *context);
    void (*closed)(void *context); /* the channel is freed after this returns */
    /* There was no memory for a record or for the connection; NULL: it ends, and that is all. */
    void (*exhausted)(void *context);
};

/* Sends a record, or -EAGAIN: `writable` will be called. -EPIPE: the peer is gone, `closed` will
 * be called. */
int channel_send(struct channel *channel, const struct record_buffer *buffer) _must_check_;
/* Packs and sends in one go. */
int channel_send_record(struct channel *channel, const struct record *record) _must_check_;

/* From inside of a handler that is going to fail: why, a constant text, for the line in the log.
 * Returns `error`. */
int channel_explain(struct channel *channel, int error, const char *reason);

/* The state that decides which records are allowed, 0-31; 0 after connecting. */
void channel_set_state(struct channel *channel, unsigned state);
unsigned channel_state(const struct channel *channel);

/* Closes from outside of a handler; `closed` is called later from the loop, with the reason in the
 * log where it is not NULL. */
void channel_close(struct channel *channel, const char *reason);

/*
 * Accepts one peer at a time on a listening socket: a second one with the right uid replaces the
 * first (its process was restarted), anybody else is closed at once with a warning. The listener
 * belongs to the server from then on. Freeing a server or a client closes its peer without a
 * callback; not to be done from inside of a handler or callback.
 */
struct channel_server;
int channel_serve(struct event_base *base, int listener, uid_t peer_uid,
                  const struct channel_callbacks *callbacks, void *context,
                  struct channel_server **server) _must_check_;
void channel_server_free(struct channel_server *server);

/* Keeps a connection to `path`: reconnects with growing pauses (20 ms to 1 s); checks that the
 * listening process has `peer_uid`, or is root (systemd listens for its services). Says once when
 * it waits and once when it is connected. */
struct channel_client;
int channel_connect(struct event_base *base, const char *path, uid_t peer_uid,
                    const struct channel_callbacks *callbacks, void *context,
                    struct channel_client **client) _must_check_;
void channel_client_free(struct channel_client *client);

/* Creates the listening socket `path` (0600, owned by `peer`, who alone may connect): an old socket
 * there is replaced, anything else is refused. The directory must exist. Returns the descriptor or
 * a negative errno; errors are logged. */
int channel_listen(const char *path, uid_t peer) _must_check_;

#endif

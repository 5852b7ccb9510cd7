/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IPC_CHANNEL_PRIVATE_H
#define IPC_CHANNEL_PRIVATE_H

/* Private to ipc/: how a server or a client owns its channel. */

#include "ipc/channel.h"

/* Whoever accepted or made the connection: told after `closed`, before the channel is freed. */
struct channel_owner {
    void (*ended)(void *context);
    void *context;
};

/* Makes a channel of a connected, non-blocking socket, which belongs to it on success only.
 * `connected` is not called. */
int channel_open(struct event_base *base, int fd, const struct channel_callbacks *callbacks,
                 void *context, struct channel_owner owner, struct channel **channel) _must_check_;

/* Calls `closed` and `ended` and frees the channel. Not from inside of a handler. */
void channel_finish(struct channel *channel);

/* Frees the channel without a callback. */
void channel_free(struct channel *channel);

/* The user that made the connection, or that had called listen() on its other end. */
int channel_peer_uid(int fd, uid_t *uid) _must_check_;

/* -EINVAL, -ENAMETOOLONG: no path of a socket. */
struct sockaddr_un;
int channel_address(const char *path, struct sockaddr_un *address) _must_check_;

#endif

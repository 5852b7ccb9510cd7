/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOADER_ATTACH_NETLINK_H
#define LOADER_ATTACH_NETLINK_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/macros.h"

/* What the attach helper needs of rtnetlink: which interfaces there are, and which hold a default
 * route. */
struct netlink_handler {
    /* An interface that is there, or is gone (`name` is empty where the kernel did not say it). */
    void (*link)(void *context, uint32_t ifindex, const char *name, bool gone);
    /* A default route of the main table by way of this interface came, is there, or is gone. */
    void (*default_route)(void *context, uint32_t ifindex, bool gone);
    void *context;
};

/* A socket that gets events of links and, with `routes`, of routes; it does not block. */
int netlink_open_events(bool routes) _must_check_;
/* A socket for dumps. */
int netlink_open_dumps(void) _must_check_;

/* Reads and handles all events that wait. -ENOBUFS: some were lost. */
int netlink_read_events(int fd, const struct netlink_handler *handler) _must_check_;

/* Lists all links, or the default routes of both families. */
int netlink_dump_links(int fd, const struct netlink_handler *handler) _must_check_;
int netlink_dump_routes(int fd, const struct netlink_handler *handler) _must_check_;

/* Handles the messages of one datagram. 0: there are more to come, 1: the dump has ended,
 * -EBADMSG: not netlink messages, else the error that the kernel answered. *interrupted is set
 * where a change made the dump inconsistent. */
int netlink_parse(const void *data, size_t length, const struct netlink_handler *handler,
                  bool *interrupted);

#endif

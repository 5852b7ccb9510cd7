/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WATCHER_LINKS_H
#define WATCHER_LINKS_H

/*
 * Inside of the source "links": what rtnetlink says about this node's interfaces. The tables are
 * built anew by three dumps (links, addresses, routes); an event of the kernel that matters asks
 * for the next three. The kernel does not announce everything that follows from an event (IPv4
 * routes vanish silently with their link), so events are not applied one by one.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "ipc/objects.h"

enum { LINKS_NAME_SIZE = 16 };

struct links_interface {
    uint32_t ifindex;
    char name[LINKS_NAME_SIZE];
    bool up;
};

struct links_address {
    uint32_t ifindex;
    struct ip_addr address;
    bool usable;
    bool primary;
};

/* A default route of the main table, once for each of its next hops. */
struct links_route {
    uint32_t ifindex;
    uint32_t metric;
    bool v6;
};

struct links_tables {
    struct links_interface *interfaces;
    size_t interface_count;
    struct links_address *addresses;
    size_t address_count;
    struct links_route *routes;
    size_t route_count;
};

void links_tables_clear(struct links_tables *tables);

/* Puts one RTM_NEWLINK, RTM_NEWADDR or RTM_NEWROUTE message of a dump into the tables; other
 * messages and routes change nothing. -EBADMSG: truncated or with lengths that contradict each
 * other. -ENOMEM. */
int links_tables_add(struct links_tables *tables, const void *message, size_t length) _must_check_;

/* Whether an event can change what we report. */
bool links_event_matters(const struct links_tables *tables, const void *message, size_t length);

/* The interface at `index` as an object; its arrays are in `arena`. */
int links_tables_object(const struct links_tables *tables, size_t index, struct arena *arena,
                        struct object *object) _must_check_;

#endif

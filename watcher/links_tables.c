/* SPDX-License-Identifier: Apache-2.0 */
/* From the kernel's tables to one object for each interface. */
#include "watcher/links.h"

#include <errno.h>
#include <stdlib.h>

#include "common/log.h"

void links_tables_clear(struct links_tables *tables)
{
    free(tables->interfaces);
    free(tables->addresses);
    free(tables->routes);
    *tables = (struct links_tables){0};
}

/* Adds the interface's addresses of one sort, in the kernel's order. */
static void link_add_addresses(const struct links_tables *tables, struct link *link, bool primary)
{
    for (size_t i = 0; i < tables->address_count; i++) {
        const struct links_address *address = &tables->addresses[i];

        if (address->ifindex != link->ifindex || address->primary != primary ||
            ip_addr_is_none(&address->address))
            continue;
        if (link->address_count == LIMIT_LINK_ADDRESSES) {
            log_warning("interface has more addresses than are followed, the last ones are left "
                        "out",
                        log_text("interface", link->name),
                        log_number("limit", LIMIT_LINK_ADDRESSES));
            return;
        }
        link->addresses[link->address_count++] =
            (struct link_address){.address = address->address, .usable = address->usable};
    }
}

static size_t link_count_addresses(const struct links_tables *tables, uint32_t ifindex)
{
    size_t count = 0;

    for (size_t i = 0; i < tables->address_count; i++)
        count += tables->addresses[i].ifindex == ifindex;
    return count < LIMIT_LINK_ADDRESSES ? count : LIMIT_LINK_ADDRESSES;
}

/* Several interfaces hold it where the route of lowest metric has several next hops; of two routes
 * with one metric the kernel uses the first. */
static bool link_has_default_route(const struct links_tables *tables, uint32_t ifindex, bool v6)
{
    uint32_t lowest = UINT32_MAX;
    bool any = false;

    for (size_t i = 0; i < tables->route_count; i++) {
        if (tables->routes[i].v6 == v6 && tables->routes[i].metric <= lowest) {
            lowest = tables->routes[i].metric;
            any = true;
        }
    }
    for (size_t i = 0; any && i < tables->route_count; i++) {
        const struct links_route *route = &tables->routes[i];

        if (route->v6 == v6 && route->metric == lowest && route->ifindex == ifindex)
            return true;
    }
    return false;
}

int links_tables_object(const struct links_tables *tables, size_t index, struct arena *arena,
                        struct object *object)
{
    const struct links_interface *interface = &tables->interfaces[index];
    struct object made = {.kind = KIND_LINK};
    struct link *link = &made.link;
    size_t count = link_count_addresses(tables, interface->ifindex);

    link->ifindex = interface->ifindex;
    link->name = text_of(interface->name);
    link->up = interface->up;
    link->addresses = arena_allocate(arena, count, sizeof(*link->addresses));
    if (!link->addresses)
        return -ENOMEM;
    link_add_addresses(tables, link, true);
    link_add_addresses(tables, link, false);
    link->default_route_v4 = link_has_default_route(tables, interface->ifindex, false);
    link->default_route_v6 = link_has_default_route(tables, interface->ifindex, true);
    *object = made;
    return 0;
}

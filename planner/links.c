/* SPDX-License-Identifier: Apache-2.0 */
#include "planner/links.h"

#include "planner/policies.h"
#include "planner/stable_hash.h"

static bool plan_link_equal(const void *item, const void *key)
{
    return ((const struct plan_link *)item)->ifindex == *(const uint32_t *)key;
}

void links_init(struct plan *plan)
{
    plan->links = HASH_TABLE(plan_link_equal);
}

static struct plan_link *link_new(struct plan *plan, const struct link *object)
{
    struct plan_link *link =
        memory_new(1, sizeof(*link) + object->address_count * sizeof(link->addresses[0]));

    link->ifindex = object->ifindex;
    link->name = strings_acquire(&plan->strings, object->name);
    link->up = object->up;
    link->default_route[FAMILY_V4] = object->default_route_v4;
    link->default_route[FAMILY_V6] = object->default_route_v6;
    link->address_count = (uint32_t)object->address_count;
    for (size_t i = 0; i < object->address_count; i++) {
        link->addresses[i].address = object->addresses[i].address;
        link->addresses[i].usable = object->addresses[i].usable;
    }
    link->seen = plan->epochs[KIND_LINK];
    return link;
}

static void link_free(struct plan *plan, struct plan_link *link)
{
    strings_release(&plan->strings, link->name);
    free(link);
}

static bool link_same(const struct plan_link *a, const struct plan_link *b)
{
    if (a->name != b->name || a->up != b->up || a->address_count != b->address_count ||
        a->default_route[FAMILY_V4] != b->default_route[FAMILY_V4] ||
        a->default_route[FAMILY_V6] != b->default_route[FAMILY_V6])
        return false;
    for (uint32_t i = 0; i < a->address_count; i++)
        if (a->addresses[i].usable != b->addresses[i].usable ||
            !ip_addr_equal(&a->addresses[i].address, &b->addresses[i].address))
            return false;
    return true;
}

static void link_drop(struct plan *plan, struct plan_link *link)
{
    hash_remove(&plan->links, stable_hash_mix(link->ifindex), &link->ifindex);
    link_free(plan, link);
    policies_mark_local(plan);
}

static struct plan_link *link_find(const struct plan *plan, uint32_t ifindex)
{
    return hash_find(&plan->links, stable_hash_mix(ifindex), &ifindex);
}

void link_apply(struct plan *plan, const struct link *object)
{
    struct plan_link *old = link_find(plan, object->ifindex);
    struct plan_link *link = link_new(plan, object);

    if (old && link_same(old, link)) {
        old->seen = link->seen;
        link_free(plan, link);
        return;
    }
    if (old)
        link_drop(plan, old);
    memory_hash_add(&plan->links, stable_hash_mix(link->ifindex), link);
    policies_mark_local(plan);
}

void link_remove(struct plan *plan, uint32_t ifindex)
{
    struct plan_link *link = link_find(plan, ifindex);

    if (link)
        link_drop(plan, link);
}

void links_sweep(struct plan *plan)
{
    struct pointers gone = {0};
    struct plan_link *link;
    size_t cursor = 0;

    while ((link = hash_next(&plan->links, &cursor)))
        if (link->seen != plan->epochs[KIND_LINK])
            pointers_append(&gone, link);
    for (uint32_t i = 0; i < gone.count; i++)
        link_drop(plan, gone.items[i]);
    pointers_clear(&gone);
}

void links_clear(struct plan *plan)
{
    plan->epochs[KIND_LINK]++;
    links_sweep(plan);
    hash_clear(&plan->links, NULL);
}

static bool link_holds(const struct plan_link *link, const struct ip_addr *address)
{
    for (uint32_t i = 0; i < link->address_count; i++)
        if (link->addresses[i].usable && ip_addr_equal(&link->addresses[i].address, address))
            return true;
    return false;
}

/* The first address of a family that can be a source towards the world; NULL: none. */
static const struct ip_addr *link_first(const struct plan_link *link, enum family family)
{
    for (uint32_t i = 0; i < link->address_count; i++) {
        const struct link_address *item = &link->addresses[i];

        if (item->usable && address_family(&item->address) == family &&
            address_is_global(&item->address))
            return &item->address;
    }
    return NULL;
}

static bool link_is_meant(const struct plan_link *link, const struct gateway_choice *choice,
                          enum family family)
{
    if (!link->up)
        return false;
    if (!ip_addr_is_none(&choice->egress_ip))
        return link_holds(link, &choice->egress_ip);
    if (choice->interface)
        return link->name == choice->interface;
    return link->default_route[family];
}

/* The interface that an entry means; the one with the lowest number where several do. */
static const struct plan_link *links_find(const struct plan *plan,
                                          const struct gateway_choice *choice, enum family family)
{
    const struct plan_link *found = NULL, *link;
    size_t cursor = 0;

    while ((link = hash_next(&plan->links, &cursor)))
        if (link_is_meant(link, choice, family) && (!found || link->ifindex < found->ifindex))
            found = link;
    return found;
}

/* Whether the node's own connections have such an address: the first one of an interface that holds
 * a default route. */
static bool links_use(const struct plan *plan, const struct ip_addr *address)
{
    enum family family = address_family(address);
    const struct plan_link *link;
    size_t cursor = 0;

    while ((link = hash_next(&plan->links, &cursor))) {
        const struct ip_addr *first = link->default_route[family] ? link_first(link, family) : NULL;

        if (first && ip_addr_equal(first, address))
            return true;
    }
    return false;
}

bool links_resolve(const struct plan *plan, const struct gateway_choice *choice, enum family family,
                   struct gateway *gateway)
{
    const struct plan_link *link = links_find(plan, choice, family);
    const struct ip_addr *address = NULL;

    if (!link)
        return false;
    if (!ip_addr_is_none(&choice->egress_ip) && address_family(&choice->egress_ip) == family)
        address = &choice->egress_ip;
    else
        address = link_first(link, family);
    if (!address)
        return false;
    gateway->egress = *address;
    gateway->ifindex = link->ifindex;
    if (!links_use(plan, address))
        gateway->flags |= GATEWAY_DEDICATED;
    return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Reading rtnetlink messages. Nothing in them is believed before its length was checked. */
#include "watcher/links.h"

#include <errno.h>
#include <sys/socket.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "common/address.h"

/* The attributes by type; those that are not there, or above what we ask for, are empty. */
struct attribute {
    const unsigned char *data;
    size_t length;
};

enum { ATTRIBUTES = 64 };

static int attributes_read(const unsigned char *data, size_t length,
                           struct attribute attributes[ATTRIBUTES])
{
    memset(attributes, 0, ATTRIBUTES * sizeof(*attributes));
    while (length >= sizeof(struct rtattr)) {
        struct rtattr header;
        size_t type, whole;

        memcpy(&header, data, sizeof(header));
        if (header.rta_len < sizeof(header) || header.rta_len > length)
            return -EBADMSG;
        type = header.rta_type & (uint16_t)NLA_TYPE_MASK;
        if (type < ATTRIBUTES)
            attributes[type] =
                (struct attribute){data + sizeof(header), header.rta_len - sizeof(header)};
        whole = RTA_ALIGN(header.rta_len);
        if (whole > length)
            whole = length; /* the last one may lack its padding */
        data += whole;
        length -= whole;
    }
    return 0;
}

static uint32_t attribute_number(const struct attribute *attribute, uint32_t otherwise)
{
    uint32_t value;

    if (attribute->length != sizeof(value))
        return otherwise;
    memcpy(&value, attribute->data, sizeof(value));
    return value;
}

/* The part behind the netlink header: the family's own header, copied to `body`, and attributes. */
static int message_read(const unsigned char *message, size_t length, void *body, size_t body_size,
                        struct attribute attributes[ATTRIBUTES])
{
    size_t header = NLMSG_HDRLEN + NLMSG_ALIGN(body_size);

    if (length < NLMSG_HDRLEN + body_size)
        return -EBADMSG;
    memcpy(body, message + NLMSG_HDRLEN, body_size);
    if (length < header) {
        memset(attributes, 0, ATTRIBUTES * sizeof(*attributes));
        return 0;
    }
    return attributes_read(message + header, length - header, attributes);
}

static int message_type(const void *message, size_t length, uint16_t *type)
{
    struct nlmsghdr header;

    if (length < sizeof(header))
        return -EBADMSG;
    memcpy(&header, message, sizeof(header));
    *type = header.nlmsg_type;
    return 0;
}

static int links_read_interface(const void *message, size_t length,
                                struct links_interface *interface)
{
    struct attribute attributes[ATTRIBUTES];
    const struct attribute *name = &attributes[IFLA_IFNAME];
    const struct attribute *state = &attributes[IFLA_OPERSTATE];
    struct ifinfomsg info;
    unsigned char operstate = IF_OPER_UNKNOWN;
    size_t name_length;
    int error = message_read(message, length, &info, sizeof(info), attributes);

    if (error)
        return error;
    name_length = name->data ? strnlen((const char *)name->data, name->length) : 0;
    if (info.ifi_index <= 0 || name_length == 0 || name_length >= sizeof(interface->name))
        return -EBADMSG;
    if (state->length == 1)
        operstate = state->data[0];
    *interface = (struct links_interface){.ifindex = (uint32_t)info.ifi_index};
    memcpy(interface->name, name->data, name_length);
    interface->up =
        (info.ifi_flags & IFF_UP) && (operstate == IF_OPER_UP || operstate == IF_OPER_UNKNOWN);
    return 0;
}

/* -ENOENT: an address of a family that is not ours. */
static int links_read_address(const void *message, size_t length, struct links_address *address)
{
    struct attribute attributes[ATTRIBUTES];
    const struct attribute *value = &attributes[IFA_LOCAL];
    struct ifaddrmsg info;
    struct ip_addr read = {0};
    uint32_t flags;
    int error = message_read(message, length, &info, sizeof(info), attributes);

    if (error)
        return error;
    if (!value->data)
        value = &attributes[IFA_ADDRESS]; /* IFA_LOCAL differs where there is a peer */
    if (info.ifa_family == AF_INET && value->length == 4)
        read = ip_addr_from_v4(attribute_number(value, 0));
    else if (info.ifa_family == AF_INET6 && value->length == 16)
        memcpy(read.bytes, value->data, 16);
    else
        return info.ifa_family == AF_INET || info.ifa_family == AF_INET6 ? -EBADMSG : -ENOENT;
    flags = attribute_number(&attributes[IFA_FLAGS], info.ifa_flags);
    *address = (struct links_address){.ifindex = info.ifa_index, .address = read};
    address->primary = !(flags & IFA_F_SECONDARY);
    address->usable = !(flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED | IFA_F_DEPRECATED)) &&
                      (info.ifa_scope == RT_SCOPE_UNIVERSE || info.ifa_scope == RT_SCOPE_SITE) &&
                      address_is_global(&read);
    return 0;
}

static bool route_is_default(const struct rtmsg *info, const struct attribute *attributes)
{
    return (info->rtm_family == AF_INET || info->rtm_family == AF_INET6) &&
           info->rtm_dst_len == 0 && info->rtm_src_len == 0 && info->rtm_type == RTN_UNICAST &&
           !(info->rtm_flags & RTM_F_CLONED) &&
           attribute_number(&attributes[RTA_TABLE], info->rtm_table) == RT_TABLE_MAIN;
}

static int links_add_route(struct links_tables *tables, uint32_t ifindex, uint32_t metric, bool v6)
{
    struct links_route *routes =
        reallocarray(tables->routes, tables->route_count + 1, sizeof(*routes));

    if (!routes)
        return -ENOMEM;
    tables->routes = routes;
    routes[tables->route_count++] =
        (struct links_route){.ifindex = ifindex, .metric = metric, .v6 = v6};
    return 0;
}

/* Several next hops: each is a struct rtnexthop with attributes of its own behind it. */
static int links_add_hops(struct links_tables *tables, const struct attribute *hops,
                          uint32_t metric, bool v6)
{
    const unsigned char *data = hops->data;
    size_t length = hops->length;

    while (length >= sizeof(struct rtnexthop)) {
        struct rtnexthop hop;
        size_t whole;
        int error;

        memcpy(&hop, data, sizeof(hop));
        if (hop.rtnh_len < sizeof(hop) || hop.rtnh_len > length)
            return -EBADMSG;
        if (hop.rtnh_ifindex > 0) {
            error = links_add_route(tables, (uint32_t)hop.rtnh_ifindex, metric, v6);
            if (error)
                return error;
        }
        whole = RTNH_ALIGN(hop.rtnh_len);
        if (whole > length)
            whole = length;
        data += whole;
        length -= whole;
    }
    return 0;
}

static int links_add_routes(struct links_tables *tables, const void *message, size_t length)
{
    struct attribute attributes[ATTRIBUTES];
    struct rtmsg info;
    uint32_t metric, ifindex;
    int error = message_read(message, length, &info, sizeof(info), attributes);

    if (error)
        return error;
    if (!route_is_default(&info, attributes))
        return 0;
    metric = attribute_number(&attributes[RTA_PRIORITY], 0);
    ifindex = attribute_number(&attributes[RTA_OIF], 0);
    if (attributes[RTA_MULTIPATH].data)
        return links_add_hops(tables, &attributes[RTA_MULTIPATH], metric,
                              info.rtm_family == AF_INET6);
    return ifindex ? links_add_route(tables, ifindex, metric, info.rtm_family == AF_INET6) : 0;
}

static int links_add_interface(struct links_tables *tables, const void *message, size_t length)
{
    struct links_interface interface, *interfaces;
    int error = links_read_interface(message, length, &interface);

    if (error)
        return error;
    interfaces = reallocarray(tables->interfaces, tables->interface_count + 1, sizeof(*interfaces));
    if (!interfaces)
        return -ENOMEM;
    tables->interfaces = interfaces;
    interfaces[tables->interface_count++] = interface;
    return 0;
}

static int links_add_address(struct links_tables *tables, const void *message, size_t length)
{
    struct links_address address, *addresses;
    int error = links_read_address(message, length, &address);

    if (error)
        return error == -ENOENT ? 0 : error;
    addresses = reallocarray(tables->addresses, tables->address_count + 1, sizeof(*addresses));
    if (!addresses)
        return -ENOMEM;
    tables->addresses = addresses;
    addresses[tables->address_count++] = address;
    return 0;
}

int links_tables_add(struct links_tables *tables, const void *message, size_t length)
{
    uint16_t type;
    int error = message_type(message, length, &type);

    if (error)
        return error;
    switch (type) {
    case RTM_NEWLINK:
        return links_add_interface(tables, message, length);
    case RTM_NEWADDR:
        return links_add_address(tables, message, length);
    case RTM_NEWROUTE:
        return links_add_routes(tables, message, length);
    default:
        return 0;
    }
}

/* Routes of pods come and go all the time; only default routes are ours. */
static bool route_matters(const void *message, size_t length)
{
    struct attribute attributes[ATTRIBUTES];
    struct rtmsg info;

    return message_read(message, length, &info, sizeof(info), attributes) != 0 ||
           route_is_default(&info, attributes);
}

/* Most messages about a link repeat what is known. */
static bool interface_matters(const struct links_tables *tables, const void *message, size_t length)
{
    struct links_interface interface;

    if (links_read_interface(message, length, &interface))
        return true;
    for (size_t i = 0; i < tables->interface_count; i++) {
        const struct links_interface *known = &tables->interfaces[i];

        if (known->ifindex == interface.ifindex)
            return known->up != interface.up || strcmp(known->name, interface.name) != 0;
    }
    return true;
}

bool links_event_matters(const struct links_tables *tables, const void *message, size_t length)
{
    uint16_t type;

    if (message_type(message, length, &type))
        return true;
    switch (type) {
    case RTM_NEWLINK:
        return interface_matters(tables, message, length);
    case RTM_NEWROUTE:
    case RTM_DELROUTE:
        return route_matters(message, length);
    case RTM_DELLINK:
    case RTM_NEWADDR:
    case RTM_DELADDR:
        return true;
    default:
        return false;
    }
}

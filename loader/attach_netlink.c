/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/attach_netlink.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

enum { DATAGRAM_SIZE = 65536, EVENTS_BUFFER = 1 << 20, DUMP_ATTEMPTS = 10 };

/* The payload of an attribute of at least `size` bytes, or NULL. The last attribute may lack the
 * bytes that would align it. */
static const void *attribute_find(const void *first, size_t length, unsigned short type,
                                  size_t size, size_t *found)
{
    const struct rtattr *attribute = first;

    while (length >= sizeof(*attribute) && attribute->rta_len >= sizeof(*attribute) &&
           attribute->rta_len <= length) {
        size_t step = RTA_ALIGN(attribute->rta_len);

        if ((attribute->rta_type & NLA_TYPE_MASK) == type && RTA_PAYLOAD(attribute) >= size) {
            if (found)
                *found = RTA_PAYLOAD(attribute);
            return RTA_DATA(attribute);
        }
        if (step >= length)
            return NULL;
        length -= step;
        attribute = (const void *)((const char *)attribute + step);
    }
    return NULL;
}

static void link_parse(const struct nlmsghdr *message, const struct netlink_handler *handler)
{
    const struct ifinfomsg *link = NLMSG_DATA(message);
    char name[IF_NAMESIZE] = "";
    const char *found;
    size_t length;

    if (message->nlmsg_len < NLMSG_LENGTH(sizeof(*link)))
        return;
    /* Bridges tell of their ports with the same types; only the family says so. */
    if (link->ifi_family != AF_UNSPEC || link->ifi_index <= 0 || !handler->link)
        return;
    found = attribute_find(IFLA_RTA(link), IFLA_PAYLOAD(message), IFLA_IFNAME, 1, &length);
    if (found)
        memcpy(name, found, length < sizeof(name) ? length : sizeof(name) - 1);
    handler->link(handler->context, (uint32_t)link->ifi_index, name,
                  message->nlmsg_type == RTM_DELLINK);
}

static void nexthops_parse(const struct rtnexthop *hop, size_t length, bool gone,
                           const struct netlink_handler *handler)
{
    while (length >= sizeof(*hop) && hop->rtnh_len >= sizeof(*hop) && hop->rtnh_len <= length) {
        size_t step = RTNH_ALIGN(hop->rtnh_len);

        if (hop->rtnh_ifindex > 0)
            handler->default_route(handler->context, (uint32_t)hop->rtnh_ifindex, gone);
        if (step >= length)
            return;
        length -= step;
        hop = (const void *)((const char *)hop + step);
    }
}

static void route_parse(const struct nlmsghdr *message, const struct netlink_handler *handler)
{
    const struct rtmsg *route = NLMSG_DATA(message);
    bool gone = message->nlmsg_type == RTM_DELROUTE;
    uint32_t table, ifindex;
    const void *found;
    size_t length;

    if (message->nlmsg_len < NLMSG_LENGTH(sizeof(*route)))
        return;
    if (route->rtm_dst_len != 0 || route->rtm_type != RTN_UNICAST || !handler->default_route ||
        (route->rtm_family != AF_INET && route->rtm_family != AF_INET6))
        return;
    table = route->rtm_table;
    found = attribute_find(RTM_RTA(route), RTM_PAYLOAD(message), RTA_TABLE, sizeof(table), NULL);
    if (found)
        memcpy(&table, found, sizeof(table));
    if (table != RT_TABLE_MAIN)
        return;
    found = attribute_find(RTM_RTA(route), RTM_PAYLOAD(message), RTA_OIF, sizeof(ifindex), NULL);
    if (found) {
        memcpy(&ifindex, found, sizeof(ifindex));
        handler->default_route(handler->context, ifindex, gone);
    }
    found = attribute_find(RTM_RTA(route), RTM_PAYLOAD(message), RTA_MULTIPATH,
                           sizeof(struct rtnexthop), &length);
    if (found)
        nexthops_parse(found, length, gone, handler);
}

static int message_parse(const struct nlmsghdr *message, const struct netlink_handler *handler)
{
    const struct nlmsgerr *answer = NLMSG_DATA(message);

    switch (message->nlmsg_type) {
    case RTM_NEWLINK:
    case RTM_DELLINK:
        link_parse(message, handler);
        return 0;
    case RTM_NEWROUTE:
    case RTM_DELROUTE:
        route_parse(message, handler);
        return 0;
    case NLMSG_DONE:
        return 1;
    case NLMSG_ERROR:
        if (message->nlmsg_len < NLMSG_LENGTH(sizeof(*answer)) || answer->error > 0)
            return -EBADMSG;
        return answer->error;
    default:
        return 0;
    }
}

int netlink_parse(const void *data, size_t length, const struct netlink_handler *handler,
                  bool *interrupted)
{
    const struct nlmsghdr *message = data;

    while (length > 0) {
        size_t step;
        int result;

        if (length < sizeof(*message) || message->nlmsg_len < sizeof(*message) ||
            message->nlmsg_len > length)
            return -EBADMSG;
        *interrupted |= (message->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
        result = message_parse(message, handler);
        if (result)
            return result;
        step = NLMSG_ALIGN(message->nlmsg_len);
        if (step >= length)
            break;
        length -= step;
        message = (const void *)((const char *)message + step);
    }
    return 0;
}

static int socket_open(int type, unsigned groups)
{
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = groups};
    _cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | type, NETLINK_ROUTE);

    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return -errno;
    return TAKE_FD(fd);
}

int netlink_open_events(bool routes)
{
    const int size = EVENTS_BUFFER;
    int fd = socket_open(SOCK_NONBLOCK,
                         RTMGRP_LINK | (routes ? RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE : 0));

    /* As much as the system allows; a lost event costs a new dump, nothing else. */
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0 &&
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)) < 0) {
        int error = -errno;

        close(fd);
        return error;
    }
    return fd;
}

int netlink_open_dumps(void)
{
    return socket_open(0, 0);
}

/* One datagram from the kernel; anything else that could write to the socket is passed over. */
static ssize_t datagram_read(int fd, void *buffer)
{
    struct sockaddr_nl from = {0};
    struct iovec iov = {.iov_base = buffer, .iov_len = DATAGRAM_SIZE};
    struct msghdr message = {
        .msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &iov, .msg_iovlen = 1};
    ssize_t length;

    do {
        length = recvmsg(fd, &message, 0);
    } while ((length < 0 && errno == EINTR) || (length >= 0 && from.nl_pid != 0));
    if (length < 0)
        return -errno;
    return message.msg_flags & MSG_TRUNC ? -EMSGSIZE : length;
}

int netlink_read_events(int fd, const struct netlink_handler *handler)
{
    _cleanup_free_ char *buffer = malloc(DATAGRAM_SIZE);
    bool interrupted;

    if (!buffer)
        return -ENOMEM;
    for (;;) {
        ssize_t length = datagram_read(fd, buffer);

        if (length == -EAGAIN)
            return 0;
        if (length < 0)
            return (int)length;
        if (netlink_parse(buffer, (size_t)length, handler, &interrupted) == -EBADMSG)
            return -EBADMSG;
    }
}

static int dump_once(int fd, uint16_t type, unsigned char family, char *buffer,
                     const struct netlink_handler *handler)
{
    struct {
        struct nlmsghdr header;
        union {
            struct ifinfomsg link;
            struct rtmsg route;
        };
    } request = {
        .header = {.nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
    };
    bool interrupted = false;
    int result = 0;

    /* Both bodies begin with the family. */
    request.header.nlmsg_len =
        NLMSG_LENGTH(type == RTM_GETLINK ? sizeof(request.link) : sizeof(request.route));
    request.route.rtm_family = family;
    if (send(fd, &request, request.header.nlmsg_len, 0) < 0)
        return -errno;
    while (result == 0) {
        ssize_t length = datagram_read(fd, buffer);

        if (length < 0)
            return (int)length;
        result = netlink_parse(buffer, (size_t)length, handler, &interrupted);
    }
    if (result < 0)
        return result;
    return interrupted ? -EAGAIN : 0;
}

static int dump(int fd, uint16_t type, unsigned char family, const struct netlink_handler *handler)
{
    _cleanup_free_ char *buffer = malloc(DATAGRAM_SIZE);
    int error = -ENOMEM;

    for (int attempt = 0; buffer && attempt < DUMP_ATTEMPTS; attempt++) {
        error = dump_once(fd, type, family, buffer, handler);
        if (error != -EAGAIN)
            break;
    }
    return error;
}

int netlink_dump_links(int fd, const struct netlink_handler *handler)
{
    return dump(fd, RTM_GETLINK, AF_UNSPEC, handler);
}

int netlink_dump_routes(int fd, const struct netlink_handler *handler)
{
    int error = dump(fd, RTM_GETROUTE, AF_INET, handler);

    return error ? error : dump(fd, RTM_GETROUTE, AF_INET6, handler);
}

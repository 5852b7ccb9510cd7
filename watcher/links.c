/* SPDX-License-Identifier: Apache-2.0 */
/* This node's interfaces, addresses and default routes, on a socket opened before sealing. */
#include "watcher/links.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "common/log.h"
#include "watcher/source.h"

enum {
    LINKS_BUFFER_SIZE = 65536,    /* more than the kernel puts into one datagram of a dump */
    LINKS_RECEIVE_SIZE = 1 << 20, /* bytes of events that may wait */
    LINKS_READS = 64,             /* datagrams at a time, so that others get their turn */
    LINKS_STALE_ROUNDS = 3,       /* rounds in a row that an event made stale */
    LINKS_GUARD_SECONDS = 5,      /* a round without an end, or that failed, is begun again */
};

/* The dumps that a round takes, in order. */
static const struct {
    uint16_t type;
    unsigned char family;
} links_dumps[] = {
    {RTM_GETLINK, AF_UNSPEC},
    {RTM_GETADDR, AF_UNSPEC},
    {RTM_GETROUTE, AF_INET},
    {RTM_GETROUTE, AF_INET6},
};

struct source {
    int fd;
    uint32_t port; /* the socket's address: answers carry it, events of others do not */
    struct event *readable;
    struct event *guard; /* pending while a round is going on, and after one that failed */
    struct source_sink sink;
    struct links_tables known;   /* as reported */
    struct links_tables reading; /* the round that is going on */
    size_t dump;                 /* of links_dumps; ARRAY_SIZE: no round is going on */
    uint32_t sequence;
    bool again;     /* something happened since the round began */
    bool broken;    /* something of this round could not be read */
    unsigned stale; /* rounds that were not reported because of `again` */
    unsigned char buffer[LINKS_BUFFER_SIZE];
};

static int links_subscribe(int fd)
{
    struct sockaddr_nl address = {
        .nl_family = AF_NETLINK,
        .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE |
                     RTMGRP_IPV6_ROUTE,
    };
    int size = LINKS_RECEIVE_SIZE;
    int on = 1;

    /* Both only save work: routes of other tables are left out by us as well. */
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)) < 0 ||
        setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on)) < 0)
        log_debug("an option of the netlink socket is not supported", log_errno(errno));
    return bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
}

static int links_read_port(struct source *source)
{
    struct sockaddr_nl address = {0};
    socklen_t length = sizeof(address);

    if (getsockname(source->fd, (struct sockaddr *)&address, &length) < 0)
        return -errno;
    source->port = address.nl_pid;
    return 0;
}

static void links_close(struct source *source)
{
    if (source->readable)
        event_free(source->readable);
    if (source->guard)
        event_free(source->guard);
    if (source->fd >= 0)
        close(source->fd);
    links_tables_clear(&source->known);
    links_tables_clear(&source->reading);
    free(source);
}

static int links_open(const struct config *config _unused_, struct source **source)
{
    struct source *created = calloc(1, sizeof(*created));
    int error;

    if (!created)
        return -ENOMEM;
    created->dump = ARRAY_SIZE(links_dumps);
    created->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    error = created->fd < 0 ? -errno : links_subscribe(created->fd);
    if (!error)
        error = links_read_port(created);
    if (error) {
        log_error("cannot follow the interfaces of this node: rtnetlink is needed",
                  log_errno(error));
        links_close(created);
        return error;
    }
    *source = created;
    return 0;
}

/* Asks for the current dump of the round. */
static int links_request(struct source *source)
{
    struct {
        struct nlmsghdr header;
        union {
            struct ifinfomsg link;
            struct ifaddrmsg address;
            struct rtmsg route;
        };
    } request = {.header.nlmsg_type = links_dumps[source->dump].type,
                 .header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP};
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    uint32_t body = sizeof(request.link);

    if (request.header.nlmsg_type == RTM_GETADDR) {
        body = sizeof(request.address);
        request.address.ifa_family = links_dumps[source->dump].family;
    } else if (request.header.nlmsg_type == RTM_GETROUTE) {
        body = sizeof(request.route);
        request.route.rtm_family = links_dumps[source->dump].family;
        request.route.rtm_table = RT_TABLE_MAIN;
    }
    request.header.nlmsg_len = NLMSG_LENGTH(body);
    request.header.nlmsg_seq = ++source->sequence;
    if (sendto(source->fd, &request, request.header.nlmsg_len, 0, (struct sockaddr *)&kernel,
               sizeof(kernel)) < 0)
        return -errno;
    return 0;
}

/* Starts a round, or remembers to do so where one is going on. */
static void links_read_anew(struct source *source)
{
    static const struct timeval patience = {.tv_sec = LINKS_GUARD_SECONDS};
    int error;

    if (source->dump < ARRAY_SIZE(links_dumps)) {
        source->again = true;
        return;
    }
    links_tables_clear(&source->reading);
    source->again = false;
    source->broken = false;
    source->dump = 0;
    error = event_add(source->guard, &patience) ? -ENOMEM : links_request(source);
    if (error) {
        log_error("cannot read this node's interfaces, what was known of them stays",
                  log_errno(error));
        source->dump = ARRAY_SIZE(links_dumps);
    }
}

static void links_report(struct source *source)
{
    source->sink.list_begin(source->sink.context, KIND_LINK);
    for (size_t i = 0; i < source->known.interface_count; i++) {
        _cleanup_arena_ struct arena arena = {0};
        struct object_error refused = {0};
        struct object object;
        int error = links_tables_object(&source->known, i, &arena, &object);

        if (!error)
            error = object_check(&object, &refused);
        if (error)
            log_warning("interface is left out",
                        log_string("interface", source->known.interfaces[i].name),
                        log_string("field", refused.field), log_string("reason", refused.reason),
                        log_errno(error));
        else
            source->sink.object(source->sink.context, &object);
    }
    source->sink.list_end(source->sink.context, KIND_LINK);
}

/* All dumps of the round are in. One that is older than an event is not worth a report, unless
 * events never cease. */
static void links_round_done(struct source *source)
{
    bool stale = source->again && source->stale < LINKS_STALE_ROUNDS;

    source->stale = stale ? source->stale + 1 : 0;
    if (!source->broken)
        event_del(source->guard);
    if (source->broken) {
        log_error("cannot read this node's interfaces, what was known of them stays");
    } else if (!stale) {
        links_tables_clear(&source->known);
        source->known = source->reading;
        source->reading = (struct links_tables){0};
        links_report(source);
    }
    if (source->again)
        links_read_anew(source);
}

static void links_dump_done(struct source *source)
{
    source->dump++;
    if (source->dump < ARRAY_SIZE(links_dumps) && !source->broken && !links_request(source))
        return;
    source->broken |= source->dump < ARRAY_SIZE(links_dumps);
    source->dump = ARRAY_SIZE(links_dumps);
    links_round_done(source);
}

/* The kernel's answer to a request: an error instead of a dump. */
static void links_refused(struct source *source, const struct nlmsghdr *header, size_t length)
{
    struct nlmsgerr answer = {.error = -EBADMSG};

    if (length >= NLMSG_LENGTH(sizeof(answer)))
        memcpy(&answer, (const unsigned char *)header + NLMSG_HDRLEN, sizeof(answer));
    /* A table that does not exist has no routes; a family that is switched off neither. */
    if (answer.error != -ENOENT && answer.error != -EAFNOSUPPORT && answer.error != -EOPNOTSUPP) {
        log_error("the kernel refuses to list this node's interfaces", log_errno(answer.error));
        source->broken = true;
    }
    links_dump_done(source);
}

static void links_message(struct source *source, const struct nlmsghdr *header, size_t length)
{
    bool answer = source->dump < ARRAY_SIZE(links_dumps) && header->nlmsg_pid == source->port &&
                  header->nlmsg_seq == source->sequence;
    int error = 0;

    if (!answer) {
        if (links_event_matters(&source->known, header, length))
            links_read_anew(source);
        return;
    }
    if (header->nlmsg_flags & NLM_F_DUMP_INTR)
        source->again = true; /* it changed while it was read */
    if (header->nlmsg_type == NLMSG_DONE)
        links_dump_done(source);
    else if (header->nlmsg_type == NLMSG_ERROR)
        links_refused(source, header, length);
    else
        error = links_tables_add(&source->reading, header, length);
    if (error) {
        log_error("the kernel's message about an interface cannot be read", log_errno(error));
        source->broken = true;
    }
}

static void links_datagram(struct source *source, size_t length)
{
    size_t at = 0;

    while (length - at >= sizeof(struct nlmsghdr)) {
        const struct nlmsghdr *header = (const void *)(source->buffer + at);

        if (header->nlmsg_len < sizeof(*header) || header->nlmsg_len > length - at) {
            log_error("the kernel's message about an interface is truncated");
            return;
        }
        links_message(source, header, header->nlmsg_len);
        if (NLMSG_ALIGN(header->nlmsg_len) >= length - at)
            return;
        at += NLMSG_ALIGN(header->nlmsg_len);
    }
}

/* Events were lost. A dump that is going on is not: the kernel makes its parts as we read. */
static void links_overrun(struct source *source)
{
    log_warning("more changes of interfaces than the kernel could queue: reading them again");
    links_read_anew(source);
}

static void on_readable(evutil_socket_t fd, short what _unused_, void *context)
{
    struct source *source = context;

    for (int reads = 0; reads < LINKS_READS; reads++) {
        struct sockaddr_nl sender = {0};
        struct iovec part = {source->buffer, sizeof(source->buffer)};
        struct msghdr message = {
            .msg_name = &sender, .msg_namelen = sizeof(sender), .msg_iov = &part, .msg_iovlen = 1};
        ssize_t length = recvmsg(fd, &message, 0);

        if (length < 0 && errno == EINTR)
            continue;
        if (length < 0 && errno == ENOBUFS)
            links_overrun(source);
        if (length < 0)
            return;
        if (sender.nl_pid != 0)
            continue; /* another process, not the kernel */
        if (message.msg_flags & MSG_TRUNC)
            links_overrun(source);
        else
            links_datagram(source, (size_t)length);
    }
}

static void on_guard(evutil_socket_t fd _unused_, short what _unused_, void *context)
{
    struct source *source = context;

    source->dump = ARRAY_SIZE(links_dumps);
    links_read_anew(source);
}

static int links_start(struct source *source, struct event_base *base,
                       const struct source_sink *sink)
{
    source->sink = *sink;
    source->readable = event_new(base, source->fd, EV_READ | EV_PERSIST, on_readable, source);
    source->guard = evtimer_new(base, on_guard, source);
    if (!source->readable || !source->guard || event_add(source->readable, NULL))
        return -ENOMEM;
    links_read_anew(source);
    return 0;
}

static void links_set_scope(struct source *source _unused_, bool all_pods _unused_)
{
}

const struct source_operations source_links = {
    .name = "links",
    .open = links_open,
    .start = links_start,
    .set_scope = links_set_scope,
    .close = links_close,
};

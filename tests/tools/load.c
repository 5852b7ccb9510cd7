/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load ADDRESS PORT [-o OPEN] [-n NEW] [-e EXPECTED-ADDRESS] [-t SECONDS]
 *
 * OPEN (100) TCP connections to the lab's server that stay open, each with a record back and forth
 * ten times a second, and NEW (500) connections a second beside them that ask who they come from.
 * On standard output, a line each:
 *   started      every open connection has had its first answer
 *   at N         each hundred new connections that were answered
 *   open N lost N new N lost N late N foreign N      at the end, which a line on stdin brings
 * Lost is a connection that ended or had no answer for -t (20) seconds; late a new one that took
 * more than 900 ms, as where a packet was lost on the way; foreign one that the server saw under
 * another address than -e. Ends with 1 where any was lost or foreign, and says which was the first.
 */
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#include "tests/tools/tool.h"

enum { SLOTS = 16384, EVENTS = 256, PAUSE_MS = 100, LATE_MS = 900 };

enum state { STATE_FREE, STATE_CONNECTING, STATE_WAITING, STATE_IDLE };

struct connection {
    int fd;
    enum state state;
    bool stays;        /* one of the open ones */
    uint64_t since_ns; /* the last step forward */
    uint64_t number;   /* of the record that is on its way */
    size_t length;     /* of what has come of the answer */
    char data[TOOL_LINE];
};

static struct load {
    int epoll;
    struct tool_address server;
    const char *expected;
    unsigned long open, rate;
    uint64_t patience_ns;
    unsigned long begun, answered, alive, lost_open, lost_new, late, foreign;
    struct connection connections[SLOTS]; /* the first `open` ones stay */
    struct connection *unused[SLOTS];
    size_t unused_count;
} load;

static uint64_t stream_of(const struct connection *connection)
{
    return 16 + (uint64_t)(connection - load.connections);
}

static void connection_release(struct connection *connection)
{
    close(connection->fd);
    connection->state = STATE_FREE;
    if (!connection->stays)
        load.unused[load.unused_count++] = connection;
}

static void connection_lose(struct connection *connection, const char *why)
{
    if (load.lost_open + load.lost_new == 0)
        fprintf(stderr, "lost: %s connection, %s, %s\n", connection->stays ? "an open" : "a new",
                connection->state == STATE_CONNECTING ? "not yet connected" : "connected", why);
    load.lost_open += connection->stays;
    load.lost_new += !connection->stays;
    connection_release(connection);
}

static void connection_begin(struct connection *connection)
{
    int on = 1,
        fd = socket(load.server.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = connection};

    if (fd < 0)
        tool_fail("socket: %s", strerror(errno));
    *connection = (struct connection){.fd = fd,
                                      .state = STATE_CONNECTING,
                                      .stays = (size_t)(connection - load.connections) < load.open,
                                      .since_ns = tool_now_ns()};
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(fd, &load.server.any, load.server.length) && errno != EINPROGRESS)
        tool_fail("connect: %s", strerror(errno));
    if (epoll_ctl(load.epoll, EPOLL_CTL_ADD, fd, &event))
        tool_fail("epoll_ctl: %s", strerror(errno));
}

static void record_send(struct connection *connection)
{
    uint8_t record[TOOL_RECORD];

    tool_pattern_fill(stream_of(connection), connection->number * TOOL_RECORD, record,
                      sizeof(record));
    connection->since_ns = tool_now_ns();
    connection->state = STATE_WAITING;
    connection->length = 0;
    if (!tool_write(connection->fd, record, sizeof(record)))
        connection_lose(connection, strerror(errno));
}

static void connection_connected(struct connection *connection)
{
    const char *request = connection->stays ? TOOL_ECHO : TOOL_WHO;
    int error = 0;
    socklen_t size = sizeof(error);

    getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error || !tool_write(connection->fd, request, strlen(request))) {
        connection_lose(connection, strerror(error ? error : errno));
        return;
    }
    connection->state = STATE_WAITING;
    if (connection->stays)
        record_send(connection);
}

static void record_received(struct connection *connection)
{
    if (tool_pattern_check(stream_of(connection), connection->number * TOOL_RECORD,
                           (const uint8_t *)connection->data, TOOL_RECORD) < TOOL_RECORD) {
        connection_lose(connection, "another record came back than was sent");
        return;
    }
    if (connection->number++ == 0 && ++load.alive == load.open) {
        puts("started");
        fflush(stdout);
    }
    connection->state = STATE_IDLE;
}

static void answer_received(struct connection *connection)
{
    char *space = memchr(connection->data, ' ', connection->length);

    if (!space) {
        connection_lose(connection, "no address came back");
        return;
    }
    *space = '\0';
    if (load.expected && strcmp(connection->data, load.expected) != 0 && load.foreign++ == 0)
        fprintf(stderr, "foreign: the server saw %s\n", connection->data);
    load.late += tool_now_ns() - connection->since_ns > LATE_MS * 1000000ULL;
    if (++load.answered % 100 == 0) {
        printf("at %lu\n", load.answered);
        fflush(stdout);
    }
    connection_release(connection);
}

static void connection_receive(struct connection *connection)
{
    size_t wanted = connection->stays ? TOOL_RECORD : sizeof(connection->data) - 1;
    ssize_t done;

    while (connection->length < wanted) {
        done = recv(connection->fd, connection->data + connection->length,
                    wanted - connection->length, 0);
        if (done < 0 && errno == EAGAIN)
            return;
        if (done <= 0) {
            connection_lose(connection, done ? strerror(errno) : "ended by the server");
            return;
        }
        connection->length += (size_t)done;
        if (!connection->stays && connection->data[connection->length - 1] == '\n')
            break;
    }
    if (connection->stays)
        record_received(connection);
    else
        answer_received(connection);
}

static void connection_event(struct connection *connection, uint32_t events)
{
    if (connection->state == STATE_CONNECTING && events & (EPOLLOUT | EPOLLERR | EPOLLHUP))
        connection_connected(connection);
    if (connection->state == STATE_WAITING && events & (EPOLLIN | EPOLLERR | EPOLLHUP))
        connection_receive(connection);
    else if (connection->state == STATE_IDLE && events & (EPOLLRDHUP | EPOLLERR | EPOLLHUP))
        connection_lose(connection, "ended");
}

/* Records that are due, and connections that nothing is heard of. */
static void connections_tick(uint64_t now_ns)
{
    for (size_t i = 0; i < SLOTS; i++) {
        struct connection *connection = &load.connections[i];

        if (connection->state == STATE_FREE)
            continue;
        if (connection->state == STATE_IDLE)
            record_send(connection);
        else if (now_ns - connection->since_ns > load.patience_ns)
            connection_lose(connection, "no answer");
    }
}

static void load_run(void)
{
    uint64_t start_ns = tool_now_ns(), tick_ns = start_ns;
    struct epoll_event events[EVENTS];
    bool running = true;

    while (running) {
        uint64_t now_ns = tool_now_ns();
        int count = epoll_wait(load.epoll, events, EVENTS, load.rate ? 1 : PAUSE_MS);

        for (int i = 0; i < count; i++) {
            if (!events[i].data.ptr)
                running = false;
            else
                connection_event(events[i].data.ptr, events[i].events);
        }
        if (now_ns - tick_ns >= PAUSE_MS * 1000000ULL) {
            connections_tick(now_ns);
            tick_ns = now_ns;
        }
        /* A pause of this machine is not made up for in a burst. */
        while (load.rate && load.unused_count &&
               load.begun * 1000000000ULL < (now_ns - start_ns) * load.rate) {
            connection_begin(load.unused[--load.unused_count]);
            if (++load.begun % 50 == 0 &&
                (now_ns - start_ns) * load.rate - load.begun * 1000000000ULL > 1000000000ULL * 100)
                start_ns = now_ns - load.begun * 1000000000ULL / load.rate;
        }
    }
}

/* What is on its way gets its answer. */
static void load_finish(void)
{
    struct epoll_event events[EVENTS];
    uint64_t end_ns = tool_now_ns() + load.patience_ns;

    while (load.unused_count < SLOTS - load.open && tool_now_ns() < end_ns) {
        int count = epoll_wait(load.epoll, events, EVENTS, PAUSE_MS);

        for (int i = 0; i < count; i++)
            if (events[i].data.ptr)
                connection_event(events[i].data.ptr, events[i].events);
    }
    load.lost_new += SLOTS - load.open - load.unused_count;
}

static void descriptors_allow(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)!setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main(int argc, char **argv)
{
    struct epoll_event input = {.events = EPOLLIN};
    int option;

    load.open = 100;
    load.rate = 500;
    load.patience_ns = 20000000000ULL;
    while ((option = getopt(argc, argv, "o:n:e:t:")) != -1) {
        if (option == 'o')
            load.open = tool_number(optarg, 1, SLOTS / 2);
        else if (option == 'n')
            load.rate = tool_number(optarg, 0, 100000);
        else if (option == 'e')
            load.expected = optarg;
        else if (option == 't')
            load.patience_ns = tool_number(optarg, 1, 600) * 1000000000ULL;
        else
            return 1;
    }
    if (argc - optind != 2)
        tool_fail("usage: load ADDRESS PORT [-o OPEN] [-n NEW] [-e ADDRESS] [-t SECONDS]");
    load.server = tool_address_parse(argv[optind], tool_number(argv[optind + 1], 1, 65535));
    descriptors_allow();
    load.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (load.epoll < 0 || epoll_ctl(load.epoll, EPOLL_CTL_ADD, STDIN_FILENO, &input))
        tool_fail("epoll: %s", strerror(errno));
    for (size_t i = SLOTS; i-- > load.open;)
        load.unused[load.unused_count++] = &load.connections[i];
    for (size_t i = 0; i < load.open; i++)
        connection_begin(&load.connections[i]);
    load_run();
    load_finish();
    printf("open %lu lost %lu new %lu lost %lu late %lu foreign %lu\n", load.alive, load.lost_open,
           load.answered, load.lost_new, load.late, load.foreign);
    return load.lost_open || load.lost_new || load.foreign || load.alive < load.open;
}

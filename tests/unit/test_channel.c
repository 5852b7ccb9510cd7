/* SPDX-License-Identifier: Apache-2.0 */
/* Both ends of a channel on one event base, over real sockets in a directory of their own. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cmocka.h>

#include "common/log.h"
#include "ipc/channel.h"

enum { WATCHDOG_S = 20 };

struct side {
    struct channel *channel;
    unsigned connected, closed, writable, taken;
    uint64_t generation; /* of the last record */
    int answer;          /* what the handler returns */
    unsigned next_state; /* set by the handler, where not 0 */
};

static struct {
    struct event_base *base;
    char directory[64];
    char path[96];
    struct side server_side, client_side;
    struct channel_server *server;
    struct channel_client *client;
    unsigned lines; /* of the log that hold `wanted` */
    const char *wanted;
    char last_line[LOG_LINE_SIZE];
    bool expired;
} t;

static void on_line(enum log_level level _unused_, const char *line, void *context _unused_)
{
    if (!t.wanted || !strstr(line, t.wanted))
        return;
    t.lines++;
    snprintf(t.last_line, sizeof(t.last_line), "%s", line);
}

static void want_line(const char *wanted)
{
    t.wanted = wanted;
    t.lines = 0;
    t.last_line[0] = '\0';
}

static void on_connected(void *context, struct channel *channel)
{
    struct side *side = context;

    side->connected++;
    side->channel = channel;
}

static void on_writable(void *context)
{
    ((struct side *)context)->writable++;
}

static void on_closed(void *context)
{
    struct side *side = context;

    side->closed++;
    side->channel = NULL;
}

static int on_record(void *context, const struct record *record)
{
    struct side *side = context;

    side->taken++;
    side->generation = record->generation;
    if (side->next_state)
        channel_set_state(side->channel, side->next_state);
    return side->answer;
}

static int on_explained(void *context, const struct record *record);

static const struct channel_rule server_rules[] = {
    {RECORD_SYNC_BEGIN, 1U << 0, on_record},
    {RECORD_SYNC_END, 1U << 1, on_record},
    {RECORD_SCOPE, 1U << 0, on_explained},
};
static const struct channel_rule client_rules[] = {
    {RECORD_ACKNOWLEDGE, 1U << 0, on_record},
    {RECORD_ENTRIES, 1U << 0, on_record},
};
static const struct channel_callbacks server_callbacks = {
    "watcher", server_rules, ARRAY_SIZE(server_rules), on_connected, on_writable, on_closed};
static const struct channel_callbacks client_callbacks = {
    "planner", client_rules, ARRAY_SIZE(client_rules), on_connected, on_writable, on_closed};

static void on_watchdog(evutil_socket_t fd _unused_, short events _unused_, void *context _unused_)
{
    t.expired = true;
}

/* Runs the loop until the condition holds. */
#define RUN_UNTIL(condition)                                                                       \
    do {                                                                                           \
        while (!(condition)) {                                                                     \
            assert_int_equal(event_base_loop(t.base, EVLOOP_ONCE), 0);                             \
            if (t.expired)                                                                         \
                fail_msg("never: %s", #condition);                                                 \
        }                                                                                          \
    } while (0)

static struct event *watchdog;

static int setup(void **state _unused_)
{
    const struct timeval limit = {.tv_sec = WATCHDOG_S};

    memset(&t, 0, sizeof(t));
    snprintf(t.directory, sizeof(t.directory), "/tmp/egressgw-channel-XXXXXX");
    if (!mkdtemp(t.directory) || chmod(t.directory, 0777) < 0)
        return -1;
    snprintf(t.path, sizeof(t.path), "%s/planner.sock", t.directory);
    t.base = event_base_new();
    watchdog = event_new(t.base, -1, 0, on_watchdog, NULL);
    log_set_sink(on_line, NULL);
    return event_add(watchdog, &limit);
}

static int teardown(void **state _unused_)
{
    channel_client_free(t.client);
    channel_server_free(t.server);
    event_free(watchdog);
    event_base_free(t.base);
    log_set_sink(NULL, NULL);
    unlink(t.path);
    return rmdir(t.directory); /* fails where something was left behind */
}

static void serve_on(int listener, uid_t peer)
{
    assert_true(listener >= 0);
    assert_int_equal(
        channel_serve(t.base, listener, peer, &server_callbacks, &t.server_side, &t.server), 0);
}

static void serve(uid_t peer)
{
    serve_on(channel_listen(t.path, geteuid()), peer);
}

static void dial(uid_t peer)
{
    assert_int_equal(
        channel_connect(t.base, t.path, peer, &client_callbacks, &t.client_side, &t.client), 0);
}

static void connect_both(void)
{
    serve(geteuid());
    dial(geteuid());
    RUN_UNTIL(t.server_side.channel && t.client_side.channel);
}

/* A peer that is no channel: it can send anything. */
static int raw_connect(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", t.path);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void raw_send(int fd, const struct record *record)
{
    static struct record_buffer buffer;

    assert_int_equal(record_pack(record, &buffer), 0);
    assert_int_equal(send(fd, buffer.data, buffer.length, 0), buffer.length);
}

static bool raw_is_closed(int fd)
{
    char byte;

    return recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 0;
}

static void send_ok(struct side *side, enum record_type type, uint64_t generation)
{
    const struct record record = {.type = type, .generation = generation};

    assert_int_equal(channel_send_record(side->channel, &record), 0);
}

static void test_exchange_and_states(void **state _unused_)
{
    connect_both();
    assert_int_equal(channel_state(t.server_side.channel), 0);
    t.server_side.next_state = 1;
    send_ok(&t.client_side, RECORD_SYNC_BEGIN, 1);
    send_ok(&t.client_side, RECORD_SYNC_END, 2);
    RUN_UNTIL(t.server_side.taken == 2);
    assert_int_equal(t.server_side.generation, 2);
    assert_int_equal(channel_state(t.server_side.channel), 1);
    send_ok(&t.server_side, RECORD_ACKNOWLEDGE, 2);
    RUN_UNTIL(t.client_side.taken == 1);
    assert_int_equal(t.client_side.generation, 2);
    assert_int_equal(t.server_side.closed + t.client_side.closed, 0);
}

/* The server closes with one line that names peer, record and reason; the client comes back. */
static void refused_with(const char *record, const char *reason)
{
    want_line("closed the connection because");
    RUN_UNTIL(t.server_side.closed == 1 && t.client_side.connected == 2);
    assert_int_equal(t.client_side.closed, 1);
    assert_int_equal(t.lines, 1);
    assert_non_null(strstr(t.last_line, "peer=watcher"));
    assert_non_null(strstr(t.last_line, record));
    assert_non_null(strstr(t.last_line, reason));
}

static void test_wrong_state(void **state _unused_)
{
    connect_both();
    send_ok(&t.client_side, RECORD_SYNC_END, 1);
    send_ok(&t.client_side, RECORD_SYNC_BEGIN, 2);
    refused_with("record=sync-end", "not allowed in this state");
    assert_int_equal(t.server_side.taken, 0);
}

static void test_wrong_type(void **state _unused_)
{
    connect_both();
    send_ok(&t.client_side, RECORD_SNAPSHOT, 1);
    refused_with("record=snapshot", "not for this side");
}

static void test_handler_refuses(void **state _unused_)
{
    connect_both();
    t.server_side.answer = -ENOMEM;
    send_ok(&t.client_side, RECORD_SYNC_BEGIN, 1);
    send_ok(&t.client_side, RECORD_SYNC_BEGIN, 2);
    refused_with("record=sync-begin", "it could not be taken in");
    assert_int_equal(t.server_side.taken, 1);
}

/* What a peer that is no channel sends closes it, and nothing else happens. */
static void raw_refused(int fd, const char *reason)
{
    want_line(reason);
    RUN_UNTIL(t.server_side.closed == 1);
    assert_int_equal(t.lines, 1);
    assert_int_equal(t.server_side.taken, 0);
    assert_true(raw_is_closed(fd));
    close(fd);
}

static int on_explained(void *context, const struct record *record _unused_)
{
    return channel_explain(((struct side *)context)->channel, -EPROTO, "a reason of its own");
}

/* A handler that says why makes no second line. */
static void test_handler_explains(void **state _unused_)
{
    connect_both();
    send_ok(&t.client_side, RECORD_SCOPE, 1);
    refused_with("record=scope", "reason=\"a reason of its own\"");
}

static void test_garbage(void **state _unused_)
{
    int fd;

    serve(geteuid());
    fd = raw_connect();
    assert_int_equal(send(fd, "\x94\x01\x02", 3, 0), 3);
    raw_refused(fd, "record=object reason=truncated");
}

static void test_oversized(void **state _unused_)
{
    static unsigned char data[RECORD_SIZE_LIMIT + 1] = {0x94, 1, RECORD_SYNC_BEGIN};
    int fd;

    serve(geteuid());
    fd = raw_connect();
    assert_int_equal(send(fd, data, sizeof(data), 0), sizeof(data));
    raw_refused(fd, "larger than a record may be");
}

static unsigned open_files(void)
{
    DIR *directory = opendir("/proc/self/fd");
    unsigned count = 0;

    assert_non_null(directory);
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

static void test_descriptors_are_not_taken(void **state _unused_)
{
    union {
        struct cmsghdr header;
        char data[CMSG_SPACE(sizeof(int))];
    } control = {0};
    char text[] = "x";
    struct iovec part = {text, 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.data,
                             .msg_controllen = sizeof(control.data)};
    unsigned before;
    int fd;

    serve(geteuid());
    fd = raw_connect();
    RUN_UNTIL(t.server_side.connected == 1);
    before = open_files();
    control.header = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
    memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
    assert_int_equal(sendmsg(fd, &message, 0), 1);
    raw_refused(fd, "control message");
    assert_int_equal(open_files(), before - 2); /* both ends are gone, none came */
}

static void test_wrong_user_is_refused(void **state _unused_)
{
    int fd;

    serve(geteuid() + 1);
    want_line("refused a connection from the wrong user");
    fd = raw_connect();
    RUN_UNTIL(raw_is_closed(fd));
    close(fd);
    assert_int_equal(t.lines, 1);
    assert_int_equal(t.server_side.connected, 0);
}

/* Root may listen for everybody, so another user has to. */
static void test_wrong_listener_is_refused(void **state _unused_)
{
    bool root = geteuid() == 0;
    int listener;

    if (root)
        assert_int_equal(seteuid(65534), 0);
    listener = channel_listen(t.path, geteuid());
    if (root)
        assert_int_equal(seteuid(0), 0);
    serve_on(listener, geteuid());
    want_line("the process that listens has the wrong user");
    dial(12345);
    RUN_UNTIL(t.server_side.closed >= 3);
    assert_int_equal(t.lines, 1); /* said once, tried more often */
    assert_int_equal(t.client_side.connected, 0);
}

static void fill_until_full(struct side *side, unsigned *sent)
{
    static struct table_entry entries[RECORD_ENTRIES_LIMIT];
    struct record record = {.type = RECORD_ENTRIES, .entries = {entries, RECORD_ENTRIES_LIMIT}};
    int error;

    for (size_t i = 0; i < RECORD_ENTRIES_LIMIT; i++) {
        entries[i] = (struct table_entry){.table = TABLE_NODES};
        entries[i].key.address = ip_addr_from_v4(0x0100000a);
    }
    while ((error = channel_send_record(side->channel, &record)) == 0)
        record.generation = ++*sent;
    assert_int_equal(error, -EAGAIN);
}

static void test_full_socket(void **state _unused_)
{
    static unsigned char data[RECORD_SIZE_LIMIT];
    unsigned sent = 0;
    int fd;

    serve(geteuid());
    fd = raw_connect();
    RUN_UNTIL(t.server_side.channel);
    fill_until_full(&t.server_side, &sent);
    assert_true(sent > 0);
    event_base_loop(t.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    assert_int_equal(t.server_side.writable, 0);
    for (unsigned i = 0; i < sent; i++)
        assert_true(recv(fd, data, sizeof(data), MSG_DONTWAIT) > 0);
    assert_int_equal(recv(fd, data, sizeof(data), MSG_DONTWAIT), -1);
    RUN_UNTIL(t.server_side.writable == 1);
    event_base_loop(t.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    assert_int_equal(t.server_side.writable, 1);
    send_ok(&t.server_side, RECORD_ACKNOWLEDGE, 1);
    close(fd);
}

/* Nothing is lost or out of order where a sender goes on whenever there is room. */
static void test_full_socket_of_a_channel(void **state _unused_)
{
    unsigned sent = 0;

    connect_both();
    for (unsigned round = 1; round <= 3; round++) {
        fill_until_full(&t.server_side, &sent);
        RUN_UNTIL(t.server_side.writable == round);
    }
    RUN_UNTIL(t.client_side.taken == sent);
    assert_int_equal(t.client_side.generation, sent - 1);
}

static void on_pause(evutil_socket_t fd _unused_, short events _unused_, void *context)
{
    *(bool *)context = true;
}

static void test_reconnect(void **state _unused_)
{
    const struct timeval pause = {.tv_usec = 200000};
    bool paused = false;

    connect_both();
    want_line("waiting for the peer");
    channel_server_free(t.server);
    t.server = NULL;
    assert_int_equal(t.server_side.closed, 0);
    assert_int_equal(event_base_once(t.base, -1, EV_TIMEOUT, on_pause, &paused, &pause), 0);
    RUN_UNTIL(t.client_side.closed == 1 && paused);
    assert_int_equal(t.lines, 1); /* of several attempts */
    want_line("connected peer=planner");
    serve(geteuid());
    RUN_UNTIL(t.client_side.connected == 2 && t.server_side.connected == 2);
    assert_int_equal(t.lines, 1);
    send_ok(&t.client_side, RECORD_SYNC_BEGIN, 9);
    RUN_UNTIL(t.server_side.generation == 9);
}

static void test_client_comes_first(void **state _unused_)
{
    want_line("waiting for the peer");
    dial(geteuid());
    RUN_UNTIL(t.lines == 1);
    serve(geteuid());
    RUN_UNTIL(t.client_side.connected == 1);
}

static void test_replacement(void **state _unused_)
{
    const struct record record = {.type = RECORD_SYNC_BEGIN, .generation = 5};
    struct channel *old;
    int first, second;

    serve(geteuid());
    first = raw_connect();
    RUN_UNTIL(t.server_side.connected == 1);
    old = t.server_side.channel;
    assert_non_null(old);
    second = raw_connect();
    RUN_UNTIL(t.server_side.connected == 2);
    assert_int_equal(t.server_side.closed, 1);
    assert_non_null(t.server_side.channel); /* closed before connected */
    assert_true(raw_is_closed(first));
    raw_send(second, &record);
    RUN_UNTIL(t.server_side.generation == 5);
    close(first);
    close(second);
}

/* A peer that ends with unread records behind it: the kernel resets the connection, and what the
 * peer had said before is still heard. The reset is told to a sender or to the reader. */
static void last_words(bool send_first)
{
    const struct record record = {.type = RECORD_SYNC_BEGIN, .generation = 6};
    const struct record answer = {.type = RECORD_ACKNOWLEDGE};
    int fd;

    serve(geteuid());
    fd = raw_connect();
    RUN_UNTIL(t.server_side.channel);
    send_ok(&t.server_side, RECORD_ACKNOWLEDGE, 1);
    raw_send(fd, &record);
    close(fd);
    if (send_first)
        assert_int_equal(channel_send_record(t.server_side.channel, &answer), -EPIPE);
    assert_int_equal(t.server_side.closed, 0);
    RUN_UNTIL(t.server_side.closed == 1);
    assert_int_equal(t.server_side.generation, 6);
}

static void test_last_words(void **state _unused_)
{
    last_words(false);
}

static void test_last_words_while_sending(void **state _unused_)
{
    last_words(true);
}

static void test_close_from_outside(void **state _unused_)
{
    const struct record record = {.type = RECORD_ACKNOWLEDGE};

    connect_both();
    want_line("reason=\"out of order\"");
    channel_close(t.server_side.channel, "out of order");
    channel_close(t.server_side.channel, "out of order");
    assert_int_equal(t.lines, 1);
    assert_int_equal(t.server_side.closed, 0);
    assert_int_equal(channel_send_record(t.server_side.channel, &record), -EPIPE);
    RUN_UNTIL(t.server_side.closed == 1 && t.client_side.connected == 2);
    want_line("");
    channel_close(t.client_side.channel, NULL);
    assert_int_equal(t.lines, 0);
}

static void test_turns_are_bounded(void **state _unused_)
{
    const struct record record = {.type = RECORD_SYNC_BEGIN};
    unsigned before = 0, turns = 0;
    int fd;

    serve(geteuid());
    fd = raw_connect();
    for (int i = 0; i < 200; i++)
        raw_send(fd, &record);
    while (t.server_side.taken < 200) {
        assert_int_equal(event_base_loop(t.base, EVLOOP_ONCE | EVLOOP_NONBLOCK), 0);
        assert_true(t.server_side.taken - before <= 64);
        before = t.server_side.taken;
        turns++;
        assert_true(turns < 100);
    }
    close(fd);
}

static void test_send_refuses_what_is_no_record(void **state _unused_)
{
    const struct record record = {.type = RECORD_TYPES};
    struct record_buffer buffer = {.length = 0};

    connect_both();
    assert_int_equal(channel_send_record(t.server_side.channel, &record), -EINVAL);
    assert_int_equal(channel_send(t.server_side.channel, &buffer), -EINVAL);
    assert_int_equal(t.server_side.closed, 0);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_exchange_and_states),
        CASE(test_wrong_state),
        CASE(test_wrong_type),
        CASE(test_handler_refuses),
        CASE(test_handler_explains),
        CASE(test_garbage),
        CASE(test_oversized),
        CASE(test_descriptors_are_not_taken),
        CASE(test_wrong_user_is_refused),
        CASE(test_wrong_listener_is_refused),
        CASE(test_full_socket),
        CASE(test_full_socket_of_a_channel),
        CASE(test_reconnect),
        CASE(test_client_comes_first),
        CASE(test_replacement),
        CASE(test_last_words),
        CASE(test_last_words_while_sending),
        CASE(test_close_from_outside),
        CASE(test_turns_are_bounded),
        CASE(test_send_refuses_what_is_no_record),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

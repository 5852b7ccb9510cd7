/* SPDX-License-Identifier: Apache-2.0 */
/* What a channel does not take: records, bytes, descriptors, users. */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "tests/unit/channel_pair.h"

/* The server closes with one line that names peer, record and reason; the client comes back. */
static void refused_with(const char *record, const char *reason)
{
    channel_pair_want_line("closed the connection because");
    RUN_UNTIL(pair.server_side.closed == 1 && pair.client_side.connected == 2);
    assert_int_equal(pair.client_side.closed, 1);
    assert_int_equal(pair.lines, 1);
    assert_non_null(strstr(pair.last_line, "peer=watcher"));
    assert_non_null(strstr(pair.last_line, record));
    assert_non_null(strstr(pair.last_line, reason));
}

static void test_wrong_state(void **state _unused_)
{
    channel_pair_connect();
    channel_pair_send(&pair.client_side, RECORD_SYNC_END, 1);
    channel_pair_send(&pair.client_side, RECORD_SYNC_BEGIN, 2);
    refused_with("record=sync-end", "not allowed in this state");
    assert_int_equal(pair.server_side.taken, 0);
}

static void test_wrong_type(void **state _unused_)
{
    channel_pair_connect();
    channel_pair_send(&pair.client_side, RECORD_SNAPSHOT, 1);
    refused_with("record=snapshot", "not for this side");
}

static void test_handler_refuses(void **state _unused_)
{
    channel_pair_connect();
    pair.server_side.answer = -ENOMEM;
    channel_pair_send(&pair.client_side, RECORD_SYNC_BEGIN, 1);
    channel_pair_send(&pair.client_side, RECORD_SYNC_BEGIN, 2);
    refused_with("record=sync-begin", "it could not be taken in");
    assert_int_equal(pair.server_side.taken, 1);
}

/* What a peer that is no channel sends closes it, and nothing else happens. */
static void raw_refused(int fd, const char *reason)
{
    channel_pair_want_line(reason);
    RUN_UNTIL(pair.server_side.closed == 1);
    assert_int_equal(pair.lines, 1);
    assert_int_equal(pair.server_side.taken, 0);
    assert_true(channel_pair_raw_closed(fd));
    close(fd);
}

/* A handler that says why makes no second line. */
static void test_handler_explains(void **state _unused_)
{
    channel_pair_connect();
    channel_pair_send(&pair.client_side, RECORD_SCOPE, 1);
    refused_with("record=scope", "reason=\"a reason of its own\"");
}

static void test_garbage(void **state _unused_)
{
    int fd;

    channel_pair_serve(geteuid());
    fd = channel_pair_raw_connect();
    assert_int_equal(send(fd, "\x94\x01\x02", 3, 0), 3);
    raw_refused(fd, "record=object reason=truncated");
}

static void test_oversized(void **state _unused_)
{
    static unsigned char data[RECORD_SIZE_LIMIT + 1] = {0x94, 1, RECORD_SYNC_BEGIN};
    int fd;

    channel_pair_serve(geteuid());
    fd = channel_pair_raw_connect();
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

    channel_pair_serve(geteuid());
    fd = channel_pair_raw_connect();
    RUN_UNTIL(pair.server_side.connected == 1);
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

    channel_pair_serve(geteuid() + 1);
    channel_pair_want_line("refused a connection from the wrong user");
    fd = channel_pair_raw_connect();
    RUN_UNTIL(channel_pair_raw_closed(fd));
    close(fd);
    assert_int_equal(pair.lines, 1);
    assert_int_equal(pair.server_side.connected, 0);
}

/* Root may listen for everybody, so another user has to. */
static void test_wrong_listener_is_refused(void **state _unused_)
{
    bool root = geteuid() == 0;
    int listener;

    if (root)
        assert_int_equal(seteuid(65534), 0);
    listener = channel_listen(pair.path, geteuid());
    if (root)
        assert_int_equal(seteuid(0), 0);
    channel_pair_serve_on(listener, geteuid());
    channel_pair_want_line("the process that listens has the wrong user");
    channel_pair_dial(12345);
    RUN_UNTIL(pair.server_side.closed >= 3);
    assert_int_equal(pair.lines, 1); /* said once, tried more often */
    assert_int_equal(pair.client_side.connected, 0);
}

static void test_send_refuses_what_is_no_record(void **state _unused_)
{
    const struct record record = {.type = RECORD_TYPES};
    struct record_buffer buffer = {.length = 0};

    channel_pair_connect();
    assert_int_equal(channel_send_record(pair.server_side.channel, &record), -EINVAL);
    assert_int_equal(channel_send(pair.server_side.channel, &buffer), -EINVAL);
    assert_int_equal(pair.server_side.closed, 0);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, channel_pair_setup, channel_pair_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_wrong_state),
        CASE(test_wrong_type),
        CASE(test_handler_refuses),
        CASE(test_handler_explains),
        CASE(test_garbage),
        CASE(test_oversized),
        CASE(test_descriptors_are_not_taken),
        CASE(test_wrong_user_is_refused),
        CASE(test_wrong_listener_is_refused),
        CASE(test_send_refuses_what_is_no_record),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

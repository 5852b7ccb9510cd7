/* SPDX-License-Identifier: Apache-2.0 */
/* The sockets that channels begin with: what is made, and what is refused. */
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

static struct {
    struct event_base *base;
    char directory[64];
    char path[96];
    unsigned lines; /* of the log that hold `wanted` */
    const char *wanted;
} t;

static const struct channel_callbacks callbacks = {.peer = "watcher"};

static void on_line(enum log_level level _unused_, const char *line, void *context _unused_)
{
    t.lines += t.wanted && strstr(line, t.wanted);
}

static int setup(void **state _unused_)
{
    memset(&t, 0, sizeof(t));
    snprintf(t.directory, sizeof(t.directory), "/tmp/egressgw-channel-XXXXXX");
    if (!mkdtemp(t.directory) || chmod(t.directory, 0777) < 0)
        return -1;
    snprintf(t.path, sizeof(t.path), "%s/planner.sock", t.directory);
    t.base = event_base_new();
    log_set_sink(on_line, NULL);
    return 0;
}

static int teardown(void **state _unused_)
{
    event_base_free(t.base);
    log_set_sink(NULL, NULL);
    unlink(t.path);
    return rmdir(t.directory); /* fails where something was left behind */
}

static void test_listen(void **state _unused_)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct pollfd ready;
    struct stat status;
    int client, fd = channel_listen(t.path, geteuid());

    assert_true(fd >= 0);
    assert_int_equal(lstat(t.path, &status), 0);
    assert_true(S_ISSOCK(status.st_mode));
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(status.st_uid, geteuid());
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    t.wanted = "another instance is running";
    assert_int_equal(channel_listen(t.path, geteuid()), -EADDRINUSE);
    assert_int_equal(t.lines, 1);
    ready = (struct pollfd){.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&ready, 1, 0), 0); /* the running one has not noticed */
    close(fd);
    fd = channel_listen(t.path, geteuid()); /* nobody has the old one any more */
    assert_true(fd >= 0);
    client = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", t.path);
    assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof(address)), 0);
    close(client);
    close(fd);
    if (geteuid() == 0) {
        fd = channel_listen(t.path, 4242);
        assert_true(fd >= 0);
        close(fd);
        assert_int_equal(lstat(t.path, &status), 0);
        assert_int_equal(status.st_uid, 4242);
        assert_int_equal(status.st_mode & 0777, 0600);
    }
}

static void test_listen_refuses(void **state _unused_)
{
    struct channel_client *client;
    char path[256];
    int fd = open(t.path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(channel_listen(t.path, geteuid()), -EEXIST);
    assert_int_equal(access(t.path, F_OK), 0);
    snprintf(path, sizeof(path), "%s/none/planner.sock", t.directory);
    assert_int_equal(channel_listen(path, geteuid()), -ENOENT);
    memset(path, 'a', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    assert_int_equal(channel_listen(path, geteuid()), -ENAMETOOLONG);
    assert_int_equal(channel_listen("", geteuid()), -EINVAL);
    assert_int_equal(channel_connect(t.base, path, 0, &callbacks, NULL, &client), -ENAMETOOLONG);
}

static void test_serve_refuses_other_sockets(void **state _unused_)
{
    static const int types[] = {SOCK_STREAM, SOCK_SEQPACKET}; /* the second does not listen */
    struct channel_server *server = NULL;

    t.wanted = "no listening Unix socket";
    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        int fd = socket(AF_UNIX, types[i] | SOCK_CLOEXEC, 0);

        assert_true(fd >= 0);
        assert_int_equal(channel_serve(t.base, fd, 0, &callbacks, NULL, &server), -EINVAL);
        assert_null(server);
        close(fd);
    }
    assert_int_equal(t.lines, 2);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_listen),
        CASE(test_listen_refuses),
        CASE(test_serve_refuses_other_sockets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

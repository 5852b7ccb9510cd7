/* SPDX-License-Identifier: Apache-2.0 */
#include "common/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>

/* The service manager's end of $NOTIFY_SOCKET. */
static int manager_open(const char *path, bool abstract)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    size_t length = strlen(path);

    assert_true(fd >= 0);
    memcpy(address.sun_path, path, length);
    if (abstract)
        address.sun_path[0] = '\0';
    assert_int_equal(bind(fd, (struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + !abstract)),
                     0);
    return fd;
}

static void assert_received(int fd, const char *expected)
{
    char data[256];
    ssize_t length = recv(fd, data, sizeof(data) - 1, 0);

    assert_true(length >= 0);
    data[length] = '\0';
    assert_string_equal(data, expected);
}

static void do_nothing_alone(void **state)
{
    (void)state;
    unsetenv("NOTIFY_SOCKET");
    assert_int_equal(notify_open(), 0);
    notify_send("READY=1");
    assert_int_equal(notify_socket("planner.sock"), -ENOENT);
    assert_int_equal(notify_watchdog_interval(), 0);
}

static void send_to_path_and_abstract(void **state)
{
    char path[64];

    (void)state;
    for (int abstract = 0; abstract < 2; abstract++) {
        snprintf(path, sizeof(path), "%s/egressgw-test-notify-%d", abstract ? "@" : "/tmp",
                 (int)getpid());
        int manager = manager_open(path, abstract);

        setenv("NOTIFY_SOCKET", path, 1);
        assert_int_equal(notify_open(), 0);
        assert_null(getenv("NOTIFY_SOCKET"));
        notify_send("READY=1");
        notify_send("STATUS=in sync");
        assert_received(manager, "READY=1");
        assert_received(manager, "STATUS=in sync");
        close(manager);
        notify_send("STATUS=nobody is there"); /* lost, and no signal */
        if (!abstract)
            unlink(path);
    }
}

/* A manager that does not read never holds the daemon up. */
static void never_block(void **state)
{
    char path[64];

    (void)state;
    snprintf(path, sizeof(path), "@egressgw-test-notify-full-%d", (int)getpid());
    int manager = manager_open(path, true);
    setenv("NOTIFY_SOCKET", path, 1);
    assert_int_equal(notify_open(), 0);
    for (int i = 0; i < 5000; i++)
        notify_send("WATCHDOG=1");
    assert_received(manager, "WATCHDOG=1");
    close(manager);
}

static void refuse_wrong_paths(void **state)
{
    char path[200] = "/";

    (void)state;
    setenv("NOTIFY_SOCKET", "relative", 1);
    assert_int_equal(notify_open(), -EINVAL);
    setenv("NOTIFY_SOCKET", "@", 1);
    assert_int_equal(notify_open(), -EINVAL);
    memset(path, '/', sizeof(path) - 1);
    setenv("NOTIFY_SOCKET", path, 1);
    assert_int_equal(notify_open(), -ENAMETOOLONG);
    setenv("NOTIFY_SOCKET", "/does/not/exist", 1);
    assert_int_equal(notify_open(), -ENOENT);
    unsetenv("NOTIFY_SOCKET");
}

static void set_number(const char *name, long number)
{
    char value[32];

    snprintf(value, sizeof(value), "%ld", number);
    setenv(name, value, 1);
}

static void give_watchdog_interval(void **state)
{
    (void)state;
    setenv("WATCHDOG_USEC", "30000000", 1);
    set_number("WATCHDOG_PID", getpid() + 1);
    assert_int_equal(notify_watchdog_interval(), 0);
    setenv("WATCHDOG_USEC", "x", 1);
    assert_int_equal(notify_watchdog_interval(), 0);
    setenv("WATCHDOG_USEC", "30000000", 1);
    set_number("WATCHDOG_PID", getpid());
    assert_int_equal(notify_watchdog_interval(), 15000000);
    assert_null(getenv("WATCHDOG_USEC"));
    assert_null(getenv("WATCHDOG_PID"));
    assert_int_equal(notify_watchdog_interval(), 15000000);
}

/* In a child of its own, where descriptors 3, 4 and 5 are free to be passed. */
static int take_sockets(long pid, const char *count, const char *names)
{
    for (int fd = 3; fd <= 5; fd++)
        if (dup2(STDIN_FILENO, fd) != fd)
            return 100;
    set_number("LISTEN_PID", pid ? pid : getpid());
    setenv("LISTEN_FDS", count, 1);
    if (names)
        setenv("LISTEN_FDNAMES", names, 1);
    return 0;
}

static int by_name(void)
{
    if (take_sockets(0, "3", "a.sock:planner.sock:a.sock"))
        return 1;
    if (notify_socket("other") != -ENOENT || notify_socket("planner.sock") != 4)
        return 2;
    if (notify_socket("a.sock") != 3 || notify_socket("a.sock") != 5)
        return 3;
    if (notify_socket("a.sock") != -ENOENT)
        return 4;
    for (int fd = 3; fd <= 5; fd++)
        if (!(fcntl(fd, F_GETFD) & FD_CLOEXEC))
            return 5;
    return getenv("LISTEN_FDS") || getenv("LISTEN_PID") || getenv("LISTEN_FDNAMES") ? 6 : 0;
}

static int of_another_process(void)
{
    if (take_sockets(getppid(), "3", "a:b:c"))
        return 1;
    return notify_socket("a") != -ENOENT ? 2 : fcntl(3, F_GETFD) & FD_CLOEXEC ? 3 : 0;
}

static int without_names(void)
{
    if (take_sockets(0, "2", NULL))
        return 1;
    return notify_socket("a") != -ENOENT || notify_socket("unknown") != 3;
}

static int with_wrong_count(void)
{
    return take_sockets(0, "-1", "a") || notify_socket("a") != -ENOENT;
}

static int with_closed_one(void)
{
    if (take_sockets(0, "3", "a:b:c") || close(4))
        return 1;
    return notify_socket("b") != -ENOENT || notify_socket("c") != 5;
}

static void give_passed_sockets(void **state)
{
    int (*const bodies[])(void) = {by_name, of_another_process, without_names, with_wrong_count,
                                   with_closed_one};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
        int status;
        pid_t child = fork();

        assert_true(child >= 0);
        if (child == 0)
            _exit(bodies[i]());
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(do_nothing_alone),
        cmocka_unit_test(send_to_path_and_abstract),
        cmocka_unit_test(never_block),
        cmocka_unit_test(refuse_wrong_paths),
        cmocka_unit_test(give_watchdog_interval),
        cmocka_unit_test(give_passed_sockets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

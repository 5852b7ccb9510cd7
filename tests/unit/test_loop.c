/* SPDX-License-Identifier: Apache-2.0 */
#include "common/loop.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "common/log.h"
#include "common/notify.h"
#include "common/options.h"
#include "common/seal.h"

static int open_loop(void **state)
{
    struct event_base *base;

    if (loop_open(&base))
        return -1;
    *state = base;
    return 0;
}

static int close_loop(void **state)
{
    loop_close(*state);
    return 0;
}

static void end_on_signals(void **state)
{
    static const int numbers[] = {SIGTERM, SIGINT};

    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        assert_int_equal(raise(numbers[i]), 0);
        assert_int_equal(loop_run(*state), EXIT_DONE);
    }
}

static void fail_loop(evutil_socket_t fd, short what, void *base)
{
    (void)fd;
    (void)what;
    loop_fail(base, EXIT_FAILED);
}

static void end_on_failure(void **state)
{
    assert_int_equal(event_base_once(*state, -1, EV_TIMEOUT, fail_loop, *state, NULL), 0);
    assert_int_equal(loop_run(*state), EXIT_FAILED);
}

static void fail_before_running(void **state)
{
    loop_fail(*state, EXIT_USAGE);
    assert_int_equal(loop_run(*state), EXIT_USAGE);
}

static void use_epoll_and_ignore_sigpipe(void **state)
{
    struct sigaction action;
    int ends[2];

    assert_string_equal(event_base_get_method(*state), "epoll");
    assert_int_equal(sigaction(SIGPIPE, NULL, &action), 0);
    assert_ptr_equal(action.sa_handler, SIG_IGN);
    assert_int_equal(pipe(ends), 0);
    close(ends[0]);
    assert_int_equal(write(ends[1], "x", 1), -1);
    close(ends[1]);
}

static void use_epoll_whatever_the_environment(void **state)
{
    struct event_base *base;

    (void)state;
    setenv("EVENT_NOEPOLL", "1", 1);
    assert_int_equal(loop_open(&base), 0);
    assert_string_equal(event_base_get_method(base), "epoll");
    loop_close(base);
    loop_close(NULL);
    unsetenv("EVENT_NOEPOLL");
}

static char logged[LOG_LINE_SIZE];

static void keep_log(enum log_level level, const char *line, void *context)
{
    (void)level;
    (void)context;
    snprintf(logged, sizeof(logged), "%s", line);
}

static void log_errors_of_libevent(void **state)
{
    struct event *event = event_new(*state, 9999, EV_READ, fail_loop, NULL);

    log_set_sink(keep_log, NULL);
    assert_non_null(event);
    assert_int_equal(event_add(event, NULL), -1); /* no such descriptor */
    event_free(event);
    log_set_sink(NULL, NULL);
    assert_non_null(strstr(logged, " event loop text="));
    assert_non_null(strstr(logged, "Bad file descriptor"));
}

/* A sealed child runs the loop on descriptors that were open before, and ends at SIGTERM. */
static int run_sealed(int ready)
{
    const struct seal seal = {.user = "1", .limits = {.open_files = 64}};
    struct event_base *base;

    if (loop_open(&base) || seal_drop_privileges(&seal))
        return 10;
    if (write(ready, "x", 1) != 1)
        return 11;
    int result = loop_run(base);
    loop_close(base);
    return result;
}

static void run_in_the_sandbox(void **state)
{
    int ready[2], status;
    char byte;

    (void)state;
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(run_sealed(ready[1]));
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(kill(child, SIGTERM), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    close(ready[0]);
}

struct manager {
    struct event_base *base;
    char received[256];
    unsigned watchdogs;
};

static void manager_read(evutil_socket_t fd, short what, void *context)
{
    struct manager *manager = context;
    ssize_t length = recv(fd, manager->received, sizeof(manager->received) - 1, MSG_DONTWAIT);

    (void)what;
    if (length < 0)
        return;
    manager->received[length] = '\0';
    if (strcmp(manager->received, "WATCHDOG=1") == 0 && ++manager->watchdogs == 3)
        raise(SIGTERM);
}

static void feed_the_watchdog(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct manager manager = {0};
    char path[64];
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    (void)state;
    int length = snprintf(path, sizeof(path), "@egressgw-test-loop-%d", (int)getpid());
    memcpy(address.sun_path + 1, path + 1, (size_t)length - 1);
    assert_int_equal(bind(fd, (struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)length)),
                     0);
    setenv("NOTIFY_SOCKET", path, 1);
    setenv("WATCHDOG_USEC", "2000", 1);
    assert_int_equal(notify_open(), 0);
    assert_int_equal(loop_open(&manager.base), 0);
    struct event *event = event_new(manager.base, fd, EV_READ | EV_PERSIST, manager_read, &manager);
    assert_int_equal(event_add(event, NULL), 0);
    assert_int_equal(loop_run(manager.base), EXIT_DONE);
    assert_int_equal(manager.watchdogs, 3);
    while (strcmp(manager.received, "STOPPING=1") != 0) {
        ssize_t count = recv(fd, manager.received, sizeof(manager.received) - 1, MSG_DONTWAIT);

        assert_true(count > 0);
        manager.received[count] = '\0';
    }
    event_free(event);
    loop_close(manager.base);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(end_on_signals, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(end_on_failure, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(fail_before_running, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(use_epoll_and_ignore_sigpipe, open_loop, close_loop),
        cmocka_unit_test(use_epoll_whatever_the_environment),
        cmocka_unit_test_setup_teardown(log_errors_of_libevent, open_loop, close_loop),
        cmocka_unit_test(run_in_the_sandbox),
        cmocka_unit_test(feed_the_watchdog),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

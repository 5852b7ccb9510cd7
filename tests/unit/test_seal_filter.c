/* SPDX-License-Identifier: Apache-2.0 */
/* The filter of system calls that a sealed process has. */
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/sealing.h"

#define INT_RULE(call_, index_, value_)                                                            \
    {                                                                                              \
        .call = SCMP_SYS(call_), .arguments = {                                                    \
            {true, index_, ARGUMENT_MASKED, UINT32_MAX, value_}                                    \
        }                                                                                          \
    }

#ifdef EGRESSGW_SECCOMP_TRAP
#define REFUSED SIGABRT /* after the call was named */
#else
#define REFUSED SIGSYS
#endif

static void assert_signalled(int (*body)(void), int expected)
{
    int status = in_child(body);

    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), expected);
}

static int compare_integers(const void *a, const void *b)
{
    const int *left = a, *right = b;

    return (*left > *right) - (*left < *right);
}

/* What any daemon may do without asking: memory of all sizes, sorting, time, log, random bytes. */
static int ordinary_work(void)
{
    enum { COUNT = 100000 };
    struct timespec now;

    log_set_sink(keep_log, NULL);
    if (drop_with(NULL, 0))
        return 1;
    int *numbers = calloc(COUNT, sizeof(*numbers));
    for (int i = 0; i < COUNT; i++)
        numbers[i] = (i * 7919) % COUNT;
    qsort(numbers, COUNT, sizeof(*numbers), compare_integers);
    numbers = realloc(numbers, COUNT * 100);
    if (!numbers || numbers[COUNT - 1] != COUNT - 1)
        return 2;
    free(numbers);
    log_warning("sealed", log_errno(EPERM));
    if (!strstr(last_log, "Operation not permitted"))
        return 3;
    return clock_gettime(CLOCK_MONOTONIC, &now) ? 4 : 0;
}

static void allow_ordinary_work(void **state)
{
    (void)state;
    assert_exits(ordinary_work, 0);
}

static int call_socket(void)
{
    return drop_with(NULL, 0) ? 1 : socket(AF_INET, SOCK_STREAM, 0) >= 0 ? 2 : 3;
}

static int call_open(void)
{
    return drop_with(NULL, 0) ? 1 : open("/dev/null", O_WRONLY) >= 0 ? 2 : 3;
}

static int call_exec(void)
{
    if (drop_with(NULL, 0))
        return 1;
    execl("/bin/true", "true", NULL);
    return 2;
}

static int call_mmap_exec(void)
{
    if (drop_with(NULL, 0))
        return 1;
    return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED
               ? 2
               : 3;
}

static int call_mprotect_exec(void)
{
    void *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return drop_with(NULL, 0) ? 1 : mprotect(page, 4096, PROT_READ | PROT_EXEC) ? 2 : 3;
}

static int call_kill_parent(void)
{
    pid_t parent = getppid();

    return drop_with(NULL, 0) ? 1 : syscall(SYS_tgkill, parent, parent, SIGABRT) ? 2 : 3;
}

static int call_raise(void)
{
    return drop_with(NULL, 0) ? 1 : raise(SIGUSR1) ? 2 : 3;
}

static int call_abort(void)
{
    if (drop_with(NULL, 0))
        return 1;
    abort();
}

static void kill_at_forbidden_calls(void **state)
{
    int (*const bodies[])(void) = {call_socket,        call_open,        call_exec, call_mmap_exec,
                                   call_mprotect_exec, call_kill_parent, call_raise};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bodies); i++)
        assert_signalled(bodies[i], REFUSED);
    assert_signalled(call_abort, SIGABRT);
}

static const struct seccomp_rule argument_rules[] = {
    INT_RULE(fcntl, 1, F_GETFD),
    INT_RULE(fcntl, 1, F_GETFL), /* another row of the same call */
    {.call = SCMP_SYS(umask), .arguments = {{true, 0, ARGUMENT_AT_MOST, 0, 077}}},
    {.call = SCMP_SYS(setpriority),
     .arguments = {{true, 0, ARGUMENT_EQUAL, 0, PRIO_PROCESS}, {true, 1, ARGUMENT_EQUAL, 0, 0}}},
    {.call = -10001},         /* of another architecture */
    {.call = SCMP_SYS(read)}, /* allowed for everybody */
};

static int arguments_allowed(void)
{
    if (drop_with(argument_rules, ARRAY_SIZE(argument_rules)))
        return 1;
    if (fcntl(0, F_GETFD) < 0 || fcntl(0, F_GETFL) < 0)
        return 2;
    umask(077);
    return umask(022) != 077 || setpriority(PRIO_PROCESS, 0, 19) ? 3 : 0;
}

static int argument_not_equal(void)
{
    return drop_with(argument_rules, ARRAY_SIZE(argument_rules)) ? 1 : fcntl(0, F_DUPFD, 5);
}

static int argument_too_large(void)
{
    return drop_with(argument_rules, ARRAY_SIZE(argument_rules)) ? 1 : (int)umask(0100);
}

static int argument_second_differs(void)
{
    return drop_with(argument_rules, ARRAY_SIZE(argument_rules)) ? 1
                                                                 : setpriority(PRIO_PROCESS, 1, 19);
}

static int argument_wrong_index(void)
{
    static const struct seccomp_rule rules[] = {
        {.call = SCMP_SYS(umask), .arguments = {{true, 6, ARGUMENT_EQUAL, 0, 0}}}};

    log_set_sink(keep_log, NULL);
    return drop_with(rules, 1) == -EINVAL ? 0 : 1;
}

static void check_arguments(void **state)
{
    (void)state;
    assert_exits(arguments_allowed, 0);
    assert_signalled(argument_not_equal, REFUSED);
    assert_signalled(argument_too_large, REFUSED);
    assert_signalled(argument_second_differs, REFUSED);
    assert_exits(argument_wrong_index, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allow_ordinary_work),
        cmocka_unit_test(kill_at_forbidden_calls),
        cmocka_unit_test(check_arguments),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

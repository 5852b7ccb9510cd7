/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/sealing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

char last_log[LOG_LINE_SIZE];

void keep_log(enum log_level level, const char *line, void *context)
{
    (void)level;
    (void)context;
    snprintf(last_log, sizeof(last_log), "%s", line);
}

int in_child(int (*body)(void))
{
    int status;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0)
        _exit(body());
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

void assert_exits(int (*body)(void), int expected)
{
    int status = in_child(body);

    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), expected);
}

int drop_with(const struct seccomp_rule *rules, size_t count)
{
    const struct seal seal = {.user = OTHER_USER,
                              .limits = {.open_files = OTHER_LIMIT},
                              .rules = rules,
                              .rule_count = count};

    return seal_drop_privileges(&seal);
}

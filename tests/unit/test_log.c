/* SPDX-License-Identifier: Apache-2.0 */
#include "common/log.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

static char line[LOG_LINE_SIZE + 16];
static unsigned lines;
static enum log_level line_level;

static void keep(enum log_level level, const char *text, void *context)
{
    assert_ptr_equal(context, line);
    snprintf(line, sizeof(line), "%s", text);
    line_level = level;
    lines++;
}

static int start(void **state)
{
    (void)state;
    log_set_sink(keep, line);
    log_set_level(LEVEL_INFO);
    lines = 0;
    return 0;
}

static void write_levels(void **state)
{
    (void)state;
    log_error("one");
    assert_string_equal(line, "error one");
    log_warning("two");
    assert_string_equal(line, "warning two");
    assert_int_equal(line_level, LEVEL_WARNING);
    log_info("three");
    assert_string_equal(line, "info three");
    log_debug("four");
    assert_int_equal(lines, 3);
    log_set_level(LEVEL_DEBUG);
    log_debug("four");
    assert_string_equal(line, "debug four");
    log_set_level(LEVEL_ERROR);
    log_warning("five");
    assert_int_equal(lines, 4);
}

static void write_fields(void **state)
{
    struct ip_addr address;
    struct ip_prefix prefix;

    (void)state;
    assert_int_equal(address_parse(TEXT("10.0.0.1"), &address), 0);
    assert_int_equal(prefix_parse(TEXT("::/0"), &prefix), 0);
    errno = ERANGE;
    log_info("all", log_string("policy", "egress-test"), log_number("count", -5),
             log_address("address", address), log_prefix("prefix", prefix), log_errno(-ENOENT));
    assert_int_equal(errno, ERANGE);
    assert_string_equal(line, "info all policy=egress-test count=-5 address=10.0.0.1 prefix=::/0 "
                              "error=\"No such file or directory\"");
    log_info("odd", log_errno(EPERM), log_errno(99999), log_number("least", INT64_MIN));
    assert_string_equal(line, "info odd error=\"Operation not permitted\" error=\"error 99999\" "
                              "least=-9223372036854775808");
}

static void quote_values(void **state)
{
    static const struct {
        struct text value;
        const char *written;
    } cases[] = {
        {{"a/b.c:d[0]", 10}, "a/b.c:d[0]"},
        {{"", 0}, "\"\""},
        {{NULL, 0}, "\"\""},
        {{"a b", 3}, "\"a b\""},
        {{"a=b", 3}, "\"a=b\""},
        {{"a\"b\\", 4}, "\"a\\\"b\\\\\""},
        {{"a\nerror b", 9}, "\"a\\nerror b\""},
        {{"\t\r\0\x7f\x1b\xc3\xbc", 7}, "\"\\t\\x0d\\x00\\x7f\\x1b\\xc3\\xbc\""},
    };
    char expected[128];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        log_info("x", log_text("v", cases[i].value), log_number("n", 1));
        snprintf(expected, sizeof(expected), "info x v=%s n=1", cases[i].written);
        assert_string_equal(line, expected);
    }
    log_info("two\nlines \x01");
    assert_string_equal(line, "info two\\nlines \\x01");
}

/* Around the limit nothing is lost without the mark, and no more than the limit is written. */
static void cut_long_lines(void **state)
{
    char value[LOG_LINE_SIZE + 8];

    (void)state;
    for (size_t length = LOG_LINE_SIZE - 40; length < sizeof(value); length++) {
        memset(value, 'v', sizeof(value));
        log_info("m", log_text("key", (struct text){value, length}), log_number("n", 1));
        bool whole = strlen("info m key= n=1") + length <= LOG_LINE_SIZE - 4;

        assert_in_range(strlen(line), LOG_LINE_SIZE - 50, LOG_LINE_SIZE - 1);
        assert_int_equal(strcmp(line + strlen(line) - 3, whole ? "n=1" : "..."), 0);
        value[0] = ' ';
        log_info("m", log_text("key", (struct text){value, length}), log_text("b", TEXT("")));
        assert_in_range(strlen(line), LOG_LINE_SIZE - 50, LOG_LINE_SIZE - 1);
    }
}

/* What a child writes to stderr; a packet socket shows how many writes there were. */
static size_t child_output(bool journal, char *data, size_t size)
{
    int ends[2];
    struct stat status;
    char stream[64];

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (dup2(ends[1], STDERR_FILENO) < 0 || fstat(STDERR_FILENO, &status))
            _exit(1);
        snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)status.st_dev,
                 (uintmax_t)(status.st_ino + !journal));
        setenv("JOURNAL_STREAM", stream, 1);
        log_set_sink(NULL, NULL);
        log_warning("message", log_string("key", "a b"));
        _exit(0);
    }
    close(ends[1]);
    ssize_t length = read(ends[0], data, size - 1);
    assert_true(length > 0);
    data[length] = '\0';
    assert_int_equal(read(ends[0], stream, sizeof(stream)), 0);
    close(ends[0]);
    assert_int_equal(waitpid(child, NULL, 0), child);
    return (size_t)length;
}

static void write_to_stderr(void **state)
{
    char data[256];

    (void)state;
    child_output(false, data, sizeof(data));
    assert_string_equal(data, "warning message key=\"a b\"\n");
}

static void write_to_journal(void **state)
{
    char data[256];

    (void)state;
    child_output(true, data, sizeof(data));
    assert_string_equal(data, "<4>warning message key=\"a b\"\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* first, while nobody has looked where stderr leads */
        cmocka_unit_test(write_to_stderr),           cmocka_unit_test(write_to_journal),
        cmocka_unit_test_setup(write_levels, start), cmocka_unit_test_setup(write_fields, start),
        cmocka_unit_test_setup(quote_values, start), cmocka_unit_test_setup(cut_long_lines, start),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

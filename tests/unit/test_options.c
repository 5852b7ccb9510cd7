/* SPDX-License-Identifier: Apache-2.0 */
#include "common/options.h"

#include <egressgw/layout.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const char *dump, *output;
static const struct extra_option extras[] = {
    {"dump", NULL, "print the tables", &dump},
    {"output", "text|json", "how to print them", &output},
    {0},
};
static const char *check;
static struct operands files;
static const struct extra_option extras_with_operands[] = {
    {"dump", NULL, "print the tables", &dump},
    {"check", "FILE...", "check files", &check, &files},
    {0},
};
static const struct extra_option *used = extras;
static char config_path[] = "/tmp/egressgw-test-options-XXXXXX";
static char out[8192], err[8192];

static void write_config(const char *text)
{
    int fd = open(config_path, O_WRONLY | O_TRUNC | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static int redirect(int fd, int *saved, FILE **file)
{
    *file = tmpfile();
    *saved = dup(fd);
    return *file && *saved >= 0 ? dup2(fileno(*file), fd) : -1;
}

static void restore(int fd, int saved, FILE *file, char *text, size_t size)
{
    dup2(saved, fd);
    close(saved);
    rewind(file);
    text[fread(text, 1, size - 1, file)] = '\0';
    fclose(file);
}

/* Runs the parser with what it prints kept in `out` and `err`. The last argument is NULL. */
static int parse(struct config *config, ...)
{
    char *argv[16] = {"/usr/sbin/egressgw-loader"};
    int argc = 1, saved_out, saved_err;
    FILE *file_out, *file_err;
    va_list arguments;

    va_start(arguments, config);
    while ((argv[argc] = va_arg(arguments, char *)))
        argc++;
    va_end(arguments);
    dump = output = check = NULL;
    files = (struct operands){0};
    fflush(stdout);
    assert_true(redirect(STDOUT_FILENO, &saved_out, &file_out) >= 0);
    assert_true(redirect(STDERR_FILENO, &saved_err, &file_err) >= 0);
    int result = options_parse(argc, argv, "Loads things.", used, config);
    fflush(stdout);
    restore(STDERR_FILENO, saved_err, file_err, err, sizeof(err));
    restore(STDOUT_FILENO, saved_out, file_out, out, sizeof(out));
    return result;
}

static unsigned logged;

static void count_log(enum log_level level, const char *line, void *context)
{
    (void)level;
    (void)line;
    (void)context;
    logged++;
}

static void load_and_go_on(void **state)
{
    _cleanup_config_ struct config config = {0};

    (void)state;
    write_config("node: n1\nsource: {kubernetes: {in-cluster: true}}\nlog: {level: error}\n");
    assert_int_equal(parse(&config, "--config", config_path, NULL), -1);
    assert_string_equal(config.node, "n1");
    assert_string_equal(out, "");
    assert_string_equal(err, "");
    assert_null(dump);
    log_set_sink(count_log, NULL);
    log_warning("below the level of the file");
    assert_int_equal(logged, 0);
    log_error("at the level of the file");
    assert_int_equal(logged, 1);
    log_set_sink(NULL, NULL);
    log_set_level(LEVEL_INFO);
}

static void take_extras(void **state)
{
    _cleanup_config_ struct config config = {0};
    char joined[64];

    (void)state;
    write_config("source: {kubernetes: {in-cluster: true}}\nnode: n1\n");
    snprintf(joined, sizeof(joined), "--config=%s", config_path);
    assert_int_equal(parse(&config, "--dump", joined, "--output", "json", NULL), -1);
    assert_string_equal(dump, "");
    assert_string_equal(output, "json");
    assert_string_equal(config.node, "n1");
}

static void check_config(void **state)
{
    struct config config = {0};
    char expected[128];

    (void)state;
    write_config("node: n1\nsource: {kubernetes: {in-cluster: true}}\n");
    assert_int_equal(parse(&config, "--check-config", "--config", config_path, NULL), EXIT_DONE);
    assert_int_equal(strncmp(out, "node: n1\ncluster: default\n", 26), 0);
    assert_non_null(strstr(out, "\n  port: 4789\n"));
    assert_string_equal(err, "");
    write_config("node: n1\ntunnel: {port: x}\n");
    assert_int_equal(parse(&config, "--check-config", "--config", config_path, NULL), EXIT_USAGE);
    snprintf(expected, sizeof(expected),
             "%s:2: tunnel.port: must be a whole number from 1 to 65535, not \"x\"\n", config_path);
    assert_string_equal(err, expected);
    assert_string_equal(out, "");
    assert_int_equal(parse(&config, "--config", config_path, NULL), EXIT_USAGE);
    assert_non_null(strstr(err, "error "));
    assert_non_null(strstr(err, ":2: tunnel.port: "));
    assert_int_equal(parse(&config, "--config", "/does/not/exist", NULL), EXIT_USAGE);
    assert_non_null(strstr(err, "/does/not/exist: cannot be read: No such file"));
}

static void print_help_and_version(void **state)
{
    struct config config = {0};
    char expected[64];

    (void)state;
    assert_int_equal(parse(&config, "--version", NULL), EXIT_DONE);
    snprintf(expected, sizeof(expected), "egressgw-loader %s (map layout %d)\n", EGRESSGW_VERSION,
             LAYOUT_VERSION);
    assert_string_equal(out, expected);
    assert_int_equal(parse(&config, "--help", "--config", "/does/not/exist", NULL), EXIT_DONE);
    assert_int_equal(strncmp(out, "Usage: egressgw-loader ", 23), 0);
    assert_non_null(strstr(out, "Loads things."));
    assert_non_null(strstr(out, "--output text|json"));
    assert_non_null(strstr(out, "--check-config"));
    assert_string_equal(err, "");
}

static void refuse_usage(void **state)
{
    static const struct {
        char *arguments[3];
        const char *part;
    } cases[] = {
        {{"--nope"}, "unknown option '--nope'"},
        {{"--conf", "x"}, "unknown option '--conf'"},
        {{"-c", "x"}, "unexpected argument '-c'"},
        {{"file"}, "unexpected argument 'file'"},
        {{"--"}, "unexpected argument '--'"},
        {{"--config"}, "--config needs an argument: FILE"},
        {{"--config="}, "--config needs an argument: FILE"},
        {{"--dump=x"}, "--dump takes no argument"},
        {{"--dump", "--dump"}, "--dump is given twice"},
        {{"--=x"}, "unknown option '--'"},
        {{"--help", "--nope"}, "unknown option '--nope'"},
    };
    struct config config = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char *const *arguments = cases[i].arguments;

        assert_int_equal(parse(&config, arguments[0], arguments[1], arguments[2], NULL),
                         EXIT_USAGE);
        assert_int_equal(strncmp(err, "egressgw-loader: ", 17), 0);
        assert_non_null(strstr(err, cases[i].part));
        assert_non_null(strstr(err, "--help\n"));
        assert_ptr_equal(strchr(err, '\n'), err + strlen(err) - 1);
        assert_string_equal(out, "");
    }
}

static void take_operands(void **state)
{
    static const struct {
        char *arguments[4];
        const char *part;
    } wrong[] = {
        {{"--check"}, "--check needs FILE...; see"},
        {{"--check=a.yaml"}, "--check takes no argument"},
        {{"--check", "a", "--config", "b"}, "--check reads no configuration: give it alone"},
        {{"--check", "a", "--check-config"}, "--check reads no configuration: give it alone"},
        {{"--check", "a", "-x"}, "unexpected argument '-x'"},
        {{"a", "--dump"}, "unexpected argument 'a'"},
    };
    struct config config = {0}, untouched = {0};

    (void)state;
    used = extras_with_operands;
    assert_int_equal(parse(&config, "a", "--check", "-", "b", NULL), -1);
    assert_int_equal(memcmp(&config, &untouched, sizeof(config)), 0);
    assert_int_equal(files.count, 3);
    assert_string_equal(files.items[0], "a");
    assert_string_equal(files.items[1], "-");
    assert_string_equal(files.items[2], "b");
    assert_int_equal(parse(&config, "--help", NULL), EXIT_DONE);
    assert_non_null(strstr(out, "  --check FILE...          check files\n"));
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        char *const *arguments = wrong[i].arguments;

        assert_int_equal(
            parse(&config, arguments[0], arguments[1], arguments[2], arguments[3], NULL),
            EXIT_USAGE);
        assert_non_null(strstr(err, wrong[i].part));
        assert_int_equal(files.count, 0);
    }
    used = extras;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(load_and_go_on), cmocka_unit_test(take_extras),
        cmocka_unit_test(check_config),   cmocka_unit_test(print_help_and_version),
        cmocka_unit_test(refuse_usage),   cmocka_unit_test(take_operands),
    };
    int fd = mkstemp(config_path);

    if (fd < 0)
        return 1;
    close(fd);
    int result = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(config_path);
    return result;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "common/options.h"

#include <egressgw/layout.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* What the command line says; a NULL was not given. */
struct options {
    const char *program;
    const char *purpose;
    const struct extra_option *extras;
    const char *config, *check, *help, *version;
    const struct extra_option *with_operands; /* the one that was given */
    char **operands;
    size_t operand_count;
};

enum { STANDARD_OPTIONS = 4 };

static void options_standard(struct options *options, struct extra_option rows[STANDARD_OPTIONS])
{
    const struct extra_option table[STANDARD_OPTIONS] = {
        {"config", "FILE", "read this file, not " CONFIG_DEFAULT_PATH, &options->config},
        {"check-config", NULL, "print the effective configuration, or what is wrong with it",
         &options->check},
        {"help", NULL, "print this", &options->help},
        {"version", NULL, "print the version, also that of the map layout", &options->version},
    };

    memcpy(rows, table, sizeof(table));
}

static int _format_(2, 3) usage_error(const struct options *options, const char *format, ...)
{
    va_list arguments;

    fprintf(stderr, "%s: ", options->program);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "; see %s --help\n", options->program);
    return EXIT_USAGE;
}

static const struct extra_option *option_find(const struct extra_option *rows, size_t count,
                                              const char *name, size_t length)
{
    for (size_t i = 0; rows && i < count && rows[i].name; i++)
        if (strlen(rows[i].name) == length && memcmp(rows[i].name, name, length) == 0)
            return &rows[i];
    return NULL;
}

static bool options_take_operands(const struct options *options)
{
    for (const struct extra_option *row = options->extras; row && row->name; row++)
        if (row->operands)
            return true;
    return false;
}

/* One argument that is no option. -1: go on. */
static int operand_take(struct options *options, char *argument)
{
    if (!options_take_operands(options) || (argument[0] == '-' && argument[1]))
        return usage_error(options, "unexpected argument '%s'", argument);
    options->operands[options->operand_count++] = argument;
    return -1;
}

/* One option of argv[*next - 1], which may take the argument that follows. -1: go on. */
static int option_take(struct options *options, char **argv, int *next)
{
    struct extra_option rows[STANDARD_OPTIONS];
    char *argument = argv[*next - 1];

    if (strncmp(argument, "--", 2) != 0 || argument[2] == '\0')
        return operand_take(options, argument);
    size_t length = strcspn(argument + 2, "=");
    const char *value = argument[2 + length] ? argument + 2 + length + 1 : NULL;

    options_standard(options, rows);
    const struct extra_option *option = option_find(rows, ARRAY_SIZE(rows), argument + 2, length);
    if (!option)
        option = option_find(options->extras, SIZE_MAX, argument + 2, length);
    if (!option)
        return usage_error(options, "unknown option '%.*s'", (int)length + 2, argument);
    bool takes_value = option->argument && !option->operands;
    if (value && !takes_value)
        return usage_error(options, "--%s takes no argument", option->name);
    if (takes_value && !value)
        value = argv[*next] ? argv[(*next)++] : NULL;
    if (takes_value && (!value || !*value))
        return usage_error(options, "--%s needs an argument: %s", option->name, option->argument);
    if (*option->value)
        return usage_error(options, "--%s is given twice", option->name);
    *option->value = takes_value ? value : "";
    if (option->operands)
        options->with_operands = option;
    return -1;
}

static void print_options(const struct extra_option *rows, size_t count)
{
    for (size_t i = 0; rows && i < count && rows[i].name; i++) {
        char left[64];

        snprintf(left, sizeof(left), "--%s%s%s", rows[i].name, rows[i].argument ? " " : "",
                 rows[i].argument ? rows[i].argument : "");
        printf("  %-24s %s\n", left, rows[i].help);
    }
}

static int print_help(struct options *options)
{
    struct extra_option rows[STANDARD_OPTIONS];

    options_standard(options, rows);
    printf("Usage: %s [OPTION]...\n%s\n\n", options->program, options->purpose);
    print_options(options->extras, SIZE_MAX);
    print_options(rows, ARRAY_SIZE(rows));
    printf("\nEnds with 0: done, 1: failed, 2: wrong usage or configuration.\n");
    return fflush(stdout) ? EXIT_FAILED : EXIT_DONE;
}

static int print_version(const struct options *options)
{
    printf("%s %s (map layout %d)\n", options->program, EGRESSGW_VERSION, LAYOUT_VERSION);
    return fflush(stdout) ? EXIT_FAILED : EXIT_DONE;
}

static int load_config(const struct options *options, struct config *config)
{
    const char *path = options->config ? options->config : CONFIG_DEFAULT_PATH;
    char message[1024];

    if (config_load(path, config, message, sizeof(message))) {
        if (options->check)
            fprintf(stderr, "%s\n", message);
        else
            log_error(message);
        return EXIT_USAGE;
    }
    log_set_level(config->log_level);
    if (!options->check)
        return -1;
    int result = config_print(config, stdout);
    config_clear(config);
    return result ? EXIT_FAILED : EXIT_DONE;
}

/* What the option with operands was given. -1: the program is to go on. */
static int operands_give(const struct options *options)
{
    const struct extra_option *option = options->with_operands;

    if (options->config || options->check)
        return usage_error(options, "--%s reads no configuration: give it alone", option->name);
    if (options->operand_count == 0)
        return usage_error(options, "--%s needs %s", option->name, option->argument);
    *option->operands = (struct operands){options->operands, options->operand_count};
    return -1;
}

int options_parse(int argc, char **argv, const char *purpose, const struct extra_option *extras,
                  struct config *config)
{
    const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
    struct options options = {
        .program = slash      ? slash + 1
                   : argc > 0 ? argv[0]
                              : "egressgw",
        .purpose = purpose,
        .extras = extras,
        .operands = argv + 1, /* never more than have been read */
    };

    for (int next = 1; next < argc;) {
        next++;
        int result = option_take(&options, argv, &next);

        if (result >= 0)
            return result;
    }
    if (options.help)
        return print_help(&options);
    if (options.version)
        return print_version(&options);
    if (options.with_operands)
        return operands_give(&options);
    if (options.operand_count)
        return usage_error(&options, "unexpected argument '%s'", options.operands[0]);
    return load_config(&options, config);
}

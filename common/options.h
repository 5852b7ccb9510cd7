/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COMMON_OPTIONS_H
#define COMMON_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/config.h"

/* Exit statuses of every program. */
enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* Arguments that are no options, in the program's own argv. */
struct operands {
    char **items;
    size_t count;
};

/* An option beside --config, --check-config, --help and --version. */
struct extra_option {
    const char *name;     /* without the dashes */
    const char *argument; /* its name in --help, or NULL where it takes none */
    const char *help;     /* one line */
    const char **value;   /* gets the argument, or "" where it takes none */
    /* NULL, or what gets the operands: the option then needs at least one (`argument` names them in
     * --help), and no configuration, which is not loaded. */
    struct operands *operands;
};

/*
 * Parses the command line, handles --help, --version and --check-config, and loads the
 * configuration; sets the log level from it. Returns -1 where the program is to go on with
 * `config`, else the exit status to end with (everything has been printed). Where one of `extras`
 * was given, `config` is still loaded, but with one that takes operands. Operands are moved to the
 * front of `argv`.
 */
int options_parse(int argc, char **argv, const char *purpose, const struct extra_option *extras,
                  struct config *config);

#endif

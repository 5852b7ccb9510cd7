/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COMMON_OPTIONS_H
#define COMMON_OPTIONS_H

#include <stdbool.h>

#include "common/config.h"

/* Exit statuses of every program. */
enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* An option beside --config, --check-config, --help and --version. */
struct extra_option {
    const char *name;     /* without the dashes */
    const char *argument; /* its name in --help, or NULL where it takes none */
    const char *help;     /* one line */
    const char **value;   /* gets the argument, or "" where it takes none */
};

/*
 * Parses the command line, handles --help, --version and --check-config, and loads the
 * configuration; sets the log level from it. Returns -1 where the program is to go on with
 * `config`, else the exit status to end with (everything has been printed). Where one of `extras`
 * was given, `config` is still loaded.
 */
int options_parse(int argc, char **argv, const char *purpose, const struct extra_option *extras,
                  struct config *config);

#endif

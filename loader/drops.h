/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOADER_DROPS_H
#define LOADER_DROPS_H

#include <stdio.h>

#include "loader/show.h"

/* Follows the log of drops until SIGINT or SIGTERM, beginning with the last few that are in it.
 * Returns an exit status; what is wrong has been logged. */
int drops_run(const struct config *config, enum show_format format, FILE *out) _must_check_;

/* How one drop is printed. */
struct drop_line {
    const struct drop_record *record;
    uint64_t time;         /* of the drop: ns since 1970 */
    const char *policy;    /* its name; "" where there is none, or its number */
    const char *interface; /* name or number */
};

/* One line: text, or a JSON object. */
void drops_print(const struct drop_line *line, enum show_format format, FILE *out);

/* One line that says how many more drops of a reason there were than records. */
void drops_print_suppressed(unsigned reason, uint64_t packets, uint64_t time,
                            enum show_format format, FILE *out);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOADER_DUMP_H
#define LOADER_DUMP_H

#include <stdio.h>

#include "loader/show.h"

/* Prints what the pinned maps hold, whether a daemon runs or not. Returns an exit status; what is
 * wrong has been logged. */
int dump_run(const struct config *config, enum show_format format, FILE *out) _must_check_;

/* Prints tables in memory (of endpoints, routes, gateways): one row for each endpoint that has a
 * policy and each prefix of its profile and family, sorted by address and prefix. -ENOMEM, -EIO. */
int dump_print(const struct entries *endpoints, const struct entries *routes,
               const struct entries *gateways, enum show_format format, FILE *out) _must_check_;

#endif

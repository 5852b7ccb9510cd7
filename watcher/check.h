/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WATCHER_CHECK_H
#define WATCHER_CHECK_H

/*
 * egressgw-watcher --check: what the source "manifests" would say about files, without a cluster
 * and without a configuration, and what is valid but hardly meant. One line for each finding:
 *
 *   FILE:LINE: error|warning|note: KIND/NAME: field: reason (value ...)
 */

#include <stdio.h>

#include "common/options.h"

/* Checks files and directories ("-": standard input, as YAML) and writes the findings and a summary
 * to `out`. EXIT_DONE: no errors; EXIT_FAILED: some; EXIT_USAGE: something could not be read, which
 * is told on standard error. */
int check_files(const struct operands *files, FILE *out);

#endif

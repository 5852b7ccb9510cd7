/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOADER_SHOW_H
#define LOADER_SHOW_H

#include "common/config.h"
#include "loader/backend.h"
#include "loader/entries.h"

/* What the commands that only look share (--dump, --counters, --drops): the pinned maps, read by
 * anybody who may. Everything here logs what is wrong and what to do. */

enum show_format { SHOW_TEXT, SHOW_JSON };

/* Whether the pinned maps are those of this release. -ENOENT: there are none. */
int show_check_layout(const struct config *config) _must_check_;

/* A descriptor of a pinned map, or a negative errno. */
int show_open(const struct config *config, const char *name) _must_check_;

/* Reads all of a map of enum table or enum backend_map into `entries`, which is empty. */
int show_read(const struct config *config, unsigned map, struct entries *entries) _must_check_;

/* Says why that map cannot be read. */
void show_report(const struct config *config, int error, const char *map);

#endif

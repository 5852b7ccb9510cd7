/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOADER_ATTACH_H
#define LOADER_ATTACH_H

#include "common/config.h"
#include "loader/object.h"
#include "loader/pins.h"

/*
 * Keeps the programs attached to the uplinks: interfaces whose names match the patterns or, without
 * patterns, those that hold a default route. What is attached stays attached: an interface that
 * loses its default route may still carry connections.
 */
struct attach;

/* Attaches to the uplinks that are there now; programs that a predecessor had attached are
 * replaced in place. Nothing given is kept but `config`, `pins` and the descriptors of
 * `datapath`, which must live on. */
int attach_open(const struct config *config, const struct pins *pins,
                const struct datapath *datapath, struct attach **attach) _must_check_;
void attach_close(struct attach *attach);

/* Forks the helper that follows the links from now on, and waits until it is sealed. Returns a
 * socket that reads end-of-file when the helper has ended; the helper ends when it is closed. */
int attach_fork(struct attach *attach, const struct config *config) _must_check_;

/* Whether a name is the pattern, or begins with it where the pattern ends in "+". */
bool attach_name_matches(const char *pattern, const char *name);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOADER_PINS_H
#define LOADER_PINS_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "common/config.h"

/*
 * What outlives the daemon, below <paths.bpf>:
 *
 *   maps/<name>                     the maps of <egressgw/layout.h>
 *   maps/layout                     an array of one: the LAYOUT_VERSION that they were made with
 *   programs/<name>                 the programs that are attached
 *   links/<interface>-<ifindex>-<egress or ingress>, with '_' for '.': the attachments (tcx only)
 *
 * Directories are 0750 and pins 0640, both of the loader's user and group: a member of the group
 * can read the maps.
 */
#define PIN_LAYOUT "layout"

struct pins {
    char root[PATH_MAX];
    uid_t uid; /* owner of everything */
    gid_t gid;
    int lock; /* the directory, locked while a daemon uses it; -1: not locked */
};

/* Checks that the path is on a bpffs, makes the directories, and takes the lock. Errors are logged
 * with what to do. */
int pins_open(const struct config *config, struct pins *pins) _must_check_;
void pins_close(struct pins *pins);

/* Another daemon holds the lock. */
bool pins_are_used(const char *root);

/* <root>/<folder>/<name>; -ENAMETOOLONG. */
int pins_path(const char *root, const char *folder, const char *name,
              char path[PATH_MAX]) _must_check_;

/* Pins a map, a program or a link in place of what was pinned there, and sets owner and mode. */
int pins_pin(const struct pins *pins, int fd, const char *folder, const char *name) _must_check_;

/* A descriptor of what is pinned; -ENOENT: nothing is. */
int pins_get(const char *root, const char *folder, const char *name, bool read_only) _must_check_;

/* The layout version of the pinned maps: 0 and *version set, -ENOENT: there are none. */
int pins_layout(const char *root, bool read_only, unsigned *version) _must_check_;

#endif

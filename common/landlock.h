/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COMMON_LANDLOCK_H
#define COMMON_LANDLOCK_H

#include <stddef.h>
#include <stdint.h>

#include "common/macros.h"

/*
 * Which files and TCP ports a process may still reach, by the kernel's Landlock: nothing but what
 * is allowed here. Descriptors that are open stay as they are. Kernels before 5.13, and those that
 * were built or booted without it, have none of this: that is said once and no failure. Before 6.7
 * ports are not restricted.
 */

/* What may be done below a directory, or with one file. */
enum {
    LANDLOCK_READ = 1,    /* open files for reading */
    LANDLOCK_LIST = 2,    /* open directories for reading */
    LANDLOCK_REPLACE = 4, /* make and remove files, rename within one directory */
};

struct landlock {
    int ruleset; /* -1: the kernel has no Landlock */
    int version; /* of the kernel's interface; 0: none */
};

/* Starts with nothing allowed. Where the kernel has no Landlock all of these succeed. */
int landlock_open(struct landlock *landlock) _must_check_;

/* Allows `rights` at and below `path`. The rule belongs to the file that is there now, not to its
 * name: what is replaced has to be allowed by the directory above it. A path that is not there, or
 * that nobody may see, is skipped. */
int landlock_allow(struct landlock *landlock, const char *path, unsigned rights) _must_check_;

/* The same for the directory that holds `path`, or the nearest one above that is there, and for
 * that which holds what `path` links to. Never for the root directory. */
int landlock_allow_beside(struct landlock *landlock, const char *path,
                          unsigned rights) _must_check_;

/* Allows TCP connections to a port (host order) of any address. */
int landlock_allow_port(struct landlock *landlock, uint16_t port) _must_check_;

/* Puts it in force for this process, for ever, and verifies that. Needs no_new_privs. */
int landlock_enforce(struct landlock *landlock) _must_check_;

void landlock_close(struct landlock *landlock);

#endif

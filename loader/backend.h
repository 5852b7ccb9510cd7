/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOADER_BACKEND_H
#define LOADER_BACKEND_H

#include <stdbool.h>
#include <stddef.h>

#include "common/macros.h"
#include "ipc/tables.h"

/*
 * The maps as the loader uses them after its start: elements only. The kernel stands behind it in
 * the daemon, memory in the unit tests.
 */
enum backend_map {
    BACKEND_NAT_FORWARD = TABLES, /* below: the maps of enum table */
    BACKEND_NAT_REVERSE,
    BACKEND_NAT_MADE,
    BACKEND_NAT_ENDED,
    BACKEND_MAPS,
};

/* Name and sizes of a map. */
const struct table_shape *backend_shape(unsigned map);

enum { BACKEND_BATCH = 4096 };

/* A place in a map that is being read; zero at the start. */
struct backend_cursor {
    bool started;
    bool ended; /* everything was read */
    unsigned char position[64];
};

struct backend {
    /* Reads on from the cursor. `*count`: room in `keys` and `values` (BACKEND_BATCH at most), then
     * the number of entries read, which may be 0 before the end. Entries that change meanwhile
     * may be seen twice or not at all. */
    int (*read)(struct backend *backend, unsigned map, struct backend_cursor *cursor, void *keys,
                void *values, size_t *count);
    /* -ENOENT: no such key. */
    int (*lookup)(struct backend *backend, unsigned map, const void *key, void *value);
    /* Adds or replaces `*count` entries in their order. On failure `*count` says how many were
     * written; the next one is what failed. -E2BIG or -ENOSPC: the map is full. */
    int (*update)(struct backend *backend, unsigned map, const void *keys, const void *values,
                  size_t *count);
    /* Deletes keys in their order, `*count` as above. A key that is not there is no failure. */
    int (*remove)(struct backend *backend, unsigned map, const void *keys, size_t *count);
    /* The most entries that the map can hold. */
    size_t (*capacity)(struct backend *backend, unsigned map);
    /* Waits until every packet that a program has begun with has passed: what only the entries of
     * before refer to is no longer looked up then. */
    void (*settle)(struct backend *backend);
};

/* The maps of the kernel, by descriptors that belong to the caller; -1 for maps that are not
 * used. */
struct backend_kernel {
    struct backend backend;
    bool settles; /* the kernel can tell */
    int fds[BACKEND_MAPS];
    size_t capacities[BACKEND_MAPS];
};

/* Reads the sizes from the descriptors in `kernel->fds`. Says so where the kernel cannot wait for
 * packets. */
int backend_kernel_init(struct backend_kernel *kernel) _must_check_;

#endif

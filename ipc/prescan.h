/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IPC_PRESCAN_H
#define IPC_PRESCAN_H

/* Private to ipc/. */

#include <stddef.h>

#include "common/macros.h"

enum { PRESCAN_DEPTH = 12 }; /* of arrays and maps in each other */

struct prescan_limits {
    unsigned elements; /* values in all, maps count keys and values */
    unsigned items;    /* in one array, pairs in one map */
};

/*
 * Walks msgpack bytes without reserving memory or calling itself. 0: exactly one value without
 * trailing bytes, of nil, booleans, integers, strings, binaries, arrays and maps, within the
 * limits. -EBADMSG with `why`; -EMSGSIZE with `why` where only a limit is exceeded.
 */
int prescan(const void *data, size_t length, const struct prescan_limits *limits,
            const char **why) _must_check_;

#endif

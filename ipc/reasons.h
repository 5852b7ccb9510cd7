/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IPC_REASONS_H
#define IPC_REASONS_H

#include <egressgw/layout.h>

/* Words for the counters of <egressgw/layout.h>, wherever somebody reads them: the loader's
 * output, the watcher's metrics, docs/observing.md. */
struct reason {
    const char *name;    /* as in metrics and JSON: "no_gateway" */
    const char *meaning; /* what is wrong with such a packet */
    const char *remedy;  /* what to do about it */
};

/* Of a drop reason; one that this release does not know has the name "unknown". */
const struct reason *reason_of_drop(unsigned reason);

/* The counts that are no drops, COUNT_ENCAPSULATED .. COUNT_LIMIT - 1; no remedy. */
const struct reason *reason_of_count(unsigned count);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WATCHER_KUBE_BACKOFF_H
#define WATCHER_KUBE_BACKOFF_H

#include <stdint.h>

/*
 * How long to wait before the next request after failures in a row, so that neither one node nor a
 * thousand of them together hammer the API server. All times are in milliseconds.
 */
enum {
    KUBE_BACKOFF_FIRST = 200,
    KUBE_BACKOFF_LAST = 30000,
    KUBE_RETRY_AFTER_LIMIT = 300, /* seconds of a Retry-After that are believed */
};

struct kube_backoff {
    unsigned failures; /* in a row; 0 after a success */
};

/* A random number for the functions below. */
uint32_t kube_random(void);

/* Anything from 0 to `limit` - 1, by `random`. */
unsigned kube_spread(unsigned limit, uint32_t random);

/* Counts one more failure and returns the wait: full jitter, that is anything from 0 up to a bound
 * that doubles with each failure from KUBE_BACKOFF_FIRST to KUBE_BACKOFF_LAST. */
unsigned kube_backoff_next(struct kube_backoff *backoff, uint32_t random);

/* The wait that the server asked for by Retry-After, and up to a quarter of it more, so that those
 * that were told the same number do not come back together. */
unsigned kube_backoff_after(long seconds, uint32_t random);

/* The wait where only an operator can mend it (a right that is missing): half to all of
 * KUBE_BACKOFF_LAST. */
unsigned kube_backoff_slow(uint32_t random);

#endif

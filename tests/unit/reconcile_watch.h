/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_RECONCILE_WATCH_H
#define TESTS_RECONCILE_WATCH_H

#include "tests/unit/fake_backend.h"

/*
 * What packets see at every single write by which the maps go from one state to another: those that
 * look everything up at once, and slow ones that had begun when packets were last waited for.
 */
enum { WATCH_SOURCES = 8 };

struct tables {
    struct entries maps[TABLES];
};

void tables_open(struct tables *tables);
void tables_close(struct tables *tables);

/* Makes the maps `to` hold what `from` holds. */
void tables_copy(struct entries to[TABLES], const struct entries from[TABLES]);

struct watch {
    struct fake_backend *fake;
    const struct tables *before, *after;
    struct tables met; /* what the slowest packets have met */
};

/* The addresses whose packets are watched, by number. */
struct ip_addr watch_source(unsigned number);

/* From now on each write of `fake` is checked: it goes from `before`, what is there, to `after`. */
void watch_begin(struct watch *watch, struct fake_backend *fake, const struct tables *before,
                 const struct tables *after);
void watch_end(struct watch *watch);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_FAKE_BACKEND_H
#define TESTS_FAKE_BACKEND_H

#include "loader/backend.h"
#include "loader/entries.h"

/*
 * Maps in memory. A batch is written element by element, and `written` is called after each, as
 * packets would see it. One chosen call can fail, half-way through its batch.
 */
struct fake_backend {
    struct backend backend;
    struct entries maps[BACKEND_MAPS];
    size_t capacities[BACKEND_MAPS];
    size_t calls;                   /* of update and remove */
    size_t elements;                /* written or removed */
    void (*settled)(void *context); /* or NULL: called for each settle */
    size_t fail_at;                 /* number of the call that fails, from 1; 0: none */
    int fail_error;                 /* negative errno */
    bool fail_read;
    size_t read_most; /* entries that one read gives; 0: as many as there is room for */
    void (*written)(void *context);
    void *context;
};

void fake_backend_open(struct fake_backend *fake, size_t capacity);
void fake_backend_close(struct fake_backend *fake);

#endif

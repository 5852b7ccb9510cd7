/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

/*
 * What the fuzz targets share. Each target is one file with LLVMFuzzerTestOneInput(); libFuzzer
 * calls it with bytes that it makes up. The sanitizers see reads and writes out of bounds and
 * leaks, the checks here see answers that are wrong.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/macros.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What has to hold for any input. */
#define FUZZ_CHECK(condition)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);         \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* A copy of exactly this size, so that the sanitizer sees a read behind its end; free() it. */
static inline void *fuzz_copy(const uint8_t *data, size_t size)
{
    void *copy = malloc(size ? size : 1);

    FUZZ_CHECK(copy);
    if (size)
        memcpy(copy, data, size);
    return copy;
}

/* Takes `count` bytes from the front, zeroes where there are no more. */
static inline void fuzz_take(const uint8_t **data, size_t *size, void *out, size_t count)
{
    size_t part = *size < count ? *size : count;

    memset(out, 0, count);
    if (part)
        memcpy(out, *data, part);
    *data += part;
    *size -= part;
}

static inline uint8_t fuzz_byte(const uint8_t **data, size_t *size)
{
    uint8_t byte;

    fuzz_take(data, size, &byte, 1);
    return byte;
}

#endif

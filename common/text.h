/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COMMON_TEXT_H
#define COMMON_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* A slice of bytes that somebody else owns; not terminated by NUL. Empty: length 0. */
struct text {
    const char *data;
    size_t length;
};

#define TEXT(literal) ((struct text){(literal), sizeof(literal) - 1})
/* For printf: "%.*s" with TEXT_ARG(text). */
#define TEXT_ARG(text) (int)(text).length, (text).data ? (text).data : ""

/* The slice of a NUL-terminated string; NULL gives the empty slice. */
static inline struct text text_of(const char *string)
{
    return (struct text){string, string ? strlen(string) : 0};
}

static inline bool text_equal(struct text a, struct text b)
{
    return a.length == b.length && (a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

/* Order by bytes, then by length: <0, 0, >0. */
static inline int text_compare(struct text a, struct text b)
{
    size_t shorter = a.length < b.length ? a.length : b.length;
    int order = shorter ? memcmp(a.data, b.data, shorter) : 0;

    if (order)
        return order;
    return (a.length > b.length) - (a.length < b.length);
}

static inline bool text_starts_with(struct text text, struct text start)
{
    return text.length >= start.length && memcmp(text.data, start.data, start.length) == 0;
}

#endif

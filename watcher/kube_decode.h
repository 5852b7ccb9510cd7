/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WATCHER_KUBE_DECODE_H
#define WATCHER_KUBE_DECODE_H

/*
 * Cuts what the API server sends into pieces of one JSON value each, as the bytes come in, so that
 * never more than one object is held: the lines of a watch, and the elements of `items` of a list.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/macros.h"

enum {
    KUBE_OBJECT_LIMIT = 4 << 20,   /* bytes of one object */
    KUBE_ENVELOPE_LIMIT = 1 << 16, /* bytes of a list without its items */
};

/* Gets one piece, which lives as long as the call. A negative value ends the decoding and is
 * returned by the function that was fed. */
typedef int (*kube_piece)(void *context, const char *data, size_t length);

/* Bytes that are collected. Zero-initialised = empty. */
struct kube_buffer {
    char *data;
    size_t length, capacity;
};

/* -EFBIG: it would exceed `limit`. -ENOMEM. */
int kube_buffer_add(struct kube_buffer *buffer, const char *data, size_t length,
                    size_t limit) _must_check_;
void kube_buffer_clear(struct kube_buffer *buffer);

/* The lines of a watch. What stands behind the last newline is kept until more comes; -EFBIG: a
 * line of more than KUBE_OBJECT_LIMIT bytes. Empty lines are left out. */
struct kube_lines {
    struct kube_buffer buffer;
};

int kube_lines_feed(struct kube_lines *lines, const char *data, size_t length, kube_piece piece,
                    void *context) _must_check_;
void kube_lines_clear(struct kube_lines *lines);

/* A list: `piece` gets each element of the member "items"; everything around it is collected in
 * `envelope`, where "items" is left empty. -EFBIG as above; -EBADMSG: brackets that do not match or
 * bytes before or behind it. What is inside a value is not checked here. */
struct kube_list {
    struct kube_buffer envelope;
    struct kube_buffer item;
    struct kube_buffer key; /* the string that was read last at the first level */
    unsigned depth;
    bool in_string, escaped;
    bool items; /* inside of the member "items" */
    bool whole; /* the closing bracket was seen */
};

int kube_list_feed(struct kube_list *list, const char *data, size_t length, kube_piece piece,
                   void *context) _must_check_;
void kube_list_clear(struct kube_list *list);

#endif

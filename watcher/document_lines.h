/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WATCHER_DOCUMENT_LINES_H
#define WATCHER_DOCUMENT_LINES_H

/*
 * Where the fields of a document stand in its file: a table beside the tree, since JSON values have
 * no place for a line. The tree must stay as it was read.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/macros.h"

struct document_place {
    const json_t *container;
    const char *key; /* of a member, in the tree; NULL: an element */
    size_t index;    /* of an element */
    size_t line;     /* from 1 */
};

struct document_lines {
    struct document_place *items;
    size_t count;
    size_t capacity;
    bool sorted;
};

/* Notes the line of a member that is in the object, or of an element of the list. */
int document_lines_add_member(struct document_lines *lines, const json_t *object, const char *key,
                              size_t line) _must_check_;
int document_lines_add_element(struct document_lines *lines, const json_t *array, size_t index,
                               size_t line) _must_check_;
void document_lines_clear(struct document_lines *lines);

/* The line of an element of a list, or 0. */
size_t document_lines_element(struct document_lines *lines, const json_t *array, size_t index);

/*
 * The line of a field of the object `root`, which stands at `root_line`; `field` and `value` are
 * those of struct object_error. Where the field is absent: the line of the nearest one around it.
 * Where it is a list or an object: the line of that part of it which `value` names, if one does.
 */
size_t document_lines_find(struct document_lines *lines, const json_t *root, size_t root_line,
                           const char *field, const char *value);

#define _cleanup_lines_ _cleanup_(document_lines_clear)

#endif

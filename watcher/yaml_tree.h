/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WATCHER_YAML_TREE_H
#define WATCHER_YAML_TREE_H

/*
 * The documents of a file, YAML or JSON, as JSON values, so that one reader serves both and the
 * API too. Plain YAML scalars are typed by the core schema (null, booleans, numbers), quoted ones
 * are strings. Refused with their line: duplicate keys, anchors and aliases, tags but !!str, keys
 * that are no scalars, NUL in a string, and more than DOCUMENT_DEPTH levels (in JSON, jansson's
 * own 2,048).
 */

#include <jansson.h>
#include <stddef.h>

#include "common/macros.h"
#include "watcher/document_lines.h"

enum { DOCUMENT_DEPTH = 64 };

struct document {
    json_t *root; /* never null: empty documents are left out */
    size_t line;  /* where it starts, from 1 */
    struct document_lines lines;
};

struct document_list {
    struct document *items;
    size_t count;
};

struct document_error {
    size_t line;
    char reason[160];
};

/* All documents or none: -EINVAL with `error` filled, or -ENOMEM. */
int yaml_tree_read(const char *data, size_t length, struct document_list *list,
                   struct document_error *error) _must_check_;
/* One JSON value after another. */
int json_tree_read(const char *data, size_t length, struct document_list *list,
                   struct document_error *error) _must_check_;

/* Takes over the reference to `root` and what is in `lines`, also on failure. */
int document_list_add(struct document_list *list, json_t *root, size_t line,
                      struct document_lines *lines) _must_check_;
void document_list_clear(struct document_list *list);

#define _cleanup_documents_ _cleanup_(document_list_clear)

#endif

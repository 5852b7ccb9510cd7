/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WATCHER_MANIFEST_WALK_H
#define WATCHER_MANIFEST_WALK_H

/* From the bytes of a manifest to the objects in it: what the source and --check share. */

#include <stdbool.h>
#include <stddef.h>

#include "ipc/objects.h"
#include "watcher/yaml_tree.h"

enum {
    MANIFEST_SIZE_LIMIT = 16 << 20, /* bytes in a file */
    MANIFEST_LIST_DEPTH = 4,        /* lists in lists */
};

struct manifest_item {
    struct document *document;
    const json_t *value;
    size_t line;             /* where it starts */
    const char *api_version; /* its own, or what its list says; "": none */
    const char *kind;
};

struct manifest_visitor {
    void (*object)(void *context, enum object_kind kind, const struct manifest_item *item);
    void (*other)(void *context, const struct manifest_item *item); /* of a kind we do not use */
    void (*stray)(void *context, const struct manifest_item *item); /* no object of the API */
};

/* Whether this is the name of a manifest: not hidden, not an editor's, .yaml, .yml or .json. */
bool manifest_name_matches(const char *name);

/* Reads to the end; the memory is the caller's. -EFBIG: more than MANIFEST_SIZE_LIMIT. */
int manifest_load(int fd, char **data, size_t *length) _must_check_;

/* JSON where the name ends with .json, else YAML. Results are those of yaml_tree_read(). */
int manifest_parse(const char *name, const char *data, size_t length,
                   struct document_list *documents, struct document_error *error) _must_check_;

/* Visits the object of a document, or those of its list. */
void manifest_walk(struct document *document, const struct manifest_visitor *visitor,
                   void *context);

/* metadata.name for messages; "?" where there is none. */
const char *manifest_object_name(const json_t *value);

/* The line of what `error` says about the item. */
size_t manifest_line(const struct manifest_item *item, const struct object_error *error);

#endif

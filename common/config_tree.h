/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COMMON_CONFIG_TREE_H
#define COMMON_CONFIG_TREE_H

/* Private to the configuration: a YAML document as a bounded tree that knows its lines. */

#include <stdbool.h>

#include "common/arena.h"
#include "common/text.h"

#define CONFIG_PATH_SIZE 160

enum config_node_type { CONFIG_SCALAR, CONFIG_SEQUENCE, CONFIG_MAPPING };

struct config_node {
    enum config_node_type type;
    unsigned line;
    struct text text; /* of a scalar */
    bool null;        /* a scalar without a value: nothing, ~ or null */
    struct text key;  /* where the parent is a mapping */
    size_t index;     /* where the parent is a sequence */
    size_t count;     /* of children */
    struct config_node *parent, *first, *last, *next;
};

/* Where the one line goes that says what is wrong. */
struct config_error {
    const char *file;
    char *message;
    size_t size;
};

/* Writes `FILE:LINE: PATH: what`; `path` may be NULL. Returns -EINVAL. */
int config_fail(const struct config_error *error, unsigned line, const char *path,
                const char *format, ...) _format_(4, 5);
/* The same with line and path of a node. */
int config_fail_node(const struct config_error *error, const struct config_node *node,
                     const char *format, ...) _format_(3, 4);

/* Reads exactly one document whose top is a mapping (an empty file is an empty one). No anchors, no
 * aliases, no tags, no key twice. The nodes live in the arena. */
int config_tree_parse(const char *data, size_t length, struct arena *arena,
                      struct config_node **root, const struct config_error *error) _must_check_;

/* The node at a path such as "source.kubernetes", or NULL. */
const struct config_node *config_tree_find(const struct config_node *root, const char *path);

/* "limits.nat", "uplinks[0]"; "" for the root. Returns `path`. */
const char *config_node_path(const struct config_node *node, char path[CONFIG_PATH_SIZE]);

/* Text from the file for a message: one line, at most 64 characters. Returns `buffer`. */
#define CONFIG_QUOTE_SIZE 72
const char *config_quote(struct text text, char buffer[CONFIG_QUOTE_SIZE]);

#endif

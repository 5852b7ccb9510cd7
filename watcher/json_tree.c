/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher/yaml_tree.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int document_list_add(struct document_list *list, json_t *root, size_t line)
{
    struct document *items = reallocarray(list->items, list->count + 1, sizeof(*items));

    if (!items) {
        json_decref(root);
        return -ENOMEM;
    }
    list->items = items;
    items[list->count++] = (struct document){.root = root, .line = line};
    return 0;
}

void document_list_clear(struct document_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        json_decref(list->items[i].root);
    free(list->items);
    *list = (struct document_list){0};
}

/* Skips white space, counting lines. */
static size_t json_skip(const char *data, size_t length, size_t from, size_t *line)
{
    for (; from < length && strchr(" \t\r\n", data[from]) && data[from]; from++)
        *line += data[from] == '\n';
    return from;
}

static size_t json_count_lines(const char *data, size_t length)
{
    size_t lines = 0;

    for (size_t i = 0; i < length; i++)
        lines += data[i] == '\n';
    return lines;
}

int json_tree_read(const char *data, size_t length, struct document_list *list,
                   struct document_error *error)
{
    _cleanup_documents_ struct document_list read = {0};
    size_t line = 1;
    size_t at = json_skip(data, length, 0, &line);

    while (at < length) {
        json_error_t refused;
        json_t *root = json_loadb(data + at, length - at,
                                  JSON_REJECT_DUPLICATES | JSON_DISABLE_EOF_CHECK, &refused);

        if (!root) {
            error->line = line + (refused.line > 0 ? (size_t)refused.line - 1 : 0);
            snprintf(error->reason, sizeof(error->reason), "%.150s", refused.text);
            return -EINVAL;
        }
        if (document_list_add(&read, root, line))
            return -ENOMEM;
        line += json_count_lines(data + at, (size_t)refused.position);
        at = json_skip(data, length, at + (size_t)refused.position, &line);
    }
    *list = read;
    read = (struct document_list){0};
    return 0;
}

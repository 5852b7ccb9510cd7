/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher/yaml_tree.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "watcher/json_memory.h"

int document_list_add(struct document_list *list, json_t *root, size_t line,
                      struct document_lines *lines)
{
    struct document *items = reallocarray(list->items, list->count + 1, sizeof(*items));

    if (!items) {
        json_decref(root);
        document_lines_clear(lines);
        return -ENOMEM;
    }
    list->items = items;
    items[list->count++] = (struct document){.root = root, .line = line, .lines = *lines};
    *lines = (struct document_lines){0};
    return 0;
}

void document_list_clear(struct document_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        json_decref(list->items[i].root);
        document_lines_clear(&list->items[i].lines);
    }
    free(list->items);
    *list = (struct document_list){0};
}

/* jansson tells no places: what it has accepted is walked along its text once more. */
struct json_walk {
    const char *data;
    size_t length;
    size_t at;
    size_t line; /* of `at` */
    struct document_lines *lines;
};

static void walk_skip(struct json_walk *walk, const char *bytes)
{
    for (; walk->at < walk->length && walk->data[walk->at] && strchr(bytes, walk->data[walk->at]);
         walk->at++)
        walk->line += walk->data[walk->at] == '\n';
}

static void walk_string(struct json_walk *walk)
{
    walk->at++;
    while (walk->at < walk->length && walk->data[walk->at] != '"')
        walk->at += walk->data[walk->at] == '\\' ? 2 : 1;
    walk->at++;
}

static int walk_value(struct json_walk *walk, const json_t *value);

static int walk_object(struct json_walk *walk, const json_t *object)
{
    const char *key;
    json_t *value;

    walk->at++;
    json_object_foreach((json_t *)object, key, value)
    {
        walk_skip(walk, ", \t\r\n");
        if (document_lines_add_member(walk->lines, object, key, walk->line))
            return -ENOMEM;
        walk_string(walk);
        walk_skip(walk, ": \t\r\n");
        if (walk_value(walk, value))
            return -ENOMEM;
    }
    walk_skip(walk, " \t\r\n");
    walk->at++;
    return 0;
}

static int walk_array(struct json_walk *walk, const json_t *array)
{
    walk->at++;
    for (size_t i = 0; i < json_array_size(array); i++) {
        walk_skip(walk, ", \t\r\n");
        if (document_lines_add_element(walk->lines, array, i, walk->line) ||
            walk_value(walk, json_array_get(array, i)))
            return -ENOMEM;
    }
    walk_skip(walk, " \t\r\n");
    walk->at++;
    return 0;
}

/* As deep as jansson has gone before. Members come in the order in which they were read. */
static int walk_value(struct json_walk *walk, const json_t *value)
{
    if (json_is_object(value))
        return walk_object(walk, value);
    if (json_is_array(value))
        return walk_array(walk, value);
    if (json_is_string(value))
        walk_string(walk);
    else
        walk_skip(walk, "+-.0123456789Eaeflnrstu"); /* a number, true, false, null */
    return 0;
}

int json_tree_read(const char *data, size_t length, struct document_list *list,
                   struct document_error *error)
{
    _cleanup_documents_ struct document_list read = {0};
    _cleanup_lines_ struct document_lines lines = {0};
    struct json_walk walk = {.data = data, .length = length, .line = 1, .lines = &lines};

    for (walk_skip(&walk, " \t\r\n"); walk.at < length; walk_skip(&walk, " \t\r\n")) {
        size_t line = walk.line;
        json_error_t refused;
        json_t *root = json_memory_load(data + walk.at, length - walk.at,
                                        JSON_REJECT_DUPLICATES | JSON_DISABLE_EOF_CHECK, &refused);

        if (!root && json_memory_failed())
            return -ENOMEM;
        if (!root) {
            error->line = line + (refused.line > 0 ? (size_t)refused.line - 1 : 0);
            snprintf(error->reason, sizeof(error->reason), "%.150s", refused.text);
            return -EINVAL;
        }
        if (walk_value(&walk, root)) {
            json_decref(root);
            return -ENOMEM;
        }
        if (document_list_add(&read, root, line, &lines))
            return -ENOMEM;
    }
    *list = read;
    read = (struct document_list){0};
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher/document_lines.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

static int lines_add(struct document_lines *lines, const struct document_place *place)
{
    if (lines->count == lines->capacity) {
        size_t capacity = lines->capacity ? lines->capacity * 2 : 64;
        struct document_place *items = reallocarray(lines->items, capacity, sizeof(*items));

        if (!items)
            return -ENOMEM;
        lines->items = items;
        lines->capacity = capacity;
    }
    lines->items[lines->count++] = *place;
    lines->sorted = false;
    return 0;
}

int document_lines_add_member(struct document_lines *lines, const json_t *object, const char *key,
                              size_t line)
{
    void *member = json_object_iter_at((json_t *)object, key);
    struct document_place place = {
        .container = object, .key = json_object_iter_key(member), .line = line};

    return lines_add(lines, &place);
}

int document_lines_add_element(struct document_lines *lines, const json_t *array, size_t index,
                               size_t line)
{
    struct document_place place = {.container = array, .index = index, .line = line};

    return lines_add(lines, &place);
}

void document_lines_clear(struct document_lines *lines)
{
    free(lines->items);
    *lines = (struct document_lines){0};
}

static int place_compare(const void *first, const void *second)
{
    const struct document_place *a = first, *b = second;

    if (a->container != b->container)
        return (uintptr_t)a->container < (uintptr_t)b->container ? -1 : 1;
    if (a->key && b->key)
        return strcmp(a->key, b->key);
    return (a->index > b->index) - (a->index < b->index);
}

/* The line of a place, or `otherwise`. Sorted when first asked: mostly nobody asks. */
static size_t lines_at(struct document_lines *lines, const struct document_place *place,
                       size_t otherwise)
{
    const struct document_place *found;

    if (lines->count == 0)
        return otherwise;
    if (!lines->sorted)
        qsort(lines->items, lines->count, sizeof(*lines->items), place_compare);
    lines->sorted = true;
    found = bsearch(place, lines->items, lines->count, sizeof(*lines->items), place_compare);
    return found ? found->line : otherwise;
}

size_t document_lines_element(struct document_lines *lines, const json_t *array, size_t index)
{
    return lines_at(lines, &(struct document_place){.container = array, .index = index}, 0);
}

/* Whether `path` starts with this member's name as object_error writes it; moves behind it. */
static bool path_takes(const char **path, const char *key)
{
    size_t length = strlen(key);
    const char *at = *path;
    bool bracket = *at == '[';

    at += bracket;
    if (strncmp(at, key, length) != 0)
        return false;
    at += length;
    if (bracket && *at++ != ']')
        return false;
    if (*at && *at != '.' && *at != '[')
        return false;
    *path = at + (*at == '.');
    return true;
}

/* The first part of `path` in this container, as a place; moves behind it. */
static const json_t *path_step(const json_t *container, const char **path,
                               struct document_place *place)
{
    const char *key;
    json_t *value;
    char *end;

    place->container = container;
    if (json_is_array(container) && **path == '[') {
        place->index = strtoul(*path + 1, &end, 10);
        *path = end + (*end == ']');
        *path += **path == '.';
        return json_array_get(container, place->index);
    }
    json_object_foreach((json_t *)container, key, value)
    {
        if (path_takes(path, key)) {
            place->key = key;
            return value;
        }
    }
    return NULL;
}

/* The first part inside of `of` whose name or text is `value`, or 0. */
static size_t lines_search(struct document_lines *lines, const json_t *of, const char *value)
{
    struct document_place place = {.container = of};
    const json_t *part;
    size_t line = 0;

    for (; place.index < json_array_size(of) && !line; place.index++) {
        part = json_array_get(of, place.index);
        if (json_is_string(part) && strcmp(json_string_value(part), value) == 0)
            line = lines_at(lines, &place, 0);
        else
            line = lines_search(lines, part, value);
    }
    json_object_foreach((json_t *)of, place.key, part)
    {
        if (line)
            return line;
        if (strcmp(place.key, value) == 0 ||
            (json_is_string(part) && strcmp(json_string_value(part), value) == 0))
            line = lines_at(lines, &place, 0);
        else
            line = lines_search(lines, part, value);
    }
    return line;
}

size_t document_lines_find(struct document_lines *lines, const json_t *root, size_t root_line,
                           const char *field, const char *value)
{
    size_t line = root_line, inside;

    while (*field) {
        struct document_place place = {0};
        const json_t *part = path_step(root, &field, &place);

        if (!part)
            return line;
        line = lines_at(lines, &place, line);
        root = part;
    }
    inside = value[0] ? lines_search(lines, root, value) : 0;
    return inside ? inside : line;
}

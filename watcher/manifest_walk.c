/* SPDX-License-Identifier: Apache-2.0 */
/* From the bytes of a file to the objects in it. */
#include "watcher/manifest_walk.h"

#include <errno.h>
#include <string.h>

#include "watcher/object_parse.h"

static bool name_ends_with(const char *name, const char *end)
{
    size_t length = strlen(name);
    size_t tail = strlen(end);

    return length > tail && strcmp(name + length - tail, end) == 0;
}

bool manifest_name_matches(const char *name)
{
    if (name[0] == '.' || name[0] == '#')
        return false;
    return name_ends_with(name, ".yaml") || name_ends_with(name, ".yml") ||
           name_ends_with(name, ".json");
}

int manifest_load(int fd, char **data, size_t *length)
{
    _cleanup_free_ char *bytes = NULL;
    size_t capacity = 0, used = 0;
    ssize_t got;

    do {
        if (used == capacity) {
            char *more = realloc(bytes, capacity ? capacity * 2 : 65536);

            if (!more)
                return -ENOMEM;
            bytes = more;
            capacity = capacity ? capacity * 2 : 65536;
        }
        got = read(fd, bytes + used, capacity - used);
        if (got < 0 && errno != EINTR)
            return -errno;
        used += got > 0 ? (size_t)got : 0;
        if (used > MANIFEST_SIZE_LIMIT)
            return -EFBIG;
    } while (got != 0);
    *data = TAKE_PTR(bytes);
    *length = used;
    return 0;
}

int manifest_parse(const char *name, const char *data, size_t length,
                   struct document_list *documents, struct document_error *error)
{
    if (name_ends_with(name, ".json"))
        return json_tree_read(data, length, documents, error);
    return yaml_tree_read(data, length, documents, error);
}

const char *manifest_object_name(const json_t *value)
{
    const char *name =
        json_string_value(json_object_get(json_object_get(value, "metadata"), "name"));

    return name ? name : "?";
}

static void walk_item(const struct manifest_item *given, const struct manifest_visitor *visitor,
                      void *context, unsigned depth);

/* A List, or a list of one kind ("PodList"), whose items may leave their kind out. */
static bool walk_list(const struct manifest_item *list, const struct manifest_visitor *visitor,
                      void *context, unsigned depth)
{
    const json_t *items = json_object_get(list->value, "items");
    size_t length = strlen(list->kind);
    struct manifest_item item = *list;
    char kind[64];

    if (length < 4 || length > sizeof(kind) || strcmp(list->kind + length - 4, "List") != 0)
        return false;
    if (!json_is_array(items) || depth == MANIFEST_LIST_DEPTH)
        return false;
    snprintf(kind, sizeof(kind), "%.*s", (int)length - 4, list->kind);
    for (size_t i = 0; i < json_array_size(items); i++) {
        item.kind = kind;
        item.value = json_array_get(items, i);
        item.line = document_lines_element(&list->document->lines, items, i);
        walk_item(&item, visitor, context, depth + 1);
    }
    return true;
}

static void walk_item(const struct manifest_item *given, const struct manifest_visitor *visitor,
                      void *context, unsigned depth)
{
    struct manifest_item item = *given;
    const char *version = json_string_value(json_object_get(item.value, "apiVersion"));
    const char *kind_name = json_string_value(json_object_get(item.value, "kind"));
    enum object_kind kind;

    if (kind_name) {
        item.api_version = version ? version : "";
        item.kind = kind_name;
    }
    if (!json_is_object(item.value) || item.kind[0] == '\0')
        visitor->stray(context, &item);
    else if (walk_list(&item, visitor, context, depth))
        return;
    else if (object_kind_named(item.api_version, item.kind, &kind) == 0)
        visitor->object(context, kind, &item);
    else
        visitor->other(context, &item);
}

void manifest_walk(struct document *document, const struct manifest_visitor *visitor, void *context)
{
    struct manifest_item item = {.document = document,
                                 .value = document->root,
                                 .line = document->line,
                                 .api_version = "",
                                 .kind = ""};

    walk_item(&item, visitor, context, 0);
}

size_t manifest_line(const struct manifest_item *item, const struct object_error *error)
{
    return document_lines_find(&item->document->lines, item->value, item->line, error->field,
                               error->value);
}

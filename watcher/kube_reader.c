/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher/kube_reader.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

/* Names in the file may hold line ends and what a terminal obeys; a message is one line. */
static void message_clean(char *message)
{
    for (; *message; message++) {
        if ((unsigned char)*message < ' ' || *message == 0x7f)
            *message = '?';
    }
}

int kube_reader_fail(struct kube_reader *reader, const char *field, const char *format, ...)
{
    int length = snprintf(reader->message, reader->size, "%s: %s%s", reader->path,
                          field ? field : "", field ? ": " : "");
    va_list arguments;

    if (length < 0 || (size_t)length >= reader->size)
        return -EINVAL;
    va_start(arguments, format);
    vsnprintf(reader->message + length, reader->size - (size_t)length, format, arguments);
    va_end(arguments);
    message_clean(reader->message);
    return -EINVAL;
}

yaml_node_t *kube_reader_find(struct kube_reader *reader, yaml_node_t *mapping, const char *key)
{
    yaml_node_pair_t *pair;

    if (!mapping || mapping->type != YAML_MAPPING_NODE)
        return NULL;
    for (pair = mapping->data.mapping.pairs.start; pair < mapping->data.mapping.pairs.top; pair++) {
        yaml_node_t *name = yaml_document_get_node(&reader->document, pair->key);

        if (name && name->type == YAML_SCALAR_NODE && !strcmp((char *)name->data.scalar.value, key))
            return yaml_document_get_node(&reader->document, pair->value);
    }
    return NULL;
}

int kube_reader_string(struct kube_reader *reader, const struct kube_place *place, const char *key,
                       const char **value)
{
    yaml_node_t *node = kube_reader_find(reader, place->node, key);
    char field[400];

    snprintf(field, sizeof(field), "%s.%s", place->name, key);
    if (!node) {
        *value = NULL;
        return 0;
    }
    if (node->type != YAML_SCALAR_NODE)
        return kube_reader_fail(reader, field, "must be a string");
    if (strlen((char *)node->data.scalar.value) != node->data.scalar.length)
        return kube_reader_fail(reader, field, "holds a NUL character");
    if (node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
        (!strcmp((char *)node->data.scalar.value, "null") ||
         !strcmp((char *)node->data.scalar.value, "~")))
        *value = NULL;
    else
        *value = node->data.scalar.length ? (char *)node->data.scalar.value : NULL;
    return 0;
}

int kube_reader_copy(char **target, const char *value)
{
    if (!value)
        return 0;
    *target = strdup(value);
    return *target ? 0 : -ENOMEM;
}

int kube_reader_path(struct kube_reader *reader, char **target, const char *value)
{
    const char *slash = strrchr(reader->path, '/');

    if (!value || *value == '/' || !slash)
        return kube_reader_copy(target, value);
    if (asprintf(target, "%.*s/%s", (int)(slash - reader->path), reader->path, value) < 0) {
        *target = NULL;
        return -ENOMEM;
    }
    return 0;
}

int kube_reader_pair(struct kube_reader *reader, const struct kube_place *place, const char *key,
                     char **file, struct kube_blob *data)
{
    const char *path, *text;
    char data_key[64], field[400];
    int error;

    snprintf(data_key, sizeof(data_key), "%s-data", key);
    snprintf(field, sizeof(field), "%s.%s", place->name, data_key);
    error = kube_reader_string(reader, place, key, &path);
    if (!error)
        error = kube_reader_string(reader, place, data_key, &text);
    if (error)
        return error;
    /* The data win where both are there: that is what other clients do. */
    if (!text)
        return kube_reader_path(reader, file, path);
    error = kube_blob_decode(text, data);
    return error == -EINVAL ? kube_reader_fail(reader, field, "is not base64") : error;
}

int kube_reader_named(struct kube_reader *reader, const char *list, const char *name,
                      const char *key, struct kube_place *place)
{
    yaml_node_t *items =
        kube_reader_find(reader, yaml_document_get_root_node(&reader->document), list);
    yaml_node_item_t *item;

    snprintf(place->name, sizeof(place->name), "%s[%s].%s", list, name, key);
    if (!items || items->type != YAML_SEQUENCE_NODE)
        return kube_reader_fail(reader, list, "must be a list");
    for (item = items->data.sequence.items.start; item < items->data.sequence.items.top; item++) {
        yaml_node_t *entry = yaml_document_get_node(&reader->document, *item);
        yaml_node_t *found = kube_reader_find(reader, entry, "name");

        if (!found || found->type != YAML_SCALAR_NODE ||
            strcmp((char *)found->data.scalar.value, name))
            continue;
        place->node = kube_reader_find(reader, entry, key);
        if (!place->node || place->node->type != YAML_MAPPING_NODE)
            return kube_reader_fail(reader, place->name, "must be a mapping");
        return 0;
    }
    return kube_reader_fail(reader, list, "has no entry \"%s\"", name);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher/yaml_tree.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "watcher/json_memory.h"
#include "watcher/yaml_scalar.h"

/* The event stream is turned into a tree with a stack of its own: no input makes it recurse. */
struct yaml_level {
    json_t *container; /* borrowed: it belongs to its own container, the first one to the builder */
    json_t *key;       /* of a mapping: the key that waits for its value */
    size_t line;       /* of that key */
};

struct yaml_builder {
    struct document_list *list;
    struct document_error *error;
    const char *data;
    size_t length;
    struct yaml_level levels[DOCUMENT_DEPTH];
    size_t depth;
    json_t *root; /* of the document that is being read */
    size_t line;
    struct document_lines lines;
};

static int builder_refuse(struct yaml_builder *builder, const yaml_event_t *event,
                          const char *reason)
{
    builder->error->line = event->start_mark.line + 1;
    snprintf(builder->error->reason, sizeof(builder->error->reason), "%s", reason);
    return -EINVAL;
}

static int builder_set_key(struct yaml_builder *builder, const yaml_event_t *event, json_t *key)
{
    struct yaml_level *level = &builder->levels[builder->depth - 1];
    char reason[160];

    if (json_object_get(level->container, json_string_value(key))) {
        snprintf(reason, sizeof(reason), "key \"%.100s\" is there twice", json_string_value(key));
        json_decref(key);
        return builder_refuse(builder, event, reason);
    }
    level->key = key;
    level->line = event->start_mark.line + 1;
    return 0;
}

static int builder_put_member(struct yaml_builder *builder, struct yaml_level *level, json_t *value)
{
    _cleanup_(json_decrefp) json_t *key = TAKE_PTR(level->key);

    if (json_object_set_new_nocheck(level->container, json_string_value(key), value))
        return -ENOMEM;
    return document_lines_add_member(&builder->lines, level->container, json_string_value(key),
                                     level->line);
}

/* Puts a value where it belongs; takes over the reference. */
static int builder_put(struct yaml_builder *builder, const yaml_event_t *event, json_t *value)
{
    struct yaml_level *level;

    if (builder->depth == 0) {
        builder->root = value;
        return 0;
    }
    level = &builder->levels[builder->depth - 1];
    if (json_is_object(level->container))
        return builder_put_member(builder, level, value);
    if (json_array_append_new(level->container, value))
        return -ENOMEM;
    return document_lines_add_element(&builder->lines, level->container,
                                      json_array_size(level->container) - 1,
                                      event->start_mark.line + 1);
}

static bool builder_wants_key(const struct yaml_builder *builder)
{
    const struct yaml_level *level;

    if (builder->depth == 0)
        return false;
    level = &builder->levels[builder->depth - 1];
    return json_is_object(level->container) && !level->key;
}

static int builder_scalar(struct yaml_builder *builder, const yaml_event_t *event)
{
    struct text text = {(const char *)event->data.scalar.value, event->data.scalar.length};
    const char *tag = (const char *)event->data.scalar.tag;
    bool key = builder_wants_key(builder);
    json_t *value;

    if (event->data.scalar.anchor)
        return builder_refuse(builder, event, "anchors are not supported: write the value out");
    if (tag && strcmp(tag, YAML_STR_TAG) != 0 && strcmp(tag, "!") != 0)
        return builder_refuse(builder, event, "tags are not supported: remove it");
    if (memchr(text.data, '\0', text.length))
        return builder_refuse(builder, event, "a string holds a NUL character");
    if (!key && !tag && event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
        value = yaml_scalar_plain(text);
    else
        value = json_stringn(text.data, text.length);
    if (!value)
        return builder_refuse(builder, event, "a string is not UTF-8");
    return key ? builder_set_key(builder, event, value) : builder_put(builder, event, value);
}

static int builder_open(struct yaml_builder *builder, const yaml_event_t *event)
{
    bool mapping = event->type == YAML_MAPPING_START_EVENT;
    const yaml_char_t *anchor =
        mapping ? event->data.mapping_start.anchor : event->data.sequence_start.anchor;
    const yaml_char_t *tag =
        mapping ? event->data.mapping_start.tag : event->data.sequence_start.tag;
    json_t *container;
    int error;

    if (anchor)
        return builder_refuse(builder, event, "anchors are not supported: write the value out");
    if (tag)
        return builder_refuse(builder, event, "tags are not supported: remove it");
    if (builder_wants_key(builder))
        return builder_refuse(builder, event, "a key has to be a plain word or a string");
    if (builder->depth == DOCUMENT_DEPTH)
        return builder_refuse(builder, event, "too deeply nested");
    container = mapping ? json_object() : json_array();
    if (!container)
        return -ENOMEM;
    error = builder_put(builder, event, container);
    if (!error)
        builder->levels[builder->depth++] = (struct yaml_level){.container = container};
    return error;
}

static int builder_close_document(struct yaml_builder *builder)
{
    json_t *root = TAKE_PTR(builder->root);

    if (!root || json_is_null(root)) {
        json_decref(root);
        return 0;
    }
    return document_list_add(builder->list, root, builder->line, &builder->lines);
}

static int builder_take(struct yaml_builder *builder, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        builder->line = event->start_mark.line + 1;
        return 0;
    case YAML_DOCUMENT_END_EVENT:
        return builder_close_document(builder);
    case YAML_ALIAS_EVENT:
        return builder_refuse(builder, event, "aliases are not supported: write the value out");
    case YAML_SCALAR_EVENT:
        return builder_scalar(builder, event);
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT:
        return builder_open(builder, event);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        builder->depth--;
        return 0;
    default:
        return 0;
    }
}

/* The reader runs ahead of the parser and tells its place in bytes only. */
static size_t builder_line_at(const struct yaml_builder *builder, size_t offset)
{
    size_t line = 1;

    for (size_t i = 0; i < offset && i < builder->length; i++)
        line += builder->data[i] == '\n';
    return line;
}

static int parser_refused(const struct yaml_builder *builder, const yaml_parser_t *parser)
{
    struct document_error *error = builder->error;

    if (parser->error == YAML_MEMORY_ERROR)
        return -ENOMEM;
    error->line = parser->problem_mark.line + 1;
    if (parser->error == YAML_READER_ERROR)
        error->line = builder_line_at(builder, parser->problem_offset);
    snprintf(error->reason, sizeof(error->reason), "%s%s%s",
             parser->problem ? parser->problem : "does not parse", parser->context ? ", " : "",
             parser->context ? parser->context : "");
    return -EINVAL;
}

static int builder_run(struct yaml_builder *builder, yaml_parser_t *parser)
{
    bool end = false;
    int error = 0;

    while (!error && !end) {
        yaml_event_t event;

        if (!yaml_parser_parse(parser, &event))
            return parser_refused(builder, parser);
        error = builder_take(builder, &event);
        end = event.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
    }
    return error;
}

int yaml_tree_read(const char *data, size_t length, struct document_list *list,
                   struct document_error *error)
{
    _cleanup_documents_ struct document_list read = {0};
    struct yaml_builder builder = {.list = &read, .error = error, .data = data, .length = length};
    yaml_parser_t parser;
    int result;

    json_memory_watch();
    if (!yaml_parser_initialize(&parser))
        return -ENOMEM;
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)data, length);
    result = builder_run(&builder, &parser);
    for (size_t i = 0; i < builder.depth; i++)
        json_decref(builder.levels[i].key);
    json_decref(builder.root);
    document_lines_clear(&builder.lines);
    yaml_parser_delete(&parser);
    if (json_memory_failed())
        return -ENOMEM;
    if (result)
        return result;
    *list = read;
    read = (struct document_list){0};
    return 0;
}

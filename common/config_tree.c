/* SPDX-License-Identifier: Apache-2.0 */
#include "common/config_tree.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <yaml.h>

enum { CONFIG_DEPTH_LIMIT = 8, CONFIG_KEYS_LIMIT = 64, CONFIG_ITEMS_LIMIT = 4096 };

struct config_tree {
    yaml_parser_t parser;
    yaml_event_t event;
    struct arena *arena;
    const struct config_error *error;
};

const char *config_quote(struct text text, char buffer[CONFIG_QUOTE_SIZE])
{
    size_t shown = text.length < 64 ? text.length : 64;

    for (size_t i = 0; i < shown; i++) {
        unsigned char byte = (unsigned char)text.data[i];

        buffer[i] = byte < 0x20 || byte == 0x7f ? '?' : (char)byte;
    }
    strcpy(buffer + shown, shown < text.length ? "..." : "");
    return buffer;
}

const char *config_node_path(const struct config_node *node, char path[CONFIG_PATH_SIZE])
{
    char quoted[CONFIG_QUOTE_SIZE];
    size_t used;

    path[0] = '\0';
    if (!node->parent)
        return path;
    config_node_path(node->parent, path);
    used = strlen(path);
    if (node->parent->type == CONFIG_SEQUENCE)
        snprintf(path + used, CONFIG_PATH_SIZE - used, "[%zu]", node->index);
    else
        snprintf(path + used, CONFIG_PATH_SIZE - used, "%s%s", used ? "." : "",
                 config_quote(node->key, quoted));
    return path;
}

static int config_fail_list(const struct config_error *error, unsigned line, const char *path,
                            const char *format, va_list arguments)
{
    int used = snprintf(error->message, error->size, "%s:%u: %s%s", error->file, line,
                        path ? path : "", path && *path ? ": " : "");

    if (used >= 0 && (size_t)used < error->size)
        vsnprintf(error->message + used, error->size - (size_t)used, format, arguments);
    return -EINVAL;
}

int config_fail(const struct config_error *error, unsigned line, const char *path,
                const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    int result = config_fail_list(error, line, path, format, arguments);
    va_end(arguments);
    return result;
}

int config_fail_node(const struct config_error *error, const struct config_node *node,
                     const char *format, ...)
{
    char path[CONFIG_PATH_SIZE];
    va_list arguments;

    va_start(arguments, format);
    int result =
        config_fail_list(error, node->line, config_node_path(node, path), format, arguments);
    va_end(arguments);
    return result;
}

static const struct config_node *config_child(const struct config_node *parent, struct text key)
{
    const struct config_node *child = parent->first;

    while (child && !text_equal(child->key, key))
        child = child->next;
    return child;
}

const struct config_node *config_tree_find(const struct config_node *root, const char *path)
{
    while (root && *path) {
        size_t length = strcspn(path, ".");

        if (root->type != CONFIG_MAPPING)
            return NULL;
        root = config_child(root, (struct text){path, length});
        path += path[length] ? length + 1 : length;
    }
    return root;
}

static unsigned config_event_line(const struct config_tree *tree)
{
    return (unsigned)tree->event.start_mark.line + 1;
}

static int config_syntax_error(const struct config_tree *tree, const char *data)
{
    const yaml_parser_t *parser = &tree->parser;
    const char *problem = parser->problem ? parser->problem : "cannot be read";
    unsigned line = (unsigned)parser->problem_mark.line + 1;

    if (parser->error == YAML_MEMORY_ERROR)
        return -ENOMEM;
    if (parser->error == YAML_READER_ERROR) { /* it knows the offset only */
        line = 1;
        for (size_t i = 0; i < parser->problem_offset; i++)
            line += data[i] == '\n';
        return config_fail(tree->error, line, NULL, "not UTF-8 text: %s", problem);
    }
    return config_fail(tree->error, line, NULL, "not YAML: %s (column %zu)", problem,
                       parser->problem_mark.column + 1);
}

/* Anchors, aliases and tags have no use here, and with them a short file can mean a long one. */
static int config_check_event(const struct config_tree *tree, const struct config_node *node)
{
    const yaml_event_t *event = &tree->event;
    const yaml_char_t *anchor = NULL, *tag = NULL;
    char path[CONFIG_PATH_SIZE];

    if (event->type == YAML_SCALAR_EVENT)
        anchor = event->data.scalar.anchor, tag = event->data.scalar.tag;
    else if (event->type == YAML_SEQUENCE_START_EVENT)
        anchor = event->data.sequence_start.anchor, tag = event->data.sequence_start.tag;
    else if (event->type == YAML_MAPPING_START_EVENT)
        anchor = event->data.mapping_start.anchor, tag = event->data.mapping_start.tag;
    if (anchor || event->type == YAML_ALIAS_EVENT)
        return config_fail(tree->error, config_event_line(tree), config_node_path(node, path),
                           "anchors and aliases are not allowed: write the value out");
    if (tag)
        return config_fail(tree->error, config_event_line(tree), config_node_path(node, path),
                           "tags are not allowed: leave \"!\" and what follows it out");
    return 0;
}

static int config_next_event(struct config_tree *tree)
{
    yaml_event_delete(&tree->event);
    if (!yaml_parser_parse(&tree->parser, &tree->event))
        return config_syntax_error(tree, (const char *)tree->parser.input.string.start);
    return 0;
}

static bool config_is_null(const yaml_event_t *event, struct text text)
{
    return event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (text.length == 0 || text_equal(text, TEXT("~")) || text_equal(text, TEXT("null")));
}

/* A node for the event at hand, added to its parent. */
static int config_add_node(struct config_tree *tree, struct config_node *parent, struct text key,
                           struct config_node **out)
{
    struct config_node *node = arena_allocate(tree->arena, 1, sizeof(*node));
    const yaml_event_t *event = &tree->event;

    if (!node)
        return -ENOMEM;
    node->line = config_event_line(tree);
    node->key = key;
    if (event->type == YAML_SCALAR_EVENT) {
        node->text = arena_text(tree->arena, (struct text){(char *)event->data.scalar.value,
                                                           event->data.scalar.length});
        if (!node->text.data)
            return -ENOMEM;
        node->null = config_is_null(event, node->text);
    } else {
        node->type = event->type == YAML_MAPPING_START_EVENT ? CONFIG_MAPPING : CONFIG_SEQUENCE;
    }
    if (parent) {
        node->parent = parent;
        node->index = parent->count++;
        *(parent->last ? &parent->last->next : &parent->first) = node;
        parent->last = node;
    }
    *out = node;
    return config_check_event(tree, node);
}

/* The key at hand; the event after it is the value's. */
static int config_read_key(struct config_tree *tree, const struct config_node *mapping,
                           struct text *key)
{
    unsigned line = config_event_line(tree);
    char path[CONFIG_PATH_SIZE];

    if (tree->event.type != YAML_SCALAR_EVENT)
        return config_fail(tree->error, line, config_node_path(mapping, path),
                           "a key must be a plain word");
    if (config_check_event(tree, mapping))
        return -EINVAL;
    if (mapping->count == CONFIG_KEYS_LIMIT)
        return config_fail_node(tree->error, mapping, "more than %d keys", CONFIG_KEYS_LIMIT);
    *key = arena_text(tree->arena, (struct text){(char *)tree->event.data.scalar.value,
                                                 tree->event.data.scalar.length});
    if (!key->data)
        return -ENOMEM;
    const struct config_node *same = config_child(mapping, *key);
    if (same)
        return config_fail(tree->error, line, config_node_path(same, path),
                           "given twice, first in line %u: remove one", same->line);
    if (key->length == 0)
        return config_fail(tree->error, line, config_node_path(mapping, path),
                           "a key is empty: give it a name");
    return config_next_event(tree);
}

static int config_read_node(struct config_tree *tree, struct config_node *parent, struct text key,
                            unsigned depth, struct config_node **out);

static int config_read_children(struct config_tree *tree, struct config_node *node, unsigned depth)
{
    const yaml_event_type_t end =
        node->type == CONFIG_MAPPING ? YAML_MAPPING_END_EVENT : YAML_SEQUENCE_END_EVENT;
    int result = config_next_event(tree);

    while (!result && tree->event.type != end) {
        struct config_node *child;
        struct text key = {0};

        if (node->count == CONFIG_ITEMS_LIMIT)
            return config_fail_node(tree->error, node, "more than %d items", CONFIG_ITEMS_LIMIT);
        if (node->type == CONFIG_MAPPING)
            result = config_read_key(tree, node, &key);
        if (!result)
            result = config_read_node(tree, node, key, depth + 1, &child);
        if (!result)
            result = config_next_event(tree);
    }
    return result;
}

/* The node that the event at hand begins; afterwards the event at hand is its last. */
static int config_read_node(struct config_tree *tree, struct config_node *parent, struct text key,
                            unsigned depth, struct config_node **out)
{
    int result = config_add_node(tree, parent, key, out);

    if (result || (*out)->type == CONFIG_SCALAR)
        return result;
    if (depth == CONFIG_DEPTH_LIMIT)
        return config_fail_node(tree->error, *out, "nested deeper than %d levels",
                                CONFIG_DEPTH_LIMIT);
    return config_read_children(tree, *out, depth);
}

static int config_read_empty(struct config_tree *tree, struct config_node **root)
{
    *root = arena_allocate(tree->arena, 1, sizeof(**root));
    if (!*root)
        return -ENOMEM;
    (*root)->type = CONFIG_MAPPING;
    (*root)->line = 1;
    return 0;
}

static int config_read_document(struct config_tree *tree, struct config_node **root)
{
    int result;

    do
        result = config_next_event(tree);
    while (!result && (tree->event.type == YAML_STREAM_START_EVENT ||
                       tree->event.type == YAML_DOCUMENT_START_EVENT));
    if (result)
        return result;
    if (tree->event.type == YAML_STREAM_END_EVENT)
        return config_read_empty(tree, root);
    result = config_read_node(tree, NULL, (struct text){0}, 1, root);
    if (result)
        return result;
    if ((*root)->type == CONFIG_SCALAR && (*root)->null)
        (*root)->type = CONFIG_MAPPING; /* "---" and nothing behind it */
    if ((*root)->type != CONFIG_MAPPING)
        return config_fail_node(tree->error, *root, "must be a mapping (lines of \"key: value\")");
    do
        result = config_next_event(tree);
    while (!result && tree->event.type == YAML_DOCUMENT_END_EVENT);
    if (!result && tree->event.type != YAML_STREAM_END_EVENT)
        return config_fail(tree->error, config_event_line(tree), NULL,
                           "a second document begins here: only one is allowed");
    return result;
}

int config_tree_parse(const char *data, size_t length, struct arena *arena,
                      struct config_node **root, const struct config_error *error)
{
    struct config_tree tree = {.arena = arena, .error = error};
    struct config_node *parsed;

    if (!yaml_parser_initialize(&tree.parser))
        return -ENOMEM;
    yaml_parser_set_input_string(&tree.parser, (const unsigned char *)data, length);
    int result = config_read_document(&tree, &parsed);
    yaml_event_delete(&tree.event);
    yaml_parser_delete(&tree.parser);
    if (!result)
        *root = parsed;
    return result;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "common/config.h"

#include <errno.h>
#include <yaml.h>

#include "common/config_keys.h"

/* The names of the sections that are open, outermost first. */
enum { SECTION_DEPTH = 4 };

struct config_printer {
    yaml_emitter_t emitter;
    size_t depth;
    struct text sections[SECTION_DEPTH];
};

/* `made` is what the initialiser of the event returned. */
static int printer_emit(struct config_printer *printer, yaml_event_t *event, int made)
{
    if (!made)
        return -ENOMEM;
    if (yaml_emitter_emit(&printer->emitter, event))
        return 0;
    return printer->emitter.error == YAML_MEMORY_ERROR ? -ENOMEM : -EIO;
}

/* Words that another reader of YAML could take for something else are quoted. */
static bool text_needs_quotes(struct text text)
{
    static const char *const words[] = {"true", "false", "null", "yes", "no",
                                        "on",   "off",   "y",    "n"};
    bool starts_plain =
        text.length && (text.data[0] == '/' || (text.data[0] >= 'a' && text.data[0] <= 'z'));

    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (text_equal(text, text_of(words[i])))
            return true;
    return !starts_plain || memchr(text.data, ':', text.length);
}

static int print_scalar(struct config_printer *printer, struct text text, bool quotes)
{
    yaml_event_t event;

    return printer_emit(printer, &event,
                        yaml_scalar_event_initialize(
                            &event, NULL, NULL, (const yaml_char_t *)text.data, (int)text.length, 1,
                            1, quotes ? YAML_DOUBLE_QUOTED_SCALAR_STYLE : YAML_PLAIN_SCALAR_STYLE));
}

static int print_text(struct config_printer *printer, struct text text)
{
    return print_scalar(printer, text, text_needs_quotes(text));
}

static int print_list(struct config_printer *printer, const struct config_key *key,
                      const struct config *config)
{
    const struct string_list *strings = config_field_const(key, config);
    const struct prefix_list *prefixes = config_field_const(key, config);
    size_t count = key->type == CONFIG_TEXTS ? strings->count : prefixes->count;
    char buffer[PREFIX_TEXT_SIZE];
    yaml_event_t event;
    int result = printer_emit(
        printer, &event,
        yaml_sequence_start_event_initialize(&event, NULL, NULL, 1, YAML_FLOW_SEQUENCE_STYLE));

    for (size_t i = 0; i < count && !result; i++)
        result = print_text(printer, key->type == CONFIG_TEXTS
                                         ? text_of(strings->items[i])
                                         : text_of(prefix_format(&prefixes->items[i], buffer)));
    if (result)
        return result;
    return printer_emit(printer, &event, yaml_sequence_end_event_initialize(&event));
}

static int print_value(struct config_printer *printer, const struct config_key *key,
                       const struct config *config)
{
    char buffer[ADDRESS_TEXT_SIZE + 16], address[ADDRESS_TEXT_SIZE];

    switch (key->type) {
    case CONFIG_TEXT:
        return print_text(printer, text_of(*(char *const *)config_field_const(key, config)));
    case CONFIG_NUMBER:
        snprintf(buffer, sizeof(buffer), "%u", config_field_number(key, config));
        return print_scalar(printer, text_of(buffer), false);
    case CONFIG_CHOICE:
        return print_scalar(printer, text_of(key->choices[config_field_number(key, config)]),
                            false);
    case CONFIG_LISTEN:
        snprintf(buffer, sizeof(buffer),
                 ip_addr_is_v4(&config->metrics.address) ? "%s:%u" : "[%s]:%u",
                 address_format(&config->metrics.address, address), config->metrics.port);
        return print_scalar(printer, text_of(buffer), true);
    default:
        return print_list(printer, key, config);
    }
}

static bool key_is_empty(const struct config_key *key, const struct config *config)
{
    if (key->type == CONFIG_TEXT)
        return *(char *const *)config_field_const(key, config) == NULL;
    if (key->type == CONFIG_TEXTS)
        return ((const struct string_list *)config_field_const(key, config))->count == 0;
    return key->type == CONFIG_CHOICE && config_field_number(key, config) == 0;
}

static int section_open(struct config_printer *printer, struct text name)
{
    yaml_event_t event;
    int result = name.length ? print_scalar(printer, name, false) : 0;

    if (!result)
        result = printer_emit(
            printer, &event,
            yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_MAPPING_STYLE));
    return result;
}

static int section_close(struct config_printer *printer)
{
    yaml_event_t event;

    return printer_emit(printer, &event, yaml_mapping_end_event_initialize(&event));
}

/* Closes and opens sections so that the last name of `path` can be printed: `*name`. */
static int section_enter(struct config_printer *printer, const char *path, struct text *name)
{
    size_t level = 0;
    int result = 0;

    for (const char *dot; !result && (dot = strchr(path, '.')); path = dot + 1, level++) {
        struct text section = {path, (size_t)(dot - path)};

        if (level < printer->depth && text_equal(section, printer->sections[level]))
            continue;
        for (; !result && printer->depth > level; printer->depth--)
            result = section_close(printer);
        if (!result)
            result = section_open(printer, section);
        printer->sections[printer->depth++] = section;
    }
    for (; !result && printer->depth > level; printer->depth--)
        result = section_close(printer);
    *name = text_of(path);
    return result;
}

static int print_keys(struct config_printer *printer, const struct config *config)
{
    struct text name;
    int result = section_open(printer, (struct text){0});

    for (size_t i = 0; i < config_key_count && !result; i++) {
        const struct config_key *key = &config_keys[i];

        if (key->optional && key_is_empty(key, config))
            continue;
        result = section_enter(printer, key->path, &name);
        if (!result)
            result = print_scalar(printer, name, false);
        if (!result)
            result = print_value(printer, key, config);
    }
    for (; !result && printer->depth > 0; printer->depth--)
        result = section_close(printer);
    return result ? result : section_close(printer);
}

static int print_document(struct config_printer *printer, const struct config *config)
{
    yaml_event_t event;
    int result = printer_emit(printer, &event,
                              yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING));

    if (!result)
        result = printer_emit(printer, &event,
                              yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1));
    if (!result)
        result = print_keys(printer, config);
    if (!result)
        result = printer_emit(printer, &event, yaml_document_end_event_initialize(&event, 1));
    if (!result)
        result = printer_emit(printer, &event, yaml_stream_end_event_initialize(&event));
    return result;
}

int config_print(const struct config *config, FILE *out)
{
    struct config_printer printer = {.depth = 0};

    if (!yaml_emitter_initialize(&printer.emitter))
        return -ENOMEM;
    yaml_emitter_set_output_file(&printer.emitter, out);
    yaml_emitter_set_width(&printer.emitter, -1);
    int result = print_document(&printer, config);
    yaml_emitter_delete(&printer.emitter);
    if (!result && (fflush(out) || ferror(out)))
        result = -EIO;
    return result;
}

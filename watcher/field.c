/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher/field.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

struct field field_root(const json_t *value)
{
    return (struct field){.value = value};
}

static const json_t *field_present(const json_t *value)
{
    return json_is_null(value) ? NULL : value;
}

struct field field_member(const struct field *of, const char *name)
{
    const json_t *value = of->value ? json_object_get(of->value, name) : NULL;

    return (struct field){.value = field_present(value), .parent = of, .name = name};
}

struct field field_element(const struct field *of, size_t index)
{
    const json_t *value = json_array_get(of->value, index);

    return (struct field){.value = field_present(value), .parent = of, .index = index};
}

/* Appends the path of a field; what does not fit is cut. */
static void field_path(const struct field *field, char *path, size_t size)
{
    size_t used;

    path[0] = '\0';
    if (!field->parent)
        return;
    field_path(field->parent, path, size);
    used = strlen(path);
    if (!field->name)
        snprintf(path + used, size - used, "[%zu]", field->index);
    else if (strpbrk(field->name, "./[]"))
        snprintf(path + used, size - used, "[%s]", field->name);
    else
        snprintf(path + used, size - used, "%s%s", used ? "." : "", field->name);
}

static void field_value_text(const json_t *value, char *text, size_t size)
{
    switch (value ? json_typeof(value) : JSON_NULL) {
    case JSON_STRING:
        snprintf(text, size, "%s", json_string_value(value));
        break;
    case JSON_INTEGER:
        snprintf(text, size, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        break;
    case JSON_REAL:
        snprintf(text, size, "%g", json_real_value(value));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        snprintf(text, size, "%s", json_is_true(value) ? "true" : "false");
        break;
    case JSON_OBJECT:
        snprintf(text, size, "an object");
        break;
    case JSON_ARRAY:
        snprintf(text, size, "a list");
        break;
    default:
        text[0] = '\0';
    }
}

int field_refuse(const struct object_reader *reader, const struct field *field, const char *reason)
{
    struct object_error *error = reader->error;

    field_path(field, error->field, sizeof(error->field));
    field_value_text(field->value, error->value, sizeof(error->value));
    snprintf(error->reason, sizeof(error->reason), "%s", reason);
    return -EINVAL;
}

int field_is_object(const struct object_reader *reader, const struct field *field)
{
    if (field->value && !json_is_object(field->value))
        return field_refuse(reader, field, "has to be an object");
    return 0;
}

int field_array(const struct object_reader *reader, const struct field *field, size_t *count)
{
    if (!field->value)
        return 0;
    if (!json_is_array(field->value))
        return field_refuse(reader, field, "has to be a list");
    *count = json_array_size(field->value);
    return 0;
}

int field_text(const struct object_reader *reader, const struct field *field, struct text *text)
{
    if (!field->value)
        return 0;
    if (!json_is_string(field->value))
        return field_refuse(reader, field, "has to be a string (in YAML, put it in quotes)");
    *text = (struct text){json_string_value(field->value), json_string_length(field->value)};
    return 0;
}

int field_bool(const struct object_reader *reader, const struct field *field, bool *value)
{
    if (!field->value)
        return 0;
    if (!json_is_boolean(field->value))
        return field_refuse(reader, field, "has to be true or false");
    *value = json_is_true(field->value);
    return 0;
}

static bool two_digits(const char *text, unsigned *value)
{
    if (text[0] < '0' || text[0] > '9' || text[1] < '0' || text[1] > '9')
        return false;
    *value = (unsigned)(text[0] - '0') * 10 + (unsigned)(text[1] - '0');
    return true;
}

/* What may follow the seconds: a fraction, then Z or an offset from UTC. */
static bool time_zone_parse(const char *rest, long *offset)
{
    unsigned hours, minutes;

    if (*rest == '.')
        rest += 1 + strspn(rest + 1, "0123456789");
    if (strcmp(rest, "Z") == 0 || strcmp(rest, "z") == 0) {
        *offset = 0;
        return true;
    }
    if ((*rest != '+' && *rest != '-') || !two_digits(rest + 1, &hours) || rest[3] != ':' ||
        !two_digits(rest + 4, &minutes) || rest[6] != '\0' || hours > 23 || minutes > 59)
        return false;
    *offset = (hours * 60L + minutes) * 60 * (*rest == '-' ? -1 : 1);
    return true;
}

int field_time(const struct object_reader *reader, const struct field *field, int64_t *seconds)
{
    struct text text = {0};
    struct tm parts = {0};
    const char *rest;
    long offset;
    int error = field_text(reader, field, &text);

    if (error || !field->value)
        return error;
    rest = strptime(text.data, "%Y-%m-%dT%H:%M:%S", &parts);
    if (!rest || !time_zone_parse(rest, &offset))
        return field_refuse(reader, field, "has to be a time such as 2025-01-31T12:00:00Z");
    *seconds = (int64_t)timegm(&parts) - offset;
    return 0;
}

int field_address(const struct object_reader *reader, const struct field *field,
                  struct ip_addr *address)
{
    struct text text = {0};
    int error = field_text(reader, field, &text);

    if (error || text.length == 0)
        return error;
    if (address_parse(text, address))
        return field_refuse(reader, field, "has to be an IPv4 or IPv6 address");
    return 0;
}

static int field_prefix(const struct object_reader *reader, const struct field *field,
                        struct ip_prefix *prefix)
{
    struct text text = {0};
    int error = field_text(reader, field, &text);

    if (error)
        return error;
    if (prefix_parse(text, prefix))
        return field_refuse(reader, field, "has to be a CIDR such as 10.0.0.0/8 or 2001:db8::/32");
    return 0;
}

int field_prefixes(const struct object_reader *reader, const struct field *field,
                   struct ip_prefix **prefixes, size_t *count)
{
    struct ip_prefix *items;
    size_t number = 0;
    int error = field_array(reader, field, &number);

    if (error)
        return error;
    items = arena_allocate(reader->arena, number, sizeof(*items));
    if (!items)
        return -ENOMEM;
    for (size_t i = 0; i < number; i++) {
        struct field element = field_element(field, i);

        error = field_prefix(reader, &element, &items[i]);
        if (error)
            return error;
    }
    *prefixes = items;
    *count = number;
    return 0;
}

int field_labels(const struct object_reader *reader, const struct field *field,
                 struct labels *labels)
{
    struct label *items;
    size_t count = 0;
    const char *key;
    json_t *value;
    int error = field_is_object(reader, field);

    if (error || !field->value)
        return error;
    items = arena_allocate(reader->arena, json_object_size(field->value), sizeof(*items));
    if (!items)
        return -ENOMEM;
    json_object_foreach((json_t *)field->value, key, value)
    {
        struct field member = field_member(field, key);

        items[count].key = text_of(key);
        error = field_text(reader, &member, &items[count].value);
        if (error)
            return error;
        count++;
    }
    labels->items = items;
    labels->count = count;
    return 0;
}

int field_known(const struct object_reader *reader, const struct field *field,
                const char *const *names)
{
    const char *key;
    json_t *value;

    if (!field->value)
        return 0;
    json_object_foreach((json_t *)field->value, key, value)
    {
        const char *const *name = names;

        while (*name && strcmp(*name, key) != 0)
            name++;
        if (!*name) {
            struct field member = {.value = value, .parent = field, .name = key};

            return field_refuse(reader, &member, "no such field: check its spelling and its place");
        }
    }
    return 0;
}

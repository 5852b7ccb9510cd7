/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher/object_parse.h"

#include <errno.h>

static int selector_read_operator(const struct object_reader *reader, const struct field *field,
                                  enum match_operator *match)
{
    static const struct {
        struct text name;
        enum match_operator match;
    } operators[] = {
        {{"In", 2}, MATCH_IN},
        {{"NotIn", 5}, MATCH_NOT_IN},
        {{"Exists", 6}, MATCH_EXISTS},
        {{"DoesNotExist", 12}, MATCH_DOES_NOT_EXIST},
    };
    struct text text = {0};
    int error = field_text(reader, field, &text);

    if (error)
        return error;
    for (size_t i = 0; i < ARRAY_SIZE(operators); i++) {
        if (text_equal(operators[i].name, text)) {
            *match = operators[i].match;
            return 0;
        }
    }
    return field_refuse(reader, field, "has to be In, NotIn, Exists or DoesNotExist");
}

static int selector_read_values(const struct object_reader *reader, const struct field *field,
                                struct requirement *requirement)
{
    size_t count = 0;
    struct text *values;
    int error = field_array(reader, field, &count);

    if (error)
        return error;
    values = arena_allocate(reader->arena, count, sizeof(*values));
    if (!values)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        struct field element = field_element(field, i);

        if (!element.value)
            return field_refuse(reader, &element, "has to be a string");
        error = field_text(reader, &element, &values[i]);
        if (error)
            return error;
    }
    requirement->values = values;
    requirement->value_count = count;
    return 0;
}

/* Here rather than where all objects are checked, because here it is known which expression it is.
 */
static int selector_check_values(const struct object_reader *reader, const struct field *values,
                                 const struct requirement *requirement)
{
    bool wanted = requirement->match == MATCH_IN || requirement->match == MATCH_NOT_IN;

    if (wanted && requirement->value_count == 0)
        return field_refuse(reader, values, "is empty: operators In and NotIn need a value");
    if (!wanted && requirement->value_count != 0)
        return field_refuse(reader, values,
                            "is not empty: operators Exists and DoesNotExist take no values");
    return 0;
}

static int selector_read_expression(const struct object_reader *reader, const struct field *field,
                                    struct requirement *requirement)
{
    static const char *const names[] = {"key", "operator", "values", NULL};
    struct field key = field_member(field, "key");
    struct field operator= field_member(field, "operator");
    struct field values = field_member(field, "values");
    int error;

    if (!field->value || !json_is_object(field->value))
        return field_refuse(reader, field, "has to be an object with key and operator");
    error = field_known(reader, field, names);
    if (!error)
        error = field_text(reader, &key, &requirement->key);
    if (!error && requirement->key.length == 0)
        error = field_refuse(reader, &key, "is required");
    if (!error)
        error = selector_read_operator(reader, &operator, & requirement->match);
    if (!error)
        error = selector_read_values(reader, &values, requirement);
    if (!error)
        error = selector_check_values(reader, &values, requirement);
    return error;
}

/* matchLabels: a requirement of one value for each label. */
static int selector_add_labels(const struct object_reader *reader, const struct labels *labels,
                               struct selector *selector)
{
    for (size_t i = 0; i < labels->count; i++) {
        struct requirement *requirement = &selector->requirements[selector->count++];

        *requirement =
            (struct requirement){.key = labels->items[i].key, .match = MATCH_IN, .value_count = 1};
        requirement->values = arena_allocate(reader->arena, 1, sizeof(struct text));
        if (!requirement->values)
            return -ENOMEM;
        requirement->values[0] = labels->items[i].value;
    }
    return 0;
}

static int selector_add_expressions(const struct object_reader *reader, const struct field *field,
                                    size_t count, struct selector *selector)
{
    for (size_t i = 0; i < count; i++) {
        struct field element = field_element(field, i);
        int error =
            selector_read_expression(reader, &element, &selector->requirements[selector->count]);

        if (error)
            return error;
        selector->count++;
    }
    return 0;
}

int object_selector_read(const struct object_reader *reader, const struct field *field,
                         struct selector *selector)
{
    static const char *const names[] = {"matchLabels", "matchExpressions", NULL};
    struct field labels_field = field_member(field, "matchLabels");
    struct field expressions = field_member(field, "matchExpressions");
    struct labels labels = {0};
    size_t count = 0;
    int error = field_is_object(reader, field);

    if (error || !field->value)
        return error;
    error = field_known(reader, field, names);
    if (!error)
        error = field_labels(reader, &labels_field, &labels);
    if (!error)
        error = field_array(reader, &expressions, &count);
    if (error)
        return error;
    selector->present = true;
    selector->requirements =
        arena_allocate(reader->arena, labels.count + count, sizeof(struct requirement));
    if (!selector->requirements)
        return -ENOMEM;
    error = selector_add_labels(reader, &labels, selector);
    if (!error)
        error = selector_add_expressions(reader, &expressions, count, selector);
    return error;
}

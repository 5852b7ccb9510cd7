/* SPDX-License-Identifier: Apache-2.0 */
#include "planner/selector.h"

static int string_id_order(const void *a, const void *b)
{
    string_id first = *(const string_id *)a, second = *(const string_id *)b;

    return (first > second) - (first < second);
}

static bool condition_has_value(const struct condition *condition, string_id value)
{
    uint32_t low = 0, high = condition->value_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (condition->values[middle] < value)
            low = middle + 1;
        else
            high = middle;
    }
    return low < condition->value_count && condition->values[low] == value;
}

/* Whether a key with this value, or without one (STRING_NONE), meets the condition. */
static bool condition_holds(const struct condition *condition, string_id value)
{
    switch (condition->match) {
    case MATCH_IN:
        return value && condition_has_value(condition, value);
    case MATCH_NOT_IN:
        return !value || !condition_has_value(condition, value);
    case MATCH_EXISTS:
        return value != STRING_NONE;
    case MATCH_DOES_NOT_EXIST:
        return value == STRING_NONE;
    }
    return false;
}

/* The same for a value that every pod has and that never changes. */
static bool requirement_holds(const struct requirement *requirement, struct text value)
{
    bool listed = false;

    for (size_t i = 0; i < requirement->value_count; i++)
        listed |= text_equal(requirement->values[i], value);
    switch (requirement->match) {
    case MATCH_IN:
        return listed;
    case MATCH_NOT_IN:
        return !listed;
    case MATCH_EXISTS:
        return true;
    case MATCH_DOES_NOT_EXIST:
        return false;
    }
    return false;
}

static void conditions_append(struct conditions *conditions, struct strings *strings,
                              enum label_scope scope, struct text key,
                              const struct requirement *requirement)
{
    struct condition condition = {
        .scope = scope,
        .match = requirement->match,
        .key = strings_acquire(strings, key),
        .values = memory_new(requirement->value_count, sizeof(string_id)),
        .value_count = (uint32_t)requirement->value_count,
    };

    for (size_t i = 0; i < requirement->value_count; i++)
        condition.values[i] = strings_acquire(strings, requirement->values[i]);
    qsort(condition.values, condition.value_count, sizeof(string_id), string_id_order);
    conditions->items = memory_resize(conditions->items, conditions->count + 1, sizeof(condition));
    conditions->items[conditions->count++] = condition;
}

void conditions_add(struct conditions *conditions, struct strings *strings, struct text cluster,
                    enum label_scope scope, const struct selector *selector)
{
    const struct text prefix = TEXT(LABEL_NAMESPACE_PREFIX);

    for (size_t i = 0; selector->present && i < selector->count; i++) {
        const struct requirement *requirement = &selector->requirements[i];
        struct text key = requirement->key;

        if (scope == SCOPE_POD && text_equal(key, TEXT(LABEL_CLUSTER))) {
            conditions->never |= !requirement_holds(requirement, cluster);
        } else if (scope == SCOPE_POD && text_starts_with(key, prefix)) {
            key.data += prefix.length;
            key.length -= prefix.length;
            conditions_append(conditions, strings, SCOPE_NAMESPACE, key, requirement);
        } else {
            conditions_append(conditions, strings, scope, key, requirement);
        }
    }
}

void conditions_clear(struct conditions *conditions, struct strings *strings)
{
    for (uint32_t i = 0; i < conditions->count; i++) {
        struct condition *condition = &conditions->items[i];

        for (uint32_t j = 0; j < condition->value_count; j++)
            strings_release(strings, condition->values[j]);
        strings_release(strings, condition->key);
        free(condition->values);
    }
    free(conditions->items);
    *conditions = (struct conditions){0};
}

bool conditions_match(const struct conditions *conditions, const struct subject *subject)
{
    if (conditions->never)
        return false;
    for (uint32_t i = 0; i < conditions->count; i++) {
        const struct condition *condition = &conditions->items[i];
        string_id value = label_set_value(subject->labels[condition->scope], condition->key);

        if (!condition_holds(condition, value))
            return false;
    }
    return true;
}

static bool condition_equal(const struct condition *a, const struct condition *b)
{
    return a->scope == b->scope && a->match == b->match && a->key == b->key &&
           a->value_count == b->value_count &&
           memcmp(a->values, b->values, a->value_count * sizeof(string_id)) == 0;
}

bool conditions_equal(const struct conditions *a, const struct conditions *b)
{
    if (a->never != b->never || a->count != b->count)
        return false;
    for (uint32_t i = 0; i < a->count; i++)
        if (!condition_equal(&a->items[i], &b->items[i]))
            return false;
    return true;
}

bool conditions_use_scope(const struct conditions *conditions, enum label_scope scope)
{
    for (uint32_t i = 0; i < conditions->count; i++)
        if (conditions->items[i].scope == scope)
            return true;
    return false;
}

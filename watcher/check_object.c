/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher/check_private.h"

#include <errno.h>
#include <string.h>

#include "watcher/object_parse.h"

/* An object that was there, by its identity. */
struct check_seen {
    enum object_kind kind;
    struct text name;
    size_t line;
    const char *file;
    char texts[]; /* name and file */
};

static bool seen_equal(const void *item, const void *key)
{
    const struct check_seen *seen = item;
    const struct object_identity *identity = key;

    return seen->kind == identity->kind && text_equal(seen->name, identity->name);
}

static struct check_seen *seen_new(const struct object_identity *identity, const char *file,
                                   size_t line)
{
    size_t length = identity->name.length;
    struct check_seen *seen = malloc(sizeof(*seen) + length + strlen(file) + 1);

    if (!seen)
        return NULL;
    memcpy(seen->texts, identity->name.data, length);
    strcpy(seen->texts + length, file);
    seen->kind = identity->kind;
    seen->name = (struct text){seen->texts, length};
    seen->file = seen->texts + length;
    seen->line = line;
    return seen;
}

void check_forget(struct check *check)
{
    hash_clear(&check->seen, free);
}

/* Of a long path its end is told. */
static void report_again(struct check *check, const struct manifest_item *item,
                         const struct check_seen *seen)
{
    enum { SHOWN = 70 };
    struct object_error error = {.field = "metadata.name"};
    size_t length = strlen(seen->file);

    snprintf(error.reason, sizeof(error.reason),
             "the same object is at %s:%zu already: only one of them can be in force",
             seen->file + (length > SHOWN ? length - SHOWN : 0), seen->line);
    check_report(check, CHECK_WARNING, item, &error);
}

static void check_identity(struct check *check, enum object_kind kind,
                           const struct manifest_item *item)
{
    _cleanup_arena_ struct arena arena = {0};
    struct object_identity identity;
    struct object_error error;
    struct check_seen *seen;
    uint64_t hash;
    int result = object_parse_identity(kind, item->value, &arena, &identity, &error);

    if (result == -ENOMEM)
        check->error = result;
    if (result) /* what has no name is told when the whole object is read */
        return;
    check->seen.equal = seen_equal;
    hash = hash_bytes(identity.name.data, identity.name.length) + (unsigned)kind;
    seen = hash_find(&check->seen, hash, &identity);
    if (seen) {
        report_again(check, item, seen);
        return;
    }
    seen = seen_new(&identity, check->file, item->line);
    if (!seen || hash_add(&check->seen, hash, seen)) {
        free(seen);
        check->error = -ENOMEM;
    }
}

/* The parts of a policy, and for each one that is right. */
static const struct repair {
    const char *name;
    bool list;
    const char *part;
} repairs[] = {
    {"selectors", true, "{\"podSelector\": {}}"},
    {"destinationCIDRs", true, "\"192.0.2.0/24\""},
    {"excludedCIDRs", true, "\"192.0.2.0/24\""},
    {"egressGateway", false, "{\"nodeSelector\": {}}"},
    {"egressGateways", true, "{\"nodeSelector\": {}}"},
};

/* Puts the part in the place of what is at `rest`, which follows the name in the field's path. */
static bool repair_part(json_t *spec, const struct repair *repair, const char *rest)
{
    json_t *part = json_loads(repair->part, JSON_DECODE_ANY, NULL);

    if (repair->list && rest[0] == '[')
        return json_array_set_new(json_object_get(spec, repair->name), strtoul(rest + 1, NULL, 10),
                                  part) == 0;
    if (repair->list)
        part = json_pack("[o]", part);
    return json_object_set_new(spec, repair->name, part) == 0;
}

/* Takes a field out that nobody knows. */
static bool repair_unknown(json_t *spec, const char *field)
{
    const char *key;
    json_t *value;

    field += field[0] == '[';
    json_object_foreach(spec, key, value)
    {
        size_t length = strlen(key);

        if (strncmp(field, key, length) == 0 && strchr(".[]", field[length]))
            return json_object_del(spec, key) == 0;
    }
    return false;
}

/*
 * The reader ends at the first mistake. Its place in a copy of the policy gets something right, so
 * that the next reading finds the next mistake. False: no way to do that.
 */
static bool policy_repair(json_t *policy, const char *field)
{
    json_t *spec = json_object_get(policy, "spec");

    if (strncmp(field, "metadata.", 9) == 0)
        return json_object_set_new(json_object_get(policy, "metadata"), field + 9,
                                   strcmp(field + 9, "name") ? json_null() : json_string("x")) == 0;
    if (strncmp(field, "spec", 4) != 0 || !field[4] || !json_is_object(spec))
        return false;
    field += field[4] == '.' ? 5 : 4;
    for (size_t i = 0; i < ARRAY_SIZE(repairs); i++) {
        size_t length = strlen(repairs[i].name);

        if (strncmp(field, repairs[i].name, length) == 0 && strchr(".[", field[length]))
            return repair_part(spec, &repairs[i], field + length);
    }
    return repair_unknown(spec, field);
}

/* Reports what else is wrong in a policy. */
static void check_more(struct check *check, const struct manifest_item *item,
                       struct object_error *error)
{
    _cleanup_(json_decrefp) json_t *copy = json_deep_copy(item->value);
    char before[sizeof(error->field)] = "";

    for (unsigned told = 1; copy; told++) {
        _cleanup_arena_ struct arena arena = {0};
        struct object object;

        if (strcmp(before, error->field) == 0 || !policy_repair(copy, error->field))
            return;
        strcpy(before, error->field);
        if (object_parse(KIND_POLICY, copy, &arena, &object, error) != -EINVAL)
            return;
        if (told == CHECK_OBJECT_LIMIT) {
            check_report(check, CHECK_NOTE, item,
                         &(struct object_error){.reason = "more is wrong: correct this first"});
            return;
        }
        check_report(check, CHECK_ERROR, item, error);
    }
}

static int object_pack(struct check *check, const struct object *object, struct object_error *error)
{
    struct record record = {.type = RECORD_OBJECT, .object = *object};
    int result = record_pack(&record, &check->buffer);

    if (result)
        *error = (struct object_error){.reason = "is larger than 64 KiB: split it"};
    return result;
}

void check_object(struct check *check, enum object_kind kind, const struct manifest_item *item)
{
    _cleanup_arena_ struct arena arena = {0};
    struct object_error error;
    struct object object;
    int result = object_parse(kind, item->value, &arena, &object, &error);

    check->objects++;
    if (result == -ENOMEM) {
        check->error = result;
        return;
    }
    check_identity(check, kind, item);
    if (!result)
        result = object_pack(check, &object, &error);
    else if (kind == KIND_POLICY) {
        check_report(check, CHECK_ERROR, item, &error);
        check_more(check, item, &error);
        return;
    }
    if (result)
        check_report(check, CHECK_ERROR, item, &error);
    else if (kind == KIND_POLICY)
        check_policy(check, item, &object.policy);
}

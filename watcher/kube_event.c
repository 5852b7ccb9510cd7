/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher/kube_event.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "common/log.h"
#include "watcher/json_memory.h"
#include "watcher/kube_prune.h"
#include "watcher/object_parse.h"

static void json_release(json_t **value)
{
    json_decref(*value);
}

#define _cleanup_json_ _cleanup_(json_release)

static json_t *json_read(const char *data, size_t length, char reason[KUBE_TEXT_SIZE])
{
    json_error_t error;
    json_t *value = json_memory_load(data, length, JSON_REJECT_DUPLICATES, &error);

    if (!value && json_memory_failed())
        snprintf(reason, KUBE_TEXT_SIZE, "out of memory");
    else if (!value)
        snprintf(reason, KUBE_TEXT_SIZE, "invalid JSON: %.160s", error.text);
    return value;
}

/* The same without what nobody reads. Text that cannot be taken apart is read as a whole, so that
 * the parser says what is wrong with it. */
static json_t *json_read_pruned(int (*prune)(enum object_kind kind, const char *data, size_t length,
                                             struct kube_buffer *out),
                                enum object_kind kind, const char *data, size_t length,
                                char reason[KUBE_TEXT_SIZE])
{
    _cleanup_(kube_buffer_clear) struct kube_buffer pruned = {0};

    if (prune(kind, data, length, &pruned))
        return json_read(data, length, reason);
    return json_read(pruned.data, pruned.length, reason);
}

static const char *member_text(const json_t *value, const char *name)
{
    const char *text = json_string_value(json_object_get(value, name));

    return text ? text : "";
}

/* Copies a text that must fit, since a part of it would mean something else. */
static int copy_whole(char *target, size_t size, const char *text)
{
    size_t length = strlen(text);

    if (length >= size)
        return -EBADMSG;
    memcpy(target, text, length + 1);
    return 0;
}

static void warn_invalid(enum object_kind kind, const json_t *value,
                         const struct object_error *error, const char *message)
{
    const json_t *metadata = json_object_get(value, "metadata");

    log_warning(message, log_string(object_kind_name(kind), member_text(metadata, "name")),
                log_string("namespace", member_text(metadata, "namespace")),
                log_string("field", error->field), log_string("value", error->value),
                log_string("reason", error->reason));
}

static int object_apply(enum object_kind kind, const json_t *value, const struct source_sink *sink,
                        char reason[KUBE_TEXT_SIZE])
{
    _cleanup_arena_ struct arena arena = {0};
    struct object_identity identity;
    struct object_error error;
    struct object object;
    int result = object_parse_identity(kind, value, &arena, &identity, &error);

    if (result) {
        snprintf(reason, KUBE_TEXT_SIZE, "%s without an identity: %s %s", object_kind_name(kind),
                 error.field, result == -ENOMEM ? "out of memory" : error.reason);
        return -EBADMSG;
    }
    result = object_parse(kind, value, &arena, &object, &error);
    if (result == -ENOMEM) {
        snprintf(reason, KUBE_TEXT_SIZE, "out of memory");
        return -EBADMSG;
    }
    if (result) {
        warn_invalid(kind, value, &error,
                     "object is invalid, its last valid version stays in force: correct it");
        sink->keep(sink->context, &identity);
        return 0;
    }
    sink->object(sink->context, &object);
    return 0;
}

static int object_remove(enum object_kind kind, const json_t *value, const struct source_sink *sink,
                         char reason[KUBE_TEXT_SIZE])
{
    _cleanup_arena_ struct arena arena = {0};
    struct object_identity identity;
    struct object_error error;

    if (object_parse_identity(kind, value, &arena, &identity, &error)) {
        snprintf(reason, KUBE_TEXT_SIZE, "deleted %s without an identity: %s %s",
                 object_kind_name(kind), error.field, error.reason);
        return -EBADMSG;
    }
    sink->remove(sink->context, &identity);
    return 0;
}

int kube_item_read(enum object_kind kind, const char *data, size_t length,
                   const struct source_sink *sink, char reason[KUBE_TEXT_SIZE])
{
    _cleanup_json_ json_t *value = json_read_pruned(kube_prune_object, kind, data, length, reason);

    return value ? object_apply(kind, value, sink, reason) : -EBADMSG;
}

static int event_type_read(const json_t *root, enum kube_event_type *type,
                           char reason[KUBE_TEXT_SIZE])
{
    static const char *const names[] = {
        [KUBE_ADDED] = "ADDED",       [KUBE_MODIFIED] = "MODIFIED", [KUBE_DELETED] = "DELETED",
        [KUBE_BOOKMARK] = "BOOKMARK", [KUBE_ERROR] = "ERROR",
    };
    const char *text = member_text(root, "type");

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (!strcmp(text, names[i])) {
            *type = (enum kube_event_type)i;
            return 0;
        }
    }
    snprintf(reason, KUBE_TEXT_SIZE, "event of an unknown type \"%.32s\"", text);
    return -EBADMSG;
}

static void error_read(const json_t *status, struct kube_event *event)
{
    const json_t *code = json_object_get(status, "code");

    event->code = json_is_integer(code) ? (long)json_integer_value(code) : 500;
    snprintf(event->reason, sizeof(event->reason), "%s", member_text(status, "message"));
}

/* Whatever else an event is, its object says which version it stands for. */
static int version_read(const json_t *object, struct kube_event *event, char reason[KUBE_TEXT_SIZE])
{
    const json_t *metadata = json_object_get(object, "metadata");
    const json_t *annotations = json_object_get(metadata, "annotations");
    const char *version = member_text(metadata, "resourceVersion");

    if (!*version || copy_whole(event->version, sizeof(event->version), version)) {
        snprintf(reason, KUBE_TEXT_SIZE, "event without a usable resourceVersion");
        return -EBADMSG;
    }
    event->initial_end = event->type == KUBE_BOOKMARK &&
                         !strcmp(member_text(annotations, "k8s.io/initial-events-end"), "true");
    return 0;
}

int kube_event_read(enum object_kind kind, const char *data, size_t length,
                    const struct source_sink *sink, struct kube_event *event,
                    char reason[KUBE_TEXT_SIZE])
{
    _cleanup_json_ json_t *root = json_read_pruned(kube_prune_event, kind, data, length, reason);
    const json_t *object = json_object_get(root, "object");
    struct kube_event read = {0};
    int error = root ? event_type_read(root, &read.type, reason) : -EBADMSG;

    if (error)
        return error;
    if (read.type == KUBE_ERROR)
        error_read(object, &read);
    else
        error = version_read(object, &read, reason);
    if (!error && (read.type == KUBE_ADDED || read.type == KUBE_MODIFIED))
        error = object_apply(kind, object, sink, reason);
    if (!error && read.type == KUBE_DELETED)
        error = object_remove(kind, object, sink, reason);
    if (!error)
        *event = read;
    return error;
}

int kube_envelope_read(const char *data, size_t length, struct kube_envelope *envelope,
                       char reason[KUBE_TEXT_SIZE])
{
    _cleanup_json_ json_t *root = json_read(data, length, reason);
    const json_t *metadata = json_object_get(root, "metadata");
    const char *kind = member_text(root, "kind");
    size_t kind_length = strlen(kind);
    const char *version = member_text(metadata, "resourceVersion");

    if (!root)
        return -EBADMSG;
    if (kind_length < 4 || strcmp(kind + kind_length - 4, "List") ||
        !json_is_array(json_object_get(root, "items"))) {
        snprintf(reason, KUBE_TEXT_SIZE, "no list but kind \"%.64s\"", kind);
        return -EBADMSG;
    }
    if (!*version || copy_whole(envelope->version, sizeof(envelope->version), version) ||
        copy_whole(envelope->next, sizeof(envelope->next), member_text(metadata, "continue"))) {
        snprintf(reason, KUBE_TEXT_SIZE, "list without a usable resourceVersion or continue");
        return -EBADMSG;
    }
    return 0;
}

void kube_status_read(const char *data, size_t length, char reason[KUBE_TEXT_SIZE])
{
    json_error_t error;
    _cleanup_json_ json_t *root = json_loadb(data, length, 0, &error);
    const char *message = member_text(root, "message");

    if (*message)
        snprintf(reason, KUBE_TEXT_SIZE, "%s", message);
    else
        snprintf(reason, KUBE_TEXT_SIZE, "%.*s", length < 200 ? (int)length : 200,
                 length ? data : "");
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher/manifests.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/log.h"
#include "watcher/object_parse.h"

static void place_format(const struct manifest_file *file, size_t line, char *place, size_t size)
{
    if (line)
        snprintf(place, size, "%s/%s:%zu", file->directory->path, file->name, line);
    else
        snprintf(place, size, "%s/%s", file->directory->path, file->name);
}

static void file_warn(const struct manifest_file *file, size_t line, const char *message,
                      const char *reason)
{
    char place[512];

    place_format(file, line, place, sizeof(place));
    log_warning(message, log_string("file", place), log_string("reason", reason));
}

/* What is read from a file at a time. */
struct manifest_reading {
    struct manifest_file *file;
    int error; /* -ENOMEM */
};

static void object_warn(const struct manifest_reading *reading, const struct manifest_item *item,
                        const char *message, enum object_kind kind,
                        const struct object_error *error)
{
    char place[512];

    place_format(reading->file, manifest_line(item, error), place, sizeof(place));
    log_warning(message, log_string(object_kind_name(kind), manifest_object_name(item->value)),
                log_string("field", error->field), log_string("value", error->value),
                log_string("reason", error->reason), log_string("file", place));
}

/* The object is invalid: what was good of it before stays. */
static void reading_refuse(struct manifest_reading *reading, enum object_kind kind,
                           const struct manifest_item *item, const struct object_identity *identity,
                           const struct object_error *error)
{
    struct manifest_object *known = manifest_find(reading->file, identity);

    if (known)
        known->reading = reading->file->reading;
    object_warn(reading, item,
                known ? "invalid object, its last valid version stays in force: correct it"
                      : "invalid object is left out: correct it",
                kind, error);
}

/* Whether this reading of the file has had the object already. */
static bool reading_has(const struct manifest_reading *reading, enum object_kind kind,
                        const struct manifest_item *item, const struct object_identity *identity)
{
    const struct manifest_object *known = manifest_find(reading->file, identity);

    if (!known || known->reading != reading->file->reading)
        return false;
    file_warn(reading->file, item->line,
              "the same object is in the file twice, the first one is used: remove one",
              object_kind_name(kind));
    return true;
}

static bool object_is_local(const struct manifests *source, const struct object *object)
{
    return object->kind != KIND_POD || text_equal(object->pod.node, text_of(source->node));
}

static int reading_pack(struct manifest_reading *reading, const struct object *object,
                        struct object_error *error)
{
    struct record record = {.type = RECORD_OBJECT, .object = *object};
    int result = record_pack(&record, &reading->file->directory->source->buffer);

    if (result)
        snprintf(error->reason, sizeof(error->reason), "%s",
                 result == -EMSGSIZE ? "is larger than 64 KiB: split it" : strerror(-result));
    return result;
}

static void reading_object(void *context, enum object_kind kind, const struct manifest_item *item)
{
    struct manifest_reading *reading = context;
    _cleanup_arena_ struct arena arena = {0};
    struct object_identity identity;
    struct object_error error;
    struct object object;
    int result = object_parse_identity(kind, item->value, &arena, &identity, &error);

    if (result == -EINVAL) {
        object_warn(reading, item, "object without a name is left out: correct it", kind, &error);
        return;
    }
    if (!result && reading_has(reading, kind, item, &identity))
        return;
    if (!result)
        result = object_parse(kind, item->value, &arena, &object, &error);
    if (!result)
        result = reading_pack(reading, &object, &error);
    if (!result)
        result = manifest_put(reading->file, &identity,
                              object_is_local(reading->file->directory->source, &object));
    if (result == -ENOMEM)
        reading->error = result;
    else if (result)
        reading_refuse(reading, kind, item, &identity, &error);
}

static void reading_other(void *context, const struct manifest_item *item)
{
    const struct manifest_reading *reading = context;

    log_debug("object of another kind is left out", log_string("kind", item->kind),
              log_string("api-version", item->api_version),
              log_string("object", manifest_object_name(item->value)),
              log_string("file", reading->file->name));
}

static void reading_stray(void *context, const struct manifest_item *item)
{
    const struct manifest_reading *reading = context;

    file_warn(reading->file, item->line, "what is no object of the API is left out",
              "an object needs apiVersion and kind");
}

/* Replaces the objects of the file by those in the documents. */
static int file_take(struct manifest_file *file, const struct document_list *documents)
{
    static const struct manifest_visitor visitor = {reading_object, reading_other, reading_stray};
    struct manifest_reading reading = {.file = file};
    struct manifest_object *object, *next;

    file->reading++;
    for (size_t i = 0; i < documents->count; i++)
        manifest_walk(&documents->items[i], &visitor, &reading);
    if (reading.error)
        return reading.error; /* nothing is taken away */
    for (object = TAILQ_FIRST(&file->objects); object; object = next) {
        next = TAILQ_NEXT(object, of_file);
        if (object->reading != file->reading)
            manifest_drop(object);
    }
    return 0;
}

static int file_open(const struct manifest_file *file)
{
    /* O_NONBLOCK: a FIFO of that name must not make us wait. */
    int fd = openat(file->directory->fd, file->name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat status;
    int error = 0;

    if (fd < 0)
        return -errno;
    if (fstat(fd, &status) < 0)
        error = -errno;
    else if (S_ISDIR(status.st_mode))
        error = -ENOENT; /* not a manifest */
    else if (!S_ISREG(status.st_mode))
        error = -EINVAL;
    if (!error)
        return fd;
    close(fd);
    return error;
}

static int file_parse(const struct manifest_file *file, const char *data, size_t length,
                      struct document_list *documents)
{
    struct document_error refused = {0};
    int error = manifest_parse(file->name, data, length, documents, &refused);

    if (error == -EINVAL)
        file_warn(file, refused.line,
                  "file does not parse, its last good objects stay in force: correct it",
                  refused.reason);
    return error;
}

int manifest_file_read(struct manifest_file *file)
{
    _cleanup_documents_ struct document_list documents = {0};
    _cleanup_close_ int fd = file_open(file);
    _cleanup_free_ char *data = NULL;
    size_t length = 0;
    int error = fd < 0 ? fd : manifest_load(fd, &data, &length);

    if (error == -ENOENT)
        return error;
    if (error == -EFBIG) {
        file_warn(file, 0, "file is too large, its last good objects stay in force: split it",
                  "more than 16 MiB");
        return error;
    }
    if (error) {
        file_warn(file, 0, "cannot read file, its last good objects stay in force",
                  error == -EINVAL ? "is not a regular file" : strerror(-error));
        return error;
    }
    error = file_parse(file, data, length, &documents);
    if (!error)
        error = file_take(file, &documents);
    if (error == -ENOMEM)
        file_warn(file, 0, "not enough memory to read file, what was known stays in force",
                  "out of memory");
    else if (!error)
        log_debug("file read", log_string("file", file->name));
    return error;
}

void manifest_file_free(struct manifest_file *file)
{
    struct manifest_object *object;

    while ((object = TAILQ_FIRST(&file->objects)))
        manifest_drop(object);
    free(file);
}

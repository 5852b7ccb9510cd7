/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher/manifests.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/log.h"
#include "watcher/object_parse.h"

static bool name_ends_with(const char *name, const char *end)
{
    size_t length = strlen(name);
    size_t tail = strlen(end);

    return length > tail && strcmp(name + length - tail, end) == 0;
}

bool manifest_name_matches(const char *name)
{
    if (name[0] == '.' || name[0] == '#')
        return false;
    return name_ends_with(name, ".yaml") || name_ends_with(name, ".yml") ||
           name_ends_with(name, ".json");
}

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
    size_t line; /* of the document */
    int error;   /* -ENOMEM */
};

static void object_warn(const struct manifest_reading *reading, const char *message,
                        enum object_kind kind, const char *name, const struct object_error *error)
{
    char place[512];

    place_format(reading->file, reading->line, place, sizeof(place));
    log_warning(message, log_string(object_kind_name(kind), name),
                log_string("field", error->field), log_string("value", error->value),
                log_string("reason", error->reason), log_string("file", place));
}

static const char *object_name(const json_t *value)
{
    const char *name =
        json_string_value(json_object_get(json_object_get(value, "metadata"), "name"));

    return name ? name : "?";
}

/* The object is invalid: what was good of it before stays. */
static void reading_refuse(struct manifest_reading *reading, enum object_kind kind,
                           const json_t *value, const struct object_identity *identity,
                           const struct object_error *error)
{
    struct manifest_object *known = manifest_find(reading->file, identity);

    if (known)
        known->reading = reading->file->reading;
    object_warn(reading,
                known ? "invalid object, its last valid version stays in force: correct it"
                      : "invalid object is left out: correct it",
                kind, object_name(value), error);
}

/* Whether this reading of the file has had the object already. */
static bool reading_has(const struct manifest_reading *reading, enum object_kind kind,
                        const struct object_identity *identity)
{
    const struct manifest_object *known = manifest_find(reading->file, identity);

    if (!known || known->reading != reading->file->reading)
        return false;
    file_warn(reading->file, reading->line,
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

static void reading_object(struct manifest_reading *reading, enum object_kind kind,
                           const json_t *value)
{
    _cleanup_arena_ struct arena arena = {0};
    struct object_identity identity;
    struct object_error error;
    struct object object;
    int result = object_parse_identity(kind, value, &arena, &identity, &error);

    if (result == -EINVAL) {
        object_warn(reading, "object without a name is left out: correct it", kind,
                    object_name(value), &error);
        return;
    }
    if (!result && reading_has(reading, kind, &identity))
        return;
    if (!result)
        result = object_parse(kind, value, &arena, &object, &error);
    if (!result)
        result = reading_pack(reading, &object, &error);
    if (!result)
        result = manifest_put(reading->file, &identity,
                              object_is_local(reading->file->directory->source, &object));
    if (result == -ENOMEM)
        reading->error = result;
    else if (result)
        reading_refuse(reading, kind, value, &identity, &error);
}

static void reading_value(struct manifest_reading *reading, const json_t *value,
                          const char *api_version, const char *kind_name, unsigned depth);

/* A List, or a list of one kind ("PodList"), whose items may leave their kind out. */
static bool reading_list(struct manifest_reading *reading, const json_t *value,
                         const char *api_version, const char *kind_name, unsigned depth)
{
    const json_t *items = json_object_get(value, "items");
    size_t length = strlen(kind_name);
    char item_kind[64];

    if (length < 4 || length > sizeof(item_kind) || strcmp(kind_name + length - 4, "List") != 0)
        return false;
    if (!json_is_array(items) || depth == MANIFEST_LIST_DEPTH)
        return false;
    snprintf(item_kind, sizeof(item_kind), "%.*s", (int)length - 4, kind_name);
    for (size_t i = 0; i < json_array_size(items); i++)
        reading_value(reading, json_array_get(items, i), api_version, item_kind, depth + 1);
    return true;
}

static void reading_value(struct manifest_reading *reading, const json_t *value,
                          const char *api_version, const char *kind_name, unsigned depth)
{
    const char *own_version = json_string_value(json_object_get(value, "apiVersion"));
    const char *own_kind = json_string_value(json_object_get(value, "kind"));
    enum object_kind kind;

    if (own_kind) {
        api_version = own_version ? own_version : "";
        kind_name = own_kind;
    }
    if (!json_is_object(value) || kind_name[0] == '\0') {
        file_warn(reading->file, reading->line, "what is no object of the API is left out",
                  "an object needs apiVersion and kind");
        return;
    }
    if (reading_list(reading, value, api_version, kind_name, depth))
        return;
    if (object_kind_named(api_version, kind_name, &kind) == 0)
        reading_object(reading, kind, value);
    else
        log_debug("object of another kind is left out", log_string("kind", kind_name),
                  log_string("api-version", api_version), log_string("object", object_name(value)),
                  log_string("file", reading->file->name));
}

/* Replaces the objects of the file by those in the documents. */
static int file_take(struct manifest_file *file, const struct document_list *documents)
{
    struct manifest_reading reading = {.file = file};
    struct manifest_object *object, *next;

    file->reading++;
    for (size_t i = 0; i < documents->count; i++) {
        reading.line = documents->items[i].line;
        reading_value(&reading, documents->items[i].root, "", "", 0);
    }
    if (reading.error)
        return reading.error; /* nothing is taken away */
    for (object = TAILQ_FIRST(&file->objects); object; object = next) {
        next = TAILQ_NEXT(object, of_file);
        if (object->reading != file->reading)
            manifest_drop(object);
    }
    return 0;
}

static int file_load(int fd, char **data, size_t *length)
{
    _cleanup_free_ char *bytes = NULL;
    size_t capacity = 0, used = 0;
    ssize_t got;

    do {
        if (used == capacity) {
            char *more = realloc(bytes, capacity ? capacity * 2 : 65536);

            if (!more)
                return -ENOMEM;
            bytes = more;
            capacity = capacity ? capacity * 2 : 65536;
        }
        got = read(fd, bytes + used, capacity - used);
        if (got < 0 && errno != EINTR)
            return -errno;
        used += got > 0 ? (size_t)got : 0;
        if (used > MANIFEST_SIZE_LIMIT)
            return -EFBIG;
    } while (got != 0);
    *data = TAKE_PTR(bytes);
    *length = used;
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
    int error;

    if (name_ends_with(file->name, ".json"))
        error = json_tree_read(data, length, documents, &refused);
    else
        error = yaml_tree_read(data, length, documents, &refused);
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
    int error = fd < 0 ? fd : file_load(fd, &data, &length);

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

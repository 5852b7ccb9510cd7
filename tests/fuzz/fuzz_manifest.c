/* SPDX-License-Identifier: Apache-2.0 */
/* Any manifest, YAML or JSON: each object in it is refused with field and line, or can be sent. */
#include "fuzz.h"

#include <errno.h>

#include "ipc/record.h"
#include "watcher/manifest_walk.h"
#include "watcher/object_parse.h"

struct lines {
    size_t most; /* the file has no more */
};

static void line_check(const struct lines *lines, size_t line)
{
    FUZZ_CHECK(line >= 1 && line <= lines->most);
}

static void object_send(const struct object *object)
{
    static struct record_buffer buffer;
    const struct record record = {.type = RECORD_OBJECT, .generation = 1, .object = *object};
    int error = record_pack(&record, &buffer);

    FUZZ_CHECK(error == 0 || error == -EMSGSIZE);
}

static void visit_object(void *context, enum object_kind kind, const struct manifest_item *item)
{
    _cleanup_arena_ struct arena arena = {0};
    struct object_identity identity;
    struct object_error error = {0};
    struct object object;

    line_check(context, item->line);
    if (object_parse_identity(kind, item->value, &arena, &identity, &error) == 0 &&
        object_parse(kind, item->value, &arena, &object, &error) == 0) {
        object_send(&object);
        return;
    }
    FUZZ_CHECK(error.reason[0]);
    line_check(context, manifest_line(item, &error));
}

static void visit_other(void *context, const struct manifest_item *item)
{
    line_check(context, item->line);
    FUZZ_CHECK(manifest_object_name(item->value));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct manifest_visitor visitor = {visit_object, visit_other, visit_other};
    bool json = fuzz_byte(&data, &size) & 1;
    _cleanup_free_ char *copy = fuzz_copy(data, size);
    _cleanup_documents_ struct document_list documents = {0};
    struct document_error refused = {0};
    struct lines lines = {.most = 2}; /* the end of the file may count as a line */
    int error = manifest_parse(json ? "fuzz.json" : "fuzz.yaml", copy, size, &documents, &refused);

    for (size_t i = 0; i < size; i++) /* a carriage return, and what Unicode has, end lines too */
        lines.most += copy[i] == '\n' || copy[i] == '\r' || (copy[i] & 0x80);
    if (error) {
        FUZZ_CHECK(error == -EINVAL && refused.reason[0]);
        line_check(&lines, refused.line);
        return 0;
    }
    for (size_t i = 0; i < documents.count; i++)
        manifest_walk(&documents.items[i], &visitor, &lines);
    return 0;
}

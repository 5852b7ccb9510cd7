/* SPDX-License-Identifier: Apache-2.0 */
/* Framing: the head of a record, and which body belongs to which type. */
#include "ipc/record.h"

#include <errno.h>
#include <string.h>

#include "ipc/codec.h"
#include "ipc/prescan.h"

enum {
    /* The head always has the same bytes: 0x94, version, type, 0xcf, generation in 8 bytes. */
    HEAD_ARRAY = 0x94,
    HEAD_UINT64 = 0xcf,
    HEAD_SIZE = 12,
    GENERATION_OFFSET = 4,
    POSITIVE_FIXINT_MAX = 0x7f,

    /* What one record may take from an arena that has no limit of its own. */
    ARENA_LIMIT = 1 << 20,
    ERRNO_LIMIT = 4095,
};

static void put_nothing(struct codec_writer *writer, const struct record *record _unused_)
{
    codec_put_nil(writer);
}

static void get_nothing(struct codec_fields *fields, struct record *record _unused_)
{
    if (!codec_get_nil(fields))
        codec_refuse(fields->reader, "a field has the wrong type");
}

static void put_kind(struct codec_writer *writer, const struct record *record)
{
    if ((unsigned)record->kind >= KINDS)
        writer->error = -EINVAL;
    else
        codec_put_unsigned(writer, record->kind);
}

static void get_kind(struct codec_fields *fields, struct record *record)
{
    record->kind = (enum object_kind)codec_get_unsigned(fields, KINDS - 1);
}

static void put_object(struct codec_writer *writer, const struct record *record)
{
    codec_put_object(writer, &record->object);
}

static void get_object(struct codec_fields *fields, struct record *record)
{
    codec_get_object(fields, &record->object);
}

static void put_identity(struct codec_writer *writer, const struct record *record)
{
    codec_put_identity(writer, &record->identity);
}

static void get_identity(struct codec_fields *fields, struct record *record)
{
    codec_get_identity(fields, &record->identity);
}

static void put_scope(struct codec_writer *writer, const struct record *record)
{
    codec_put_bool(writer, record->all_pods);
}

static void get_scope(struct codec_fields *fields, struct record *record)
{
    record->all_pods = codec_get_bool(fields);
}

static void put_entries(struct codec_writer *writer, const struct record *record)
{
    codec_put_entries(writer, record->entries.items, record->entries.count);
}

static void get_entries(struct codec_fields *fields, struct record *record)
{
    codec_get_entries(fields, &record->entries.items, &record->entries.count);
}

static void put_refusal(struct codec_writer *writer, const struct record *record)
{
    if (record->refusal.error <= 0 || record->refusal.error > ERRNO_LIMIT ||
        record->refusal.text.length > RECORD_TEXT_LIMIT) {
        writer->error = -EINVAL;
        return;
    }
    codec_put_array(writer, 2);
    codec_put_unsigned(writer, (uint64_t)record->refusal.error);
    codec_put_text(writer, record->refusal.text);
}

static void get_refusal(struct codec_fields *from, struct record *record)
{
    struct codec_fields fields = codec_get_array(from, 2);

    record->refusal.error = (int)codec_get_unsigned(&fields, ERRNO_LIMIT);
    record->refusal.text = codec_get_text(&fields, RECORD_TEXT_LIMIT);
    if (record->refusal.error == 0)
        codec_refuse(from->reader, "a refusal without an error");
}

/* The table of records: limits of a body, and its pack and unpack. */
static const struct record_format {
    const char *name;
    struct prescan_limits limits;
    void (*put)(struct codec_writer *writer, const struct record *record);
    void (*get)(struct codec_fields *fields, struct record *record);
} formats[RECORD_TYPES] = {
    [RECORD_SYNC_BEGIN] = {"sync-begin", {1, 0}, put_kind, get_kind},
    [RECORD_OBJECT] = {"object", {32768, LIMIT_CIDRS}, put_object, get_object},
    [RECORD_DELETE] = {"delete", {4, 3}, put_identity, get_identity},
    [RECORD_SYNC_END] = {"sync-end", {1, 0}, put_kind, get_kind},
    [RECORD_SCOPE] = {"scope", {1, 0}, put_scope, get_scope},
    [RECORD_ACKNOWLEDGE] = {"acknowledge", {1, 0}, put_nothing, get_nothing},
    [RECORD_SNAPSHOT] = {"snapshot", {1, 0}, put_nothing, get_nothing},
    [RECORD_CHANGE] = {"change", {1, 0}, put_nothing, get_nothing},
    [RECORD_ENTRIES] = {"entries",
                        {1 + 10 * RECORD_ENTRIES_LIMIT, RECORD_ENTRIES_LIMIT},
                        put_entries,
                        get_entries},
    [RECORD_COMMIT] = {"commit", {1, 0}, put_nothing, get_nothing},
    [RECORD_REFUSE] = {"refuse", {3, 2}, put_refusal, get_refusal},
    [RECORD_STATUS] = {"status",
                       {4 + 7 * STATUS_RECORD_LIMIT, STATUS_RECORD_LIMIT},
                       codec_put_status,
                       codec_get_status},
};

static const struct record_format *format_find(unsigned type)
{
    return type < RECORD_TYPES && formats[type].name ? &formats[type] : NULL;
}

const char *record_type_name(enum record_type type)
{
    const struct record_format *format = format_find((unsigned)type);

    return format ? format->name : "unknown";
}

static void head_write(struct record_buffer *buffer, enum record_type type)
{
    buffer->data[0] = HEAD_ARRAY;
    buffer->data[1] = RECORD_VERSION;
    buffer->data[2] = (unsigned char)type;
    buffer->data[3] = HEAD_UINT64;
    buffer->length = HEAD_SIZE;
}

void record_set_generation(struct record_buffer *buffer, uint64_t generation)
{
    for (int i = 7; i >= 0; i--, generation >>= 8)
        buffer->data[GENERATION_OFFSET + i] = (unsigned char)generation;
}

int record_pack(const struct record *record, struct record_buffer *buffer)
{
    const struct record_format *format = format_find((unsigned)record->type);
    struct codec_writer writer;
    const char *why;
    int error;

    if (!format)
        return -EINVAL;
    codec_writer_start(&writer, buffer);
    head_write(buffer, record->type);
    record_set_generation(buffer, record->generation);
    format->put(&writer, record);
    error = writer.error;
    if (!error) /* What the peer would refuse is not sent. */
        error =
            prescan(buffer->data + HEAD_SIZE, buffer->length - HEAD_SIZE, &format->limits, &why);
    if (error)
        buffer->length = 0;
    return error;
}

/* Checks the head and every count in the body: from here on msgpack-c can be trusted with it. */
static int record_scan(const unsigned char *data, size_t length, const char **why)
{
    const struct record_format *format;
    int error;

    if (length > RECORD_SIZE_LIMIT) {
        *why = "larger than a record may be";
        return -EBADMSG;
    }
    if (length < HEAD_SIZE) {
        *why = "truncated";
        return -EBADMSG;
    }
    if (data[0] != HEAD_ARRAY || data[1] > POSITIVE_FIXINT_MAX || data[3] != HEAD_UINT64) {
        *why = "not the head of a record";
        return -EBADMSG;
    }
    if (data[1] != RECORD_VERSION) {
        *why = "another version of the protocol: run the same release of all daemons";
        return -EPROTONOSUPPORT;
    }
    format = format_find(data[2]);
    if (!format) {
        *why = "no such type of record";
        return -EBADMSG;
    }
    error = prescan(data + HEAD_SIZE, length - HEAD_SIZE, &format->limits, why);
    return error ? -EBADMSG : 0;
}

static uint64_t generation_read(const unsigned char *data)
{
    uint64_t generation = 0;

    for (int i = 0; i < 8; i++)
        generation = generation << 8 | data[GENERATION_OFFSET + i];
    return generation;
}

static void body_read(const void *data, size_t length, struct codec_reader *reader,
                      struct record *record)
{
    struct codec_fields fields = {.left = 1, .reader = reader};
    msgpack_object body;
    msgpack_zone zone;
    size_t offset = 0;

    if (!msgpack_zone_init(&zone, MSGPACK_ZONE_CHUNK_SIZE)) {
        reader->error = -ENOMEM;
        return;
    }
    switch (msgpack_unpack(data, length, &offset, &zone, &body)) {
    case MSGPACK_UNPACK_SUCCESS:
        fields.next = &body;
        formats[record->type].get(&fields, record);
        break;
    case MSGPACK_UNPACK_NOMEM_ERROR:
        reader->error = -ENOMEM;
        break;
    default:
        codec_refuse(reader, "not msgpack");
        break;
    }
    msgpack_zone_destroy(&zone);
}

int record_unpack(const void *data, size_t length, struct arena *arena, struct record *record,
                  const char **why)
{
    struct codec_reader reader = {.arena = arena};
    const unsigned char *bytes = data;
    struct record result = {0};
    int error = record_scan(bytes, length, why);
    bool unlimited = arena->limit == 0;

    if (error)
        return error;
    result.type = (enum record_type)bytes[2];
    result.generation = generation_read(bytes);
    if (unlimited)
        arena->limit = arena->used + ARENA_LIMIT;
    body_read(bytes + HEAD_SIZE, length - HEAD_SIZE, &reader, &result);
    if (unlimited)
        arena->limit = 0;
    if (reader.error) {
        *why = reader.error == -ENOMEM ? "no memory for it" : reader.why;
        return reader.error;
    }
    *record = result;
    return 0;
}

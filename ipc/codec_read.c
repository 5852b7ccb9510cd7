/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "ipc/codec.h"

void codec_refuse(struct codec_reader *reader, const char *why)
{
    if (reader->error)
        return;
    reader->error = -EBADMSG;
    reader->why = why;
}

/* The next field where it has the type; NULL and an error otherwise. */
static const msgpack_object *fields_take(struct codec_fields *fields, msgpack_object_type type)
{
    if (fields->reader->error)
        return NULL;
    if (fields->left == 0) {
        codec_refuse(fields->reader, "a field is missing");
        return NULL;
    }
    if (fields->next->type != type) {
        codec_refuse(fields->reader, "a field has the wrong type");
        return NULL;
    }
    fields->left--;
    return fields->next++;
}

static void *reader_allocate(struct codec_reader *reader, size_t count, size_t size)
{
    void *memory = reader->error ? NULL : arena_allocate(reader->arena, count, size);

    if (!memory && !reader->error)
        reader->error = -ENOMEM;
    return memory;
}

struct codec_fields codec_get_any_array(struct codec_fields *fields)
{
    const msgpack_object *array = fields_take(fields, MSGPACK_OBJECT_ARRAY);

    if (!array)
        return (struct codec_fields){.reader = fields->reader};
    return (struct codec_fields){array->via.array.ptr, array->via.array.size, fields->reader};
}

struct codec_fields codec_get_array(struct codec_fields *fields, size_t count)
{
    struct codec_fields result = codec_get_any_array(fields);

    if (!fields->reader->error && result.left != count)
        codec_refuse(fields->reader, "an array has the wrong number of fields");
    return result;
}

void *codec_get_list(struct codec_fields *fields, size_t limit, size_t item_size,
                     struct codec_fields *list, size_t *count)
{
    const msgpack_object *array = fields_take(fields, MSGPACK_OBJECT_ARRAY);
    void *memory = NULL;

    if (array && array->via.array.size > limit)
        codec_refuse(fields->reader, "a list is too long");
    if (array)
        memory = reader_allocate(fields->reader, array->via.array.size, item_size);
    *list = (struct codec_fields){.reader = fields->reader};
    *count = 0;
    if (memory) {
        *count = list->left = array->via.array.size;
        list->next = array->via.array.ptr;
    }
    return memory;
}

bool codec_get_nil(struct codec_fields *fields)
{
    if (fields->reader->error || !fields->left || fields->next->type != MSGPACK_OBJECT_NIL)
        return false;
    fields->next++;
    fields->left--;
    return true;
}

bool codec_get_bool(struct codec_fields *fields)
{
    const msgpack_object *value = fields_take(fields, MSGPACK_OBJECT_BOOLEAN);

    return value && value->via.boolean;
}

uint64_t codec_get_unsigned(struct codec_fields *fields, uint64_t limit)
{
    const msgpack_object *value = fields_take(fields, MSGPACK_OBJECT_POSITIVE_INTEGER);

    if (!value)
        return 0;
    if (value->via.u64 > limit) {
        codec_refuse(fields->reader, "a number is out of range");
        return 0;
    }
    return value->via.u64;
}

int64_t codec_get_signed(struct codec_fields *fields)
{
    const msgpack_object *value;

    if (!fields->left || fields->next->type != MSGPACK_OBJECT_NEGATIVE_INTEGER)
        return (int64_t)codec_get_unsigned(fields, INT64_MAX);
    value = fields_take(fields, MSGPACK_OBJECT_NEGATIVE_INTEGER);
    return value ? value->via.i64 : 0;
}

static struct text text_read(struct codec_reader *reader, const msgpack_object *value, size_t limit)
{
    struct text text = {value->via.str.ptr, value->via.str.size};

    if (text.length > limit)
        codec_refuse(reader, "a string is too long");
    else if (text.length && memchr(text.data, '\0', text.length))
        codec_refuse(reader, "a string has a NUL byte in it");
    return reader->error ? (struct text){0} : text;
}

struct text codec_get_text(struct codec_fields *fields, size_t limit)
{
    const msgpack_object *value = fields_take(fields, MSGPACK_OBJECT_STR);

    return value ? text_read(fields->reader, value, limit) : (struct text){0};
}

struct ip_addr codec_get_address(struct codec_fields *fields)
{
    const msgpack_object *value = fields_take(fields, MSGPACK_OBJECT_BIN);
    struct ip_addr address = {0};

    if (value && value->via.bin.size != sizeof(address.bytes))
        codec_refuse(fields->reader, "an address does not have 16 bytes");
    else if (value)
        memcpy(address.bytes, value->via.bin.ptr, sizeof(address.bytes));
    return address;
}

struct ip_addr *codec_get_addresses(struct codec_fields *fields, size_t limit, size_t *count)
{
    struct codec_fields list;
    struct ip_addr *items = codec_get_list(fields, limit, sizeof(*items), &list, count);

    for (size_t i = 0; i < *count; i++)
        items[i] = codec_get_address(&list);
    return items;
}

struct ip_prefix *codec_get_prefixes(struct codec_fields *fields, size_t limit, size_t *count)
{
    struct codec_fields list;
    struct ip_prefix *items = codec_get_list(fields, limit, sizeof(*items), &list, count);

    for (size_t i = 0; i < *count; i++) {
        struct codec_fields prefix = codec_get_array(&list, 2);

        items[i].address = codec_get_address(&prefix);
        items[i].length = (uint8_t)codec_get_unsigned(&prefix, 128);
    }
    return items;
}

struct labels codec_get_labels(struct codec_fields *fields)
{
    const msgpack_object *map = fields_take(fields, MSGPACK_OBJECT_MAP);
    struct labels labels = {0};

    if (map && map->via.map.size > LIMIT_LABELS)
        codec_refuse(fields->reader, "a list is too long");
    if (map)
        labels.items = reader_allocate(fields->reader, map->via.map.size, sizeof(*labels.items));
    if (!labels.items)
        return labels;
    labels.count = map->via.map.size;
    for (size_t i = 0; i < labels.count; i++) {
        const msgpack_object_kv *pair = &map->via.map.ptr[i];
        struct codec_fields key = {&pair->key, 1, fields->reader};
        struct codec_fields value = {&pair->val, 1, fields->reader};

        labels.items[i].key = codec_get_text(&key, LIMIT_LABEL_KEY);
        labels.items[i].value = codec_get_text(&value, LIMIT_LABEL_VALUE);
    }
    return labels;
}

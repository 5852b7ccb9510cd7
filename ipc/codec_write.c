/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "ipc/codec.h"

static int writer_append(void *context, const char *data, size_t length)
{
    struct codec_writer *writer = context;
    struct record_buffer *buffer = writer->buffer;

    if (!writer->error && length > sizeof(buffer->data) - buffer->length)
        writer->error = -EMSGSIZE;
    if (writer->error)
        return -1;
    memcpy(buffer->data + buffer->length, data, length);
    buffer->length += length;
    return 0;
}

void codec_writer_start(struct codec_writer *writer, struct record_buffer *buffer)
{
    *writer = (struct codec_writer){.buffer = buffer};
    msgpack_packer_init(&writer->packer, writer, writer_append);
    buffer->length = 0;
}

void codec_put_array(struct codec_writer *writer, size_t count)
{
    msgpack_pack_array(&writer->packer, count);
}

void codec_put_nil(struct codec_writer *writer)
{
    msgpack_pack_nil(&writer->packer);
}

void codec_put_bool(struct codec_writer *writer, bool value)
{
    if (value)
        msgpack_pack_true(&writer->packer);
    else
        msgpack_pack_false(&writer->packer);
}

void codec_put_unsigned(struct codec_writer *writer, uint64_t value)
{
    msgpack_pack_uint64(&writer->packer, value);
}

void codec_put_signed(struct codec_writer *writer, int64_t value)
{
    msgpack_pack_int64(&writer->packer, value);
}

void codec_put_text(struct codec_writer *writer, struct text text)
{
    if (text.length && memchr(text.data, '\0', text.length)) {
        if (!writer->error)
            writer->error = -EINVAL;
        return;
    }
    msgpack_pack_str(&writer->packer, text.length);
    if (text.length)
        msgpack_pack_str_body(&writer->packer, text.data, text.length);
}

void codec_put_address(struct codec_writer *writer, const struct ip_addr *address)
{
    msgpack_pack_bin_with_body(&writer->packer, address->bytes, sizeof(address->bytes));
}

void codec_put_addresses(struct codec_writer *writer, const struct ip_addr *items, size_t count)
{
    codec_put_array(writer, count);
    for (size_t i = 0; i < count; i++)
        codec_put_address(writer, &items[i]);
}

void codec_put_prefixes(struct codec_writer *writer, const struct ip_prefix *items, size_t count)
{
    codec_put_array(writer, count);
    for (size_t i = 0; i < count; i++) {
        codec_put_array(writer, 2);
        codec_put_address(writer, &items[i].address);
        codec_put_unsigned(writer, items[i].length);
    }
}

void codec_put_labels(struct codec_writer *writer, const struct labels *labels)
{
    msgpack_pack_map(&writer->packer, labels->count);
    for (size_t i = 0; i < labels->count; i++) {
        codec_put_text(writer, labels->items[i].key);
        codec_put_text(writer, labels->items[i].value);
    }
}

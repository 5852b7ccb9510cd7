/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IPC_CODEC_H
#define IPC_CODEC_H

/*
 * Private to ipc/: values in and out of msgpack. Both directions remember their first error, so
 * that a pack or unpack function names its fields one after the other and asks once at the end.
 */

#include <msgpack.h>

#include "ipc/record.h"

struct codec_writer {
    msgpack_packer packer;
    struct record_buffer *buffer;
    int error; /* -EMSGSIZE: full, -EINVAL: not to be sent */
};

void codec_writer_start(struct codec_writer *writer, struct record_buffer *buffer);
void codec_put_array(struct codec_writer *writer, size_t count);
void codec_put_nil(struct codec_writer *writer);
void codec_put_bool(struct codec_writer *writer, bool value);
void codec_put_unsigned(struct codec_writer *writer, uint64_t value);
void codec_put_signed(struct codec_writer *writer, int64_t value);
void codec_put_text(struct codec_writer *writer, struct text text);
void codec_put_address(struct codec_writer *writer, const struct ip_addr *address);
void codec_put_addresses(struct codec_writer *writer, const struct ip_addr *items, size_t count);
void codec_put_prefixes(struct codec_writer *writer, const struct ip_prefix *items, size_t count);
void codec_put_labels(struct codec_writer *writer, const struct labels *labels);

struct codec_reader {
    struct arena *arena;
    const char *why;
    int error; /* -EBADMSG with `why`, or -ENOMEM */
};

/* The values of one array that are still to be read. */
struct codec_fields {
    const msgpack_object *next;
    size_t left;
    struct codec_reader *reader;
};

/* Notes an error where there is none yet. */
void codec_refuse(struct codec_reader *reader, const char *why);

/* All of these take the next field; after an error they give zeroes and empty lists. */
struct codec_fields codec_get_array(struct codec_fields *fields, size_t count);
/* An array of any length: whoever reads it checks that nothing is left. */
struct codec_fields codec_get_any_array(struct codec_fields *fields);
/* An array of up to `limit` items, each with one field of the result. Returns zeroed memory for
 * them; `count` gets their number. */
void *codec_get_list(struct codec_fields *fields, size_t limit, size_t item_size,
                     struct codec_fields *list, size_t *count);
bool codec_get_nil(struct codec_fields *fields); /* false: not nil, and not taken */
bool codec_get_bool(struct codec_fields *fields);
uint64_t codec_get_unsigned(struct codec_fields *fields, uint64_t limit);
int64_t codec_get_signed(struct codec_fields *fields);
struct text codec_get_text(struct codec_fields *fields, size_t limit);
struct ip_addr codec_get_address(struct codec_fields *fields);
struct ip_addr *codec_get_addresses(struct codec_fields *fields, size_t limit, size_t *count);
struct ip_prefix *codec_get_prefixes(struct codec_fields *fields, size_t limit, size_t *count);
struct labels codec_get_labels(struct codec_fields *fields);

/* Bodies of records, each pair beside its type. */
void codec_put_object(struct codec_writer *writer, const struct object *object);
void codec_get_object(struct codec_fields *from, struct object *object);
void codec_put_identity(struct codec_writer *writer, const struct object_identity *identity);
void codec_get_identity(struct codec_fields *from, struct object_identity *identity);
void codec_put_entries(struct codec_writer *writer, const struct table_entry *items, size_t count);
void codec_get_entries(struct codec_fields *fields, struct table_entry **items, size_t *count);
void codec_put_status(struct codec_writer *writer, const struct record *record);
void codec_get_status(struct codec_fields *from, struct record *record);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Reports in records: [first, last, [[kind, number, name, address, value, value] ...]]. */
#include <errno.h>

#include "ipc/codec.h"

enum { ENTRY_FIELDS = 4 + STATUS_VALUES };

void codec_put_status(struct codec_writer *writer, const struct record *record)
{
    const char *why;

    if (record->status.count > STATUS_RECORD_LIMIT) {
        writer->error = -EINVAL;
        return;
    }
    codec_put_array(writer, 3);
    codec_put_bool(writer, record->status.first);
    codec_put_bool(writer, record->status.last);
    codec_put_array(writer, record->status.count);
    for (size_t i = 0; i < record->status.count; i++) {
        const struct status_entry *entry = &record->status.items[i];

        if (status_entry_check(entry, &why) < 0) {
            writer->error = -EINVAL;
            return;
        }
        codec_put_array(writer, ENTRY_FIELDS);
        codec_put_unsigned(writer, entry->kind);
        codec_put_unsigned(writer, entry->number);
        codec_put_text(writer, entry->name);
        codec_put_address(writer, &entry->address);
        for (unsigned value = 0; value < STATUS_VALUES; value++)
            codec_put_unsigned(writer, entry->values[value]);
    }
}

static void get_entry(struct codec_fields *list, struct status_entry *entry)
{
    struct codec_fields fields = codec_get_array(list, ENTRY_FIELDS);
    const char *why;

    entry->kind = (enum status_kind)codec_get_unsigned(&fields, STATUS_KINDS - 1);
    entry->number = (uint32_t)codec_get_unsigned(&fields, UINT32_MAX);
    entry->name = codec_get_text(&fields, LIMIT_NAME);
    entry->address = codec_get_address(&fields);
    for (unsigned value = 0; value < STATUS_VALUES; value++)
        entry->values[value] = codec_get_unsigned(&fields, UINT64_MAX);
    if (!list->reader->error && status_entry_check(entry, &why) < 0)
        codec_refuse(list->reader, why);
}

void codec_get_status(struct codec_fields *from, struct record *record)
{
    struct codec_fields fields = codec_get_array(from, 3);
    struct codec_fields list;

    record->status.first = codec_get_bool(&fields);
    record->status.last = codec_get_bool(&fields);
    record->status.items = codec_get_list(
        &fields, STATUS_RECORD_LIMIT, sizeof(*record->status.items), &list, &record->status.count);
    for (size_t i = 0; i < record->status.count; i++)
        get_entry(&list, &record->status.items[i]);
}

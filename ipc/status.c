/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/status.h"

#include <errno.h>
#include <string.h>

#include "common/address.h"
#include "ipc/channel.h"
#include "ipc/names.h"
#include "ipc/record.h"

enum { CAPACITY_FIRST = 64, PORTS = 65536 };

static const char *check_unused(const struct status_entry *entry)
{
    if (entry->kind != STATUS_POLICY && entry->name.length)
        return "status: a name where there is none";
    if (entry->kind != STATUS_EGRESS && entry->kind != STATUS_REFUSED &&
        !ip_addr_is_none(&entry->address))
        return "status: an address where there is none";
    if (entry->kind == STATUS_GAUGE && entry->values[1])
        return "status: a second number where there is one";
    return NULL;
}

static const char *check_kind(const struct status_entry *entry)
{
    switch (entry->kind) {
    case STATUS_DROP:
        return entry->number < DROP_REASONS_MOST ? NULL : "status: no reason for a drop";
    case STATUS_COUNT:
        return entry->number >= DROP_REASONS_MOST && entry->number < COUNTERS
                   ? NULL
                   : "status: no such counter";
    case STATUS_POLICY:
        return entry->number == 0 && names_is_subdomain(entry->name) ? NULL
                                                                     : "status: no policy's name";
    case STATUS_EGRESS:
        if (entry->number > UINT8_MAX || !address_is_unicast(&entry->address))
            return "status: no egress IP or protocol";
        return entry->values[0] <= PORTS && entry->values[0] <= entry->values[1]
                   ? NULL
                   : "status: more ports in use than there can be";
    case STATUS_REFUSED:
        return entry->number == 0 && address_is_unicast(&entry->address) ? NULL
                                                                         : "status: no egress IP";
    case STATUS_GAUGE:
        return entry->number < GAUGES ? NULL : "status: no such number";
    case STATUS_KINDS:
        break;
    }
    return "status: no such kind";
}

int status_entry_check(const struct status_entry *entry, const char **why)
{
    const char *wrong = check_kind(entry);

    if (!wrong)
        wrong = check_unused(entry);
    if (!wrong)
        return 0;
    *why = wrong;
    return -EINVAL;
}

int status_entry_compare(const struct status_entry *a, const struct status_entry *b)
{
    int order;

    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    order = text_compare(a->name, b->name);
    if (!order)
        order = address_compare(&a->address, &b->address);
    return order ? order : (a->number > b->number) - (a->number < b->number);
}

static int report_grow(struct status_report *report)
{
    size_t capacity = report->capacity ? 2 * report->capacity : CAPACITY_FIRST;
    struct status_entry *items;

    if (report->count < report->capacity)
        return 0;
    items = reallocarray(report->items, capacity, sizeof(*items));
    if (!items)
        return -ENOMEM;
    report->items = items;
    report->capacity = capacity;
    return 0;
}

int status_report_add(struct status_report *report, const struct status_entry *entry)
{
    struct status_entry *added;

    if (report->count >= STATUS_REPORT_LIMIT)
        return -EMSGSIZE;
    if (report->count && status_entry_compare(&report->items[report->count - 1], entry) >= 0)
        return -EINVAL;
    if (report_grow(report) < 0)
        return -ENOMEM;
    added = &report->items[report->count];
    *added = *entry;
    if (entry->name.length) {
        added->name = arena_text(&report->arena, entry->name);
        if (!added->name.data)
            return -ENOMEM;
    }
    report->count++;
    return 0;
}

void status_report_clear(struct status_report *report)
{
    arena_clear(&report->arena);
    free(report->items);
    *report = (struct status_report){0};
}

bool status_report_equal(const struct status_report *a, const struct status_report *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        if (status_entry_compare(&a->items[i], &b->items[i]) != 0 ||
            memcmp(a->items[i].values, b->items[i].values, sizeof(a->items[i].values)) != 0)
            return false;
    }
    return true;
}

void status_send_start(struct status_sender *sender, const struct status_report *report)
{
    *sender = (struct status_sender){.report = report};
}

int status_send(struct status_sender *sender, struct channel *channel)
{
    while (sender->report) {
        size_t left = sender->report->count - sender->next;
        struct record record = {.type = RECORD_STATUS};
        int error;

        record.status.items = sender->report->items + sender->next;
        record.status.count = left < STATUS_RECORD_LIMIT ? left : STATUS_RECORD_LIMIT;
        record.status.first = sender->next == 0;
        record.status.last = left <= STATUS_RECORD_LIMIT;
        error = channel_send_record(channel, &record);
        if (error)
            return error;
        sender->next += record.status.count;
        if (record.status.last)
            sender->report = NULL;
    }
    return 0;
}

int status_receive(struct status_receiver *receiver, const struct record *record, bool *whole)
{
    *whole = false;
    if (record->status.first == receiver->staging)
        return -EPROTO;
    receiver->staging = true;
    for (size_t i = 0; i < record->status.count; i++) {
        int error = status_report_add(&receiver->staged, &record->status.items[i]);

        if (error)
            return error == -ENOMEM ? error : -EPROTO;
    }
    if (!record->status.last)
        return 0;
    status_report_clear(&receiver->report);
    receiver->report = receiver->staged;
    receiver->staged = (struct status_report){0};
    receiver->staging = false;
    *whole = true;
    return 0;
}

void status_receiver_reset(struct status_receiver *receiver)
{
    status_report_clear(&receiver->staged);
    receiver->staging = false;
}

void status_receiver_clear(struct status_receiver *receiver)
{
    status_receiver_reset(receiver);
    status_report_clear(&receiver->report);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/hostile_talk.h"

#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/record_samples.h"

enum { TYPE_AT = 2, GENERATION_AT = 4 };

void hostile_say(struct hostile_talk *talk, const struct record *record)
{
    assert_true(talk->count < HOSTILE_RECORDS);
    assert_int_equal(record_pack(record, &talk->records[talk->count++]), 0);
}

void hostile_say_report(struct hostile_talk *talk, bool first, bool last, uint32_t from)
{
    struct status_entry entries[20] = {0};
    struct record record = {.type = RECORD_STATUS};

    for (uint32_t i = 0; i < ARRAY_SIZE(entries); i++) {
        entries[i].kind = STATUS_EGRESS;
        entries[i].address = ip_addr_from_v4(htobe32(0x0b000000 + from + i));
        entries[i].number = 6;
    }
    record.status.items = entries;
    record.status.count = ARRAY_SIZE(entries);
    record.status.first = first;
    record.status.last = last;
    hostile_say(talk, &record);
}

void hostile_repeat(struct hostile_talk *talk, const struct hostile_talk *other)
{
    talk->count = other->count;
    for (size_t i = 0; i < other->count; i++) {
        talk->records[i].length = other->records[i].length;
        memcpy(talk->records[i].data, other->records[i].data, other->records[i].length);
    }
}

static void change_bytes(struct record_buffer *record, uint64_t *seed)
{
    for (uint32_t times = 1 + sample_number(seed, 4); times && record->length; times--)
        record->data[sample_number(seed, (uint32_t)record->length)] =
            (unsigned char)sample_number(seed, 256);
}

/* A container or a string that says it has four billion parts. */
static void change_count(struct record_buffer *record, uint64_t *seed)
{
    static const unsigned char heads[] = {0xdd, 0xdf, 0xdb, 0xc6, 0xdc, 0xde, 0xda};
    size_t at = record->length ? sample_number(seed, (uint32_t)record->length) : 0;

    if (at + 5 > record->length)
        return;
    record->data[at] = heads[sample_number(seed, sizeof(heads))];
    memset(record->data + at + 1, 0xff, 4);
}

/* Arrays in arrays, to the end of the record. */
static void change_depth(struct record_buffer *record, uint64_t *seed)
{
    record->length = 1000 + sample_number(seed, RECORD_SIZE_LIMIT - 1000);
    memset(record->data + GENERATION_AT + 8, 0x91, record->length - GENERATION_AT - 8);
}

static void change_length(struct record_buffer *record, uint64_t *seed)
{
    size_t before = record->length;

    record->length = sample_number(seed, sample_number(seed, 2) ? (uint32_t)before + 1 : 4096);
    for (size_t i = before; i < record->length; i++)
        record->data[i] = (unsigned char)sample_number(seed, 256);
}

static void change_order(struct hostile_talk *talk, uint64_t *seed)
{
    static struct record_buffer kept;
    uint32_t a = sample_number(seed, (uint32_t)talk->count);
    uint32_t b = sample_number(seed, (uint32_t)talk->count);

    kept = talk->records[a];
    talk->records[a] = talk->records[b];
    if (sample_number(seed, 2)) /* else it is said twice */
        talk->records[b] = kept;
}

uint64_t hostile_generation(const struct record_buffer *record)
{
    uint64_t generation;

    memcpy(&generation, record->data + GENERATION_AT, sizeof(generation));
    return be64toh(generation);
}

/* Near to what it was, in the beginning, or at the end of all numbers. */
static uint64_t other_generation(const struct record_buffer *record, uint64_t *seed)
{
    switch (sample_number(seed, 3)) {
    case 0:
        return hostile_generation(record) + sample_number(seed, 4) - 2;
    case 1:
        return sample_number(seed, 20);
    default:
        return UINT64_MAX - sample_number(seed, 2);
    }
}

static void mutate_once(struct hostile_talk *talk, uint64_t *seed)
{
    struct record_buffer *record = &talk->records[sample_number(seed, (uint32_t)talk->count)];

    switch (sample_number(seed, 10)) {
    case 0:
        change_length(record, seed);
        break;
    case 1:
        change_count(record, seed);
        break;
    case 2:
        change_order(talk, seed);
        break;
    case 3:
        talk->count = 1 + sample_number(seed, (uint32_t)talk->count);
        break;
    case 4:
        record->data[TYPE_AT] = (unsigned char)sample_number(seed, RECORD_TYPES + 1);
        break;
    case 5:
        record_set_generation(record, other_generation(record, seed));
        break;
    case 6:
        change_depth(record, seed);
        break;
    default:
        change_bytes(record, seed);
    }
}

void hostile_mutate(struct hostile_talk *talk, uint64_t *seed)
{
    for (uint32_t times = 1 + sample_number(seed, 3); times; times--)
        mutate_once(talk, seed);
}

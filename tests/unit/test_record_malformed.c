/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever a peer sends: refused with a reason, without reading or reserving too much. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ipc/codec.h"
#include "ipc/prescan.h"
#include "record_samples.h"

enum { HEAD = 12, ARENA_LIMIT = 1 << 20 };

static struct record_buffer buffer;

/* Unpacks a copy of exactly this size, so that the sanitizer sees a read behind its end. */
static int unpack_copy(const unsigned char *data, size_t length, const char **why)
{
    _cleanup_arena_ struct arena arena = {0};
    _cleanup_free_ unsigned char *copy = malloc(length ? length : 1);
    struct record record = {.type = RECORD_TYPES, .generation = 99};
    int error;

    assert_non_null(copy);
    memcpy(copy, data, length);
    *why = NULL;
    error = record_unpack(copy, length, &arena, &record, why);
    assert_true(arena.used <= ARENA_LIMIT);
    assert_true(arena.limit == 0);
    if (error) {
        assert_non_null(*why);
        assert_true(error == -EBADMSG || error == -EPROTONOSUPPORT);
        assert_int_equal(record.type, RECORD_TYPES);
        assert_int_equal(record.generation, 99);
    } else { /* What is taken in may be sent again. */
        assert_int_equal(record_pack(&record, &buffer), 0);
    }
    return error;
}

static void refused(const unsigned char *data, size_t length, const char *reason)
{
    const char *why;

    assert_int_equal(unpack_copy(data, length, &why), -EBADMSG);
    if (reason && !strstr(why, reason))
        fail_msg("\"%s\" instead of \"%s\"", why, reason);
}

/* A writer that stands behind the head of a record. */
static void start(struct codec_writer *writer, enum record_type type)
{
    struct record record = {.type = RECORD_COMMIT, .generation = 1};

    assert_int_equal(record_pack(&record, &buffer), 0);
    codec_writer_start(writer, &buffer);
    buffer.data[2] = (unsigned char)type;
    buffer.length = HEAD;
}

static size_t sample_packed(uint64_t *seed, enum record_type type, unsigned char *data)
{
    static struct record_buffer packed;
    _cleanup_arena_ struct arena arena = {0};
    struct record record = sample_record(&arena, seed, type);

    assert_int_equal(record_pack(&record, &packed), 0);
    memcpy(data, packed.data, packed.length);
    return packed.length;
}

static void test_truncated(void **state _unused_)
{
    static unsigned char data[RECORD_SIZE_LIMIT];
    uint64_t seed = 11;

    for (int type = 1; type < RECORD_TYPES; type++) {
        for (int round = 0; round < 5; round++) {
            size_t length = sample_packed(&seed, (enum record_type)type, data);

            for (size_t cut = 0; cut < length; cut++)
                refused(data, cut, NULL);
        }
    }
}

static void test_trailing(void **state _unused_)
{
    static unsigned char data[RECORD_SIZE_LIMIT];
    uint64_t seed = 12;

    for (int type = 1; type < RECORD_TYPES; type++) {
        size_t length = sample_packed(&seed, (enum record_type)type, data);

        data[length] = 0xc0;
        refused(data, length + 1, "trailing bytes");
    }
}

static void test_head(void **state _unused_)
{
    unsigned char good[] = {0x94, 1, RECORD_COMMIT, 0xcf, 0, 0, 0, 0, 0, 0, 0, 1, 0xc0};
    static unsigned char large[RECORD_SIZE_LIMIT + 1];
    const char *why;

    assert_int_equal(unpack_copy(good, sizeof(good), &why), 0);
    for (size_t i = 0; i < 4; i++) {
        for (int value = 0; value < 256; value++) {
            unsigned char data[sizeof(good)];
            int error;

            memcpy(data, good, sizeof(good));
            data[i] = (unsigned char)value;
            error = unpack_copy(data, sizeof(data), &why);
            if (value == good[i] || (i == 2 && value >= RECORD_ACKNOWLEDGE &&
                                     value <= RECORD_COMMIT && value != RECORD_ENTRIES))
                assert_int_equal(error, 0);
            else
                assert_int_equal(error, i == 1 && value < 128 ? -EPROTONOSUPPORT : -EBADMSG);
        }
    }
    memcpy(large, good, sizeof(good));
    refused(large, sizeof(large), "larger than");
}

static void test_lying_counts(void **state _unused_)
{
    static const unsigned char heads[][5] = {
        {0xdd, 0xff, 0xff, 0xff, 0xff}, {0xdd, 0x00, 0x01, 0x00, 0x00},
        {0xdf, 0xff, 0xff, 0xff, 0xff}, {0xdf, 0x80, 0x00, 0x00, 0x00},
        {0xdc, 0xff, 0xff, 0xc0, 0xc0}, {0xde, 0x00, 0x02, 0xc0, 0xc0},
        {0xdb, 0xff, 0xff, 0xff, 0xff}, {0xc6, 0x00, 0x00, 0x00, 0x01},
        {0x95, 0xc0, 0xc0, 0xc0, 0xc0}, {0x83, 0xc0, 0xc0, 0xc0, 0xc0},
        {0xa5, 'a', 'a', 'a', 'a'},
    };

    for (int type = 1; type < RECORD_TYPES; type++) {
        for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
            start(&(struct codec_writer){0}, (enum record_type)type);
            memcpy(buffer.data + HEAD, heads[i], sizeof(heads[i]));
            refused(buffer.data, HEAD + sizeof(heads[i]), NULL);
        }
    }
    start(&(struct codec_writer){0}, RECORD_ENTRIES);
    memcpy(buffer.data + HEAD, heads[0], sizeof(heads[0]));
    refused(buffer.data, HEAD + sizeof(heads[0]), "exceeds the bytes that remain");
}

/* The sum counts: each inner array claims all bytes that follow it. */
static void test_counts_that_share_bytes(void **state _unused_)
{
    static const unsigned char data[] = {0x93, 0x93, 0xc0, 0xc0, 0xc0};
    const struct prescan_limits limits = {100, 100};
    const char *why = "";

    assert_int_equal(prescan(data, sizeof(data), &limits, &why), -EBADMSG);
    assert_string_equal(why, "a count exceeds the bytes that remain");
    assert_int_equal(prescan(data + 1, sizeof(data) - 1, &limits, &why), 0);
}

static void test_prescan_limits(void **state _unused_)
{
    static unsigned char data[64];
    const struct prescan_limits wide = {100, 100}, few = {4, 100}, narrow = {100, 3};
    const char *why = "";

    for (unsigned depth = 1; depth <= PRESCAN_DEPTH + 1; depth++) {
        memset(data, 0x91, depth);
        data[depth] = 0xc0;
        assert_int_equal(prescan(data, depth + 1, &wide, &why),
                         depth <= PRESCAN_DEPTH ? 0 : -EBADMSG);
    }
    assert_string_equal(why, "arrays and maps are nested too deeply");
    memcpy(data, "\x94\xc0\xc0\xc0\xc0", 5);
    assert_int_equal(prescan(data, 5, &wide, &why), 0);
    assert_int_equal(prescan(data, 5, &few, &why), -EMSGSIZE);
    assert_int_equal(prescan(data, 5, &narrow, &why), -EMSGSIZE);
    data[0] = 0x93;
    assert_int_equal(prescan(data, 4, &few, &why), 0);
    assert_int_equal(prescan(data, 4, &narrow, &why), 0);
    assert_int_equal(prescan(data, 0, &wide, &why), -EBADMSG);
    assert_string_equal(why, "truncated");
}

static void test_refused_types(void **state _unused_)
{
    static const unsigned char types[] = {0xc1, 0xc7, 0xc8, 0xc9, 0xca, 0xcb,
                                          0xd4, 0xd5, 0xd6, 0xd7, 0xd8};
    unsigned char data[32] = {0};
    const struct prescan_limits limits = {100, 100};
    const char *why = "";

    for (size_t i = 0; i < sizeof(types); i++) {
        data[0] = types[i];
        assert_int_equal(prescan(data, sizeof(data), &limits, &why), -EBADMSG);
        assert_string_equal(why, "a type of value that no record has");
    }
}

/* The bytes of one value with all that is in it. */
static size_t value_size(const unsigned char *data)
{
    const struct prescan_limits limits = {65536, 65536};
    size_t size = 1;
    const char *why;

    while (prescan(data, size, &limits, &why) < 0)
        size++;
    return size;
}

/* 'a'rray, 'm'ap, 's'tring, 'b'inary, 'n'il, 't'ruth, 'u'nsigned, negative 'i'nteger. */
static char value_class(unsigned char head)
{
    if (head <= 0x7f || (head >= 0xcc && head <= 0xcf))
        return 'u';
    if (head >= 0xe0 || (head >= 0xd0 && head <= 0xd3))
        return 'i';
    if (head <= 0x8f || head >= 0xde)
        return 'm';
    if (head <= 0x9f || head == 0xdc || head == 0xdd)
        return 'a';
    if (head <= 0xbf || (head >= 0xd9 && head <= 0xdb))
        return 's';
    return head == 0xc0 ? 'n' : head <= 0xc3 ? 't' : 'b';
}

/* The size of a head: behind it stand its children, or the next value. */
static size_t head_size(const unsigned char *data)
{
    char class = value_class(data[0]);

    if (class != 'a' && class != 'm')
        return value_size(data);
    return data[0] < 0xa0 ? 1 : data[0] == 0xdc || data[0] == 0xde ? 3 : 5;
}

static const struct {
    char class;
    unsigned char data[4];
    size_t size;
} others[] = {
    {'n', {0xc0}, 1}, {'t', {0xc3}, 1},       {'u', {0x01}, 1},      {'i', {0xff}, 1},
    {'a', {0x90}, 1}, {'m', {0x80}, 1},       {'s', {0xa1, 'x'}, 2}, {'b', {0xc4, 1, 'x'}, 3},
    {'f', {0xca}, 5}, {'e', {0xd4, 0, 0}, 3},
};

/* A selector may be absent: an array or nil. A time may be negative: either kind of integer. */
static bool classes_may_meet(char a, char b)
{
    return a == b || (a == 'a' && b == 'n') || (a == 'n' && b == 'a') || (a == 'u' && b == 'i') ||
           (a == 'i' && b == 'u');
}

/* Each value of a record is replaced by one value of every other type. */
static void test_wrong_types(void **state _unused_)
{
    static unsigned char data[RECORD_SIZE_LIMIT], changed[RECORD_SIZE_LIMIT + 8];
    uint64_t seed = 13;
    unsigned tried = 0;

    for (int round = 0; round < 60; round++) {
        enum record_type type = (enum record_type)(1 + round % (RECORD_TYPES - 1));
        size_t length = sample_packed(&seed, type, data);

        for (size_t at = HEAD; at < length && length < 2000; at += head_size(data + at)) {
            size_t size = value_size(data + at), rest = length - at - size;

            for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
                const char *why;

                if (classes_may_meet(value_class(data[at]), others[i].class))
                    continue;
                memcpy(changed, data, at);
                memcpy(changed + at, others[i].data, sizeof(others[i].data));
                memcpy(changed + at + others[i].size, data + at + size, rest);
                assert_int_equal(unpack_copy(changed, at + others[i].size + rest, &why), -EBADMSG);
                tried++;
            }
        }
    }
    assert_true(tried > 1000);
}

static void put_namespace(struct codec_writer *writer, const char *name)
{
    codec_put_array(writer, 2);
    codec_put_unsigned(writer, KIND_NAMESPACE);
    codec_put_array(writer, 3);
    codec_put_text(writer, text_of(name));
    codec_put_text(writer, TEXT(""));
}

static void test_labels_as_a_map(void **state _unused_)
{
    static const char *const keys[][2] = {{"b", "b"}, {"b", "a"}, {"a", "-"}};
    static const char *const reasons[] = {"twice", NULL, "no label key"};

    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        struct codec_writer writer;
        const char *why;

        start(&writer, RECORD_OBJECT);
        put_namespace(&writer, "default");
        msgpack_pack_map(&writer.packer, 2);
        for (size_t j = 0; j < 2; j++) {
            codec_put_text(&writer, text_of(keys[i][j]));
            codec_put_text(&writer, TEXT("v"));
        }
        if (reasons[i]) /* any order will do */
            refused(buffer.data, buffer.length, reasons[i]);
        else
            assert_int_equal(unpack_copy(buffer.data, buffer.length, &why), 0);
    }
}

/* A string, and a list, that are one longer than their limit. */
static void test_field_limits(void **state _unused_)
{
    static char longest[RECORD_TEXT_LIMIT + 2];

    memset(longest, 'a', sizeof(longest) - 1);
    for (int extra = 0; extra < 2; extra++) {
        struct codec_writer writer;
        const char *why;

        start(&writer, RECORD_REFUSE);
        codec_put_array(&writer, 2);
        codec_put_unsigned(&writer, EINVAL);
        codec_put_text(&writer, (struct text){longest, (size_t)(RECORD_TEXT_LIMIT + extra)});
        if (extra)
            refused(buffer.data, buffer.length, "a string is too long");
        else
            assert_int_equal(unpack_copy(buffer.data, buffer.length, &why), 0);
    }
    for (int extra = 0; extra < 2; extra++) {
        struct codec_writer writer;
        struct ip_addr address = ip_addr_from_v4(0x0100000a);
        const char *why;

        start(&writer, RECORD_OBJECT);
        codec_put_array(&writer, 2);
        codec_put_unsigned(&writer, KIND_POD);
        codec_put_array(&writer, 10);
        for (int i = 0; i < 3; i++)
            codec_put_text(&writer, TEXT("default"));
        codec_put_text(&writer, TEXT(""));
        codec_put_text(&writer, TEXT(""));
        codec_put_signed(&writer, -1);
        msgpack_pack_map(&writer.packer, 0);
        codec_put_array(&writer, (size_t)(LIMIT_POD_ADDRESSES + extra));
        for (int i = 0; i < LIMIT_POD_ADDRESSES + extra; i++)
            codec_put_address(&writer, &address);
        codec_put_bool(&writer, false);
        codec_put_bool(&writer, false);
        if (extra)
            refused(buffer.data, buffer.length, "a list is too long");
        else
            assert_int_equal(unpack_copy(buffer.data, buffer.length, &why), 0);
    }
}

static void test_nul_in_a_string(void **state _unused_)
{
    struct codec_writer writer;

    start(&writer, RECORD_REFUSE);
    codec_put_array(&writer, 2);
    codec_put_unsigned(&writer, EINVAL);
    msgpack_pack_str(&writer.packer, 3);
    msgpack_pack_str_body(&writer.packer, "a\0b", 3);
    refused(buffer.data, buffer.length, "NUL");
}

/* Meaning is checked again on this side: an address of 15 bytes, a loopback pod, a dirty prefix. */
static void test_meaning(void **state _unused_)
{
    struct codec_writer writer;
    struct ip_addr loopback = ip_addr_from_v4(0x0100007f);

    start(&writer, RECORD_ENTRIES);
    codec_put_array(&writer, 1);
    codec_put_array(&writer, 4);
    codec_put_unsigned(&writer, TABLE_NODES);
    codec_put_bool(&writer, false);
    codec_put_address(&writer, &loopback);
    codec_put_unsigned(&writer, 0);
    refused(buffer.data, buffer.length, "no unicast address");
    buffer.data[buffer.length - 17 - 1] = 15;
    refused(buffer.data, buffer.length, NULL);
}

/* A node that is added has four fields, one that is removed has three. */
static void test_fields_of_an_entry(void **state _unused_)
{
    struct ip_addr address = ip_addr_from_v4(0x0100000a);

    for (int remove = 0; remove < 2; remove++) {
        for (size_t count = 3; count <= 5; count++) {
            struct codec_writer writer;
            const char *why;

            start(&writer, RECORD_ENTRIES);
            codec_put_array(&writer, 1);
            codec_put_array(&writer, count);
            codec_put_unsigned(&writer, TABLE_NODES);
            codec_put_bool(&writer, remove);
            codec_put_address(&writer, &address);
            for (size_t i = 3; i < count; i++)
                codec_put_unsigned(&writer, 0);
            assert_int_equal(unpack_copy(buffer.data, buffer.length, &why),
                             count == (remove ? 3 : 4) ? 0 : -EBADMSG);
        }
    }
}

static void test_limit_of_the_arena_is_kept(void **state _unused_)
{
    static unsigned char data[RECORD_SIZE_LIMIT];
    _cleanup_arena_ struct arena arena = {.limit = 64};
    struct record record;
    const char *why = NULL;
    uint64_t seed = 14;
    struct table_entry entries[4];

    for (size_t i = 0; i < ARRAY_SIZE(entries); i++)
        entries[i] = sample_entry(&seed, TABLE_ENDPOINTS);
    record = (struct record){.type = RECORD_ENTRIES, .entries = {entries, ARRAY_SIZE(entries)}};
    assert_int_equal(record_pack(&record, &buffer), 0);
    memcpy(data, buffer.data, buffer.length);
    assert_int_equal(record_unpack(data, buffer.length, &arena, &record, &why), -ENOMEM);
    assert_non_null(why);
    assert_int_equal(arena.limit, 64);
}

static void mutate(uint64_t *seed, unsigned char *data, size_t *length)
{
    static const unsigned char heads[] = {0xc0, 0xc1, 0xc4, 0xcf, 0xd3, 0xd9, 0xdb,
                                          0xdc, 0xdd, 0xde, 0xdf, 0x90, 0x80, 0xff};
    size_t at = sample_number(seed, (uint32_t)*length);

    switch (sample_number(seed, 5)) {
    case 0:
        data[at] = (unsigned char)sample_number(seed, 256);
        break;
    case 1:
        data[at] ^= (unsigned char)(1U << sample_number(seed, 8));
        break;
    case 2:
        data[at] = heads[sample_number(seed, sizeof(heads))];
        break;
    case 3:
        memmove(data + at + 1, data + at, *length - at);
        (*length)++;
        break;
    default:
        memmove(data + at, data + at + 1, *length - at - 1);
        (*length)--;
    }
}

static void test_mutations(void **state _unused_)
{
    static unsigned char data[RECORD_SIZE_LIMIT], changed[RECORD_SIZE_LIMIT + 8];
    uint64_t seed = 15;
    unsigned taken = 0;
    size_t length = 0;

    for (int round = 0; round < 200000; round++) {
        const char *why;
        size_t size;

        if (round % 50 == 0)
            length =
                sample_packed(&seed, (enum record_type)(1 + round / 50 % (RECORD_TYPES - 1)), data);
        size = length;
        memcpy(changed, data, length);
        for (uint32_t i = sample_number(&seed, 3) + 1; i > 0; i--)
            mutate(&seed, changed, &size);
        taken += unpack_copy(changed, size, &why) == 0;
    }
    assert_true(taken > 1000 && taken < 150000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_trailing),
        cmocka_unit_test(test_head),
        cmocka_unit_test(test_lying_counts),
        cmocka_unit_test(test_counts_that_share_bytes),
        cmocka_unit_test(test_prescan_limits),
        cmocka_unit_test(test_refused_types),
        cmocka_unit_test(test_wrong_types),
        cmocka_unit_test(test_labels_as_a_map),
        cmocka_unit_test(test_field_limits),
        cmocka_unit_test(test_nul_in_a_string),
        cmocka_unit_test(test_meaning),
        cmocka_unit_test(test_fields_of_an_entry),
        cmocka_unit_test(test_limit_of_the_arena_is_kept),
        cmocka_unit_test(test_mutations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Records that may be sent come back as they were. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "record_equal.h"
#include "record_samples.h"

static struct record_buffer buffer;

static void pack(const struct record *record)
{
    assert_int_equal(record_pack(record, &buffer), 0);
}

static void unpack(struct arena *arena, struct record *record)
{
    const char *why = "";
    int error = record_unpack(buffer.data, buffer.length, arena, record, &why);

    if (error)
        print_error("%s: %s\n", strerror(-error), why);
    assert_int_equal(error, 0);
}

static void test_every_type_comes_back(void **state _unused_)
{
    uint64_t seed = 1;

    for (int type = RECORD_SYNC_BEGIN; type < RECORD_TYPES; type++) {
        for (int round = 0; round < 200; round++) {
            _cleanup_arena_ struct arena arena = {0};
            _cleanup_arena_ struct arena read_arena = {0};
            struct record record = sample_record(&arena, &seed, (enum record_type)type);
            struct record read;

            pack(&record);
            unpack(&read_arena, &read);
            assert_records_equal(&record, &read);
        }
    }
}

static void test_every_kind_comes_back(void **state _unused_)
{
    uint64_t seed = 2;

    for (int kind = 0; kind < KINDS; kind++) {
        for (int round = 0; round < 100; round++) {
            _cleanup_arena_ struct arena arena = {0};
            struct record record = {.type = RECORD_OBJECT}, read;

            struct object object = sample_object(&arena, &seed, (enum object_kind)kind);

            record.object = object;
            pack(&record);
            unpack(&arena, &read);
            assert_records_equal(&record, &read);
            record = (struct record){.type = RECORD_DELETE};
            record.identity = object_identity(&object);
            pack(&record);
            unpack(&arena, &read);
            assert_records_equal(&record, &read);
        }
    }
}

static void test_extreme_numbers_come_back(void **state _unused_)
{
    static const int64_t times[] = {INT64_MIN, INT64_MIN + 1, -1, 0, 127, 128, INT64_MAX};
    static const uint64_t generations[] = {0, 1, 127, 128, UINT32_MAX, UINT64_MAX};
    uint64_t seed = 3;

    for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
        _cleanup_arena_ struct arena arena = {0};
        struct record record = {.type = RECORD_OBJECT}, read;

        record.generation = generations[i % ARRAY_SIZE(generations)];
        record.object = sample_object(&arena, &seed, KIND_POD);
        record.object.pod.created = times[i];
        pack(&record);
        unpack(&arena, &read);
        assert_records_equal(&record, &read);
    }
}

/* What is on the wire, so that a change of it is seen and RECORD_VERSION raised. */
static void test_wire_format(void **state _unused_)
{
    static const unsigned char expected[] = {0x94, 1, RECORD_SYNC_BEGIN, 0xcf, 1, 2, 3, 4, 5, 6,
                                             7,    8, KIND_NODE};
    struct record record = {.type = RECORD_SYNC_BEGIN, .generation = 0x0102030405060708};

    record.kind = KIND_NODE;
    pack(&record);
    assert_int_equal(buffer.length, sizeof(expected));
    assert_memory_equal(buffer.data, expected, sizeof(expected));
}

static void test_generation_is_replaced(void **state _unused_)
{
    static const uint64_t generations[] = {0, 1, 255, 1ULL << 40, UINT64_MAX};
    _cleanup_arena_ struct arena arena = {0};
    struct record record = {.type = RECORD_COMMIT, .generation = 7}, read;

    pack(&record);
    for (size_t i = 0; i < ARRAY_SIZE(generations); i++) {
        record_set_generation(&buffer, generations[i]);
        unpack(&arena, &read);
        assert_true(read.generation == generations[i]);
        assert_int_equal(read.type, RECORD_COMMIT);
    }
}

/* The largest entry of each table, as often as a record may have it. */
static void test_full_entries_fit(void **state _unused_)
{
    static struct table_entry entries[RECORD_ENTRIES_LIMIT + 1];
    struct ip_prefix host = {.length = 128};
    struct ip_addr address;

    memset(address.bytes, 0x3f, sizeof(address.bytes));
    host.address = address;
    for (int table = 0; table < TABLES; table++) {
        struct table_entry largest = {.table = (enum table)table};
        struct record record = {.type = RECORD_ENTRIES, .entries = {entries, RECORD_ENTRIES_LIMIT}};
        _cleanup_arena_ struct arena arena = {0};
        struct record read;
        size_t fit;

        largest.key.address = address;
        if (table == TABLE_SETTINGS) {
            largest.key = (union table_key){0};
            largest.value.settings.node_v6 = address;
            largest.value.settings.flags = SETTINGS_POD_RANGES_KNOWN;
        } else if (table == TABLE_NODES) {
            largest.value.node.flags = NODE_SELF | NODE_GATEWAY;
        } else if (table == TABLE_GATEWAYS) {
            largest.key.gateway = (struct gateway_key){UINT32_MAX, GATEWAY_SLOTS - 1};
            largest.value.gateway = (struct gateway){address, address, INT32_MAX, GATEWAY_LOCAL};
        } else if (table == TABLE_ROUTES) {
            largest.key.route = route_key_make(PROFILE_LIMIT - 1, &host);
            largest.value.route =
                (struct route){UINT32_MAX, UINT32_MAX, GATEWAY_SLOTS, ROUTE_GATEWAY, 0};
        } else if (table == TABLE_POLICIES) {
            largest.key = (union table_key){.policy = POLICIES_COUNTED - 1};
            memset(largest.value.policy.text, 'a', LIMIT_NAME);
            for (size_t i = 63; i < LIMIT_NAME; i += 64)
                largest.value.policy.text[i] = '.';
        } else {
            largest.value.endpoint =
                (struct endpoint){address, PROFILE_LIMIT - 1, UINT32_MAX, ENDPOINT_LOCAL, 0};
        }
        for (size_t i = 0; i < ARRAY_SIZE(entries); i++)
            entries[i] = largest;
        fit = (RECORD_SIZE_LIMIT - RECORD_ENTRIES_HEAD) / record_entry_size(largest.table);
        if (fit < RECORD_ENTRIES_LIMIT)
            record.entries.count = fit;
        pack(&record);
        unpack(&arena, &read);
        assert_records_equal(&record, &read);
        record.entries.count = RECORD_ENTRIES_LIMIT + 1;
        assert_int_equal(record_pack(&record, &buffer), -EINVAL);
    }
}

static void test_too_large_is_refused(void **state _unused_)
{
    _cleanup_arena_ struct arena arena = {0};
    uint64_t seed = 4;
    struct record record = {.type = RECORD_OBJECT};
    struct policy *policy = &record.object.policy;

    record.object = sample_object(&arena, &seed, KIND_POLICY);
    policy->destination_count = policy->excluded_count = LIMIT_CIDRS;
    policy->destinations = arena_allocate(&arena, LIMIT_CIDRS, sizeof(struct ip_prefix));
    assert_non_null(policy->destinations);
    policy->excluded = policy->destinations;
    assert_int_equal(record_pack(&record, &buffer), -EMSGSIZE);
    assert_int_equal(buffer.length, 0);
    policy->excluded_count = 0;
    policy->rule_count = 0;
    pack(&record);
}

/* Many values of no length fit into the bytes, and into no receiver's limits. */
static void test_too_many_values_are_refused(void **state _unused_)
{
    _cleanup_arena_ struct arena arena = {0};
    uint64_t seed = 5;
    struct record record = {.type = RECORD_OBJECT};
    struct selector *nodes;

    record.object = sample_object(&arena, &seed, KIND_POLICY);
    nodes = &record.object.policy.gateways[0].nodes;
    nodes->count = 40;
    nodes->requirements = arena_allocate(&arena, nodes->count, sizeof(*nodes->requirements));
    assert_non_null(nodes->requirements);
    for (size_t i = 0; i < nodes->count; i++) {
        struct requirement *requirement = &nodes->requirements[i];

        requirement->key = TEXT("k");
        requirement->value_count = LIMIT_VALUES;
        requirement->values = arena_allocate(&arena, LIMIT_VALUES, sizeof(struct text));
        assert_non_null(requirement->values);
    }
    assert_int_equal(record_pack(&record, &buffer), -EMSGSIZE);
    nodes->count = 20;
    pack(&record);
}

static void test_what_may_not_be_sent(void **state _unused_)
{
    struct record records[] = {
        {.type = 0},
        {.type = RECORD_TYPES},
        {.type = RECORD_SYNC_BEGIN, .kind = KINDS},
        {.type = RECORD_DELETE, .identity = {.kind = KIND_POD}},
        {.type = RECORD_DELETE, .identity = {.kind = KIND_LINK, .name = TEXT("eth0")}},
        {.type = RECORD_DELETE, .identity = {.kind = KIND_NODE, .name = TEXT("a"), .ifindex = 1}},
        {.type = RECORD_DELETE, .identity = {.kind = KINDS, .name = TEXT("a")}},
        {.type = RECORD_OBJECT, .object = {.kind = KIND_POD}},
        {.type = RECORD_REFUSE, .refusal = {0, TEXT("why")}},
        {.type = RECORD_REFUSE, .refusal = {-EINVAL, TEXT("why")}},
        {.type = RECORD_REFUSE, .refusal = {EINVAL, TEXT("a\0b")}},
        {.type = RECORD_REFUSE, .refusal = {EINVAL, {(const char *)buffer.data, 257}}},
        {.type = RECORD_ENTRIES, .entries = {&(struct table_entry){.table = TABLES}, 1}},
    };

    memset(buffer.data, 'a', 300);
    for (size_t i = 0; i < ARRAY_SIZE(records); i++)
        assert_int_equal(record_pack(&records[i], &(struct record_buffer){0}), -EINVAL);
}

static void test_names(void **state _unused_)
{
    assert_string_equal(record_type_name(RECORD_OBJECT), "object");
    assert_string_equal(record_type_name(0), "unknown");
    assert_string_equal(record_type_name(RECORD_TYPES), "unknown");
    for (int type = 1; type < RECORD_TYPES; type++)
        assert_string_not_equal(record_type_name((enum record_type)type), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_type_comes_back),
        cmocka_unit_test(test_every_kind_comes_back),
        cmocka_unit_test(test_extreme_numbers_come_back),
        cmocka_unit_test(test_wire_format),
        cmocka_unit_test(test_generation_is_replaced),
        cmocka_unit_test(test_full_entries_fit),
        cmocka_unit_test(test_too_large_is_refused),
        cmocka_unit_test(test_too_many_values_are_refused),
        cmocka_unit_test(test_what_may_not_be_sent),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

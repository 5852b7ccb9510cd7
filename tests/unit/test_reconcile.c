/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From random contents of the maps to random tables: what packets see at every single write, with
 * a failure at every call, and what is there at the end.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "loader/apply.h"
#include "tests/unit/reconcile_watch.h"

enum {
    NODES = 4,
    GROUPS = 4,
    SLOTS_MOST = 3,
    PROFILES = 5,
    CAPACITY = 256,
    ROUNDS = 300,
    FAILURE_ROUNDS = 40,
};

static const char *const prefix_texts[] = {"0.0.0.0/0",   "10.0.0.0/8", "10.1.0.0/16",
                                           "10.1.2.0/24", "20.0.0.0/8", "2001:db8::/32"};
static unsigned seed;

static unsigned roll(unsigned sides)
{
    return (unsigned)rand_r(&seed) % sides;
}

static struct ip_addr node_number(unsigned number)
{
    return ip_addr_from_v4(htonl(172U << 24 | number));
}

static void put(struct tables *tables, enum table table, const void *key, const void *value)
{
    assert_int_equal(entries_put(&tables->maps[table], key, value, ENTRY_SET), 0);
}

static void fill_nodes(struct tables *tables)
{
    for (unsigned i = 0; i < NODES; i++) {
        struct ip_addr node = node_number(i + 1);
        struct node_entry value = {.flags = roll(4)};

        if (i == 0 || roll(2))
            put(tables, TABLE_NODES, &node, &value);
    }
}

/* A group's number of slots is part of what it is, as it is for the planner. */
static unsigned group_slots(unsigned group)
{
    return 1 + group % SLOTS_MOST;
}

static void fill_gateways(struct tables *tables)
{
    for (unsigned group = 0; group < GROUPS; group++) {
        if (roll(3) == 0)
            continue;
        for (unsigned slot = 0; slot < group_slots(group); slot++) {
            struct gateway_key key = {group, slot};
            struct gateway value = {.node = node_number(1 + roll(NODES))};

            if (!entries_find(&tables->maps[TABLE_NODES], &value.node))
                value.node = node_number(1);
            put(tables, TABLE_GATEWAYS, &key, &value);
        }
    }
}

static struct route random_route(const struct tables *tables, uint32_t profile)
{
    struct route route = {.action = ROUTE_EXCLUDED};
    struct gateway_key key = {roll(GROUPS), 0};

    if (profile == PROFILE_COVERED || profile == PROFILE_CLUSTER) {
        route.action = profile == PROFILE_COVERED ? ROUTE_COVERED : ROUTE_CLUSTER;
    } else if (roll(4) == 0) {
        route.action = ROUTE_NO_GATEWAY;
    } else if (entries_find(&tables->maps[TABLE_GATEWAYS], &key) && roll(4)) {
        route.action = ROUTE_GATEWAY;
        route.group = key.group;
        route.slots = (uint16_t)group_slots(key.group);
    }
    return route;
}

static void fill_routes(struct tables *tables, uint32_t profile)
{
    for (size_t i = 0; i < ARRAY_SIZE(prefix_texts); i++) {
        struct ip_prefix prefix;
        struct route_key key;
        struct route route = random_route(tables, profile);

        assert_int_equal(prefix_parse(text_of(prefix_texts[i]), &prefix), 0);
        key = route_key_make(profile, &prefix);
        if (roll(2))
            put(tables, TABLE_ROUTES, &key, &route);
    }
}

static void fill_endpoints(struct tables *tables)
{
    for (unsigned i = 0; i < WATCH_SOURCES; i++) {
        struct ip_addr address = watch_source(i);
        unsigned profile = roll(PROFILES + 1);
        struct endpoint value = {.node = node_number(1), .hash = i};

        value.profile = profile == PROFILES ? (unsigned)PROFILE_NONE : PROFILE_FIRST + profile;
        if (roll(4))
            put(tables, TABLE_ENDPOINTS, &address, &value);
    }
}

static void tables_random(struct tables *tables)
{
    const uint32_t zero = 0;
    struct settings settings = {.flags = roll(2)};

    tables_open(tables);
    put(tables, TABLE_SETTINGS, &zero, &settings);
    fill_nodes(tables);
    fill_gateways(tables);
    fill_routes(tables, PROFILE_CLUSTER);
    fill_routes(tables, PROFILE_COVERED);
    for (uint32_t profile = 0; profile < PROFILES; profile++) {
        if (roll(4))
            fill_routes(tables, PROFILE_FIRST + profile);
    }
    fill_endpoints(tables);
}

/* --- driving ---------------------------------------------------------------------------------- */

static void fake_expect(const struct fake_backend *fake, const struct tables *tables)
{
    for (unsigned table = 0; table < TABLES; table++) {
        size_t cursor = 0;
        struct entry *entry;

        assert_int_equal(fake->maps[table].count, tables->maps[table].count);
        while ((entry = entries_next(&tables->maps[table], &cursor))) {
            struct entry *there = entries_find(&fake->maps[table], entry->key);

            assert_non_null(there);
            assert_memory_equal(entry_value(&fake->maps[table], there),
                                entry_value(&tables->maps[table], entry),
                                table_shapes[table].value_size);
        }
    }
}

static void stage_entry(struct apply *apply, enum table table, const struct entry *entry,
                        const void *value)
{
    struct table_entry item = {.table = table, .remove = !value};
    const char *why = NULL;

    memcpy(&item.key, entry->key, table_shapes[table].key_size);
    if (value)
        memcpy(&item.value, value, table_shapes[table].value_size);
    assert_int_equal(apply_stage(apply, &item, 1, &why), 0);
}

static void stage_snapshot(struct apply *apply, const struct tables *tables)
{
    apply_begin(apply, true);
    for (unsigned table = 0; table < TABLES; table++) {
        size_t cursor = 0;
        struct entry *entry;

        while ((entry = entries_next(&tables->maps[table], &cursor)))
            stage_entry(apply, table, entry, entry_value(&tables->maps[table], entry));
    }
}

static void stage_change(struct apply *apply, const struct tables *before,
                         const struct tables *after)
{
    apply_begin(apply, false);
    for (unsigned table = 0; table < TABLES; table++) {
        size_t cursor = 0;
        struct entry *entry;

        while ((entry = entries_next(&after->maps[table], &cursor))) {
            const void *value = entry_value(&after->maps[table], entry);
            struct entry *old = entries_find(&before->maps[table], entry->key);

            if (!old || memcmp(entry_value(&before->maps[table], old), value,
                               table_shapes[table].value_size) != 0)
                stage_entry(apply, table, entry, value);
        }
        cursor = 0;
        while ((entry = entries_next(&before->maps[table], &cursor))) {
            if (!entries_find(&after->maps[table], entry->key))
                stage_entry(apply, table, entry, NULL);
        }
    }
}

static void expect_commit(struct apply *apply)
{
    struct apply_result result;

    assert_int_equal(apply_commit(apply, &result), 0);
    assert_true(result.taken);
    assert_int_equal(result.held, 0);
    assert_false(apply_is_pending(apply));
}

static void test_snapshot_from_anything(void **state)
{
    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct fake_backend fake;
        struct tables before, after;
        struct watch watch;
        struct apply apply;

        seed = round + 1;
        tables_random(&before);
        tables_random(&after);
        fake_backend_open(&fake, CAPACITY);
        fake.read_most = round % 5;
        tables_copy(fake.maps, before.maps);
        assert_int_equal(apply_open(&apply, &fake.backend), 0);
        watch_begin(&watch, &fake, &before, &after);
        stage_snapshot(&apply, &after);
        expect_commit(&apply);
        fake_expect(&fake, &after);

        /* The same once more writes nothing. */
        fake.elements = fake.calls = 0;
        stage_snapshot(&apply, &after);
        expect_commit(&apply);
        assert_int_equal(fake.elements, 0);
        assert_int_equal(fake.calls, 0);
        watch_end(&watch);
        apply_close(&apply);
        fake_backend_close(&fake);
        tables_close(&before);
        tables_close(&after);
    }
}

static void test_changes_in_a_row(void **state)
{
    struct fake_backend fake;
    struct tables before, after;
    struct watch watch;
    struct apply apply;

    (void)state;
    seed = 4711;
    tables_random(&before);
    fake_backend_open(&fake, CAPACITY);
    tables_copy(fake.maps, before.maps);
    assert_int_equal(apply_open(&apply, &fake.backend), 0);
    for (unsigned round = 0; round < ROUNDS; round++) {
        tables_random(&after);
        watch_begin(&watch, &fake, &before, &after);
        stage_change(&apply, &before, &after);
        expect_commit(&apply);
        fake_expect(&fake, &after);
        watch_end(&watch);
        tables_close(&before);
        before = after;
    }
    apply_close(&apply);
    fake_backend_close(&fake);
    tables_close(&before);
}

/* One scenario with a failure at one call. Returns whether the call was reached. */
static bool run_failure(const struct tables *before, const struct tables *after, bool snapshot,
                        size_t call, int error)
{
    struct fake_backend fake;
    struct watch watch;
    struct apply apply;
    struct apply_result result;
    bool reached;
    int outcome;

    fake_backend_open(&fake, CAPACITY);
    tables_copy(fake.maps, before->maps);
    assert_int_equal(apply_open(&apply, &fake.backend), 0);
    watch_begin(&watch, &fake, before, after);
    fake.fail_at = call;
    fake.fail_error = error;
    if (snapshot)
        stage_snapshot(&apply, after);
    else
        stage_change(&apply, before, after);
    outcome = apply_commit(&apply, &result);
    reached = fake.calls >= call;
    assert_true(result.taken);
    if (outcome) {
        assert_true(reached);
        assert_true(result.held > 0);
        assert_true(result.text[0] != '\0');
        assert_true(apply_is_pending(&apply));
        assert_int_equal(apply_retry(&apply, &result), 0);
    }
    assert_false(apply_is_pending(&apply));
    fake_expect(&fake, after);
    watch_end(&watch);
    apply_close(&apply);
    fake_backend_close(&fake);
    return reached;
}

static void test_failure_at_every_call(void **state)
{
    static const int errors[] = {-ENOMEM, -E2BIG, -EINTR, -EBUSY};
    size_t failures = 0;

    (void)state;
    for (unsigned round = 0; round < FAILURE_ROUNDS; round++) {
        struct tables before, after;

        seed = 1000 + round;
        tables_random(&before);
        tables_random(&after);
        for (size_t call = 1; run_failure(&before, &after, round % 2, call,
                                          errors[(round + call) % ARRAY_SIZE(errors)]);
             call++)
            failures++;
        tables_close(&before);
        tables_close(&after);
    }
    assert_true(failures > FAILURE_ROUNDS * 4);
}

/* After a failure another generation comes before the retry: what counts is the last word. */
static void test_generation_after_failure(void **state)
{
    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct fake_backend fake;
        struct tables before, between, after;
        struct apply_result result;
        struct apply apply;

        seed = 20000 + round;
        tables_random(&before);
        tables_random(&between);
        tables_random(&after);
        fake_backend_open(&fake, CAPACITY);
        tables_copy(fake.maps, before.maps);
        assert_int_equal(apply_open(&apply, &fake.backend), 0);
        fake.fail_at = 1 + roll(5);
        fake.fail_error = -ENOMEM;
        stage_change(&apply, &before, &between);
        (void)!apply_commit(&apply, &result);
        if (round % 2)
            stage_snapshot(&apply, &after);
        else
            stage_change(&apply, &between, &after);
        (void)!apply_commit(&apply, &result);
        assert_true(result.taken);
        if (apply_is_pending(&apply))
            assert_int_equal(apply_retry(&apply, &result), 0);
        fake_expect(&fake, &after);
        apply_close(&apply);
        fake_backend_close(&fake);
        tables_close(&before);
        tables_close(&between);
        tables_close(&after);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_snapshot_from_anything),
        cmocka_unit_test(test_changes_in_a_row),
        cmocka_unit_test(test_failure_at_every_call),
        cmocka_unit_test(test_generation_after_failure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

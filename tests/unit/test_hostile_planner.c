/* SPDX-License-Identifier: Apache-2.0 */
/* A planner that has been taken over, against the loader: what is impossible is refused, what is
 * merely wrong is in the maps for everybody to see, and the next planner sets it right. SOAK=1:
 * twenty times as many mutations. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

#include "common/log.h"
#include "loader/session.h"
#include "tests/unit/fake_backend.h"
#include "tests/unit/hostile.h"
#include "tests/unit/record_samples.h"

enum { CAPACITY = 128 };

static struct {
    struct event_base *base;
    struct fake_backend fake;
    struct apply apply;
    struct session *session;
    int listener;
} it;

static int setup(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    (void)state;
    hostile_watch_log();
    it.base = event_base_new();
    fake_backend_open(&it.fake, CAPACITY);
    assert_int_equal(apply_open(&it.apply, &it.fake.backend), 0);
    it.listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(it.listener, (struct sockaddr *)&address, sizeof(sa_family_t)), 0);
    assert_int_equal(listen(it.listener, 64), 0);
    return planner_session_open(it.base, it.listener, getuid(), &it.apply, &it.session);
}

static int teardown(void **state)
{
    (void)state;
    planner_session_close(it.session);
    apply_close(&it.apply);
    fake_backend_close(&it.fake);
    event_base_free(it.base);
    log_set_sink(NULL, NULL);
    return 0;
}

/* ---- what is said ---- */

static void say(struct hostile_talk *talk, enum record_type type, uint64_t generation)
{
    hostile_say(talk, &(struct record){.type = type, .generation = generation});
}

static void say_entries(struct hostile_talk *talk, uint64_t generation, struct table_entry *items,
                        size_t count)
{
    struct record record = {.type = RECORD_ENTRIES, .generation = generation};

    record.entries.items = items;
    record.entries.count = count;
    hostile_say(talk, &record);
}

/* A snapshot and a change, as a planner sends them: nodes, a group, its route, endpoints. */
static void say_tables(struct hostile_talk *talk, unsigned endpoints)
{
    static const struct ip_prefix everywhere = {.length = 0};
    struct table_entry items[CAPACITY] = {0};
    struct ip_prefix destination = everywhere;
    size_t count = 0;

    destination.address = ip_addr_from_v4(0);
    items[count].table = TABLE_NODES;
    items[count++].key.address = ip_addr_from_v4(htonl(0xac163001));
    items[count].table = TABLE_GATEWAYS;
    items[count].key.gateway.group = 5;
    items[count++].value.gateway.node = ip_addr_from_v4(htonl(0xac163001));
    items[count].table = TABLE_ROUTES;
    items[count].key.route = route_key_make(PROFILE_FIRST, &destination);
    items[count++].value.route =
        (struct route){.action = ROUTE_GATEWAY, .slots = 1, .group = 5, .policy = 0};
    for (unsigned i = 0; i < endpoints; i++) {
        items[count].table = TABLE_ENDPOINTS;
        items[count].key.address = ip_addr_from_v4(htonl(0x0a000001 + i));
        items[count++].value.endpoint.profile = PROFILE_FIRST;
    }
    talk->count = 0;
    say(talk, RECORD_SNAPSHOT, 1);
    say_entries(talk, 1, items, count);
    say(talk, RECORD_COMMIT, 1);
    say(talk, RECORD_CHANGE, 2);
    say_entries(talk, 2, items + 3, endpoints);
    say(talk, RECORD_COMMIT, 2);
}

/* ---- what is there ---- */

static void assert_entry_is_possible(unsigned table, const struct entry *entry, const void *value)
{
    struct table_entry item = {.table = (enum table)table};
    const char *why = "";

    memcpy(&item.key, entry->key, table_shapes[table].key_size);
    memcpy(&item.value, value, table_shapes[table].value_size);
    if (table_entry_check(&item, &why))
        fail_msg("in the maps: %s", why);
}

static void assert_maps_are_possible(void)
{
    for (unsigned table = 0; table < TABLES; table++) {
        struct entries *entries = &it.fake.maps[table];
        struct entry *entry;
        size_t cursor = 0;

        assert_true(entries->count <= it.fake.capacities[table]);
        while ((entry = entries_next(entries, &cursor)))
            assert_entry_is_possible(table, entry, entry_value(entries, entry));
    }
}

/* The next planner has the whole truth. */
static void assert_resyncs(void)
{
    static struct hostile_talk honest;

    say_tables(&honest, 20);
    hostile_send(it.base, it.listener, &honest, false);
    assert_int_equal(it.fake.maps[TABLE_ENDPOINTS].count, 20);
    assert_int_equal(it.fake.maps[TABLE_NODES].count, 1);
    assert_int_equal(it.fake.maps[TABLE_GATEWAYS].count, 1);
    assert_int_equal(it.fake.maps[TABLE_ROUTES].count, 1);
    assert_maps_are_possible();
}

static void talk_at_random(unsigned round, uint64_t *seed)
{
    static struct hostile_talk talk;

    say_tables(&talk, 1 + sample_number(seed, 40));
    hostile_mutate(&talk, seed);
    hostile_log.lines = 0;
    hostile_send(it.base, it.listener, &talk, round % 3 == 0);
}

static void random_talk(void **state)
{
    static const struct hostile_side side = {
        .round = talk_at_random,
        .resyncs = assert_resyncs,
        .lines_most = 2, /* tables that cannot be, and why it was closed */
        .memory_most = 256 << 10,
    };

    (void)state;
    hostile_random(&side, 7);
}

/* All random entries that may be sent at all, of every table, with no sense between them. */
static void random_entries(void **state)
{
    static struct hostile_talk talk;
    struct table_entry items[8];
    uint64_t seed = 8;

    (void)state;
    for (unsigned round = 0; round < hostile_rounds() / 4; round++) {
        talk.count = 0;
        say(&talk, RECORD_SNAPSHOT, 1);
        for (size_t i = 0; i < ARRAY_SIZE(items); i += !items[i].remove)
            items[i] = sample_entry(&seed, (enum table)sample_number(&seed, TABLES));
        say_entries(&talk, 1, items, ARRAY_SIZE(items));
        say(&talk, RECORD_COMMIT, 1);
        hostile_send(it.base, it.listener, &talk, false);
    }
    assert_resyncs();
}

/* Entries without end: the peer is closed at twice what the table holds. */
static void entries_without_end(void **state)
{
    static struct hostile_talk talk;
    struct table_entry items[CAPACITY] = {0};

    (void)state;
    say(&talk, RECORD_SNAPSHOT, 1);
    for (unsigned record = 0; record < 8; record++) {
        for (unsigned i = 0; i < CAPACITY; i++) {
            items[i].table = TABLE_ENDPOINTS;
            items[i].key.address = ip_addr_from_v4(htonl(0x0a000001 + record * CAPACITY + i));
            items[i].value.endpoint.profile = PROFILE_FIRST;
        }
        say_entries(&talk, 1, items, CAPACITY);
    }
    say(&talk, RECORD_COMMIT, 1);
    hostile_send(it.base, it.listener, &talk, false);
    assert_non_null(strstr(hostile_log.last, "planner"));
    assert_int_equal(it.fake.maps[TABLE_ENDPOINTS].count, 0);
    assert_resyncs();
}

/* What leads to a node that is none is refused as a whole: nothing of it is in the maps. */
static void gateway_that_is_no_node(void **state)
{
    static struct hostile_talk talk;
    struct table_entry items[2] = {{.table = TABLE_GATEWAYS}, {.table = TABLE_ENDPOINTS}};

    (void)state;
    assert_resyncs();
    items[0].value.gateway.node = ip_addr_from_v4(htonl(0xc6336401));
    items[1].key.address = ip_addr_from_v4(htonl(0x0a00ffff));
    items[1].value.endpoint.profile = PROFILE_FIRST;
    talk.count = 0;
    say(&talk, RECORD_SNAPSHOT, 1);
    say_entries(&talk, 1, items, 2);
    say(&talk, RECORD_COMMIT, 1);
    hostile_send(it.base, it.listener, &talk, false);
    assert_int_equal(it.fake.maps[TABLE_ENDPOINTS].count, 20);
    assert_int_equal(it.fake.maps[TABLE_NODES].count, 1);
}

/* It is done, since deleting policies looks the same, and it is said. */
static void tables_that_vanish(void **state)
{
    static struct hostile_talk talk;

    (void)state;
    say_tables(&talk, 100);
    hostile_send(it.base, it.listener, &talk, false);
    assert_int_equal(it.fake.maps[TABLE_ENDPOINTS].count, 100);
    hostile_log.lines = 0;
    talk.count = 0;
    say(&talk, RECORD_SNAPSHOT, 1);
    say(&talk, RECORD_COMMIT, 1);
    hostile_send(it.base, it.listener, &talk, false);
    assert_int_equal(it.fake.maps[TABLE_ENDPOINTS].count, 0);
    assert_int_equal(hostile_log.lines, 1);
    assert_non_null(strstr(hostile_log.last, "more than half"));
    assert_non_null(strstr(hostile_log.last, "before=101"));
    hostile_log.lines = 0;
    say_tables(&talk, 20); /* few go: nobody needs to know */
    hostile_send(it.base, it.listener, &talk, false);
    say_tables(&talk, 1);
    hostile_send(it.base, it.listener, &talk, false);
    assert_int_equal(hostile_log.lines, 0);
}

static void connect_flood(void **state)
{
    (void)state;
    hostile_flood(it.base, it.listener);
    assert_resyncs();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(random_talk),         TEST(random_entries),
        TEST(entries_without_end), TEST(gateway_that_is_no_node),
        TEST(tables_that_vanish),  TEST(connect_flood),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

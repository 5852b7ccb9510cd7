/* SPDX-License-Identifier: Apache-2.0 */
/* The loader's side of the planner's socket: a raw client sends records and reads the answers. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/channel.h"
#include "loader/session.h"
#include "tests/unit/fake_backend.h"

struct fixture {
    struct event_base *base;
    struct fake_backend fake;
    struct apply apply;
    struct session *session;
    int listener;
    int client;
    struct arena arena;
    struct record_buffer buffer;
    char answer[RECORD_SIZE_LIMIT];
};

static void turn(struct fixture *fixture)
{
    for (unsigned i = 0; i < 8; i++)
        event_base_loop(fixture->base, EVLOOP_NONBLOCK);
}

static void client_connect(struct fixture *fixture)
{
    struct sockaddr_un address;
    socklen_t size = sizeof(address);

    assert_int_equal(getsockname(fixture->listener, (struct sockaddr *)&address, &size), 0);
    fixture->client = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(fixture->client >= 0);
    assert_int_equal(connect(fixture->client, (struct sockaddr *)&address, size), 0);
    turn(fixture);
}

static int setup(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    assert_non_null(fixture);
    fixture->base = event_base_new();
    fake_backend_open(&fixture->fake, 4);
    assert_int_equal(apply_open(&fixture->apply, &fixture->fake.backend), 0);
    /* A name that the kernel chooses, in no file system. */
    fixture->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fixture->listener, (struct sockaddr *)&address, sizeof(sa_family_t)), 0);
    assert_int_equal(listen(fixture->listener, 4), 0);
    assert_int_equal(planner_session_open(fixture->base, fixture->listener, getuid(),
                                          &fixture->apply, &fixture->session),
                     0);
    client_connect(fixture);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    close(fixture->client);
    turn(fixture);
    planner_session_close(fixture->session);
    apply_close(&fixture->apply);
    fake_backend_close(&fixture->fake);
    arena_clear(&fixture->arena);
    event_base_free(fixture->base);
    close(fixture->listener);
    free(fixture);
    return 0;
}

static void send_record(struct fixture *fixture, const struct record *record)
{
    assert_int_equal(record_pack(record, &fixture->buffer), 0);
    assert_int_equal(
        send(fixture->client, fixture->buffer.data, fixture->buffer.length, MSG_NOSIGNAL),
        fixture->buffer.length);
    turn(fixture);
}

static void send_simple(struct fixture *fixture, enum record_type type, uint64_t generation)
{
    struct record record = {.type = type, .generation = generation};

    send_record(fixture, &record);
}

static void send_endpoints(struct fixture *fixture, uint64_t generation, unsigned first,
                           unsigned count)
{
    struct table_entry items[16] = {0};
    struct record record = {.type = RECORD_ENTRIES, .generation = generation};

    for (unsigned i = 0; i < count; i++) {
        items[i].table = TABLE_ENDPOINTS;
        items[i].key.address = ip_addr_from_v4(htonl(0x0a000000 + first + i));
        items[i].value.endpoint.profile = PROFILE_NONE;
    }
    record.entries.items = items;
    record.entries.count = count;
    send_record(fixture, &record);
}

static struct record answer_read(struct fixture *fixture)
{
    ssize_t length = recv(fixture->client, fixture->answer, sizeof(fixture->answer), 0);
    struct record record = {0};
    const char *why;

    assert_true(length > 0);
    arena_clear(&fixture->arena);
    assert_int_equal(record_unpack(fixture->answer, (size_t)length, &fixture->arena, &record, &why),
                     0);
    return record;
}

static void expect_acknowledge(struct fixture *fixture, uint64_t generation)
{
    struct record record = answer_read(fixture);

    assert_int_equal(record.type, RECORD_ACKNOWLEDGE);
    assert_int_equal(record.generation, generation);
}

static void expect_closed(struct fixture *fixture)
{
    assert_int_equal(recv(fixture->client, fixture->answer, sizeof(fixture->answer), 0), 0);
}

static void expect_open(struct fixture *fixture)
{
    assert_int_equal(recv(fixture->client, fixture->answer, sizeof(fixture->answer), 0), -1);
    assert_int_equal(errno, EAGAIN);
}

static void test_snapshot_then_changes(void **state)
{
    struct fixture *fixture = *state;

    send_simple(fixture, RECORD_SNAPSHOT, 10);
    send_endpoints(fixture, 10, 1, 2);
    assert_int_equal(fixture->fake.elements, 0);
    send_simple(fixture, RECORD_COMMIT, 10);
    expect_acknowledge(fixture, 10);
    assert_int_equal(fixture->fake.maps[TABLE_ENDPOINTS].count, 2);
    send_simple(fixture, RECORD_CHANGE, 11);
    send_endpoints(fixture, 11, 3, 1);
    send_simple(fixture, RECORD_COMMIT, 11);
    expect_acknowledge(fixture, 11);
    assert_int_equal(fixture->fake.maps[TABLE_ENDPOINTS].count, 3);
    expect_open(fixture);
}

static void test_change_needs_a_snapshot(void **state)
{
    struct fixture *fixture = *state;

    send_simple(fixture, RECORD_CHANGE, 1);
    expect_closed(fixture);
}

static void test_entries_need_a_generation(void **state)
{
    struct fixture *fixture = *state;

    send_endpoints(fixture, 1, 1, 1);
    expect_closed(fixture);
}

static void test_generation_must_grow(void **state)
{
    struct fixture *fixture = *state;

    send_simple(fixture, RECORD_SNAPSHOT, 10);
    send_simple(fixture, RECORD_COMMIT, 10);
    expect_acknowledge(fixture, 10);
    send_simple(fixture, RECORD_CHANGE, 10);
    expect_closed(fixture);
}

static void test_commit_of_another_generation(void **state)
{
    struct fixture *fixture = *state;

    send_simple(fixture, RECORD_SNAPSHOT, 10);
    send_endpoints(fixture, 10, 1, 1);
    send_simple(fixture, RECORD_COMMIT, 11);
    expect_closed(fixture);
    assert_int_equal(fixture->fake.elements, 0);
}

static void test_half_a_generation_is_forgotten(void **state)
{
    struct fixture *fixture = *state;

    send_simple(fixture, RECORD_SNAPSHOT, 10);
    send_endpoints(fixture, 10, 1, 2);
    close(fixture->client);
    turn(fixture);
    client_connect(fixture);
    /* A planner that was restarted counts anew. */
    send_simple(fixture, RECORD_SNAPSHOT, 1);
    send_endpoints(fixture, 1, 9, 1);
    send_simple(fixture, RECORD_COMMIT, 1);
    expect_acknowledge(fixture, 1);
    assert_int_equal(fixture->fake.maps[TABLE_ENDPOINTS].count, 1);
}

static void test_contradiction_is_refused_and_closed(void **state)
{
    struct fixture *fixture = *state;
    struct table_entry item = {.table = TABLE_GATEWAYS};
    struct record record = {.type = RECORD_ENTRIES, .generation = 10}, answer;

    item.value.gateway.node = ip_addr_from_v4(htonl(0x0a000001));
    record.entries.items = &item;
    record.entries.count = 1;
    send_simple(fixture, RECORD_SNAPSHOT, 10);
    send_record(fixture, &record);
    send_simple(fixture, RECORD_COMMIT, 10);
    answer = answer_read(fixture);
    assert_int_equal(answer.type, RECORD_REFUSE);
    assert_int_equal(answer.refusal.error, EINVAL);
    assert_true(answer.refusal.text.length > 0);
    expect_closed(fixture);
    assert_int_equal(fixture->fake.elements, 0);
}

static void test_full_map_is_refused_but_goes_on(void **state)
{
    struct fixture *fixture = *state;
    struct record answer;

    send_simple(fixture, RECORD_SNAPSHOT, 10);
    send_endpoints(fixture, 10, 1, 6);
    send_simple(fixture, RECORD_COMMIT, 10);
    answer = answer_read(fixture);
    assert_int_equal(answer.type, RECORD_REFUSE);
    assert_int_equal(answer.generation, 10);
    assert_int_equal(answer.refusal.error, E2BIG);
    assert_int_equal(fixture->fake.maps[TABLE_ENDPOINTS].count, 4);
    expect_open(fixture);
    /* A generation later there is room, and what waited is there, too. */
    fixture->fake.capacities[TABLE_ENDPOINTS] = 8;
    send_simple(fixture, RECORD_CHANGE, 11);
    send_simple(fixture, RECORD_COMMIT, 11);
    expect_acknowledge(fixture, 11);
    assert_int_equal(fixture->fake.maps[TABLE_ENDPOINTS].count, 6);
}

static void test_too_many_entries_close(void **state)
{
    struct fixture *fixture = *state;

    send_simple(fixture, RECORD_SNAPSHOT, 10);
    send_endpoints(fixture, 10, 1, 9);
    expect_closed(fixture);
    assert_int_equal(fixture->fake.elements, 0);
}

/* A report that is larger than what the socket takes. */
static void report_fill(struct status_report *report)
{
    for (uint32_t i = 0; i < STATUS_REPORT_LIMIT; i++) {
        struct status_entry entry = {.kind = STATUS_EGRESS, .number = 6};

        entry.address = ip_addr_from_v4(htonl(0x0a000000 + i));
        assert_int_equal(status_report_add(report, &entry), 0);
    }
}

/* A planner that does not read gets the answer to its last generation, once, when there is room,
 * and the report as a whole. */
static void test_what_waits_for_room(void **state)
{
    struct fixture *fixture = *state;
    struct status_report report = {0};
    unsigned answers = 0, entries = 0;
    uint64_t answered = 0;
    struct record record;

    report_fill(&report);
    planner_session_report(fixture->session, &report);
    assert_true(planner_session_is_reporting(fixture->session));
    for (uint64_t generation = 10; generation < 13; generation++) {
        send_simple(fixture, generation == 10 ? RECORD_SNAPSHOT : RECORD_CHANGE, generation);
        send_endpoints(fixture, generation, (unsigned)generation, 1);
        send_simple(fixture, RECORD_COMMIT, generation);
    }
    assert_int_equal(fixture->fake.maps[TABLE_ENDPOINTS].count, 3);
    do {
        record = answer_read(fixture);
        if (record.type == RECORD_ACKNOWLEDGE) {
            answers++;
            answered = record.generation;
        } else {
            assert_int_equal(record.type, RECORD_STATUS);
            entries += (unsigned)record.status.count;
        }
        turn(fixture);
    } while (planner_session_is_reporting(fixture->session) || entries < STATUS_REPORT_LIMIT);
    assert_int_equal(entries, STATUS_REPORT_LIMIT);
    assert_int_equal(answers, 1);
    assert_int_equal(answered, 12);
    expect_open(fixture);
    status_report_clear(&report);
}

/* What waited for a planner that went away is not for the next one. */
static void test_what_waits_goes_with_its_planner(void **state)
{
    struct fixture *fixture = *state;
    struct status_report report = {0};

    report_fill(&report);
    planner_session_report(fixture->session, &report);
    send_simple(fixture, RECORD_SNAPSHOT, 10);
    send_simple(fixture, RECORD_COMMIT, 10);
    close(fixture->client);
    turn(fixture);
    assert_false(planner_session_is_reporting(fixture->session));
    status_report_clear(&report);
    client_connect(fixture);
    expect_open(fixture);
    assert_true(planner_session_wants_report(fixture->session));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_snapshot_then_changes),
        TEST(test_change_needs_a_snapshot),
        TEST(test_entries_need_a_generation),
        TEST(test_generation_must_grow),
        TEST(test_commit_of_another_generation),
        TEST(test_half_a_generation_is_forgotten),
        TEST(test_contradiction_is_refused_and_closed),
        TEST(test_full_map_is_refused_but_goes_on),
        TEST(test_too_many_entries_close),
        TEST(test_what_waits_for_room),
        TEST(test_what_waits_goes_with_its_planner),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Each allocation of the loader fails in turn while it starts, takes a snapshot and a change, and
 * reports: it refuses, or tries again, and the next planner sets all of it right. */
#include <arpa/inet.h>
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
#include "tests/unit/scarce.h"

enum { CAPACITY = 128, ENDPOINTS = 60 };

static struct {
    struct event_base *base;
    struct fake_backend fake;
    struct apply apply;
    struct session *session;
    struct status_report report; /* empty */
    int listener;
} it;

static void on_line(enum log_level level _unused_, const char *line _unused_,
                    void *context _unused_)
{
}

static void say_entries(struct hostile_talk *talk, enum record_type begin, uint64_t generation,
                        struct table_entry *items, size_t count)
{
    struct record record = {.type = RECORD_ENTRIES, .generation = generation};

    hostile_say(talk, &(struct record){.type = begin, .generation = generation});
    record.entries.items = items;
    record.entries.count = count;
    hostile_say(talk, &record);
    hostile_say(talk, &(struct record){.type = RECORD_COMMIT, .generation = generation});
}

/* A node, a gateway, a route and endpoints; then all endpoints but these go, and others come. */
static void say_all(struct hostile_talk *talk)
{
    struct ip_prefix everywhere = {.address = ip_addr_from_v4(0)};
    struct table_entry items[3 + ENDPOINTS] = {
        {.table = TABLE_NODES}, {.table = TABLE_GATEWAYS}, {.table = TABLE_ROUTES}};

    items[0].key.address = items[1].value.gateway.node = ip_addr_from_v4(htonl(0xac163001));
    items[1].key.gateway.group = 5;
    items[2].key.route = route_key_make(PROFILE_FIRST, &everywhere);
    items[2].value.route = (struct route){.action = ROUTE_GATEWAY, .slots = 1, .group = 5};
    for (unsigned i = 0; i < ENDPOINTS; i++) {
        items[3 + i].table = TABLE_ENDPOINTS;
        items[3 + i].key.address = ip_addr_from_v4(htonl(0x0a000001 + i));
        items[3 + i].value.endpoint.profile = PROFILE_FIRST;
    }
    talk->count = 0;
    say_entries(talk, RECORD_SNAPSHOT, 1, items, ARRAY_SIZE(items));
    for (unsigned i = 0; i < ENDPOINTS / 2; i++)
        items[3 + i].remove = true;
    say_entries(talk, RECORD_CHANGE, 2, items + 3, ENDPOINTS / 2);
}

static int loader_open(void)
{
    int error = apply_open(&it.apply, &it.fake.backend);

    if (error)
        return error;
    error = planner_session_open(it.base, it.listener, getuid(), &it.apply, &it.session);
    if (error)
        apply_close(&it.apply);
    return error;
}

static bool tables_are_whole(void)
{
    return it.fake.maps[TABLE_NODES].count == 1 && it.fake.maps[TABLE_GATEWAYS].count == 1 &&
           it.fake.maps[TABLE_ROUTES].count == 1 &&
           it.fake.maps[TABLE_ENDPOINTS].count == ENDPOINTS / 2;
}

/* The loader's life, as far as it comes, and then the next planner with all of it. */
static bool live(const struct hostile_talk *talk)
{
    bool done = false;
    int error;

    scarce_begin();
    error = loader_open();
    if (!error) {
        hostile_send(it.base, it.listener, talk, false);
        planner_session_report(it.session, &it.report);
        done = tables_are_whole();
    }
    scarce_end();
    if (error)
        error = loader_open();
    assert_int_equal(error, 0);
    hostile_send(it.base, it.listener, talk, false);
    assert_true(tables_are_whole());
    return done;
}

static bool once(void *context)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    bool done;

    it.base = event_base_new();
    fake_backend_open(&it.fake, CAPACITY);
    it.listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(it.listener, (struct sockaddr *)&address, sizeof(sa_family_t)), 0);
    assert_int_equal(listen(it.listener, 8), 0);
    done = live(context);
    planner_session_close(it.session);
    apply_close(&it.apply);
    fake_backend_close(&it.fake);
    event_base_free(it.base);
    return done;
}

static void each_allocation_fails(void **state)
{
    static struct hostile_talk talk;

    (void)state;
    log_set_sink(on_line, NULL);
    say_all(&talk);
    assert_true(scarce_each(1, once, &talk) > 20);
    log_set_sink(NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_allocation_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

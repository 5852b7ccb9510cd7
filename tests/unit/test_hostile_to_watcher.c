/* SPDX-License-Identifier: Apache-2.0 */
/* A planner that has been taken over, against the watcher: it may ask for all pods, once for each
 * list of them; it cannot end the watcher, fill its memory, or keep the next planner from hearing
 * everything. SOAK=1: twenty times as many mutations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "common/log.h"
#include "tests/unit/hostile.h"
#include "tests/unit/record_samples.h"
#include "watcher/metrics.h"
#include "watcher/session.h"

enum {
    MEMORY_MOST = 256 << 10,
    NAMESPACES = 40,
    RECORDS = 2 * KINDS + NAMESPACES, /* that tell all of it */
};

static struct {
    struct event_base *base;
    struct store *store;
    struct source_sink sink;
    struct metrics *metrics;
    struct session *session;
    char path[HOSTILE_PATH];
    int listener;
    struct arena arena; /* of what was heard last */
    unsigned asked;     /* how often the planner asked for pods */
} it;

static void on_changed(void *context _unused_)
{
    session_wake(it.session);
}

static void on_listed(void *context _unused_, enum object_kind kind _unused_)
{
}

static void on_failed(void *context _unused_)
{
    fail_msg("out of memory");
}

/* As the watcher does where it has that list already. */
static void on_scope(void *context _unused_, bool all_pods _unused_)
{
    it.asked++;
    session_restart(it.session, KIND_POD);
}

static void put(unsigned number)
{
    char name[32];
    struct object object = {.kind = KIND_NAMESPACE};

    snprintf(name, sizeof(name), "n%u", number);
    object.namespace.name = object.namespace.uid = text_of(name);
    it.sink.object(it.sink.context, &object);
}

static void take(unsigned number)
{
    char name[32];
    struct object_identity identity = {.kind = KIND_NAMESPACE};

    snprintf(name, sizeof(name), "n%u", number);
    identity.name = text_of(name);
    it.sink.remove(it.sink.context, &identity);
}

static struct hostile_side side;

static int setup(void **state)
{
    static const struct store_observer observer = {NULL, on_changed, on_listed, on_failed};
    const struct config config = {0};

    (void)state;
    memset(&it, 0, sizeof(it));
    hostile_watch_log();
    it.base = side.base = event_base_new();
    assert_int_equal(store_new(&observer, &it.store), 0);
    assert_int_equal(metrics_open(&config, it.store, &it.metrics), 0);
    assert_int_equal(session_open(it.base, it.store, on_scope, NULL, &it.session), 0);
    session_set_metrics(it.session, it.metrics);
    it.sink = store_sink(it.store);
    for (int kind = 0; kind < KINDS; kind++) {
        it.sink.list_begin(it.sink.context, (enum object_kind)kind);
        for (unsigned i = 0; kind == KIND_NAMESPACE && i < NAMESPACES; i++)
            put(i);
        it.sink.list_end(it.sink.context, (enum object_kind)kind);
    }
    it.listener = hostile_listen(it.path);
    return session_connect(it.session, it.path, getuid());
}

static int teardown(void **state)
{
    (void)state;
    session_free(it.session);
    metrics_close(it.metrics);
    store_free(it.store);
    hostile_unlisten(it.listener, it.path);
    event_base_free(it.base);
    arena_clear(&it.arena);
    log_set_sink(NULL, NULL);
    return 0;
}

/* ---- what is heard and said ---- */

/* Hears all there is; how many records that were, in order and without a gap. */
static unsigned hear_all(int fd)
{
    struct record record;
    unsigned count = 0;

    while (hostile_hear(it.base, fd, &it.arena, &record))
        assert_int_equal(record.generation, ++count);
    return count;
}

static void say(struct hostile_talk *talk, enum record_type type, uint64_t generation)
{
    hostile_say(talk, &(struct record){.type = type, .generation = generation, .all_pods = true});
}

/* What a planner says from its connection on. */
static void say_all(struct hostile_talk *talk, uint64_t generation)
{
    talk->count = 0;
    say(talk, RECORD_ACKNOWLEDGE, 1);
    hostile_say_report(talk, true, false, 0);
    hostile_say_report(talk, false, true, 20);
    say(talk, RECORD_ACKNOWLEDGE, generation);
    say(talk, RECORD_SCOPE, 0);
    hostile_say_report(talk, true, true, 0);
}

/* The next planner hears everything, is told what it asks for, and changes go on. */
static void assert_resyncs(void)
{
    static struct hostile_talk honest;
    struct record record;
    int fd = hostile_accept(it.base, it.listener);

    assert_int_equal(hear_all(fd), RECORDS);
    say_all(&honest, RECORDS);
    for (size_t i = 0; i < honest.count; i++)
        hostile_send_one(fd, &honest, i);
    assert_true(hostile_hear(it.base, fd, &it.arena, &record));
    assert_int_equal(record.type, RECORD_SYNC_BEGIN);
    assert_int_equal(record.kind, KIND_POD);
    assert_true(hostile_hear(it.base, fd, &it.arena, &record));
    assert_int_equal(record.type, RECORD_SYNC_END);
    put(NAMESPACES);
    assert_true(hostile_hear(it.base, fd, &it.arena, &record));
    assert_int_equal(record.type, RECORD_OBJECT);
    assert_int_equal(record.generation, RECORDS + 3);
    take(NAMESPACES);
    close(fd);
}

static int connect_again(void)
{
    return hostile_accept(it.base, it.listener);
}

static void talk_at_random(unsigned round, uint64_t *seed)
{
    static struct hostile_talk talk;
    int fd = connect_again();

    if (round % 2)
        hear_all(fd);
    say_all(&talk, RECORDS);
    hostile_mutate(&talk, seed);
    hostile_log.lines = 0;
    hostile_say_on(it.base, fd, &talk, round % 3 == 0);
}

static struct hostile_side side = {
    .peer = "planner",
    .connect = connect_again,
    .round = talk_at_random,
    .resyncs = assert_resyncs,
    .lines_most = 1, /* why it was closed */
    .memory_most = MEMORY_MOST,
};

static void random_talk(void **state)
{
    (void)state;
    hostile_random(&side, 12);
}

/* ---- what is refused ---- */

static void types_of_others(void **state)
{
    (void)state;
    hostile_types_of_others(
        &side, 1U << RECORD_ACKNOWLEDGE | 1U << RECORD_SCOPE | 1U << RECORD_STATUS, 13);
}

/* What was not sent cannot have been taken in, nor less than was taken in before. */
static void acknowledgements(void **state)
{
    static struct hostile_talk talk;
    static const uint64_t wrong[][2] = {{1, RECORDS + 1}, {RECORDS, UINT64_MAX}, {RECORDS, 1}};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        int fd = hostile_accept(it.base, it.listener);

        assert_int_equal(hear_all(fd), RECORDS);
        talk.count = hostile_log.lines = 0;
        say(&talk, RECORD_ACKNOWLEDGE, wrong[i][0]);
        say(&talk, RECORD_ACKNOWLEDGE, wrong[i][1]);
        hostile_send_one(fd, &talk, 0);
        assert_false(hostile_is_closed(it.base, fd));
        hostile_send_one(fd, &talk, 1);
        hostile_assert_closed(&side, fd, "record=acknowledge");
    }
    assert_resyncs();
}

/* Each SCOPE costs the API server a list: the next one has to wait for it. */
static void scopes_without_end(void **state)
{
    static struct hostile_talk talk;
    int fd = hostile_accept(it.base, it.listener);

    (void)state;
    assert_int_equal(hear_all(fd), RECORDS);
    say(&talk, RECORD_SCOPE, 0);
    for (int i = 0; i < 5; i++) {
        hostile_send_one(fd, &talk, 0);
        assert_false(hostile_is_closed(it.base, fd)); /* it hears the list to its end, too */
    }
    assert_int_equal(it.asked, 5);
    hostile_log.lines = 0;
    for (int i = 0; i < 50; i++)
        if (send(fd, talk.records[0].data, talk.records[0].length, MSG_NOSIGNAL) < 0)
            break;
    hostile_assert_closed(&side, fd, "record=scope");
    assert_int_equal(it.asked, 6);
    assert_resyncs();
}

static void report_without_end(void **state)
{
    (void)state;
    hostile_report_without_end(&side, connect_again());
}

/* It reads nothing, or acknowledges nothing, while objects come and go. */
static void reads_nothing(void **state)
{
    enum { MANY = 10000, GO = 40000 };
    int fd = hostile_accept(it.base, it.listener);
    size_t before = 0;

    (void)state;
    for (unsigned i = NAMESPACES; i < MANY; i++)
        put(i);
    for (unsigned i = MANY; i < GO; i++) {
        put(i);
        take(i);
        event_base_loop(it.base, EVLOOP_NONBLOCK);
        if (i == 2 * MANY)
            before = hostile_memory();
    }
    assert_true(hostile_memory() < before + MEMORY_MOST);
    assert_true(hear_all(fd) <= SESSION_WINDOW);
    for (unsigned i = NAMESPACES; i < MANY; i++)
        take(i);
    close(fd);
    assert_resyncs();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(random_talk),        TEST(types_of_others),    TEST(acknowledgements),
        TEST(scopes_without_end), TEST(report_without_end), TEST(reads_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

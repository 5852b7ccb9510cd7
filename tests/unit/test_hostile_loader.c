/* SPDX-License-Identifier: Apache-2.0 */
/* A loader that has been taken over, against the planner: it may lie about what is in the kernel,
 * it cannot end the planner, fill its memory or its log, and the next loader gets the whole truth.
 * SOAK=1: twenty times as many mutations. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "planner/loader_session.h"
#include "planner/relay.h"
#include "tests/unit/hostile.h"
#include "tests/unit/planner_objects.h"
#include "tests/unit/record_samples.h"

enum {
    MEMORY_MOST = 256 << 10,
    PODS = 40,
};

static struct {
    struct event_base *base;
    struct event *work;
    struct scene scene;
    struct relay relay;
    struct loader_session *session;
    char path[HOSTILE_PATH];
    int listener;
    struct arena arena; /* of what was heard last */
} it;

/* A turn of the planner, as in planner.c. */
static void on_work(evutil_socket_t fd _unused_, short what _unused_, void *context _unused_)
{
    if (!loader_session_sending(it.session))
        plan_update(it.scene.plan);
    loader_session_pump(it.session);
}

static void wake(void *context _unused_)
{
    event_active(it.work, EV_TIMEOUT, 0);
}

static void add_pod(unsigned number)
{
    char uid[16], address[32];

    snprintf(uid, sizeof(uid), "uid-%u", number);
    snprintf(address, sizeof(address), "10.%u.%u.%u", 1 + number / 40000, number / 200 % 200,
             number % 200 + 1);
    struct object pod = scene_pod(&it.scene, uid, address, "app=nginx");

    plan_apply(it.scene.plan, &pod);
    arena_clear(&it.scene.arena);
    wake(NULL);
}

static void remove_pod(unsigned number)
{
    char uid[16];

    snprintf(uid, sizeof(uid), "uid-%u", number);
    plan_remove(it.scene.plan, &(struct object_identity){.kind = KIND_POD, .name = text_of(uid)});
    wake(NULL);
}

static struct hostile_side side;

static int setup(void **state)
{
    (void)state;
    memset(&it, 0, sizeof(it));
    scene_start(&it.scene, "10.0.0.0/8");
    hostile_watch_log();
    struct object node = scene_node(&it.scene, "gateway", "192.0.2.1", "egress=a");
    struct object self = scene_node(&it.scene, "self", "192.0.2.2", "");
    struct object policy = scene_policy(&it.scene, "mall", "app=nginx", "0.0.0.0/0", "egress=a");

    plan_apply(it.scene.plan, &node);
    plan_apply(it.scene.plan, &self);
    plan_apply(it.scene.plan, &policy);
    it.base = side.base = event_base_new();
    it.work = event_new(it.base, -1, 0, on_work, NULL);
    for (unsigned i = 0; i < PODS; i++)
        add_pod(i);
    it.relay.plan = it.scene.plan;
    assert_int_equal(loader_session_open(it.scene.plan, wake, NULL, &it.session), 0);
    loader_session_set_relay(it.session, &it.relay);
    it.listener = hostile_listen(it.path);
    return loader_session_connect(it.session, it.base, it.path, geteuid());
}

static int teardown(void **state)
{
    (void)state;
    loader_session_free(it.session);
    relay_clear(&it.relay);
    hostile_unlisten(it.listener, it.path);
    event_free(it.work);
    event_base_free(it.base);
    arena_clear(&it.arena);
    scene_stop(&it.scene);
    return 0;
}

/* ---- what is heard and said ---- */

/* Reads a generation to its end and counts its entries; its number. */
static uint64_t hear_generation(int fd, enum record_type type, size_t counts[TABLES])
{
    struct record record;

    assert_true(hostile_hear(it.base, fd, &it.arena, &record));
    assert_int_equal(record.type, type);
    memset(counts, 0, TABLES * sizeof(counts[0]));
    while (hostile_hear(it.base, fd, &it.arena, &record) && record.type == RECORD_ENTRIES) {
        for (size_t i = 0; i < record.entries.count; i++)
            counts[record.entries.items[i].table]++;
    }
    assert_int_equal(record.type, RECORD_COMMIT);
    return record.generation;
}

static void say(struct hostile_talk *talk, enum record_type type, uint64_t generation)
{
    struct record record = {.type = type, .generation = generation};

    if (type == RECORD_REFUSE) {
        record.refusal.error = ENOSPC;
        record.refusal.text = TEXT("limits.endpoints");
    }
    hostile_say(talk, &record);
}

/* What a loader says until it is through with a generation that had no room at first. */
static void say_all(struct hostile_talk *talk, uint64_t generation)
{
    talk->count = 0;
    hostile_say_report(talk, true, false, 0);
    hostile_say_report(talk, false, true, 20);
    say(talk, RECORD_REFUSE, generation);
    say(talk, RECORD_ACKNOWLEDGE, generation);
    hostile_say_report(talk, true, true, 0);
}

/* The next loader has all tables as they are planned, and changes go on. */
static void assert_resyncs(void)
{
    static struct hostile_talk honest;
    int fd = hostile_accept(it.base, it.listener);
    size_t counts[TABLES];
    uint64_t generation = hear_generation(fd, RECORD_SNAPSHOT, counts);

    for (int table = 0; table < TABLES; table++)
        assert_int_equal(counts[table], plan_entries(it.scene.plan, (enum table)table));
    assert_int_equal(counts[TABLE_ENDPOINTS], PODS);
    say_all(&honest, generation);
    for (size_t i = 0; i < honest.count; i++)
        hostile_send_one(fd, &honest, i);
    assert_false(hostile_is_closed(it.base, fd));
    add_pod(PODS);
    assert_int_equal(hear_generation(fd, RECORD_CHANGE, counts), generation + 1);
    assert_int_equal(counts[TABLE_ENDPOINTS], 1);
    remove_pod(PODS);
    close(fd);
}

static void talk_at_random(unsigned round, uint64_t *seed)
{
    static struct hostile_talk talk;
    size_t counts[TABLES];
    int fd = hostile_accept(it.base, it.listener);

    say_all(&talk, hear_generation(fd, RECORD_SNAPSHOT, counts));
    hostile_mutate(&talk, seed);
    hostile_log.lines = 0;
    hostile_say_on(it.base, fd, &talk, round % 3 == 0);
}

static int connect_and_hear(void)
{
    size_t counts[TABLES];
    int fd = hostile_accept(it.base, it.listener);

    hear_generation(fd, RECORD_SNAPSHOT, counts);
    return fd;
}

static struct hostile_side side = {
    .peer = "loader",
    .connect = connect_and_hear,
    .round = talk_at_random,
    .resyncs = assert_resyncs,
    .lines_most = 2, /* a refusal, and why it was closed */
    .memory_most = MEMORY_MOST,
};

static void random_talk(void **state)
{
    (void)state;
    hostile_random(&side, 10);
}

/* ---- what is refused ---- */

static void types_of_others(void **state)
{
    (void)state;
    hostile_types_of_others(
        &side, 1U << RECORD_ACKNOWLEDGE | 1U << RECORD_REFUSE | 1U << RECORD_STATUS, 11);
}

/* A generation that was not sent yet, or not whole, cannot have been taken in. */
static void answers_too_early(void **state)
{
    static struct hostile_talk talk;
    size_t counts[TABLES];
    uint64_t generation;
    int fd;

    (void)state;
    fd = hostile_accept(it.base, it.listener);
    generation = hear_generation(fd, RECORD_SNAPSHOT, counts);
    for (enum record_type type = RECORD_ACKNOWLEDGE; type <= RECORD_REFUSE;
         type += RECORD_REFUSE - RECORD_ACKNOWLEDGE) {
        talk.count = hostile_log.lines = 0;
        say(&talk, type, generation + 1);
        hostile_send_one(fd, &talk, 0);
        hostile_assert_closed(&side, fd, "record=");
        fd = hostile_accept(it.base, it.listener);
        assert_int_equal(hear_generation(fd, RECORD_SNAPSHOT, counts), ++generation);
    }
    close(fd);
    assert_resyncs();
}

/* What belongs to the connection before has no meaning on this one: without a snapshot the loader
 * knows nothing, and would get nothing but changes. */
static void answer_before_the_snapshot(void **state)
{
    static struct hostile_talk talk;
    struct loader_session *session;
    char path[HOSTILE_PATH];
    int fd, listener = hostile_listen(path);
    struct plan_config config = {.node = TEXT("self"), .cluster = TEXT("default")};
    struct plan *plan = plan_new(&config); /* not ready: there is nothing to send */

    (void)state;
    assert_int_equal(loader_session_open(plan, wake, NULL, &session), 0);
    assert_int_equal(loader_session_connect(session, it.base, path, geteuid()), 0);
    fd = hostile_accept(it.base, listener);
    talk.count = 0;
    say(&talk, RECORD_ACKNOWLEDGE, 0);
    hostile_send_one(fd, &talk, 0);
    hostile_assert_closed(&side, fd, "record=acknowledge");
    loader_session_free(session);
    plan_free(plan);
    hostile_unlisten(listener, path);
}

/* One line for a generation that is refused, however often that is said. */
static void refusals_without_end(void **state)
{
    static struct hostile_talk talk;
    size_t counts[TABLES];
    int fd = hostile_accept(it.base, it.listener);

    (void)state;
    talk.count = 0;
    say(&talk, RECORD_REFUSE, hear_generation(fd, RECORD_SNAPSHOT, counts));
    hostile_log.lines = 0;
    for (int i = 0; i < 1000; i++) {
        hostile_send_one(fd, &talk, 0);
        assert_false(hostile_is_closed(it.base, fd));
    }
    assert_int_equal(hostile_log.lines, 1);
    assert_non_null(strstr(hostile_log.last, "limits.endpoints"));
    close(fd);
    assert_resyncs();
}

static void report_without_end(void **state)
{
    (void)state;
    hostile_report_without_end(&side, connect_and_hear());
}

/* It reads nothing while pods come and go: the planner keeps what there is and not what happened.
 */
static void reads_nothing(void **state)
{
    enum { MANY = 10000, GO = 40000 };
    size_t before = 0;
    int fd;

    (void)state;
    for (unsigned i = PODS; i < MANY; i++)
        add_pod(i);
    fd = hostile_accept(it.base, it.listener);
    for (unsigned i = MANY; i < GO; i++) {
        add_pod(i);
        remove_pod(i);
        event_base_loop(it.base, EVLOOP_NONBLOCK);
        if (i == 2 * MANY)
            before = hostile_memory();
    }
    assert_true(loader_session_sending(it.session));
    assert_true(hostile_memory() < before + MEMORY_MOST);
    for (unsigned i = PODS; i < MANY; i++)
        remove_pod(i);
    close(fd);
    assert_resyncs();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(random_talk),          TEST(types_of_others),
        TEST(answers_too_early),    TEST(answer_before_the_snapshot),
        TEST(refusals_without_end), TEST(report_without_end),
        TEST(reads_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A watcher that has been taken over, against the planner: it may lie about the cluster, it cannot
 * end the planner, fill its memory, or keep the next watcher from setting things right. SOAK=1:
 * twenty times as many mutations. */
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
#include "planner/watcher_session.h"
#include "tests/unit/hostile.h"
#include "tests/unit/record_samples.h"

enum {
    LINES_MOST = 2,          /* that a connection is closed, and why */
    MEMORY_MOST = 512 << 10, /* bytes more at the end than in the beginning */
    CHECK_EVERY = 500,
    TALKS = 64,
};

static struct {
    struct event_base *base;
    struct plan *plan;
    struct watcher_session *session;
    int listener;
    unsigned closed; /* lines of the log that say so */
    char last[LOG_LINE_SIZE];
} it;

static void on_line(enum log_level level _unused_, const char *line, void *context _unused_)
{
    it.closed += strstr(line, "peer=watcher") != NULL && !strstr(line, "connected peer=");
    snprintf(it.last, sizeof(it.last), "%s", line);
}

static void on_work(void *context _unused_)
{
}

static int setup(void **state)
{
    struct plan_config config = {
        .node = TEXT("self"), .cluster = TEXT("default"), .pods = PODS_ALL};
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    (void)state;
    log_set_sink(on_line, NULL);
    it.base = event_base_new();
    it.plan = plan_new(&config);
    it.listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(it.listener, (struct sockaddr *)&address, sizeof(sa_family_t)), 0);
    assert_int_equal(listen(it.listener, 64), 0);
    assert_int_equal(watcher_session_open(it.plan, PODS_ALL, on_work, NULL, &it.session), 0);
    return watcher_session_serve(it.session, it.base, it.listener, getuid());
}

static int teardown(void **state)
{
    (void)state;
    watcher_session_free(it.session);
    plan_free(it.plan);
    event_base_free(it.base);
    log_set_sink(NULL, NULL);
    return 0;
}

/* A list of each kind, with up to two objects, as a watcher begins. */
static void say_lists(struct hostile_talk *talk, uint64_t *seed)
{
    _cleanup_arena_ struct arena arena = {0};
    uint64_t generation = 0;

    talk->count = 0;
    for (int kind = 0; kind < KINDS; kind++) {
        struct record begin = {.type = RECORD_SYNC_BEGIN, .generation = ++generation};
        struct record object = {.type = RECORD_OBJECT, .generation = ++generation};
        struct record end = {.type = RECORD_SYNC_END, .generation = ++generation};

        begin.kind = end.kind = (enum object_kind)kind;
        object.object = sample_object(&arena, seed, (enum object_kind)kind);
        hostile_say(talk, &begin);
        hostile_say(talk, &object);
        hostile_say(talk, &end);
    }
}

/* Nothing of what was said before is left once the lists are whole. */
static void assert_resyncs(void)
{
    static struct hostile_talk honest;
    uint64_t generation = 0;

    honest.count = 0;
    for (int kind = 0; kind < KINDS; kind++) {
        struct record begin = {.type = RECORD_SYNC_BEGIN, .generation = ++generation};
        struct record end = {.type = RECORD_SYNC_END, .generation = ++generation};

        begin.kind = end.kind = (enum object_kind)kind;
        hostile_say(&honest, &begin);
        hostile_say(&honest, &end);
    }
    it.closed = 0;
    hostile_send(it.base, it.listener, &honest, false);
    plan_update(it.plan);
    assert_true(plan_ready(it.plan));
    assert_true(it.closed <= LINES_MOST);
}

static void random_talk(void **state)
{
    static struct hostile_talk talks[TALKS], talk;
    uint64_t seed = 9;
    size_t before = 0;

    (void)state;
    print_message("# seed %d, %u rounds\n", 9, hostile_rounds());
    for (size_t i = 0; i < TALKS; i++)
        say_lists(&talks[i], &seed);
    for (unsigned round = 0; round < hostile_rounds(); round++) {
        const struct hostile_talk *from = &talks[sample_number(&seed, TALKS)];

        talk.count = from->count;
        for (size_t i = 0; i < from->count; i++) {
            talk.records[i].length = from->records[i].length;
            memcpy(talk.records[i].data, from->records[i].data, from->records[i].length);
        }
        hostile_mutate(&talk, &seed);
        it.closed = 0;
        hostile_send(it.base, it.listener, &talk, round % 3 == 0);
        if (it.closed > LINES_MOST)
            fail_msg("round %u: %u lines, the last one: %s", round, it.closed, it.last);
        plan_update(it.plan);
        if (round % CHECK_EVERY == 0)
            assert_resyncs();
        if (round == CHECK_EVERY)
            before = hostile_memory();
    }
    assert_resyncs();
    assert_true(hostile_memory() < before + MEMORY_MOST);
}

static void connect_flood(void **state)
{
    (void)state;
    hostile_flood(it.base, it.listener);
    assert_resyncs();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(random_talk, setup, teardown),
        cmocka_unit_test_setup_teardown(connect_flood, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

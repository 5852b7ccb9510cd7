/* SPDX-License-Identifier: Apache-2.0 */
/* A watcher that has been taken over, against the planner: it may lie about the cluster, it cannot
 * end the planner, fill its memory, or keep the next watcher from setting things right. SOAK=1:
 * twenty times as many mutations. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/log.h"
#include "planner/watcher_session.h"
#include "tests/unit/hostile.h"
#include "tests/unit/record_samples.h"

enum {
    LINES_MOST = 2, /* that a connection is closed, and why */
    TALKS = 64,
};

static struct {
    struct event_base *base;
    struct plan *plan;
    struct watcher_session *session;
    int listener;
} it;

/* Of all levels, and those alone that say why a connection was closed. */
static void on_line(enum log_level level _unused_, const char *line, void *context _unused_)
{
    hostile_log.lines += strstr(line, "peer=watcher") != NULL && !strstr(line, "connected peer=");
    snprintf(hostile_log.last, sizeof(hostile_log.last), "%s", line);
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
    hostile_log.lines = 0;
    hostile_send(it.base, it.listener, &honest, false);
    plan_update(it.plan);
    assert_true(plan_ready(it.plan));
    assert_true(hostile_log.lines <= LINES_MOST);
}

static struct hostile_talk talks[TALKS];

static void talk_at_random(unsigned round, uint64_t *seed)
{
    static struct hostile_talk talk;

    hostile_repeat(&talk, &talks[sample_number(seed, TALKS)]);
    hostile_mutate(&talk, seed);
    hostile_log.lines = 0;
    hostile_send(it.base, it.listener, &talk, round % 3 == 0);
    plan_update(it.plan);
}

static void random_talk(void **state)
{
    static const struct hostile_side side = {
        .round = talk_at_random,
        .resyncs = assert_resyncs,
        .lines_most = LINES_MOST,
        .memory_most = 512 << 10,
    };
    uint64_t seed = 9;

    (void)state;
    for (size_t i = 0; i < TALKS; i++)
        say_lists(&talks[i], &seed);
    hostile_random(&side, 9);
}

static void connect_flood(void **state)
{
    (void)state;
    hostile_flood(it.base, it.listener);
    assert_resyncs();
}

#ifndef __SANITIZE_ADDRESS__ /* which needs all the address space that there is */
/* A pod whose labels are as large as a record can hold, and no other's. */
static void say_large_pod(struct hostile_talk *talk, uint64_t number)
{
    static char values[800][64], keys[800][8];
    static struct label labels[800];
    struct record record = {.type = RECORD_OBJECT, .generation = number + 1};
    struct pod *pod = &record.object.pod;
    char uid[24];

    record.object.kind = KIND_POD;
    snprintf(uid, sizeof(uid), "uid-%llu", (unsigned long long)number);
    for (unsigned i = 0; i < ARRAY_SIZE(labels); i++) {
        snprintf(keys[i], sizeof(keys[i]), "k%03u", i);
        snprintf(values[i], sizeof(values[i]), "%054llu.%03u", (unsigned long long)number, i);
        labels[i] = (struct label){text_of(keys[i]), text_of(values[i])};
    }
    pod->uid = pod->name = text_of(uid);
    pod->namespace = TEXT("default");
    pod->labels = (struct labels){labels, ARRAY_SIZE(labels)};
    pod->addresses = &(struct ip_addr){0};
    *pod->addresses = ip_addr_from_v4(htobe32(0x0a000000 + (uint32_t)number));
    pod->address_count = 1;
    talk->count = 0;
    hostile_say(talk, &record);
}

static rlim_t address_space(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    unsigned long pages = 0;

    if (!file || fscanf(file, "%lu", &pages) != 1)
        _exit(5);
    fclose(file);
    return pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

static int attach(void)
{
    struct sockaddr_un address;
    socklen_t size = sizeof(address);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    if (getsockname(it.listener, (struct sockaddr *)&address, &size) ||
        connect(fd, (struct sockaddr *)&address, size))
        _exit(3);
    return fd;
}

/* In a process of its own, as the daemon would. */
static _Noreturn void take_objects_without_end(void)
{
    enum { ROOM = 64 << 20, OBJECTS_LEAST = 100 };
    static struct hostile_talk talk;
    struct rlimit limit = {address_space() + ROOM, RLIM_INFINITY};
    int fd = attach();

    if (setrlimit(RLIMIT_AS, &limit))
        _exit(2);
    for (uint64_t i = 0;; i++) {
        say_large_pod(&talk, i);
        if (send(fd, talk.records[0].data, talk.records[0].length, MSG_NOSIGNAL) < 0)
            _exit(4);
        for (int turns = 0; turns < 2; turns++)
            event_base_loop(it.base, EVLOOP_NONBLOCK);
        if (i == OBJECTS_LEAST)
            log_error("there was room for some");
    }
}

static void say_line(enum log_level level, const char *line, void *context)
{
    if (level == LEVEL_ERROR)
        dprintf(*(const int *)context, "%s\n", line);
}

/* The planner has a bound of memory. At it, it says so and ends: it would have no room for an
 * honest watcher, and its next start knows nothing of all that. */
static void objects_without_end(void **state)
{
    static char said[16 * LOG_LINE_SIZE];
    int pipes[2], status;
    pid_t child;

    (void)state;
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    child = fork();
    if (child == 0) {
        log_set_sink(say_line, &pipes[1]);
        take_objects_without_end();
    }
    close(pipes[1]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(read(pipes[0], said, sizeof(said) - 1) > 0);
    close(pipes[0]);
    assert_non_null(strstr(said, "there was room for some"));
    print_message("%s %#x\n", said, status);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), EXIT_FAILURE);
    assert_non_null(strstr(said, "no memory: the planner ends and starts again"));
    assert_resyncs();
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(random_talk, setup, teardown),
        cmocka_unit_test_setup_teardown(connect_flood, setup, teardown),
#ifndef __SANITIZE_ADDRESS__
        cmocka_unit_test_setup_teardown(objects_without_end, setup, teardown),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

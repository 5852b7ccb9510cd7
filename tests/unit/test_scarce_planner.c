/* SPDX-License-Identifier: Apache-2.0 */
/* Each allocation of the planner fails in turn while it starts, hears of a cluster and tells a
 * loader: it does not start, or it ends and says so, since a plan that was updated halfway must
 * never reach the kernel; or it repeats what concerned the loader alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "planner/loader_session.h"
#include "planner/relay.h"
#include "planner/watcher_session.h"
#include "tests/unit/hostile.h"
#include "tests/unit/planner_objects.h"
#include "tests/unit/scarce.h"

enum {
    PODS = 4,
    STATUS_DONE = 0,
    STATUS_LATER = 7,
    STATUS_NO_START = 8,
    STATUS_ENDED = EXIT_FAILURE
};

static struct {
    struct event_base *base;
    struct event *work;
    struct plan *plan;
    struct watcher_session *watcher;
    struct loader_session *loader;
    struct relay relay;
    struct scene scene; /* only for the making of objects */
    char path[HOSTILE_PATH];
    int watcher_listener, loader_listener;
    struct hostile_talk talk; /* of the watcher */
    unsigned *said;           /* that it ends; shared with the children */
} it;

static void on_line(enum log_level level _unused_, const char *line, void *context _unused_)
{
    if (strstr(line, "no memory: the planner ends"))
        (*it.said)++;
}

/* A turn of the planner, as in planner.c. */
static void on_work(evutil_socket_t fd _unused_, short what _unused_, void *context _unused_)
{
    if (!loader_session_sending(it.loader))
        plan_update(it.plan);
    watcher_session_pump(it.watcher);
    loader_session_pump(it.loader);
}

static void wake(void *context _unused_)
{
    event_active(it.work, EV_TIMEOUT, 0);
}

/* ---- the peers ---- */

static void say(enum record_type type, enum object_kind kind, const struct object *object)
{
    struct record record = {.type = type, .generation = it.talk.count + 1};

    if (object)
        record.object = *object;
    else
        record.kind = kind;
    hostile_say(&it.talk, &record);
}

/* Lists of all kinds. */
static void prepare_talk(void)
{
    struct object pods[PODS], policy;
    struct object node = scene_node(&it.scene, "gateway", "192.0.2.1", "egress=a");

    policy = scene_policy(&it.scene, "mall", "app=nginx", "0.0.0.0/0", "egress=a");
    for (int kind = 0; kind < KINDS; kind++) {
        say(RECORD_SYNC_BEGIN, (enum object_kind)kind, NULL);
        if (kind == KIND_NODE)
            say(RECORD_OBJECT, 0, &node);
        if (kind == KIND_POLICY)
            say(RECORD_OBJECT, 0, &policy);
        for (int i = 0; kind == KIND_POD && i < PODS; i++) {
            char uid[16], address[32];

            snprintf(uid, sizeof(uid), "uid-%d", i);
            snprintf(address, sizeof(address), "10.0.0.%d", i + 1);
            pods[i] = scene_pod(&it.scene, uid, address, "app=nginx");
            say(RECORD_OBJECT, 0, &pods[i]);
        }
        say(RECORD_SYNC_END, (enum object_kind)kind, NULL);
    }
}

/* A loader that needs no memory: takes what is sent and answers each whole generation. */
static void loader_takes(void)
{
    static struct record_buffer answer;
    static unsigned char data[RECORD_SIZE_LIMIT];
    int fd = hostile_accept(it.base, it.loader_listener);
    ssize_t length;

    for (int quiet = 0; quiet < 8; quiet++) {
        while ((length = recv(fd, data, sizeof(data), MSG_DONTWAIT)) > 0) {
            if (data[2] != RECORD_COMMIT)
                continue;
            memcpy(answer.data + 4, data + 4, sizeof(uint64_t));
            (void)!send(fd, answer.data, answer.length, MSG_NOSIGNAL | MSG_DONTWAIT);
        }
        event_base_loop(it.base, EVLOOP_NONBLOCK);
        if (answer.length == 0) /* made where there is memory */
            assert_int_equal(record_pack(&(struct record){.type = RECORD_ACKNOWLEDGE}, &answer), 0);
    }
    close(fd);
}

static size_t loader_endpoints(void)
{
    _cleanup_arena_ struct arena arena = {0};
    int fd = hostile_accept(it.base, it.loader_listener);
    struct record record;
    size_t count = 0;

    while (hostile_hear(it.base, fd, &arena, &record) && record.type != RECORD_COMMIT) {
        for (size_t i = 0; record.type == RECORD_ENTRIES && i < record.entries.count; i++)
            count += record.entries.items[i].table == TABLE_ENDPOINTS;
    }
    close(fd);
    return count;
}

/* ---- the planner ---- */

static int planner_open(void)
{
    struct plan_config config = {
        .node = TEXT("gateway"), .cluster = TEXT("default"), .pods = PODS_ALL};
    int error;

    it.watcher = NULL;
    it.loader = NULL;
    it.plan = plan_new(&config);
    it.relay.plan = it.plan;
    error = watcher_session_open(it.plan, PODS_ALL, wake, NULL, &it.watcher);
    if (!error)
        error = loader_session_open(it.plan, wake, NULL, &it.loader);
    if (error)
        return error;
    loader_session_set_relay(it.loader, &it.relay);
    watcher_session_set_relay(it.watcher, &it.relay);
    error = watcher_session_serve(it.watcher, it.base, it.watcher_listener, getuid());
    return error ? error : loader_session_connect(it.loader, it.base, it.path, getuid());
}

static void planner_close(void)
{
    watcher_session_free(it.watcher);
    loader_session_free(it.loader);
    relay_clear(&it.relay);
    plan_free(it.plan);
}

/* In a process of its own, which may end. */
static int live(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    long before = scarce_live();
    bool done = false;
    int error;

    it.watcher_listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(it.watcher_listener, (struct sockaddr *)&address, sizeof(sa_family_t)),
                     0);
    assert_int_equal(listen(it.watcher_listener, 8), 0);
    scarce_begin();
    error = planner_open();
    if (!error) {
        hostile_send(it.base, it.watcher_listener, &it.talk, false);
        loader_takes();
        done = plan_entries(it.plan, TABLE_ENDPOINTS) == PODS;
    }
    scarce_end();
    if (!error) { /* who was closed comes again */
        hostile_send(it.base, it.watcher_listener, &it.talk, false);
        if (loader_endpoints() != PODS)
            return -1;
    }
    planner_close();
    if (error)
        close(it.watcher_listener); /* else it was the planner's */
    event_base_loop(it.base, EVLOOP_NONBLOCK);
    if (scarce_live() > before)
        return -2;
    return error ? STATUS_NO_START : done ? STATUS_DONE : STATUS_LATER;
}

static bool once(void *context)
{
    unsigned *ends = context;
    pid_t child;
    int status;

    it.loader_listener = hostile_listen(it.path);
    child = fork();
    if (child == 0)
        _exit(live());
    assert_int_equal(waitpid(child, &status, 0), child);
    hostile_unlisten(it.loader_listener, it.path);
    if (!WIFEXITED(status) || WEXITSTATUS(status) > STATUS_NO_START)
        fail_msg("ended with status %#x", status);
    ends[WEXITSTATUS(status)]++;
    assert_int_equal(*it.said, ends[STATUS_ENDED]);
    return WEXITSTATUS(status) == STATUS_DONE;
}

static void each_allocation_fails(void **state)
{
    unsigned ends[STATUS_NO_START + 1] = {0};

    (void)state;
    scene_start(&it.scene, NULL);
    log_set_sink(on_line, NULL);
    prepare_talk();
    it.said =
        mmap(NULL, sizeof(*it.said), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(it.said != MAP_FAILED);
    it.base = event_base_new();
    it.work = event_new(it.base, -1, 0, on_work, NULL);
    it.loader_listener = hostile_listen(it.path);
    (void)live(); /* what libraries make for good is made here, not in each child */
    hostile_unlisten(it.loader_listener, it.path);
    assert_true(scarce_each(1, once, ends) > 50);
    print_message("# ended %u times, did not start %u, later %u\n", ends[STATUS_ENDED],
                  ends[STATUS_NO_START], ends[STATUS_LATER]);
    assert_true(ends[STATUS_ENDED] && ends[STATUS_NO_START] && ends[STATUS_DONE]);
    event_free(it.work);
    event_base_free(it.base);
    scene_stop(&it.scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_allocation_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The conversations with the watcher and the loader, over real sockets; the test is both peers. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

#include "ipc/channel.h"
#include "planner/desired.h"
#include "planner/loader_session.h"
#include "planner/watcher_session.h"
#include "tests/unit/planner_objects.h"

enum { TURNS = 10000 };

struct fixture {
    char directory[64], watcher_path[96], loader_path[96];
    struct event_base *base;
    struct scene scene; /* its arena, and its log */
    struct plan *plan;
    struct watcher_session *watcher_session;
    struct loader_session *loader_session;
    int loader_listener;
    int watcher; /* our ends; -1: not connected */
    int loader;
    uint64_t watcher_generation;
    struct arena arena; /* of the record that was read last */
    struct desired kernel;
    bool wake;
};

static void on_work(void *context)
{
    ((struct fixture *)context)->wake = true;
}

/* One turn of the daemon. */
static void turn(struct fixture *it)
{
    event_base_loop(it->base, EVLOOP_NONBLOCK);
    if (!it->wake)
        return;
    it->wake = false;
    if (!loader_session_sending(it->loader_session))
        plan_update(it->plan);
    watcher_session_pump(it->watcher_session);
    loader_session_pump(it->loader_session);
}

static void settle(struct fixture *it)
{
    for (int i = 0; i < 20; i++)
        turn(it);
}

static int start(void **state)
{
    struct fixture *it = calloc(1, sizeof(*it));
    struct plan_config config = {.node = TEXT("self"), .cluster = TEXT("default")};
    int listener;

    assert_non_null(it);
    scene_start(&it->scene, NULL);
    config.cluster_cidrs.items =
        scene_prefixes(&it->scene, "10.0.0.0/8", &config.cluster_cidrs.count);
    it->plan = plan_new(&config);
    snprintf(it->directory, sizeof(it->directory), "%s/planner-XXXXXX",
             getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    assert_non_null(mkdtemp(it->directory));
    snprintf(it->watcher_path, sizeof(it->watcher_path), "%s/watcher", it->directory);
    snprintf(it->loader_path, sizeof(it->loader_path), "%s/loader", it->directory);
    it->watcher = it->loader = -1;
    it->base = event_base_new();
    assert_non_null(it->base);
    desired_init(&it->kernel);
    assert_int_equal(watcher_session_open(it->plan, PODS_AUTO, on_work, it, &it->watcher_session),
                     0);
    assert_int_equal(loader_session_open(it->plan, on_work, it, &it->loader_session), 0);
    listener = channel_listen(it->watcher_path, geteuid());
    assert_true(listener >= 0);
    assert_int_equal(watcher_session_serve(it->watcher_session, it->base, listener, geteuid()), 0);
    it->loader_listener = channel_listen(it->loader_path, geteuid());
    assert_true(it->loader_listener >= 0);
    assert_int_equal(
        loader_session_connect(it->loader_session, it->base, it->loader_path, geteuid()), 0);
    *state = it;
    return 0;
}

static int stop(void **state)
{
    struct fixture *it = *state;

    watcher_session_free(it->watcher_session);
    loader_session_free(it->loader_session);
    plan_free(it->plan);
    event_base_free(it->base);
    cleanup_close(&it->watcher);
    cleanup_close(&it->loader);
    close(it->loader_listener);
    unlink(it->watcher_path);
    unlink(it->loader_path);
    rmdir(it->directory);
    desired_clear(&it->kernel);
    arena_clear(&it->arena);
    scene_stop(&it->scene);
    free(it);
    return 0;
}

/* ---- Peers ---- */

static void send_record(int fd, const struct record *record)
{
    static struct record_buffer buffer;

    assert_int_equal(record_pack(record, &buffer), 0);
    assert_int_equal(send(fd, buffer.data, buffer.length, MSG_NOSIGNAL), buffer.length);
}

/* The next record that is there after the daemon had its turns; false: none, or the end. */
static bool receive(struct fixture *it, int fd, struct record *record)
{
    static unsigned char data[RECORD_SIZE_LIMIT];
    const char *why = "";
    ssize_t length;

    for (int i = 0; i < 20; i++) {
        length = recv(fd, data, sizeof(data), MSG_DONTWAIT);
        if (length >= 0 || errno != EAGAIN)
            break;
        turn(it);
    }
    if (length <= 0)
        return false;
    arena_clear(&it->arena);
    if (record_unpack(data, (size_t)length, &it->arena, record, &why) < 0)
        fail_msg("%s", why);
    return true;
}

static void expect_nothing(struct fixture *it, int fd)
{
    struct record record;

    assert_false(receive(it, fd, &record));
    assert_int_equal(errno, EAGAIN);
}

/* The other side closed the connection; what it had said before does not matter. */
static bool peer_is_closed(struct fixture *it, int fd)
{
    char byte;
    ssize_t length;

    settle(it);
    do
        length = recv(fd, &byte, 1, MSG_DONTWAIT);
    while (length > 0);
    return length == 0;
}

static void watcher_connect(struct fixture *it)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    cleanup_close(&it->watcher);
    strcpy(address.sun_path, it->watcher_path);
    it->watcher = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(it->watcher, (struct sockaddr *)&address, sizeof(address)), 0);
    it->watcher_generation = 0;
    settle(it);
}

static void watcher_send(struct fixture *it, struct record *record)
{
    record->generation = ++it->watcher_generation;
    send_record(it->watcher, record);
    turn(it);
}

static void watcher_begin(struct fixture *it, enum object_kind kind)
{
    watcher_send(it, &(struct record){.type = RECORD_SYNC_BEGIN, .kind = kind});
}

static void watcher_end(struct fixture *it, enum object_kind kind)
{
    watcher_send(it, &(struct record){.type = RECORD_SYNC_END, .kind = kind});
}

static void watcher_object(struct fixture *it, const struct object *object)
{
    watcher_send(it, &(struct record){.type = RECORD_OBJECT, .object = *object});
}

static void watcher_delete(struct fixture *it, const struct object *object)
{
    watcher_send(it, &(struct record){.type = RECORD_DELETE, .identity = object_identity(object)});
}

/* Lists of all kinds, with at most one object of each. */
static void watcher_list(struct fixture *it, const struct object *const objects[KINDS])
{
    for (int kind = 0; kind < KINDS; kind++) {
        watcher_begin(it, (enum object_kind)kind);
        if (objects[kind])
            watcher_object(it, objects[kind]);
        watcher_end(it, (enum object_kind)kind);
    }
}

/* Reads acknowledgements until the last one; the scope that was asked for, or -1. */
static int watcher_read(struct fixture *it)
{
    struct record record;
    uint64_t acknowledged = 0;
    int scope = -1;

    while (receive(it, it->watcher, &record)) {
        if (record.type == RECORD_SCOPE) {
            assert_int_equal(scope, -1);
            scope = record.all_pods;
        } else {
            assert_int_equal(record.type, RECORD_ACKNOWLEDGE);
            assert_true(record.generation > acknowledged);
            acknowledged = record.generation;
        }
    }
    assert_int_equal(errno, EAGAIN);
    if (acknowledged)
        assert_int_equal(acknowledged, it->watcher_generation);
    return scope;
}

static void loader_accept(struct fixture *it)
{
    cleanup_close(&it->loader);
    for (int i = 0; i < TURNS && it->loader < 0; i++) {
        struct timeval pause = {.tv_usec = 1000};

        it->loader = accept4(it->loader_listener, NULL, NULL, SOCK_CLOEXEC);
        if (it->loader < 0) {
            event_base_loopexit(it->base, &pause);
            event_base_loop(it->base, EVLOOP_ONCE);
            turn(it);
        }
    }
    assert_true(it->loader >= 0);
}

static void kernel_take(struct fixture *it, const struct record *record)
{
    for (size_t i = 0; i < record->entries.count; i++) {
        const struct table_entry *entry = &record->entries.items[i];

        if (entry->remove)
            desired_remove(&it->kernel, entry->table, &entry->key);
        else
            desired_set(&it->kernel, entry->table, &entry->key, &entry->value);
    }
}

/* Takes in a generation that starts with a record of this type; its number. */
static uint64_t loader_take(struct fixture *it, enum record_type type)
{
    struct record record;
    uint64_t generation;

    assert_true(receive(it, it->loader, &record));
    assert_int_equal(record.type, type);
    generation = record.generation;
    if (type == RECORD_SNAPSHOT)
        desired_clear(&it->kernel);
    for (;;) {
        assert_true(receive(it, it->loader, &record));
        assert_int_equal(record.generation, generation);
        if (record.type == RECORD_COMMIT)
            return generation;
        assert_int_equal(record.type, RECORD_ENTRIES);
        assert_in_range(record.entries.count, 1, RECORD_ENTRIES_LIMIT);
        kernel_take(it, &record);
    }
}

static void loader_acknowledge(struct fixture *it, uint64_t generation)
{
    send_record(it->loader, &(struct record){.type = RECORD_ACKNOWLEDGE, .generation = generation});
    settle(it);
}

static size_t count_all(const struct desired *desired)
{
    size_t count = 0;

    for (int table = 0; table < TABLES; table++)
        count += desired->tables[table].count;
    return count;
}

/* The kernel has exactly what the plan wants. */
static void expect_kernel(struct fixture *it)
{
    struct desired_cursor cursor = {0};
    struct table_entry entry;
    size_t count = 0;

    while (plan_desired_next(it->plan, &cursor, &entry)) {
        const union table_value *value = desired_find(&it->kernel, entry.table, &entry.key);

        assert_non_null(value);
        assert_memory_equal(value, &entry.value, table_shapes[entry.table].value_size);
        count++;
    }
    assert_int_equal(count_all(&it->kernel), count);
}

static bool kernel_has_endpoint(struct fixture *it, const char *address)
{
    union table_key key = {.address = scene_address(address)};

    return desired_find(&it->kernel, TABLE_ENDPOINTS, &key) != NULL;
}

/* ---- Tests ---- */

static void test_nothing_before_all_kinds(void **state)
{
    struct fixture *it = *state;

    loader_accept(it);
    watcher_connect(it);
    for (int kind = 0; kind < KINDS; kind++) {
        expect_nothing(it, it->loader);
        watcher_begin(it, (enum object_kind)kind);
        watcher_end(it, (enum object_kind)kind);
    }
    uint64_t generation = loader_take(it, RECORD_SNAPSHOT);

    expect_kernel(it);
    loader_acknowledge(it, generation);
    expect_nothing(it, it->loader);
}

static void test_changes_wait_for_the_answer(void **state)
{
    struct fixture *it = *state;
    struct object pod = scene_pod(&it->scene, "uid", "10.0.0.1", "");
    struct object other = scene_pod(&it->scene, "uid-2", "10.0.0.2", "");
    const struct object *const objects[KINDS] = {[KIND_POD] = &pod};

    loader_accept(it);
    watcher_connect(it);
    watcher_list(it, objects);
    uint64_t generation = loader_take(it, RECORD_SNAPSHOT);

    assert_true(kernel_has_endpoint(it, "10.0.0.1"));
    watcher_object(it, &other);
    watcher_delete(it, &pod);
    expect_nothing(it, it->loader);
    loader_acknowledge(it, generation);
    assert_int_equal(loader_take(it, RECORD_CHANGE), generation + 1);
    assert_false(kernel_has_endpoint(it, "10.0.0.1"));
    assert_true(kernel_has_endpoint(it, "10.0.0.2"));
    expect_kernel(it);
    watcher_object(it, &pod);
    watcher_delete(it, &pod); /* and back */
    loader_acknowledge(it, generation + 1);
    expect_nothing(it, it->loader);
}

static void test_refusal(void **state)
{
    struct fixture *it = *state;
    struct object pod = scene_pod(&it->scene, "uid", "10.0.0.1", "");
    const struct object *const none[KINDS] = {0};

    loader_accept(it);
    watcher_connect(it);
    watcher_list(it, none);
    uint64_t generation = loader_take(it, RECORD_SNAPSHOT);
    struct record refusal = {.type = RECORD_REFUSE, .generation = generation};

    refusal.refusal.error = ENOSPC;
    refusal.refusal.text = TEXT("limits.endpoints");
    scene_forget_log(&it->scene);
    send_record(it->loader, &refusal);
    watcher_object(it, &pod);
    assert_int_equal(loader_take(it, RECORD_CHANGE), generation + 1);
    assert_int_equal(scene_logged(&it->scene, "limits.endpoints"), 1);
    loader_acknowledge(it, generation); /* the first one came through after all */
    loader_acknowledge(it, generation + 1);
    expect_kernel(it);
    loader_acknowledge(it, generation + 7); /* nobody sent that */
    assert_true(peer_is_closed(it, it->loader));
}

static void add_pods(struct fixture *it, unsigned first, unsigned count)
{
    for (unsigned i = first; i < first + count; i++) {
        char uid[16], address[32];

        snprintf(uid, sizeof(uid), "uid-%u", i);
        snprintf(address, sizeof(address), "10.1.%u.%u", i / 200, i % 200 + 1);
        struct object pod = scene_pod(&it->scene, uid, address, "");

        plan_apply(it->plan, &pod);
    }
    it->wake = true;
}

/* A loader that does not read: the tables stand still until the generation is out, and what
 * happens meanwhile follows. */
static void test_slow_loader(void **state)
{
    struct fixture *it = *state;
    struct object pod = scene_pod(&it->scene, "uid-7", "10.9.9.9", "");

    add_pods(it, 0, 20000);
    loader_accept(it);
    for (int kind = 0; kind < KINDS; kind++)
        plan_sync_end(it->plan, (enum object_kind)kind);
    it->wake = true;
    settle(it);
    assert_true(loader_session_sending(it->loader_session));
    uint64_t planned = plan_generation(it->plan);

    plan_apply(it->plan, &pod);
    it->wake = true;
    settle(it);
    assert_int_equal(plan_generation(it->plan), planned);
    uint64_t generation = loader_take(it, RECORD_SNAPSHOT);

    assert_int_equal(it->kernel.tables[TABLE_ENDPOINTS].count, 20000);
    assert_false(kernel_has_endpoint(it, "10.9.9.9"));
    loader_acknowledge(it, generation);
    assert_int_equal(loader_take(it, RECORD_CHANGE), generation + 1);
    assert_true(kernel_has_endpoint(it, "10.9.9.9"));
    expect_kernel(it);
}

static void test_loader_reconnects(void **state)
{
    struct fixture *it = *state;
    struct object pod = scene_pod(&it->scene, "uid", "10.0.0.1", "");
    const struct object *const none[KINDS] = {0};

    loader_accept(it);
    watcher_connect(it);
    watcher_list(it, none);
    uint64_t generation = loader_take(it, RECORD_SNAPSHOT);

    cleanup_close(&it->loader); /* before its answer */
    it->loader = -1;
    settle(it);
    watcher_object(it, &pod);
    loader_accept(it);
    assert_true(loader_take(it, RECORD_SNAPSHOT) > generation);
    assert_true(kernel_has_endpoint(it, "10.0.0.1"));
    expect_kernel(it);
}

/* What is known stays when the watcher goes; a new list removes what it does not name. */
static void test_watcher_reconnects(void **state)
{
    struct fixture *it = *state;
    struct object pod = scene_pod(&it->scene, "uid", "10.0.0.1", "");
    struct object other = scene_pod(&it->scene, "uid-2", "10.0.0.2", "");
    const struct object *const objects[KINDS] = {[KIND_POD] = &pod};
    const struct object *const others[KINDS] = {[KIND_POD] = &other};

    loader_accept(it);
    watcher_connect(it);
    watcher_list(it, objects);
    loader_acknowledge(it, loader_take(it, RECORD_SNAPSHOT));
    cleanup_close(&it->watcher);
    it->watcher = -1;
    settle(it);
    expect_nothing(it, it->loader);
    watcher_connect(it);
    watcher_begin(it, KIND_POD);
    expect_nothing(it, it->loader);
    watcher_connect(it); /* broken off in the middle of the list */
    expect_nothing(it, it->loader);
    watcher_list(it, objects);
    expect_nothing(it, it->loader);
    watcher_connect(it);
    watcher_list(it, others);
    settle(it);
    for (int i = 0; i < 2 && kernel_has_endpoint(it, "10.0.0.1"); i++)
        loader_acknowledge(it, loader_take(it, RECORD_CHANGE));
    expect_kernel(it);
    assert_false(kernel_has_endpoint(it, "10.0.0.1"));
}

static void expect_closes(struct fixture *it, struct record *record)
{
    watcher_send(it, record);
    assert_true(peer_is_closed(it, it->watcher));
    watcher_connect(it);
}

static void test_wrong_records(void **state)
{
    struct fixture *it = *state;
    struct object pod = scene_pod(&it->scene, "uid", "10.0.0.1", "");
    struct object node = scene_node(&it->scene, "n", "172.16.0.1", "");

    watcher_connect(it);
    it->watcher_generation = 5;
    expect_closes(it, &(struct record){.type = RECORD_SYNC_BEGIN, .kind = KIND_POD});
    expect_closes(it, &(struct record){.type = RECORD_SYNC_END, .kind = KIND_POD});
    expect_closes(it, &(struct record){.type = RECORD_SNAPSHOT});
    watcher_begin(it, KIND_POD);
    expect_closes(it, &(struct record){.type = RECORD_SYNC_BEGIN, .kind = KIND_POD});
    watcher_begin(it, KIND_POD);
    expect_closes(it, &(struct record){.type = RECORD_SYNC_END, .kind = KIND_NODE});
    watcher_begin(it, KIND_POD);
    expect_closes(it, &(struct record){.type = RECORD_OBJECT, .object = node});
    watcher_begin(it, KIND_POD);
    expect_closes(it, &(struct record){.type = RECORD_DELETE, .identity = object_identity(&pod)});
    watcher_begin(it, KIND_POD);
    watcher_object(it, &pod);
    watcher_end(it, KIND_POD);
    assert_int_equal(watcher_read(it), -1);
}

static void test_scope_of_a_worker(void **state)
{
    struct fixture *it = *state;
    const struct object *const none[KINDS] = {0};

    watcher_connect(it);
    watcher_list(it, none);
    assert_int_equal(watcher_read(it), false);
    assert_true(plan_ready(it->plan));
    watcher_begin(it, KIND_POD);
    watcher_end(it, KIND_POD);
    assert_int_equal(watcher_read(it), -1);
}

/* Makes this node a gateway, with a pod elsewhere that it serves. */
static void make_gateway(struct fixture *it, struct object *policy, struct object *pod,
                         struct object *node)
{
    *policy = scene_policy(&it->scene, "p", "", "192.0.2.0/24", "g=1");
    *node = scene_node(&it->scene, "self", "172.16.0.9", "g=1");
    *pod = scene_pod(&it->scene, "uid", "10.0.0.1", "");
    pod->pod.node = TEXT("elsewhere");
}

static void send_pods(struct fixture *it, const struct object *pod)
{
    watcher_begin(it, KIND_POD);
    if (pod)
        watcher_object(it, pod);
    watcher_end(it, KIND_POD);
}

/* A gateway sends nothing before it knows the pods of other nodes: the loader would remove them. */
static void test_scope_of_a_gateway(void **state)
{
    struct fixture *it = *state;
    struct object policy, pod, node;

    make_gateway(it, &policy, &pod, &node);
    const struct object *const objects[KINDS] = {[KIND_POLICY] = &policy, [KIND_NODE] = &node};

    loader_accept(it);
    watcher_connect(it);
    watcher_list(it, objects);
    assert_int_equal(watcher_read(it), true);
    assert_false(plan_ready(it->plan));
    expect_nothing(it, it->loader);
    send_pods(it, &pod);
    assert_int_equal(watcher_read(it), -1);
    loader_acknowledge(it, loader_take(it, RECORD_SNAPSHOT));
    assert_true(kernel_has_endpoint(it, "10.0.0.1"));

    watcher_connect(it); /* a watcher that was restarted lists its own pods first */
    send_pods(it, NULL);
    expect_nothing(it, it->loader);
    assert_int_equal(watcher_read(it), true);
    send_pods(it, &pod);
    expect_nothing(it, it->loader);
    watcher_connect(it);
    send_pods(it, NULL);
    assert_int_equal(watcher_read(it), true);
    send_pods(it, NULL); /* the pod is really gone */
    loader_acknowledge(it, loader_take(it, RECORD_CHANGE));
    assert_false(kernel_has_endpoint(it, "10.0.0.1"));
}

/* A change of role asks for the other scope, once the answer to the last one has come. */
static void test_scope_changes(void **state)
{
    struct fixture *it = *state;
    struct object policy, pod, node;

    make_gateway(it, &policy, &pod, &node);
    const struct object *const objects[KINDS] = {[KIND_NODE] = &node};

    watcher_connect(it);
    watcher_list(it, objects);
    assert_int_equal(watcher_read(it), false);
    watcher_object(it, &policy);
    assert_int_equal(watcher_read(it), -1); /* the answer is still to come */
    send_pods(it, NULL);
    assert_int_equal(watcher_read(it), true);
    send_pods(it, &pod);
    assert_int_equal(watcher_read(it), -1);
    watcher_delete(it, &policy);
    assert_int_equal(watcher_read(it), false);
}

#define SESSION_TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SESSION_TEST(test_nothing_before_all_kinds),
        SESSION_TEST(test_changes_wait_for_the_answer),
        SESSION_TEST(test_refusal),
        SESSION_TEST(test_slow_loader),
        SESSION_TEST(test_loader_reconnects),
        SESSION_TEST(test_watcher_reconnects),
        SESSION_TEST(test_wrong_records),
        SESSION_TEST(test_scope_of_a_worker),
        SESSION_TEST(test_scope_of_a_gateway),
        SESSION_TEST(test_scope_changes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

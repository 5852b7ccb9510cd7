/* SPDX-License-Identifier: Apache-2.0 */
/* The conversations with the watcher and the loader, over real sockets; the test is both peers. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/planner_peers.h"

static void test_nothing_before_all_kinds(void **state)
{
    struct peers *it = *state;

    peers_loader_accept(it);
    peers_watcher_connect(it);
    for (int kind = 0; kind < KINDS; kind++) {
        peers_expect_nothing(it, it->loader);
        peers_watcher_begin(it, (enum object_kind)kind);
        peers_watcher_end(it, (enum object_kind)kind);
    }
    uint64_t generation = peers_loader_take(it, RECORD_SNAPSHOT);

    peers_expect_kernel(it);
    peers_loader_acknowledge(it, generation);
    peers_expect_nothing(it, it->loader);
}

static void test_changes_wait_for_the_answer(void **state)
{
    struct peers *it = *state;
    struct object pod = scene_pod(&it->scene, "uid", "10.0.0.1", "");
    struct object other = scene_pod(&it->scene, "uid-2", "10.0.0.2", "");
    const struct object *const objects[KINDS] = {[KIND_POD] = &pod};

    peers_loader_accept(it);
    peers_watcher_connect(it);
    peers_watcher_list(it, objects);
    uint64_t generation = peers_loader_take(it, RECORD_SNAPSHOT);

    assert_true(peers_kernel_has_endpoint(it, "10.0.0.1"));
    peers_watcher_object(it, &other);
    peers_watcher_delete(it, &pod);
    peers_expect_nothing(it, it->loader);
    peers_loader_acknowledge(it, generation);
    assert_int_equal(peers_loader_take(it, RECORD_CHANGE), generation + 1);
    assert_false(peers_kernel_has_endpoint(it, "10.0.0.1"));
    assert_true(peers_kernel_has_endpoint(it, "10.0.0.2"));
    peers_expect_kernel(it);
    peers_watcher_object(it, &pod);
    peers_watcher_delete(it, &pod); /* and back */
    peers_loader_acknowledge(it, generation + 1);
    peers_expect_nothing(it, it->loader);
}

static void test_refusal(void **state)
{
    struct peers *it = *state;
    struct object pod = scene_pod(&it->scene, "uid", "10.0.0.1", "");
    const struct object *const none[KINDS] = {0};

    peers_loader_accept(it);
    peers_watcher_connect(it);
    peers_watcher_list(it, none);
    uint64_t generation = peers_loader_take(it, RECORD_SNAPSHOT);
    struct record refusal = {.type = RECORD_REFUSE, .generation = generation};

    refusal.refusal.error = ENOSPC;
    refusal.refusal.text = TEXT("limits.endpoints");
    scene_forget_log(&it->scene);
    peers_send(it->loader, &refusal);
    peers_watcher_object(it, &pod);
    assert_int_equal(peers_loader_take(it, RECORD_CHANGE), generation + 1);
    assert_int_equal(scene_logged(&it->scene, "limits.endpoints"), 1);
    peers_loader_acknowledge(it, generation); /* the first one came through after all */
    peers_loader_acknowledge(it, generation + 1);
    peers_expect_kernel(it);
    peers_loader_acknowledge(it, generation + 7); /* nobody sent that */
    assert_true(peers_closed_by_planner(it, it->loader));
}

static void add_pods(struct peers *it, unsigned first, unsigned count)
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
    struct peers *it = *state;
    struct object pod = scene_pod(&it->scene, "uid-7", "10.9.9.9", "");

    add_pods(it, 0, 20000);
    peers_loader_accept(it);
    for (int kind = 0; kind < KINDS; kind++)
        plan_sync_end(it->plan, (enum object_kind)kind);
    it->wake = true;
    peers_settle(it);
    assert_true(loader_session_sending(it->loader_session));
    uint64_t planned = plan_generation(it->plan);

    plan_apply(it->plan, &pod);
    it->wake = true;
    peers_settle(it);
    assert_int_equal(plan_generation(it->plan), planned);
    uint64_t generation = peers_loader_take(it, RECORD_SNAPSHOT);

    assert_int_equal(it->kernel.tables[TABLE_ENDPOINTS].count, 20000);
    assert_false(peers_kernel_has_endpoint(it, "10.9.9.9"));
    peers_loader_acknowledge(it, generation);
    assert_int_equal(peers_loader_take(it, RECORD_CHANGE), generation + 1);
    assert_true(peers_kernel_has_endpoint(it, "10.9.9.9"));
    peers_expect_kernel(it);
}

static void test_loader_reconnects(void **state)
{
    struct peers *it = *state;
    struct object pod = scene_pod(&it->scene, "uid", "10.0.0.1", "");
    const struct object *const none[KINDS] = {0};

    peers_loader_accept(it);
    peers_watcher_connect(it);
    peers_watcher_list(it, none);
    uint64_t generation = peers_loader_take(it, RECORD_SNAPSHOT);

    cleanup_close(&it->loader); /* before its answer */
    it->loader = -1;
    peers_settle(it);
    peers_watcher_object(it, &pod);
    peers_loader_accept(it);
    assert_true(peers_loader_take(it, RECORD_SNAPSHOT) > generation);
    assert_true(peers_kernel_has_endpoint(it, "10.0.0.1"));
    peers_expect_kernel(it);
}

/* What is known stays when the watcher goes; a new list removes what it does not name. */
static void test_watcher_reconnects(void **state)
{
    struct peers *it = *state;
    struct object pod = scene_pod(&it->scene, "uid", "10.0.0.1", "");
    struct object other = scene_pod(&it->scene, "uid-2", "10.0.0.2", "");
    const struct object *const objects[KINDS] = {[KIND_POD] = &pod};
    const struct object *const others[KINDS] = {[KIND_POD] = &other};

    peers_loader_accept(it);
    peers_watcher_connect(it);
    peers_watcher_list(it, objects);
    peers_loader_acknowledge(it, peers_loader_take(it, RECORD_SNAPSHOT));
    cleanup_close(&it->watcher);
    it->watcher = -1;
    peers_settle(it);
    peers_expect_nothing(it, it->loader);
    peers_watcher_connect(it);
    peers_watcher_begin(it, KIND_POD);
    peers_expect_nothing(it, it->loader);
    peers_watcher_connect(it); /* broken off in the middle of the list */
    peers_expect_nothing(it, it->loader);
    peers_watcher_list(it, objects);
    peers_expect_nothing(it, it->loader);
    peers_watcher_connect(it);
    peers_watcher_list(it, others);
    peers_settle(it);
    for (int i = 0; i < 2 && peers_kernel_has_endpoint(it, "10.0.0.1"); i++)
        peers_loader_acknowledge(it, peers_loader_take(it, RECORD_CHANGE));
    peers_expect_kernel(it);
    assert_false(peers_kernel_has_endpoint(it, "10.0.0.1"));
}

static void expect_closes(struct peers *it, struct record *record)
{
    peers_watcher_send(it, record);
    assert_true(peers_closed_by_planner(it, it->watcher));
    peers_watcher_connect(it);
}

static void test_wrong_records(void **state)
{
    struct peers *it = *state;
    struct object pod = scene_pod(&it->scene, "uid", "10.0.0.1", "");
    struct object node = scene_node(&it->scene, "n", "172.16.0.1", "");

    peers_watcher_connect(it);
    it->watcher_generation = 5;
    expect_closes(it, &(struct record){.type = RECORD_SYNC_BEGIN, .kind = KIND_POD});
    expect_closes(it, &(struct record){.type = RECORD_SYNC_END, .kind = KIND_POD});
    expect_closes(it, &(struct record){.type = RECORD_SNAPSHOT});
    peers_watcher_begin(it, KIND_POD);
    expect_closes(it, &(struct record){.type = RECORD_SYNC_BEGIN, .kind = KIND_POD});
    peers_watcher_begin(it, KIND_POD);
    expect_closes(it, &(struct record){.type = RECORD_SYNC_END, .kind = KIND_NODE});
    peers_watcher_begin(it, KIND_POD);
    expect_closes(it, &(struct record){.type = RECORD_OBJECT, .object = node});
    peers_watcher_begin(it, KIND_POD);
    expect_closes(it, &(struct record){.type = RECORD_DELETE, .identity = object_identity(&pod)});
    peers_watcher_begin(it, KIND_POD);
    peers_watcher_object(it, &pod);
    peers_watcher_end(it, KIND_POD);
    assert_int_equal(peers_watcher_read(it), -1);
}

static void test_scope_of_a_worker(void **state)
{
    struct peers *it = *state;
    const struct object *const none[KINDS] = {0};

    peers_watcher_connect(it);
    peers_watcher_list(it, none);
    assert_int_equal(peers_watcher_read(it), false);
    assert_true(plan_ready(it->plan));
    peers_watcher_begin(it, KIND_POD);
    peers_watcher_end(it, KIND_POD);
    assert_int_equal(peers_watcher_read(it), -1);
}

/* Makes this node a gateway, with a pod elsewhere that it serves. */
static void make_gateway(struct peers *it, struct object *policy, struct object *pod,
                         struct object *node)
{
    *policy = scene_policy(&it->scene, "p", "", "192.0.2.0/24", "g=1");
    *node = scene_node(&it->scene, "self", "172.16.0.9", "g=1");
    *pod = scene_pod(&it->scene, "uid", "10.0.0.1", "");
    pod->pod.node = TEXT("elsewhere");
}

static void send_pods(struct peers *it, const struct object *pod)
{
    peers_watcher_begin(it, KIND_POD);
    if (pod)
        peers_watcher_object(it, pod);
    peers_watcher_end(it, KIND_POD);
}

/* A gateway sends nothing before it knows the pods of other nodes: the loader would remove them. */
static void test_scope_of_a_gateway(void **state)
{
    struct peers *it = *state;
    struct object policy, pod, node;

    make_gateway(it, &policy, &pod, &node);
    const struct object *const objects[KINDS] = {[KIND_POLICY] = &policy, [KIND_NODE] = &node};

    peers_loader_accept(it);
    peers_watcher_connect(it);
    peers_watcher_list(it, objects);
    assert_int_equal(peers_watcher_read(it), true);
    assert_false(plan_ready(it->plan));
    peers_expect_nothing(it, it->loader);
    send_pods(it, &pod);
    assert_int_equal(peers_watcher_read(it), -1);
    peers_loader_acknowledge(it, peers_loader_take(it, RECORD_SNAPSHOT));
    assert_true(peers_kernel_has_endpoint(it, "10.0.0.1"));

    peers_watcher_connect(it); /* a watcher that was restarted lists its own pods first */
    send_pods(it, NULL);
    peers_expect_nothing(it, it->loader);
    assert_int_equal(peers_watcher_read(it), true);
    send_pods(it, &pod);
    peers_expect_nothing(it, it->loader);
    peers_watcher_connect(it);
    send_pods(it, NULL);
    assert_int_equal(peers_watcher_read(it), true);
    send_pods(it, NULL); /* the pod is really gone */
    peers_loader_acknowledge(it, peers_loader_take(it, RECORD_CHANGE));
    assert_false(peers_kernel_has_endpoint(it, "10.0.0.1"));
}

/* A change of role asks for the other scope, once the answer to the last one has come. */
static void test_scope_changes(void **state)
{
    struct peers *it = *state;
    struct object policy, pod, node;

    make_gateway(it, &policy, &pod, &node);
    const struct object *const objects[KINDS] = {[KIND_NODE] = &node};

    peers_watcher_connect(it);
    peers_watcher_list(it, objects);
    assert_int_equal(peers_watcher_read(it), false);
    peers_watcher_object(it, &policy);
    assert_int_equal(peers_watcher_read(it), -1); /* the answer is still to come */
    send_pods(it, NULL);
    assert_int_equal(peers_watcher_read(it), true);
    send_pods(it, &pod);
    assert_int_equal(peers_watcher_read(it), -1);
    peers_watcher_delete(it, &policy);
    assert_int_equal(peers_watcher_read(it), false);
}

#define SESSION_TEST(name) cmocka_unit_test_setup_teardown(name, peers_start, peers_stop)

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

/* SPDX-License-Identifier: Apache-2.0 */
/* The conversation with the planner, over a real socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "ipc/channel.h"
#include "tests/unit/watcher_support.h"
#include "watcher/session.h"

enum { PLANNER_OBJECTS = 8192 };

/* A planner that believes what it is told and checks the order of it. */
struct planner {
    struct channel_server *server;
    struct channel *channel;
    bool acknowledges;
    uint64_t generation;
    bool syncing[KINDS], synced[KINDS];
    unsigned syncs[KINDS], connections;
    size_t objects; /* OBJECT records */
    struct {
        char name[32], uid[32];
        bool listed;
    } namespaces[PLANNER_OBJECTS];
    size_t count;
};

struct fixture {
    char root[64], path[96];
    int listener;
    struct event_base *base;
    struct store *store;
    struct source_sink sink;
    struct session *session;
    struct planner planner;
    int scope; /* -1: not told */
    size_t wanted;
};

static struct planner *planner_of(void *context)
{
    return &((struct fixture *)context)->planner;
}

static void planner_take(struct planner *planner, const struct record *record)
{
    assert_int_equal(record->generation, planner->generation + 1);
    planner->generation = record->generation;
}

static int planner_acknowledge(struct planner *planner)
{
    struct record answer = {.type = RECORD_ACKNOWLEDGE, .generation = planner->generation};

    return channel_send_record(planner->channel, &answer);
}

static int planner_done(struct planner *planner)
{
    return planner->acknowledges ? planner_acknowledge(planner) : 0;
}

static int on_sync_begin(void *context, const struct record *record)
{
    struct planner *planner = planner_of(context);

    planner_take(planner, record);
    for (int kind = 0; kind < KINDS; kind++)
        assert_false(planner->syncing[kind]);
    planner->syncing[record->kind] = true;
    for (size_t i = 0; i < planner->count; i++)
        planner->namespaces[i].listed = false;
    return planner_done(planner);
}

static size_t planner_find(const struct planner *planner, struct text name)
{
    size_t i;

    for (i = planner->count; i-- > 0;) {
        if (text_equal(text_of(planner->namespaces[i].name), name))
            return i;
    }
    return planner->count;
}

static int on_object(void *context, const struct record *record)
{
    struct planner *planner = planner_of(context);
    enum object_kind kind = record->object.kind;
    size_t at;

    planner_take(planner, record);
    planner->objects++;
    assert_true(planner->syncing[kind] || planner->synced[kind]);
    if (kind != KIND_NAMESPACE)
        return planner_done(planner);
    at = planner_find(planner, record->object.namespace.name);
    assert_true(at < PLANNER_OBJECTS);
    if (at == planner->count)
        planner->count++;
    planner->namespaces[at].listed = true;
    snprintf(planner->namespaces[at].name, sizeof(planner->namespaces[at].name), "%.*s",
             TEXT_ARG(record->object.namespace.name));
    snprintf(planner->namespaces[at].uid, sizeof(planner->namespaces[at].uid), "%.*s",
             TEXT_ARG(record->object.namespace.uid));
    return planner_done(planner);
}

static void planner_drop(struct planner *planner, size_t at)
{
    planner->namespaces[at] = planner->namespaces[--planner->count];
}

static int on_delete(void *context, const struct record *record)
{
    struct planner *planner = planner_of(context);
    size_t at = planner_find(planner, record->identity.name);

    planner_take(planner, record);
    assert_false(planner->syncing[record->identity.kind]);
    assert_true(at < planner->count);
    planner_drop(planner, at);
    return planner_done(planner);
}

static int on_sync_end(void *context, const struct record *record)
{
    struct planner *planner = planner_of(context);

    planner_take(planner, record);
    assert_true(planner->syncing[record->kind]);
    planner->syncing[record->kind] = false;
    planner->synced[record->kind] = true;
    planner->syncs[record->kind]++;
    for (size_t i = planner->count; record->kind == KIND_NAMESPACE && i-- > 0;) {
        if (!planner->namespaces[i].listed)
            planner_drop(planner, i);
    }
    return planner_done(planner);
}

static void on_connected(void *context, struct channel *channel)
{
    struct planner *planner = planner_of(context);

    planner->channel = channel;
    planner->connections++;
    planner->generation = 0;
    memset(planner->syncing, 0, sizeof(planner->syncing));
    memset(planner->synced, 0, sizeof(planner->synced));
}

static void on_closed(void *context)
{
    planner_of(context)->channel = NULL;
}

static void planner_listen(struct fixture *fixture)
{
    static const struct channel_rule rules[] = {
        {RECORD_SYNC_BEGIN, 1, on_sync_begin},
        {RECORD_OBJECT, 1, on_object},
        {RECORD_DELETE, 1, on_delete},
        {RECORD_SYNC_END, 1, on_sync_end},
    };
    static const struct channel_callbacks callbacks = {.peer = "watcher",
                                                       .rules = rules,
                                                       .rule_count = ARRAY_SIZE(rules),
                                                       .connected = on_connected,
                                                       .closed = on_closed};

    assert_int_equal(channel_serve(fixture->base, fixture->listener, getuid(), &callbacks, fixture,
                                   &fixture->planner.server),
                     0);
}

static void on_store_changed(void *context)
{
    session_wake(((struct fixture *)context)->session);
}

static void on_store_listed(void *context, enum object_kind kind)
{
    (void)context;
    (void)kind;
}

static void on_store_failed(void *context)
{
    (void)context;
    fail();
}

static void on_scope(void *context, bool all_pods)
{
    ((struct fixture *)context)->scope = all_pods;
}

static int setup(void **state)
{
    static struct fixture fixture;
    struct store_observer observer = {&fixture, on_store_changed, on_store_listed, on_store_failed};

    memset(&fixture, 0, sizeof(fixture));
    fixture.scope = -1;
    fixture.planner.acknowledges = true;
    support_catch_log();
    strcpy(fixture.root, "/tmp/egressgw-session-XXXXXX");
    if (!mkdtemp(fixture.root))
        return -1;
    snprintf(fixture.path, sizeof(fixture.path), "%s/planner.sock", fixture.root);
    fixture.base = event_base_new();
    fixture.listener = channel_listen(fixture.path, getuid());
    if (fixture.listener < 0 || store_new(&observer, &fixture.store) ||
        session_open(fixture.base, fixture.store, on_scope, &fixture, &fixture.session))
        return -1;
    fixture.sink = store_sink(fixture.store);
    planner_listen(&fixture);
    *state = &fixture;
    return session_connect(fixture.session, fixture.path, getuid());
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    session_free(fixture->session);
    channel_server_free(fixture->planner.server);
    store_free(fixture->store);
    event_base_free(fixture->base);
    log_set_sink(NULL, NULL);
    unlink(fixture->path);
    return rmdir(fixture->root);
}

static void put(struct fixture *fixture, const char *name, const char *uid)
{
    struct object object = support_namespace(name, uid);

    fixture->sink.object(fixture->sink.context, &object);
}

static void take(struct fixture *fixture, const char *name)
{
    struct object_identity identity = {.kind = KIND_NAMESPACE, .name = text_of(name)};

    fixture->sink.remove(fixture->sink.context, &identity);
}

static void list_many(struct fixture *fixture, int count)
{
    fixture->sink.list_begin(fixture->sink.context, KIND_NAMESPACE);
    for (int i = 0; i < count; i++) {
        char name[32];

        snprintf(name, sizeof(name), "n%d", i);
        put(fixture, name, "1");
    }
    fixture->sink.list_end(fixture->sink.context, KIND_NAMESPACE);
}

static void list_nothing(struct fixture *fixture, enum object_kind kind)
{
    fixture->sink.list_begin(fixture->sink.context, kind);
    fixture->sink.list_end(fixture->sink.context, kind);
}

static const char *uid_of(const struct fixture *fixture, const char *name)
{
    size_t at = planner_find(&fixture->planner, text_of(name));

    return at < fixture->planner.count ? fixture->planner.namespaces[at].uid : "gone";
}

static bool has_generation(void *context)
{
    struct fixture *fixture = context;

    return fixture->planner.generation >= fixture->wanted;
}

static void wait_generation(struct fixture *fixture, size_t generation)
{
    fixture->wanted = generation;
    if (!support_wait(fixture->base, has_generation, fixture))
        fail_msg("generation %zu, not %zu\n%s", (size_t)fixture->planner.generation, generation,
                 support_log);
}

static void test_snapshot_then_changes(void **state)
{
    struct fixture *fixture = *state;

    list_many(fixture, 3);
    wait_generation(fixture, 5);
    assert_int_equal(fixture->planner.syncs[KIND_NAMESPACE], 1);
    assert_int_equal(fixture->planner.count, 3);
    put(fixture, "n1", "2");
    put(fixture, "n0", "1");
    take(fixture, "n2");
    put(fixture, "n3", "1");
    wait_generation(fixture, 8);
    assert_string_equal(uid_of(fixture, "n1"), "2");
    assert_string_equal(uid_of(fixture, "n2"), "gone");
    assert_string_equal(uid_of(fixture, "n3"), "1");
    /* A kind that comes later is told then. */
    list_nothing(fixture, KIND_NODE);
    wait_generation(fixture, 10);
    assert_true(fixture->planner.synced[KIND_NODE]);
    assert_int_equal(fixture->planner.generation, 10);
}

static void test_window_and_changes(void **state)
{
    struct fixture *fixture = *state;
    struct planner *planner = &fixture->planner;
    char told[32];

    planner->acknowledges = false;
    list_many(fixture, 3000);
    wait_generation(fixture, SESSION_WINDOW);
    for (int i = 0; i < 8; i++) /* the window is closed: nothing more comes */
        event_base_loop(fixture->base, EVLOOP_NONBLOCK);
    assert_int_equal(planner->generation, SESSION_WINDOW);
    assert_int_equal(planner->count, SESSION_WINDOW - 1);

    put(fixture, "n0", "2");
    take(fixture, "n1");
    put(fixture, "n2999", "2");
    take(fixture, "n2998");
    put(fixture, "new", "1");
    snprintf(told, sizeof(told), "n%d", SESSION_WINDOW - 2);
    take(fixture, told);
    put(fixture, told, "3");
    for (int i = 0; i < 8; i++)
        event_base_loop(fixture->base, EVLOOP_NONBLOCK);
    assert_int_equal(planner->generation, SESSION_WINDOW);

    planner->acknowledges = true;
    assert_int_equal(planner_acknowledge(planner), 0);
    wait_generation(fixture, 3002 + 3);
    assert_int_equal(planner->syncs[KIND_NAMESPACE], 1);
    assert_int_equal(planner->count, 2999);
    assert_string_equal(uid_of(fixture, "n0"), "2");
    assert_string_equal(uid_of(fixture, "n1"), "gone");
    assert_string_equal(uid_of(fixture, "n2999"), "2");
    assert_string_equal(uid_of(fixture, "n2998"), "gone");
    assert_string_equal(uid_of(fixture, "new"), "1");
    assert_string_equal(uid_of(fixture, told), "3");
    assert_int_equal(planner->generation, 3002 + 3);
}

static bool is_connected_again(void *context)
{
    struct fixture *fixture = context;

    return fixture->planner.connections == 2 && fixture->planner.synced[KIND_NAMESPACE];
}

static void test_reconnect(void **state)
{
    struct fixture *fixture = *state;

    list_many(fixture, 3);
    wait_generation(fixture, 5);
    channel_close(fixture->planner.channel, NULL);
    take(fixture, "n0");
    put(fixture, "n1", "2");
    assert_true(support_wait(fixture->base, is_connected_again, fixture));
    assert_int_equal(fixture->planner.count, 2);
    assert_string_equal(uid_of(fixture, "n1"), "2");
    assert_int_equal(fixture->planner.generation, 4);
    put(fixture, "n1", "3");
    wait_generation(fixture, 5);
    assert_string_equal(uid_of(fixture, "n1"), "3");
}

/* An acknowledgement of what was never sent ends the connection, and a new one starts over. */
static void test_wrong_acknowledgement(void **state)
{
    struct fixture *fixture = *state;
    struct record answer = {.type = RECORD_ACKNOWLEDGE, .generation = 1000};

    list_many(fixture, 1);
    wait_generation(fixture, 3);
    assert_int_equal(channel_send_record(fixture->planner.channel, &answer), 0);
    assert_true(support_wait(fixture->base, is_connected_again, fixture));
    assert_int_equal(fixture->planner.count, 1);
}

static bool has_scope(void *context)
{
    return ((struct fixture *)context)->scope >= 0;
}

static bool has_second_sync(void *context)
{
    return ((struct fixture *)context)->planner.syncs[KIND_NAMESPACE] == 2;
}

static void test_scope_and_restart(void **state)
{
    struct fixture *fixture = *state;
    struct record scope = {.type = RECORD_SCOPE, .all_pods = true};

    list_many(fixture, 2);
    list_nothing(fixture, KIND_POD);
    wait_generation(fixture, 6);
    assert_int_equal(channel_send_record(fixture->planner.channel, &scope), 0);
    assert_true(support_wait(fixture->base, has_scope, fixture));
    assert_int_equal(fixture->scope, 1);

    take(fixture, "n0");
    put(fixture, "n9", "1");
    session_restart(fixture->session, KIND_NAMESPACE);
    put(fixture, "n9", "2");
    assert_true(support_wait(fixture->base, has_second_sync, fixture));
    assert_int_equal(fixture->planner.count, 2);
    assert_string_equal(uid_of(fixture, "n0"), "gone");
    assert_string_equal(uid_of(fixture, "n9"), "2");
    assert_int_equal(fixture->planner.generation, 10);
}

static bool has_two_syncs_of_many(void *context)
{
    const struct planner *planner = &((struct fixture *)context)->planner;

    return planner->syncs[KIND_NAMESPACE] == 2 && planner->count == 2000;
}

/* A restart that comes while the snapshot is being told is not swallowed by it. */
static void test_restart_within_snapshot(void **state)
{
    struct fixture *fixture = *state;

    fixture->planner.acknowledges = false;
    list_many(fixture, 2000);
    wait_generation(fixture, 10);
    session_restart(fixture->session, KIND_NAMESPACE);
    fixture->planner.acknowledges = true;
    assert_int_equal(planner_acknowledge(&fixture->planner), 0);
    assert_true(support_wait(fixture->base, has_two_syncs_of_many, fixture));
    assert_int_equal(fixture->planner.generation, 2 * 2002);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_snapshot_then_changes),
        CASE(test_window_and_changes),
        CASE(test_reconnect),
        CASE(test_wrong_acknowledgement),
        CASE(test_scope_and_restart),
        CASE(test_restart_within_snapshot),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

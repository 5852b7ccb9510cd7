/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/planner_peers.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

#include "ipc/channel.h"

enum { TURNS = 10000 };

static void on_work(void *context)
{
    ((struct peers *)context)->wake = true;
}

/* One turn of the daemon. */
static void turn(struct peers *it)
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

void peers_settle(struct peers *it)
{
    for (int i = 0; i < 20; i++)
        turn(it);
}

int peers_start(void **state)
{
    struct peers *it = calloc(1, sizeof(*it));
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

int peers_stop(void **state)
{
    struct peers *it = *state;

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

void peers_send(int fd, const struct record *record)
{
    static struct record_buffer buffer;

    assert_int_equal(record_pack(record, &buffer), 0);
    assert_int_equal(send(fd, buffer.data, buffer.length, MSG_NOSIGNAL), buffer.length);
}

/* The next record that is there after the daemon had its turns; false: none, or the end. */
static bool receive(struct peers *it, int fd, struct record *record)
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

void peers_expect_nothing(struct peers *it, int fd)
{
    struct record record;

    assert_false(receive(it, fd, &record));
    assert_int_equal(errno, EAGAIN);
}

bool peers_closed_by_planner(struct peers *it, int fd)
{
    char byte;
    ssize_t length;

    peers_settle(it);
    do
        length = recv(fd, &byte, 1, MSG_DONTWAIT);
    while (length > 0);
    return length == 0;
}

void peers_watcher_connect(struct peers *it)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    cleanup_close(&it->watcher);
    strcpy(address.sun_path, it->watcher_path);
    it->watcher = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(it->watcher, (struct sockaddr *)&address, sizeof(address)), 0);
    it->watcher_generation = 0;
    peers_settle(it);
}

void peers_watcher_send(struct peers *it, struct record *record)
{
    record->generation = ++it->watcher_generation;
    peers_send(it->watcher, record);
    turn(it);
}

void peers_watcher_begin(struct peers *it, enum object_kind kind)
{
    peers_watcher_send(it, &(struct record){.type = RECORD_SYNC_BEGIN, .kind = kind});
}

void peers_watcher_end(struct peers *it, enum object_kind kind)
{
    peers_watcher_send(it, &(struct record){.type = RECORD_SYNC_END, .kind = kind});
}

void peers_watcher_object(struct peers *it, const struct object *object)
{
    peers_watcher_send(it, &(struct record){.type = RECORD_OBJECT, .object = *object});
}

void peers_watcher_delete(struct peers *it, const struct object *object)
{
    peers_watcher_send(
        it, &(struct record){.type = RECORD_DELETE, .identity = object_identity(object)});
}

void peers_watcher_list(struct peers *it, const struct object *const objects[KINDS])
{
    for (int kind = 0; kind < KINDS; kind++) {
        peers_watcher_begin(it, (enum object_kind)kind);
        if (objects[kind])
            peers_watcher_object(it, objects[kind]);
        peers_watcher_end(it, (enum object_kind)kind);
    }
}

int peers_watcher_read(struct peers *it)
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

void peers_loader_accept(struct peers *it)
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

static void kernel_take(struct peers *it, const struct record *record)
{
    for (size_t i = 0; i < record->entries.count; i++) {
        const struct table_entry *entry = &record->entries.items[i];

        if (entry->remove)
            desired_remove(&it->kernel, entry->table, &entry->key);
        else
            desired_set(&it->kernel, entry->table, &entry->key, &entry->value);
    }
}

uint64_t peers_loader_take(struct peers *it, enum record_type type)
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

void peers_loader_acknowledge(struct peers *it, uint64_t generation)
{
    peers_send(it->loader, &(struct record){.type = RECORD_ACKNOWLEDGE, .generation = generation});
    peers_settle(it);
}

static size_t count_all(const struct desired *desired)
{
    size_t count = 0;

    for (int table = 0; table < TABLES; table++)
        count += desired->tables[table].count;
    return count;
}

void peers_expect_kernel(struct peers *it)
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

bool peers_kernel_has_endpoint(struct peers *it, const char *address)
{
    union table_key key = {.address = scene_address(address)};

    return desired_find(&it->kernel, TABLE_ENDPOINTS, &key) != NULL;
}

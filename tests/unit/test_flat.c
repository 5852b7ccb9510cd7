/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events without end through the watcher's store, records and the plan, up to the changes that the
 * loader would get: memory and descriptors are the same after many as after a few. SOAK=1: a
 * million events.
 */
#include <dirent.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/log.h"
#include "planner/state.h"
#include "tests/unit/planner_world.h"
#include "watcher/store.h"

#ifdef __SANITIZE_ADDRESS__
enum { EVENTS = 10000 }; /* for the leak detector: the sanitizer's own allocator tells no sizes */
#else
enum { EVENTS = 100000 };
#endif
enum { EVENTS_SOAK = 1000000, SAMPLE = 50, SLACK = 64 * 1024 };

struct chain {
    struct world world;
    struct store *store;
    struct source_sink sink;
    struct plan *plan;
    size_t records, changes;
};

static void silence(enum log_level level _unused_, const char *line _unused_,
                    void *context _unused_)
{
}

static void nothing(void *context _unused_)
{
}

static void nothing_listed(void *context _unused_, enum object_kind kind _unused_)
{
}

static void out_of_memory(void *context _unused_)
{
    fail_msg("the store has no memory");
}

static size_t descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    size_t count = 0;

    assert_non_null(directory);
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

static size_t memory_used(void)
{
    struct mallinfo2 info = mallinfo2();

    return info.uordblks + info.hblkhd;
}

static void record_take(struct chain *chain, const struct record_buffer *buffer)
{
    _cleanup_arena_ struct arena arena = {0};
    struct record record;
    const char *why;

    assert_int_equal(record_unpack(buffer->data, buffer->length, &arena, &record, &why), 0);
    if (record.type == RECORD_OBJECT)
        plan_apply(chain->plan, &record.object);
    else
        plan_remove(chain->plan, &record.identity);
    chain->records++;
}

/* What a session does: tells what is new, and takes the changes that follow. */
static void chain_deliver(struct chain *chain)
{
    static struct record_buffer buffer;
    struct store_entry *entry;
    struct table_entry change;

    while ((entry = store_next_dirty(chain->store))) {
        assert_int_equal(store_entry_record(entry, &buffer), 0);
        record_take(chain, &buffer);
        store_entry_delivered(chain->store, entry);
    }
    plan_update(chain->plan);
    while (plan_dirty_next(chain->plan, &change))
        chain->changes++;
    plan_settle(chain->plan, plan_generation(chain->plan));
}

static void chain_event(struct chain *chain)
{
    enum object_kind kind = (enum object_kind)world_random(&chain->world, KINDS);
    unsigned number = world_random(&chain->world, world_counts[kind]);
    struct world_slot *slot = &chain->world.slots[kind][number];

    if (slot->present && world_random(&chain->world, 3) == 0) {
        struct object_identity identity = object_identity(&slot->object);

        chain->sink.remove(chain->sink.context, &identity);
        world_remove(&chain->world, kind, number);
    } else {
        world_change(&chain->world, kind, number);
        chain->sink.object(chain->sink.context, &slot->object);
    }
    chain_deliver(chain);
}

static void chain_open(struct chain *chain)
{
    static const struct plan_config config = {.node = {"node-1", 6}, .cluster = {"default", 7}};
    static const struct store_observer observer = {NULL, nothing, nothing_listed, out_of_memory};

    chain->world.random = 7;
    assert_int_equal(store_new(&observer, &chain->store), 0);
    chain->sink = store_sink(chain->store);
    chain->plan = plan_new(&config);
    plan_set_pods_complete(chain->plan, true);
    for (int kind = 0; kind < KINDS; kind++) {
        chain->sink.list_begin(chain->sink.context, (enum object_kind)kind);
        chain->sink.list_end(chain->sink.context, (enum object_kind)kind);
        store_snapshot_begin(chain->store, (enum object_kind)kind);
        store_snapshot_end(chain->store, (enum object_kind)kind);
        plan_sync_begin(chain->plan, (enum object_kind)kind);
        plan_sync_end(chain->plan, (enum object_kind)kind);
    }
    plan_update(chain->plan);
    plan_sent_nothing(chain->plan);
    plan_sent_all(chain->plan);
}

static void chain_close(struct chain *chain)
{
    plan_free(chain->plan);
    store_free(chain->store);
    world_clear(&chain->world);
}

static void test_memory_and_descriptors_are_flat(void **state _unused_)
{
    const unsigned events = getenv("SOAK") ? EVENTS_SOAK : EVENTS;
    struct chain *chain = calloc(1, sizeof(*chain));
    size_t open = descriptors(), warm = 0, most = 0, used;

    assert_non_null(chain);
    log_set_sink(silence, NULL);
    chain_open(chain);
    for (unsigned event = 1; event <= events; event++) {
        chain_event(chain);
        if (event % SAMPLE != 0)
            continue;
        used = memory_used();
        if (event <= events / 2)
            warm = used > warm ? used : warm;
        most = used > most ? used : most;
    }
    assert_true(chain->records > events / 2 && chain->changes > events / 10);
    if (most > warm + warm / 10 + SLACK)
        fail_msg("%zu bytes at most, %zu in the first half of the events", most, warm);
    chain_close(chain);
    log_set_sink(NULL, NULL);
    assert_int_equal(descriptors(), open);
    free(chain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_and_descriptors_are_flat),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

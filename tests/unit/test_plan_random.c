/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random events: the tables that the plan keeps up to date are compared with those of a plan that
 * gets the same objects from nothing, with a naive computation, and with what somebody has who
 * applied every change that was sent.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/log.h"
#include "planner/desired.h"
#include "planner/memory.h"
#include "planner/state.h"
#include "tests/unit/planner_expand.h"
#include "tests/unit/planner_naive.h"

/* In each of the four runs. */
#ifdef __SANITIZE_ADDRESS__
enum { EVENTS = 3000 }; /* which take as long */
#else
enum { EVENTS = 25000 };
#endif
enum { EVENTS_PER_FRESH = 40, EVENTS_PER_RESTART = 150 };

struct run {
    struct world world;
    struct plan_config config;
    struct plan *plan;
    struct desired kernel; /* what the loader would have */
};

static void silence(enum log_level level _unused_, const char *line _unused_,
                    void *context _unused_)
{
}

/* Applies a change, which must be one. */
static void kernel_change(struct run *run, const struct table_entry *entry)
{
    const union table_value *old = desired_find(&run->kernel, entry->table, &entry->key);
    const char *why;

    assert_int_equal(table_entry_check(entry, &why), 0);
    if (entry->remove) {
        assert_non_null(old);
        desired_remove(&run->kernel, entry->table, &entry->key);
        return;
    }
    if (old)
        assert_memory_not_equal(old, &entry->value, table_shapes[entry->table].value_size);
    desired_set(&run->kernel, entry->table, &entry->key, &entry->value);
}

static void kernel_take_snapshot(struct run *run)
{
    struct desired_cursor cursor = {0};
    struct table_entry entry;

    desired_clear(&run->kernel);
    plan_sent_nothing(run->plan);
    plan_sent_all(run->plan);
    while (plan_desired_next(run->plan, &cursor, &entry))
        desired_set(&run->kernel, entry.table, &entry.key, &entry.value);
}

static void kernel_take_changes(struct run *run)
{
    struct table_entry entry;

    while (plan_dirty_next(run->plan, &entry))
        kernel_change(run, &entry);
    if (world_random(&run->world, 2))
        plan_settle(run->plan, plan_generation(run->plan));
}

static void run_event(struct run *run)
{
    static const enum object_kind kinds[] = {KIND_POD,    KIND_POD,       KIND_POD,  KIND_POD,
                                             KIND_POLICY, KIND_POLICY,    KIND_NODE, KIND_NODE,
                                             KIND_LINK,   KIND_NAMESPACE, KIND_POD};
    enum object_kind kind = kinds[world_random(&run->world, ARRAY_SIZE(kinds))];
    unsigned number = world_random(&run->world, world_counts[kind]);
    struct world_slot *slot = &run->world.slots[kind][number];

    if (slot->present && world_random(&run->world, 4) == 0) {
        struct object_identity identity = object_identity(&slot->object);

        plan_remove(run->plan, &identity);
        world_remove(&run->world, kind, number);
        return;
    }
    if (!slot->present || world_random(&run->world, 5))
        world_change(&run->world, kind, number);
    plan_apply(run->plan, &slot->object); /* perhaps unchanged */
}

/* The watcher comes back: a full list, with changes that were missed, and changes of other kinds
 * in between. Sometimes it breaks off and starts again. */
static void run_resync(struct run *run)
{
    enum object_kind kind = (enum object_kind)world_random(&run->world, KINDS);

    plan_sync_begin(run->plan, kind);
    for (unsigned i = 0; i < world_counts[kind]; i++) {
        struct world_slot *slot = &run->world.slots[kind][i];
        uint32_t what = world_random(&run->world, 10);

        if (what == 0)
            world_remove(&run->world, kind, i);
        else if (what == 1)
            world_change(&run->world, kind, i);
        if (slot->present)
            plan_apply(run->plan, &slot->object);
        if (what == 2)
            plan_update(run->plan);
    }
    if (world_random(&run->world, 5) == 0)
        plan_sync_begin(run->plan, kind);
    for (unsigned i = 0; i < world_counts[kind]; i++)
        if (run->world.slots[kind][i].present)
            plan_apply(run->plan, &run->world.slots[kind][i].object);
    plan_sync_end(run->plan, kind);
}

static void expand(const struct desired *desired, const struct plan *plan, struct lines *lines)
{
    struct expansion expansion = {0};

    expansion_collect(desired, &expansion);
    expansion_write(&expansion, plan, lines);
    expansion_clear(&expansion);
}

static void check_fresh(struct run *run, const struct lines *lines)
{
    struct plan *fresh = plan_new(&run->config);
    struct lines fresh_lines = {0};

    plan_set_pods_complete(fresh, true);
    world_feed(&run->world, fresh);
    plan_update(fresh);
    assert_true(plan_ready(fresh));
    expand(&fresh->desired, fresh, &fresh_lines);
    assert_true(lines_equal(lines, &fresh_lines));
    lines_clear(&fresh_lines);
    plan_free(fresh);
}

static void check(struct run *run, bool fresh)
{
    struct lines lines = {0}, naive = {0}, kernel = {0};

    expand(&run->plan->desired, run->plan, &lines);
    naive_compute(&run->world, &run->config, &naive);
    expand(&run->kernel, run->plan, &kernel);
    assert_true(lines_equal(&lines, &naive));
    assert_true(lines_equal(&lines, &kernel));
    assert_int_equal(plan_needs_all_pods(run->plan),
                     naive_needs_all_pods(&run->world, &run->config));
    if (fresh)
        check_fresh(run, &lines);
    lines_clear(&lines);
    lines_clear(&naive);
    lines_clear(&kernel);
}

/* An update without events changes nothing. */
static void check_idle(struct run *run)
{
    plan_update(run->plan);
    assert_int_equal(plan_dirty_count(run->plan), 0);
}

static void run_events(struct run *run)
{
    for (unsigned event = 1; event <= EVENTS; event++) {
        if (world_random(&run->world, 40) == 0)
            run_resync(run);
        else
            run_event(run);
        if (world_random(&run->world, 3) == 0)
            continue;
        plan_update(run->plan);
        if (event % EVENTS_PER_RESTART == 0)
            kernel_take_snapshot(run);
        kernel_take_changes(run);
        check(run, event % EVENTS_PER_FRESH == 0);
        check_idle(run);
    }
}

/* Nothing is kept of what is gone. */
static void check_empty(struct run *run)
{
    for (int kind = 0; kind < KINDS; kind++) {
        plan_sync_begin(run->plan, (enum object_kind)kind);
        plan_sync_end(run->plan, (enum object_kind)kind);
    }
    plan_update(run->plan);
    plan_settle(run->plan, plan_generation(run->plan));
    assert_int_equal(run->plan->policies.count, 0);
    assert_int_equal(run->plan->profiles.count, 0);
    assert_int_equal(run->plan->groups.count, 0);
    assert_int_equal(run->plan->pods.count, 0);
    assert_int_equal(run->plan->endpoints.count, 0);
    assert_int_equal(run->plan->namespaces.count, 0);
    assert_int_equal(run->plan->nodes.count, 1); /* this node */
    assert_int_equal(run->plan->node_addresses.count, 0);
    assert_int_equal(run->plan->pools.count, 0);
    assert_int_equal(run->plan->conflicts.count, 0);
    assert_int_equal(run->plan->rules_everywhere.count, 0);
    assert_int_equal(run->plan->labels.sets.count, 0);
    assert_int_equal(run->plan->labels.pairs.count, 0);
    assert_int_equal(run->plan->strings.table.count, 2); /* cluster, this node */
    assert_int_equal(run->plan->local_gateways, 0);
}

static void run_all(uint64_t seed, const struct plan_config *config)
{
    struct run *run = memory_new(1, sizeof(*run));

    log_set_sink(silence, NULL);
    run->world.random = seed;
    run->config = *config;
    desired_init(&run->kernel);
    run->plan = plan_new(config);
    plan_set_pods_complete(run->plan, true);
    for (int kind = 0; kind < KINDS; kind++)
        for (unsigned i = 0; i < world_counts[kind]; i++)
            if (world_random(&run->world, 2))
                world_change(&run->world, (enum object_kind)kind, i);
    world_feed(&run->world, run->plan);
    plan_update(run->plan);
    kernel_take_snapshot(run);
    check(run, true);
    run_events(run);
    check_empty(run);
    plan_free(run->plan);
    desired_clear(&run->kernel);
    world_clear(&run->world);
    free(run);
    log_set_sink(NULL, NULL);
}

static struct ip_prefix cidrs[2];

static const struct plan_config base = {.node = {"node-1", 6}, .cluster = {"default", 7}};

static void test_ranges_from_nodes(void **state _unused_)
{
    run_all(1, &base);
}

static void test_ranges_configured(void **state _unused_)
{
    struct plan_config config = base;

    config.cluster_cidrs = (struct prefix_list){cidrs, 2};
    config.pod_cidrs = (struct prefix_list){cidrs, 1};
    run_all(2, &config);
}

static void test_node_that_is_not_there(void **state _unused_)
{
    struct plan_config config = base;

    config.node = TEXT("node-5");
    config.cluster_cidrs = (struct prefix_list){cidrs, 2};
    run_all(3, &config);
}

static void test_first_node(void **state _unused_)
{
    struct plan_config config = base;

    config.node = TEXT("node-0");
    config.cluster_cidrs = (struct prefix_list){cidrs, 1};
    run_all(4, &config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges_from_nodes),
        cmocka_unit_test(test_ranges_configured),
        cmocka_unit_test(test_node_that_is_not_there),
        cmocka_unit_test(test_first_node),
    };

    if (prefix_parse(TEXT("10.244.0.0/16"), &cidrs[0]) < 0 ||
        prefix_parse(TEXT("fd00::/48"), &cidrs[1]) < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the planner needs to compute the tables from nothing, and for single events, on a node that
 * is the gateway of every policy, so that it has an entry for each pod; and beside it a peer that
 * computes every (pod, CIDR) anew. Times are of the CPU.
 *
 *   bench_planner [PODS [POLICIES [CIDRS [SELECTED]]]]     SELECTED: policies that select a pod
 */
#include "common/log.h"
#include "planner/desired.h"
#include "tests/bench/planner_peer.h"

enum {
    EVENTS = 1001,
    HEAVY_EVENTS = 101,
    EVENTS_LIMIT = EVENTS,
};

/* ---- From nothing ---- */

static void feed(struct bench *bench, enum object_kind kind, unsigned count)
{
    static struct object objects[CHUNK];

    plan_sync_begin(bench->plan, kind);
    for (unsigned first = 0; first < count; first += CHUNK) {
        unsigned chunk = count - first < CHUNK ? count - first : CHUNK;
        struct object_error error;

        for (unsigned i = 0; i < chunk; i++) {
            objects[i] = make_object(bench, kind, first + i);
            if (object_check(&objects[i], &error) < 0)
                die(error.reason);
        }
        double start = now_seconds();

        for (unsigned i = 0; i < chunk; i++)
            plan_apply(bench->plan, &objects[i]);
        bench->applied += now_seconds() - start;
        arena_clear(&bench->arena);
    }
    plan_sync_end(bench->plan, kind);
}

/* A line of /proc/self/status in KiB. */
static unsigned long memory_kib(const char *field)
{
    _cleanup_fclose_ FILE *file = fopen("/proc/self/status", "re");
    unsigned long value = 0;
    char line[256];

    while (file && fgets(line, sizeof(line), file))
        if (strncmp(line, field, strlen(field)) == 0)
            value = strtoul(line + strlen(field) + 1, NULL, 10);
    return value;
}

static void print_tables(const struct plan *plan)
{
    struct desired_cursor cursor = {0};
    struct table_entry entry;
    size_t counts[TABLES] = {0};

    while (plan_desired_next(plan, &cursor, &entry))
        counts[entry.table]++;
    printf("entries:");
    for (int table = 0; table < TABLES; table++)
        printf(" %s %zu", table_shapes[table].name, counts[table]);
    printf("\n");
}

static void run_from_nothing(struct bench *bench)
{
    unsigned long before = memory_kib("VmRSS:"), after;
    double start, planned;

    feed(bench, KIND_POLICY, bench->policies);
    feed(bench, KIND_POD, bench->pods);
    feed(bench, KIND_NAMESPACE, bench->policies);
    feed(bench, KIND_NODE, bench->nodes);
    feed(bench, KIND_LINK, 1);
    plan_set_pods_complete(bench->plan, true);
    start = now_seconds();
    plan_update(bench->plan);
    planned = now_seconds() - start;
    if (!plan_ready(bench->plan))
        die("the plan is not ready");
    after = memory_kib("VmRSS:");
    printf("from nothing: %.1f ms (%.1f ms to take objects in, %.1f ms to plan)\n",
           (bench->applied + planned) * 1e3, bench->applied * 1e3, planned * 1e3);
    printf("memory: %.1f MiB more than before, peak %.1f MiB\n", (double)(after - before) / 1024,
           (double)memory_kib("VmHWM:") / 1024);
    print_tables(bench->plan);
}

/* ---- Events ---- */

typedef struct object (*make_event)(struct bench *bench, unsigned event);

static int double_compare(const void *a, const void *b)
{
    double first = *(const double *)a, second = *(const double *)b;

    return (first > second) - (first < second);
}

static size_t drain(struct plan *plan)
{
    struct table_entry entry;
    size_t count = 0;

    while (plan_dirty_next(plan, &entry))
        count++;
    plan_settle(plan, plan_generation(plan));
    return count;
}

static void run_events(struct bench *bench, const char *what, make_event make_it, unsigned events)
{
    double times[EVENTS_LIMIT];
    size_t changes = 0;

    for (unsigned event = 0; event < events; event++) {
        struct object object = make_it(bench, event);
        struct object_error error;
        double start;

        if (object_check(&object, &error) < 0)
            die(error.reason);
        start = now_seconds();
        plan_apply(bench->plan, &object);
        plan_update(bench->plan);
        changes += drain(bench->plan);
        times[event] = now_seconds() - start;
        arena_clear(&bench->arena);
    }
    qsort(times, events, sizeof(times[0]), double_compare);
    printf("%-44s median %9.1f us  p99 %9.1f us  %7.1f entries\n", what, times[events / 2] * 1e6,
           times[events * 99 / 100] * 1e6, (double)changes / events);
}

static struct object event_pod_unchanged(struct bench *bench, unsigned event)
{
    unsigned number = event * 37 % bench->pods;

    return make_pod(bench, number, number % bench->policies);
}

static struct object event_pod_labels(struct bench *bench, unsigned event)
{
    unsigned number = event * 37 % bench->pods;

    return make_pod(bench, number, (number + 1) % bench->policies);
}

static struct object event_pod_new(struct bench *bench, unsigned event)
{
    struct object object = make_pod(bench, bench->pods + event, event % bench->policies);

    object.pod.node = name(bench, "node-%u", event % bench->nodes);
    return object;
}

static struct object event_pod_ends(struct bench *bench, unsigned event)
{
    struct object object = event_pod_new(bench, event);

    object.pod.ended = true;
    return object;
}

static struct object event_policy_destinations(struct bench *bench, unsigned event)
{
    unsigned number = event % bench->policies;

    return make_policy(bench, number, number, event / bench->policies % 2 + 1);
}

static struct object event_policy_selector(struct bench *bench, unsigned event)
{
    unsigned number = event % bench->policies;

    number -= policy_is_for_namespaces(number);
    return make_policy(bench, number, (number + event / bench->policies + 1) % bench->policies, 0);
}

/* A namespace that is selected by its label is so by another policy then. */
static struct object event_namespace(struct bench *bench, unsigned event)
{
    unsigned groups = bench->policies / 10;

    return make_namespace(bench, event % groups * 10 + 9,
                          (event + event / groups + 1) % groups * 10 + 9);
}

static struct object event_node_unchanged(struct bench *bench, unsigned event)
{
    return make_node(bench, event % bench->nodes, true);
}

static struct object event_node_not_ready(struct bench *bench, unsigned event)
{
    return make_node(bench, GATEWAYS + event % (bench->nodes - GATEWAYS),
                     event / (bench->nodes - GATEWAYS) % 2);
}

static struct object event_node_address(struct bench *bench, unsigned event)
{
    struct object object = event_node_not_ready(bench, event);

    object.node.ready = true;
    object.node.internal[0] = address(173, event + 1);
    return object;
}

/* This node, which is the gateway, loses and gets back its role. */
static struct object event_gateway(struct bench *bench, unsigned event)
{
    return make_node(bench, 0, event % 2);
}

static void run_all_events(struct bench *bench)
{
    plan_sent_all(bench->plan);
    run_events(bench, "pod, unchanged", event_pod_unchanged, EVENTS);
    run_events(bench, "pod, other labels", event_pod_labels, EVENTS);
    run_events(bench, "pod, new", event_pod_new, EVENTS);
    run_events(bench, "pod, ended", event_pod_ends, EVENTS);
    run_events(bench, "policy, other destinations", event_policy_destinations, EVENTS);
    run_events(bench, "policy, other selector", event_policy_selector, EVENTS);
    run_events(bench, "namespace, other labels", event_namespace, EVENTS);
    run_events(bench, "node, unchanged", event_node_unchanged, EVENTS);
    run_events(bench, "node, Ready or not", event_node_not_ready, EVENTS);
    run_events(bench, "node, other address", event_node_address, EVENTS);
    run_events(bench, "this gateway, Ready or not: every policy", event_gateway, HEAVY_EVENTS);
}

static unsigned argument(int argc, char **argv, int position, unsigned standard, unsigned limit)
{
    unsigned long value = standard;
    char *end = "";

    if (position < argc)
        value = strtoul(argv[position], &end, 10);
    if (*end || value == 0 || value > limit)
        die("usage: bench_planner [PODS [POLICIES [CIDRS [SELECTED]]]]");
    return (unsigned)value;
}

static void ignore_log(enum log_level level _unused_, const char *line _unused_,
                       void *context _unused_)
{
}

int main(int argc, char **argv)
{
    struct bench bench = {
        .pods = argument(argc, argv, 1, 10000, 1000000),
        .policies = argument(argc, argv, 2, 100, 60000),
        .cidrs = argument(argc, argv, 3, 10, 100),
        .selected = argument(argc, argv, 4, 1, 100),
    };
    struct plan_config config = {.node = TEXT("node-0"), .cluster = TEXT("default")};

    log_set_sink(ignore_log, NULL);
    bench.nodes = bench.pods / PODS_PER_NODE + GATEWAYS + 1;
    bench.plan = plan_new(&config);
    printf("%u pods, %u policies of %u CIDRs, each pod selected by %u, %u nodes, %u namespaces\n",
           bench.pods, bench.policies, bench.cidrs, bench.selected, bench.nodes, bench.policies);
    run_from_nothing(&bench);
    run_all_events(&bench);
    plan_free(bench.plan);
    peer_run(&bench);
    return EXIT_SUCCESS;
}

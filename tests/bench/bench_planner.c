/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the planner needs to compute the tables from nothing, and for single events, on a node that
 * is the gateway of every policy, so that it has an entry for each pod.
 *
 *   bench_planner [PODS [POLICIES [CIDRS]]]
 */
#include <endian.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/log.h"
#include "planner/desired.h"
#include "planner/plan.h"

enum {
    PODS_PER_NODE = 100,
    NAMESPACES = 50,
    TEAMS = 10,
    GATEWAYS = 3,
    EVENTS = 1001,
    HEAVY_EVENTS = 101,
    EVENTS_LIMIT = EVENTS,
    CHUNK = 1000, /* objects that are made before the clock starts */
};

struct bench {
    struct plan *plan;
    struct arena arena; /* of the objects that are made at the moment */
    unsigned pods, policies, cidrs, nodes;
    double applied; /* seconds in plan_apply() */
};

static double now_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static _Noreturn void die(const char *why)
{
    fprintf(stderr, "bench_planner: %s\n", why);
    exit(EXIT_FAILURE);
}

static void *make(struct bench *bench, size_t count, size_t size)
{
    void *memory = arena_allocate(&bench->arena, count, size);

    if (!memory)
        die("no memory");
    return memory;
}

static struct text _format_(2, 3) name(struct bench *bench, const char *format, ...)
{
    char buffer[128];
    va_list arguments;
    struct text text = {buffer, 0};

    va_start(arguments, format);
    text.length = (size_t)vsnprintf(buffer, sizeof(buffer), format, arguments);
    va_end(arguments);
    text = arena_text(&bench->arena, text);
    if (!text.data)
        die("no memory");
    return text;
}

static struct ip_addr address(unsigned first, unsigned number)
{
    return ip_addr_from_v4(htobe32(first << 24 | number));
}

/* ---- Objects ---- */

static struct object make_node(struct bench *bench, unsigned number, bool ready)
{
    struct object object = {.kind = KIND_NODE};
    struct node *node = &object.node;

    node->name = node->uid = name(bench, "node-%u", number);
    node->labels.items = make(bench, 1, sizeof(struct label));
    if (number < GATEWAYS)
        node->labels.items[node->labels.count++] = (struct label){TEXT("egress"), TEXT("true")};
    node->internal = make(bench, 1, sizeof(struct ip_addr));
    node->internal[node->internal_count++] = address(172, number + 1);
    node->pod_cidrs = make(bench, 1, sizeof(struct ip_prefix));
    node->pod_cidrs[node->pod_cidr_count++] = (struct ip_prefix){address(10, number << 8), 24};
    node->ready = ready;
    return object;
}

static struct object make_namespace(struct bench *bench, unsigned number, unsigned team)
{
    struct object object = {.kind = KIND_NAMESPACE};
    struct namespace *namespace = &object.namespace;

    namespace->name = namespace->uid = name(bench, "namespace-%u", number);
    namespace->labels.items = make(bench, 2, sizeof(struct label));
    namespace->labels.items[namespace->labels.count++] =
        (struct label){TEXT("kubernetes.io/metadata.name"), namespace->name};
    namespace->labels.items[namespace->labels.count++] =
        (struct label){TEXT("team"), name(bench, "team-%u", team)};
    return object;
}

/* Pods of an application share their labels, as those of a deployment do; one in ten has a label
 * of its own, as those of a StatefulSet have. */
static struct object make_pod(struct bench *bench, unsigned number, unsigned app)
{
    struct object object = {.kind = KIND_POD};
    struct pod *pod = &object.pod;
    struct labels *labels = &pod->labels;

    pod->namespace = name(bench, "namespace-%u", number % NAMESPACES);
    pod->name = name(bench, "app-%u-%u", app, number);
    pod->uid = name(bench, "%08x-89ab-4cde-8f01-23456789abcd", number);
    pod->node = name(bench, "node-%u", number / PODS_PER_NODE);
    pod->service_account = TEXT("default");
    pod->created = 1700000000 + number;
    labels->items = make(bench, 5, sizeof(struct label));
    labels->items[labels->count++] = (struct label){TEXT("app"), name(bench, "app-%u", app)};
    labels->items[labels->count++] =
        (struct label){TEXT("pod-template-hash"), name(bench, "%08x", app * 2654435761U)};
    if (number % 10 == 0)
        labels->items[labels->count++] =
            (struct label){TEXT("statefulset.kubernetes.io/pod-name"), pod->name};
    labels->items[labels->count++] = (struct label){TEXT("tier"), TEXT("backend")};
    labels->items[labels->count++] =
        (struct label){TEXT("track"), app % 2 ? TEXT("stable") : TEXT("canary")};
    pod->addresses = make(bench, 1, sizeof(struct ip_addr));
    pod->addresses[pod->address_count++] =
        address(10, (number / PODS_PER_NODE) << 8 | (number % PODS_PER_NODE + 1));
    return object;
}

static struct selector make_selector(struct bench *bench, struct text key, struct text value)
{
    struct selector selector = {true, make(bench, 1, sizeof(struct requirement)), 1};
    struct requirement *requirement = selector.requirements;

    requirement->key = key;
    requirement->match = MATCH_IN;
    requirement->values = make(bench, 1, sizeof(struct text));
    requirement->values[requirement->value_count++] = value;
    return selector;
}

/* Every tenth policy is for the namespaces of a team, the others are for one application. `shift`
 * moves its destinations. */
static struct object make_policy(struct bench *bench, unsigned number, unsigned app, unsigned shift)
{
    struct object object = {.kind = KIND_POLICY};
    struct policy *policy = &object.policy;

    policy->name = policy->uid = name(bench, "policy-%u", number);
    policy->created = 1600000000 + number;
    policy->rules = make(bench, 1, sizeof(struct policy_rule));
    policy->rule_count = 1;
    if (number % 10 == 9)
        policy->rules[0].namespaces =
            make_selector(bench, TEXT("team"), name(bench, "team-%u", number / 10 % TEAMS));
    else
        policy->rules[0].pods = make_selector(bench, TEXT("app"), name(bench, "app-%u", app));
    policy->destinations = make(bench, bench->cidrs, sizeof(struct ip_prefix));
    for (unsigned i = 0; i < bench->cidrs; i++)
        policy->destinations[policy->destination_count++] =
            (struct ip_prefix){address(100 + shift, (number * bench->cidrs + i) << 8), 24};
    policy->gateways = make(bench, 1, sizeof(struct policy_gateway));
    policy->gateways[policy->gateway_count++].nodes =
        make_selector(bench, TEXT("egress"), TEXT("true"));
    return object;
}

static struct object make_link(struct bench *bench)
{
    struct object object = {.kind = KIND_LINK};
    struct link *link = &object.link;

    link->ifindex = 2;
    link->name = TEXT("eth0");
    link->up = link->default_route_v4 = true;
    link->addresses = make(bench, 1, sizeof(struct link_address));
    link->addresses[link->address_count++] = (struct link_address){address(198, 1), true};
    return object;
}

/* ---- From nothing ---- */

static struct object make_object(struct bench *bench, enum object_kind kind, unsigned number)
{
    switch (kind) {
    case KIND_POLICY:
        return make_policy(bench, number, number, 0);
    case KIND_POD:
        return make_pod(bench, number, number % bench->policies);
    case KIND_NAMESPACE:
        return make_namespace(bench, number, number % TEAMS);
    case KIND_NODE:
        return make_node(bench, number, true);
    default:
        return make_link(bench);
    }
}

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
    feed(bench, KIND_NAMESPACE, NAMESPACES);
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

    number -= number % 10 == 9; /* a policy for applications */
    return make_policy(bench, number, (number + event / bench->policies + 1) % bench->policies, 0);
}

static struct object event_namespace(struct bench *bench, unsigned event)
{
    return make_namespace(bench, event % NAMESPACES, (event + event / NAMESPACES + 1) % TEAMS);
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
    run_events(bench, "this gateway, Ready or not: every policy", event_gateway, HEAVY_EVENTS);
}

static unsigned argument(int argc, char **argv, int position, unsigned standard, unsigned limit)
{
    unsigned long value = standard;
    char *end = "";

    if (position < argc)
        value = strtoul(argv[position], &end, 10);
    if (*end || value == 0 || value > limit)
        die("usage: bench_planner [PODS [POLICIES [CIDRS]]]");
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
    };
    struct plan_config config = {.node = TEXT("node-0"), .cluster = TEXT("default")};

    log_set_sink(ignore_log, NULL);
    bench.nodes = bench.pods / PODS_PER_NODE + GATEWAYS + 1;
    bench.plan = plan_new(&config);
    printf("%u pods, %u policies of %u CIDRs, %u nodes, %d namespaces\n", bench.pods,
           bench.policies, bench.cidrs, bench.nodes, NAMESPACES);
    run_from_nothing(&bench);
    run_all_events(&bench);
    plan_free(bench.plan);
    return EXIT_SUCCESS;
}

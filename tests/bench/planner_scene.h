/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_BENCH_PLANNER_SCENE_H
#define TESTS_BENCH_PLANNER_SCENE_H

/*
 * The cluster that the planner is measured with. There are as many namespaces and applications as
 * policies; every tenth policy is for namespaces, by their label `team`, the others are for
 * applications, by the pods' label `app`. Each pod is selected by as many policies as a policy
 * lists values: one, or ten.
 */
#include <endian.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "planner/plan.h"

enum {
    PODS_PER_NODE = 100,
    GATEWAYS = 3,
    CHUNK = 1000, /* objects that are made before the clock starts */
};

struct bench {
    struct plan *plan;
    struct arena arena; /* of the objects that are made at the moment */
    unsigned pods, policies, cidrs, nodes;
    unsigned selected; /* policies that select a pod */
    double applied;    /* seconds in plan_apply() */
};

/* CPU time: other processes of the machine do not count. */
static double now_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
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

    pod->namespace = name(bench, "namespace-%u", number % bench->policies);
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

/* One of `bench->selected` values, the first of which is the number `first`. */
static struct selector make_selector(struct bench *bench, const char *key, unsigned first)
{
    struct selector selector = {true, make(bench, 1, sizeof(struct requirement)), 1};
    struct requirement *requirement = selector.requirements;

    requirement->key = text_of(key);
    requirement->match = MATCH_IN;
    requirement->values = make(bench, bench->selected, sizeof(struct text));
    for (unsigned i = 0; i < bench->selected; i++)
        requirement->values[requirement->value_count++] =
            name(bench, "%s-%u", key, (first + i * (bench->selected > 1)) % bench->policies);
    return selector;
}

static struct selector make_gateway_selector(struct bench *bench)
{
    struct selector selector = {true, make(bench, 1, sizeof(struct requirement)), 1};

    selector.requirements[0] =
        (struct requirement){TEXT("egress"), MATCH_IN, make(bench, 1, sizeof(struct text)), 1};
    selector.requirements[0].values[0] = TEXT("true");
    return selector;
}

static bool policy_is_for_namespaces(unsigned number)
{
    return number % 10 == 9;
}

/* For applications, or namespaces, from the number `first` on. `shift` moves its destinations. */
static struct object make_policy(struct bench *bench, unsigned number, unsigned first,
                                 unsigned shift)
{
    struct object object = {.kind = KIND_POLICY};
    struct policy *policy = &object.policy;

    policy->name = policy->uid = name(bench, "policy-%u", number);
    policy->created = 1600000000 + number;
    policy->rules = make(bench, 1, sizeof(struct policy_rule));
    policy->rule_count = 1;
    if (policy_is_for_namespaces(number))
        policy->rules[0].namespaces = make_selector(bench, "team", first);
    else
        policy->rules[0].pods = make_selector(bench, "app", first);
    policy->destinations = make(bench, bench->cidrs, sizeof(struct ip_prefix));
    for (unsigned i = 0; i < bench->cidrs; i++)
        policy->destinations[policy->destination_count++] =
            (struct ip_prefix){address(100 + shift, (number * bench->cidrs + i) << 8), 24};
    policy->gateways = make(bench, 1, sizeof(struct policy_gateway));
    policy->gateways[policy->gateway_count++].nodes = make_gateway_selector(bench);
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

static struct object make_object(struct bench *bench, enum object_kind kind, unsigned number)
{
    switch (kind) {
    case KIND_POLICY:
        return make_policy(bench, number, number, 0);
    case KIND_POD:
        return make_pod(bench, number, number % bench->policies);
    case KIND_NAMESPACE:
        return make_namespace(bench, number, number);
    case KIND_NODE:
        return make_node(bench, number, true);
    default:
        return make_link(bench);
    }
}

#endif

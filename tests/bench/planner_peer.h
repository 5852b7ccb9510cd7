/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_BENCH_PLANNER_PEER_H
#define TESTS_BENCH_PLANNER_PEER_H

/*
 * The straightforward way, to compare with: one entry for each pod and CIDR, and after any event
 * everything is computed again, each policy against each pod, and compared with what was there. It
 * keeps the labels of pods ready for that and knows what this benchmark has: selectors of one
 * requirement, one gateway, one address a pod.
 */
#include "loader/entries.h"
#include "tests/bench/planner_scene.h"

struct peer_key {
    struct ip_addr pod;
    struct ip_addr destination;
    uint32_t length;
};

struct peer_value {
    struct ip_addr gateway;
    struct ip_addr egress;
};

struct peer {
    struct bench *bench;
    struct object *policies;
    struct object *pods;
    struct object *namespaces;
    struct entries table;
};

static struct object *peer_make(struct peer *peer, enum object_kind kind, unsigned count)
{
    struct object *objects = calloc(count, sizeof(*objects));

    if (!objects)
        die("no memory");
    for (unsigned i = 0; i < count; i++)
        objects[i] = make_object(peer->bench, kind, i);
    return objects;
}

static bool peer_selector_matches(const struct selector *selector, const struct labels *labels)
{
    const struct requirement *requirement = &selector->requirements[0];

    for (size_t i = 0; i < labels->count; i++)
        for (size_t j = 0;
             text_equal(labels->items[i].key, requirement->key) && j < requirement->value_count;
             j++)
            if (text_equal(labels->items[i].value, requirement->values[j]))
                return true;
    return false;
}

static bool peer_selects(const struct peer *peer, const struct policy *policy, unsigned pod)
{
    const struct policy_rule *rule = &policy->rules[0];

    if (rule->pods.present)
        return peer_selector_matches(&rule->pods, &peer->pods[pod].pod.labels);
    return peer_selector_matches(&rule->namespaces,
                                 &peer->namespaces[pod % peer->bench->policies].namespace.labels);
}

static void peer_put(struct entries *table, const struct pod *pod, const struct policy *policy)
{
    struct peer_value value = {address(172, 1), address(198, 1)};

    for (size_t i = 0; i < policy->destination_count; i++) {
        struct peer_key key = {pod->addresses[0], policy->destinations[i].address,
                               policy->destinations[i].length};

        if (entries_put(table, &key, &value, ENTRY_SET))
            die("no memory");
    }
}

static struct entries peer_compute(const struct peer *peer)
{
    struct entries table = ENTRIES(sizeof(struct peer_key), sizeof(struct peer_value));

    for (unsigned i = 0; i < peer->bench->policies; i++)
        for (unsigned j = 0; j < peer->bench->pods; j++)
            if (peer_selects(peer, &peer->policies[i].policy, j))
                peer_put(&table, &peer->pods[j].pod, &peer->policies[i].policy);
    return table;
}

static size_t peer_count_missing(const struct entries *table, const struct entries *in)
{
    struct entry *entry;
    size_t cursor = 0, missing = 0;

    while ((entry = entries_next(table, &cursor)))
        missing += !entries_has(in, entry->key);
    return missing;
}

/* How many entries it adds and removes. */
static size_t peer_update(struct peer *peer)
{
    struct entries table = peer_compute(peer);
    size_t changes =
        peer_count_missing(&table, &peer->table) + peer_count_missing(&peer->table, &table);

    entries_release(&peer->table);
    peer->table = table;
    return changes;
}

static void peer_measure(struct peer *peer, const char *what)
{
    double start = now_seconds();
    size_t changes = peer_update(peer);

    printf("%-44s %13.1f us  %26zu entries\n", what, (now_seconds() - start) * 1e6, changes);
}

static void peer_run(struct bench *bench)
{
    struct peer peer = {.bench = bench,
                        .table = ENTRIES(sizeof(struct peer_key), sizeof(struct peer_value))};

    arena_clear(&bench->arena);
    peer.policies = peer_make(&peer, KIND_POLICY, bench->policies);
    peer.pods = peer_make(&peer, KIND_POD, bench->pods);
    peer.namespaces = peer_make(&peer, KIND_NAMESPACE, bench->policies);
    printf("the straightforward way:\n");
    peer_measure(&peer, "from nothing");
    peer.pods[0] = make_pod(bench, 0, 1);
    peer_measure(&peer, "pod, other labels");
    peer.policies[0] = make_policy(bench, 0, 0, 1);
    peer_measure(&peer, "policy, other destinations");
    printf("entries: %zu, in %.1f MiB\n", peer.table.count,
           (double)(peer.table.capacity *
                    (sizeof(struct entry) + peer.table.key_size + peer.table.value_size)) /
               (1 << 20));
    entries_release(&peer.table);
    arena_clear(&bench->arena);
    free(peer.policies);
    free(peer.pods);
    free(peer.namespaces);
}

#endif

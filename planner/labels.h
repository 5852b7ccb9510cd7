/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PLANNER_LABELS_H
#define PLANNER_LABELS_H

/*
 * Label pairs and label sets. Objects with the same labels share one set (the pods of a deployment
 * do), and each pair knows the sets that hold it, so that a rule finds its pods without a look at
 * others, and the rules that require it, so that a pod finds its rules.
 */

#include <sys/queue.h>

#include "ipc/objects.h"
#include "planner/memory.h"
#include "planner/strings.h"

/* Whose labels a condition is about. */
enum label_scope { SCOPE_POD, SCOPE_NAMESPACE, SCOPE_NODE, SCOPES };

struct registration;
LIST_HEAD(registrations, registration);

struct label_pair {
    string_id key;
    string_id value;
    uint32_t uses; /* sets and registrations that hold it */
    uint32_t rule_count;
    struct pointers sets;               /* struct label_set */
    struct registrations rules[SCOPES]; /* rules that require it, by whose label it is */
};

struct label_use {
    string_id key;
    string_id value;
    struct label_pair *pair;
    uint32_t position; /* in pair->sets */
    uint32_t given;    /* in items[] of the set, of the label that was given at this one's place */
};

struct plan_pod;
struct plan_namespace;
struct profile;
LIST_HEAD(set_pods, plan_pod);
LIST_HEAD(set_namespaces, plan_namespace);

struct label_set {
    const struct strings *strings;
    uint64_t hash;
    uint32_t uses;
    uint32_t count;
    struct set_pods pods;             /* pods with exactly these labels */
    struct set_namespaces namespaces; /* namespaces with exactly these labels */
    /* What the last pod with these labels was selected by, in the update of that number. */
    uint64_t selected;
    const struct plan_namespace *selected_namespace;
    struct profile *selected_profile;
    struct label_use items[]; /* sorted by key number */
};

struct label_store {
    struct strings *strings;
    struct hash_table pairs;
    struct hash_table sets;
};

void label_store_init(struct label_store *store, struct strings *strings);
/* Everything must have been released. */
void label_store_clear(struct label_store *store);

/* The set of `labels` and `extras`, where an extra replaces a label of its key. New reference. */
struct label_set *label_set_acquire(struct label_store *store, const struct labels *labels,
                                    const struct label *extras, size_t extra_count);
/* NULL is ignored. */
void label_set_release(struct label_store *store, struct label_set *set);

/* The value of a key, or STRING_NONE. `set` may be NULL: no labels. */
string_id label_set_value(const struct label_set *set, string_id key);

struct label_pair *label_pair_acquire(struct label_store *store, string_id key, string_id value);
void label_pair_release(struct label_store *store, struct label_pair *pair);

#endif

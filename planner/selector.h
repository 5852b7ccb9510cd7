/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PLANNER_SELECTOR_H
#define PLANNER_SELECTOR_H

/*
 * Compiled selectors: requirements as conditions on interned strings. The pseudo-labels of a pod
 * are resolved here: those of its namespace become conditions on the namespace's labels, the
 * cluster's name is compared at once, and the namespace's name and the service account are labels
 * that the pods' label sets hold.
 */

#include "planner/labels.h"

#define LABEL_NAMESPACE        "io.kubernetes.pod.namespace"
#define LABEL_SERVICE_ACCOUNT  "io.cilium.k8s.policy.serviceaccount"
#define LABEL_CLUSTER          "io.cilium.k8s.policy.cluster"
#define LABEL_NAMESPACE_PREFIX "io.cilium.k8s.namespace.labels."

struct condition {
    enum label_scope scope;
    enum match_operator match;
    string_id key;
    string_id *values; /* sorted */
    uint32_t value_count;
};

/* All of them must hold. Zero-initialised: none, which matches everything. */
struct conditions {
    struct condition *items;
    uint32_t count;
    bool never; /* a comparison with the cluster's name has failed */
};

/* The labels that conditions are matched against; NULL: no labels. */
struct subject {
    const struct label_set *labels[SCOPES];
};

/* Adds the requirements of a selector on labels of `scope`. */
void conditions_add(struct conditions *conditions, struct strings *strings, struct text cluster,
                    enum label_scope scope, const struct selector *selector);
void conditions_clear(struct conditions *conditions, struct strings *strings);

bool conditions_match(const struct conditions *conditions, const struct subject *subject);
bool conditions_equal(const struct conditions *a, const struct conditions *b);
bool conditions_use_scope(const struct conditions *conditions, enum label_scope scope);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_PLANNER_NAIVE_CLUSTER_H
#define TESTS_PLANNER_NAIVE_CLUSTER_H

/* What planner_naive.c asks of the cluster: who is selected, who is a gateway, who has an address.
 */

#include "tests/unit/planner_naive.h"

struct naive {
    const struct world *world;
    const struct plan_config *config;
    struct ip_addr gateways[256]; /* tunnel addresses in groups */
    size_t gateway_count;
};

/* Goes over the objects of a kind that are there. */
#define EACH(naive, kind_number, object_pointer)                                                   \
    for (unsigned each_slot = 0; each_slot < world_counts[kind_number]; each_slot++)               \
        if ((naive)->world->slots[kind_number][each_slot].present &&                               \
            ((object_pointer) = &(naive)->world->slots[kind_number][each_slot].object))

/* The node of that name, or NULL. */
const struct node *naive_node(const struct naive *naive, struct text name);
/* Whether one of its rules selects the pod. */
bool naive_policy_selects(const struct naive *naive, const struct policy *policy,
                          const struct pod *pod);
/* The node's first InternalIP of the family, or none; also without a node. */
struct ip_addr naive_first(const struct node *node, bool v4);
/* The address by which this node reaches the other, or none. */
struct ip_addr naive_tunnel(const struct naive *naive, const struct node *node);
/* Whether it has addresses of its own, and has not ended. */
bool naive_pod_lives(const struct pod *pod);
/* Whether some pod has an address outside of the ranges: `cluster`: those of the cluster, else
 * those of pods. */
bool naive_has_strays(const struct naive *naive, bool cluster);
/* Whether nothing tells all of the cluster's ranges. */
bool naive_cluster_unknown(const struct naive *naive);
/* Fills the entries that are in use and returns how many those are. */
size_t naive_entries(const struct naive *naive, const struct policy *policy, bool v4,
                     struct gateway *entries, bool *in_use);
/* The slots of a policy's group; returns how many, 0: there is no gateway. */
size_t naive_slots(const struct naive *naive, const struct policy *policy, bool v4,
                   struct gateway *slots);
/* Whether this node is one of the policy that is in use. */
bool naive_is_gateway(const struct naive *naive, const struct policy *policy);
/* The pod that has this address, or NULL. */
const struct pod *naive_holder(const struct naive *naive, const struct ip_addr *address);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PLANNER_STATE_H
#define PLANNER_STATE_H

/*
 * The plan's own structures. Three rules keep them simple:
 *
 * - Policies, namespaces and nodes are known by name. Whoever refers to a name that has no object
 *   (yet, or any more) gets an entry with `present` unset, so that pointers between entries never
 *   have to be patched.
 * - Events change the store and put what depends on it on a list of marks. plan_update() works the
 *   lists off in one order: nodes, policies, pods, addresses, profiles.
 * - What was last turned into tables is kept beside what the object says now (`planned`), where
 *   the difference is what has to be undone.
 */

#include <sys/queue.h>

#include "planner/desired.h"
#include "planner/labels.h"
#include "planner/plan.h"
#include "planner/selector.h"

enum family { FAMILY_V4, FAMILY_V6, FAMILIES };

static inline enum family address_family(const struct ip_addr *address)
{
    return ip_addr_is_v4(address) ? FAMILY_V4 : FAMILY_V6;
}

/* ---- Nodes ---- */

/* What a node says about addresses. */
struct node_facts {
    struct ip_addr *internal;
    struct ip_addr *others;
    struct ip_prefix *pod_cidrs;
    uint32_t internal_count;
    uint32_t other_count;
    uint32_t pod_cidr_count;
    struct ip_addr first[FAMILIES]; /* first InternalIP of each family, or none */
};

LIST_HEAD(node_pods, plan_pod);

struct plan_node {
    string_id name;
    uint32_t seen;
    bool present;
    bool ready;
    bool self;
    bool marked;
    bool ready_without; /* counted in nodes_ready_without */
    bool planned_ready; /* counted in `ready` of its addresses */
    struct label_set *labels;
    struct node_facts *facts;   /* NULL: not present */
    struct node_facts *planned; /* facts that the tables are made from */
    struct ip_addr tunnel;      /* its address towards this node, or none */
    struct node_pods pods;
    TAILQ_ENTRY(plan_node) mark;
};

/* An address in the nodes table, which more than one node may claim for a while. */
struct node_address {
    struct ip_addr address;
    uint32_t nodes;
    uint32_t ready;  /* of these nodes */
    uint32_t self;   /* 1: this node's own */
    uint32_t groups; /* entries of gateway groups with this tunnel address */
};

/* A gateway node selector; policies with equal selectors share one. */
struct pool {
    struct conditions conditions;
    uint32_t uses;
    struct pointers nodes;    /* struct plan_node that match, sorted by name */
    struct pointers policies; /* struct plan_policy, once for each gateway entry */
    struct plan_node *chosen; /* the gateway; NULL: none with an InternalIP */
};

/* ---- Policies ---- */

struct rule {
    struct plan_policy *policy;
    struct conditions conditions;
    struct registration *registrations; /* one for each value of the pair that it requires */
    uint32_t registration_count;
    uint32_t everywhere; /* position in plan->rules_everywhere, where it has no such pair */
};

/* A rule in the list of a label pair that it requires. */
struct registration {
    LIST_ENTRY(registration) link;
    struct rule *rule;
    struct label_pair *pair;
    enum label_scope scope;
};

struct gateway_choice {
    struct pool *pool;
    string_id interface;
    struct ip_addr egress_ip;
    uint64_t identity; /* see gateway_identity.h */
};

enum gateway_state {
    GATEWAY_FINE,
    GATEWAY_SEVERAL,     /* more than one node matches */
    GATEWAY_NO_NODE,     /* none does */
    GATEWAY_NO_ADDRESS,  /* none that does has an InternalIP */
    GATEWAY_UNREACHABLE, /* it has no InternalIP of a family that this node has */
    GATEWAY_NOT_READY,
};

/* Of one family, on the gateway itself. */
enum egress_state {
    EGRESS_FINE,
    EGRESS_MISSING,
    EGRESS_UNWANTED, /* it is missing, and no pod has an address of the family */
};

/* What was last said about a gateway entry. */
struct gateway_report {
    enum gateway_state state;
    string_id node; /* the chosen one; a reference */
    enum egress_state egress[FAMILIES];
};

/* A policy's spec without its selectors. Never changed: another version is another body. */
struct policy_body {
    int64_t created;
    struct ip_prefix *destinations;
    struct ip_prefix *excluded;
    uint32_t destination_count;
    uint32_t excluded_count;
    struct gateway_choice *gateways;
    uint32_t gateway_count;
    bool gateways_from_list;
    bool families[FAMILIES]; /* has destinations of this family */
};

struct membership;
LIST_HEAD(memberships, membership);

struct plan_policy {
    string_id name;
    uint32_t number;
    uint32_t seen;
    bool marked;
    bool local_gateway; /* this node is the gateway of some entry */
    struct rule *rules; /* in the index; as `body` says */
    uint32_t rule_count;
    struct policy_body *body;    /* NULL: not present */
    struct policy_body *planned; /* the version that the tables are made from */
    struct memberships profiles;
    uint32_t selected;              /* pods that have it in their profile */
    uint32_t users;                 /* profiles with routes */
    uint64_t visited;               /* plan->visit when it was last found to select a pod */
    struct group *groups[FAMILIES]; /* NULL: no gateway, or no user */
    struct gateway_report *reports; /* for the first gateway entries */
    uint32_t report_count;
    bool reported_unused;   /* that it selects no pod */
    bool selection_changed; /* it selects pods now, or no longer */
    bool selection_asked;   /* it is new or was changed: a warning where it selects none */
    TAILQ_ENTRY(plan_policy) mark;
    TAILQ_ENTRY(plan_policy) selection;
};

/* ---- Profiles and groups ---- */

struct membership {
    LIST_ENTRY(membership) link; /* in policy->profiles */
    struct plan_policy *policy;
    struct profile *profile;
};

/* Two policies of a profile have the same prefix. */
struct conflict {
    struct plan_policy *winner;
    struct plan_policy *loser;
    struct ip_prefix prefix; /* the first one */
};

LIST_HEAD(profile_pods, plan_pod);

/* A set of policies that some pod has. */
struct profile {
    uint32_t number;
    uint32_t policy_count; /* at least 1 */
    uint32_t users;        /* entries of the endpoints table with this profile */
    uint32_t route_count;
    bool installed;    /* its routes are in the table */
    bool gateway_here; /* this node is a gateway of some policy in it */
    bool marked;
    bool listed_idle;
    uint64_t retired; /* generation in which it was given up, 0: in use */
    struct ip_prefix *routes;
    struct conflict *conflicts;
    uint32_t conflict_count;
    struct profile_pods pods;
    TAILQ_ENTRY(profile) mark;
    TAILQ_ENTRY(profile) idle;   /* in plan->profiles_idle or profiles_retired */
    struct membership members[]; /* sorted by policy number */
};

/* Gateways of one family in the order of a policy's list. */
struct group {
    uint32_t number;
    uint32_t uses;
    uint32_t entry_count; /* with those that are left out */
    uint32_t slots;
    uint64_t hash;
    uint64_t retired;
    uint64_t *identities; /* behind the entries */
    TAILQ_ENTRY(group) idle;
    struct gateway entries[]; /* `node` none: left out */
};

/* ---- Pods ---- */

/* What an address of a pod can be outside of. */
enum stray_kind { STRAY_CLUSTER, STRAY_PODS, STRAY_KINDS };

struct pod_address {
    struct ip_addr address;
    struct plan_pod *pod;
    struct pod_address *next;      /* the next older pod with this address */
    LIST_ENTRY(pod_address) stray; /* in plan->strays, where it is outside of something */
    bool outside[STRAY_KINDS];
};

LIST_HEAD(strays, pod_address);

enum { MARK_SELECT = 1 << 0, MARK_ENDPOINT = 1 << 1 };

struct plan_pod {
    struct text uid; /* behind the addresses */
    int64_t created;
    struct plan_node *node; /* NULL: not known yet */
    struct plan_namespace *namespace;
    struct label_set *labels; /* with the pseudo-labels for namespace and service account */
    struct profile *profile;  /* NULL: no policy selects it */
    LIST_ENTRY(plan_pod) of_node;
    LIST_ENTRY(plan_pod) of_namespace;
    LIST_ENTRY(plan_pod) of_labels;
    LIST_ENTRY(plan_pod) of_profile;
    TAILQ_ENTRY(plan_pod) mark;
    uint32_t marks;
    uint32_t seen;
    uint32_t address_count;
    struct pod_address addresses[];
};

LIST_HEAD(namespace_pods, plan_pod);

struct plan_namespace {
    string_id name;
    uint32_t seen;
    bool present;
    struct label_set *labels; /* NULL: none, or not present */
    struct namespace_pods pods;
    LIST_ENTRY(plan_namespace) of_labels;
};

struct plan_link {
    uint32_t ifindex;
    uint32_t seen;
    string_id name;
    bool up;
    bool default_route[FAMILIES];
    uint32_t address_count;
    struct link_address addresses[];
};

struct range_node;

/* A set of addresses that are routes of one reserved profile. See ranges.h. */
struct ranges {
    uint32_t profile;
    enum route_action action;
    struct range_node *nodes;
    uint32_t count; /* of nodes that were ever in use */
    uint32_t capacity;
    uint32_t free;             /* the first free one of them */
    bool grown;                /* since ranges_seen() */
    struct ip_prefix *removed; /* what is not all covered any more, since ranges_seen() */
    uint32_t removed_count;
    uint32_t removed_capacity;
    uint32_t roots[FAMILIES];
};

TAILQ_HEAD(marked_nodes, plan_node);
TAILQ_HEAD(marked_policies, plan_policy);
TAILQ_HEAD(marked_pods, plan_pod);
TAILQ_HEAD(marked_profiles, profile);
TAILQ_HEAD(idle_groups, group);

struct reported_conflict;
TAILQ_HEAD(unsaid_conflicts, reported_conflict);

struct plan {
    string_id cluster;
    enum pods_scope pods_scope;
    struct prefix_list cluster_cidrs;
    struct prefix_list pod_cidrs;

    struct strings strings;
    struct label_store labels;
    struct desired desired;

    struct hash_table nodes;
    struct hash_table node_addresses;
    struct hash_table policies;
    struct hash_table namespaces;
    struct hash_table pods;
    struct hash_table links;     /* by ifindex */
    struct hash_table endpoints; /* struct pod_address by address: the newest pod's */
    uint32_t pod_addresses[FAMILIES];
    struct strays strays;
    uint32_t stray_counts[STRAY_KINDS];
    bool strays_said[STRAY_KINDS];
    struct hash_table profiles;
    struct hash_table profile_numbers;
    struct hash_table groups;
    struct hash_table group_numbers;
    struct hash_table conflicts;
    struct pointers pools;
    struct pointers rules_everywhere; /* rules that require no pair */
    struct pointers policy_numbers;   /* by number; NULL: unused */
    struct ranges cluster_ranges;
    struct ranges covered_ranges;
    struct ranges pod_ranges;

    struct plan_node *self;
    uint32_t nodes_present;
    uint32_t nodes_with_pod_cidrs;
    uint32_t nodes_ready_without; /* Ready ones that report no spec.podCIDRs */
    uint32_t local_gateways;      /* policies with local_gateway */
    uint32_t rules_on[SCOPES];    /* rules with a condition on such labels */
    uint64_t visit;
    uint64_t pod_updates;

    struct marked_nodes marked_nodes;
    struct marked_policies marked_policies;
    struct marked_policies selections; /* with selection_changed */
    struct unsaid_conflicts unsaid_conflicts;
    struct marked_pods marked_pods;
    struct marked_profiles marked_profiles;
    struct marked_profiles profiles_idle;
    struct marked_profiles profiles_retired;
    struct idle_groups groups_retired;
    struct ip_addr *stale; /* addresses whose pods went away */
    size_t stale_count;
    size_t stale_capacity;

    uint32_t epochs[KINDS];
    bool synced[KINDS];
    bool pods_complete;
    bool complete; /* each kind was listed: plan_update() computes */
    bool ready;
    bool cluster_unknown; /* no range tells what is inside the cluster */
    uint64_t generation;
};

#endif

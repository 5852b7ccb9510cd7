/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IPC_OBJECTS_H
#define IPC_OBJECTS_H

/*
 * What the watcher tells the planner: objects of the API reduced to the fields that we use. All
 * strings and arrays belong to somebody else: an arena, or the record that they were read from.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/address.h"
#include "common/arena.h"
#include "common/macros.h"
#include "common/text.h"

enum object_kind { KIND_POLICY, KIND_POD, KIND_NAMESPACE, KIND_NODE, KIND_LINK, KINDS };

/* "policy", "pod", "namespace", "node", "link" */
const char *object_kind_name(enum object_kind kind);

struct label {
    struct text key;
    struct text value;
};

/* Sorted by key, each key once. */
struct labels {
    struct label *items;
    size_t count;
};

enum match_operator { MATCH_IN, MATCH_NOT_IN, MATCH_EXISTS, MATCH_DOES_NOT_EXIST };

/* matchLabels become MATCH_IN with one value. */
struct requirement {
    struct text key;
    enum match_operator match;
    struct text *values; /* at least one with IN and NOT_IN, none otherwise */
    size_t value_count;
};

/* Present and without requirements: matches everything. Absent: matches nothing by itself. */
struct selector {
    bool present;
    struct requirement *requirements;
    size_t count;
};

/* The three selectors are ANDed; at least one of namespaces and pods is present. */
struct policy_rule {
    struct selector namespaces;
    struct selector pods;
    struct selector nodes;
};

/* At most one of `interface` and `egress_ip` is given. */
struct policy_gateway {
    struct selector nodes;    /* present */
    struct text interface;    /* empty: not given */
    struct ip_addr egress_ip; /* none: not given */
};

struct policy {
    struct text name;
    struct text uid;
    int64_t created; /* seconds since 1970; decides between policies with equal prefixes */
    struct policy_rule *rules;
    size_t rule_count;
    struct ip_prefix *destinations;
    size_t destination_count;
    struct ip_prefix *excluded;
    size_t excluded_count;
    /* spec.egressGateways, or spec.egressGateway alone where that list is empty. */
    struct policy_gateway *gateways;
    size_t gateway_count;
    bool gateways_from_list; /* which of the two: for field names in messages */
};

struct pod {
    struct text namespace;
    struct text name;
    struct text uid;
    struct text node;            /* empty: not scheduled yet */
    struct text service_account; /* empty: not known */
    int64_t created;
    struct labels labels;
    struct ip_addr *addresses;
    size_t address_count;
    bool host_network;
    bool ended; /* Succeeded or Failed */
};

struct namespace
{
    struct text name;
    struct text uid;
    struct labels labels;
};

struct node {
    struct text name;
    struct text uid;
    struct labels labels;
    struct ip_addr *internal; /* InternalIP, in the order of the object */
    size_t internal_count;
    struct ip_addr *others; /* every other address of the node */
    size_t other_count;
    struct ip_prefix *pod_cidrs;
    size_t pod_cidr_count;
    bool ready;
};

/* One of this node's own interfaces. */
struct link_address {
    struct ip_addr address;
    bool usable; /* not tentative, failed, deprecated or link-local */
};

struct link {
    uint32_t ifindex;
    struct text name;
    bool up;
    struct link_address *addresses; /* primary ones first, in the kernel's order */
    size_t address_count;
    bool default_route_v4; /* this interface holds the default route of lowest metric */
    bool default_route_v6;
};

/* What identifies an object of a kind: policy, namespace and node by name, pod by UID, link by
 * ifindex. */
struct object_identity {
    enum object_kind kind;
    struct text name; /* of a pod: its UID */
    uint32_t ifindex;
};

struct object {
    enum object_kind kind;
    union {
        struct policy policy;
        struct pod pod;
        struct namespace namespace;
        struct node node;
        struct link link;
    };
};

struct object_identity object_identity(const struct object *object);

/* Limits of one object; what exceeds them is refused with the name of the field. */
enum {
    LIMIT_NAME = 253,
    LIMIT_UID = 128,
    LIMIT_LABEL_KEY = 317, /* prefix of 253, slash, name of 63 */
    LIMIT_LABEL_VALUE = 63,
    LIMIT_LABELS = 1024,
    LIMIT_REQUIREMENTS = 256,
    LIMIT_VALUES = 1024,
    LIMIT_RULES = 256,
    LIMIT_CIDRS = 2048,
    LIMIT_GATEWAYS = 64,
    LIMIT_POD_ADDRESSES = 16,
    LIMIT_NODE_ADDRESSES = 256,
    LIMIT_LINK_ADDRESSES = 1024,
    LIMIT_INTERFACE = 15,
};

/* Where and why an object is wrong. */
struct object_error {
    char field[128];  /* e.g. "spec.selectors[0].podSelector.matchExpressions[1].operator" */
    char value[128];  /* the offending value as far as it fits, or "" */
    char reason[160]; /* what is wrong and what would be right */
};

/*
 * The validating constructor: every object passes it, on whichever side it comes in. 0, or -EINVAL
 * with `error` filled. Sorts labels; everything else must be in order already.
 */
int object_check(struct object *object, struct object_error *error) _must_check_;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* When a policy is valid. */
#include "ipc/names.h"
#include "ipc/objects_check.h"

/* Which labels a selector is matched against. */
enum selector_kind { SELECTS_PODS, SELECTS_NAMESPACES, SELECTS_NODES };

static bool key_is_valid(enum selector_kind kind, struct text key)
{
    static const struct text start = {"io.cilium.k8s.namespace.labels.", 31};

    /* Behind this prefix stands a whole key of its own. */
    if (kind == SELECTS_PODS && text_starts_with(key, start)) {
        key.data += start.length;
        key.length -= start.length;
    }
    return names_is_label_key(key);
}

static int check_key(struct object_checking *checking, const struct object_path *path,
                     enum selector_kind kind, struct text key)
{
    if (kind == SELECTS_PODS && text_equal(key, TEXT("io.kubernetes.pod.name")))
        return object_fail(checking, path, key,
                           "is not offered: a pod's name cannot be selected, give the pod a label "
                           "and select that");
    if (key_is_valid(kind, key))
        return 0;
    return object_fail(checking, path, key,
                       "is no label key: use [DNS name/]name, the name of at most 63 letters, "
                       "digits, '-', '_' and '.'; there is no \"k8s:\" before it");
}

static int check_values(struct object_checking *checking, const struct object_path *path,
                        const struct requirement *requirement)
{
    int error = object_check_count(checking, path, requirement->value_count, LIMIT_VALUES);

    for (size_t i = 0; !error && i < requirement->value_count; i++) {
        if (!names_is_label_value(requirement->values[i]))
            error = object_fail(checking, path, requirement->values[i],
                                "is no label value: use at most 63 letters, digits, '-', '_' and "
                                "'.', with a letter or digit at both ends");
    }
    return error;
}

static int check_requirement(struct object_checking *checking, const struct object_path *path,
                             enum selector_kind kind, const struct requirement *requirement)
{
    int error = check_key(checking, path, kind, requirement->key);

    if (error)
        return error;
    switch (requirement->match) {
    case MATCH_IN:
    case MATCH_NOT_IN:
        if (requirement->value_count == 0)
            return object_fail(checking, path, requirement->key,
                               "has no values: operators In and NotIn need at least one");
        return check_values(checking, path, requirement);
    case MATCH_EXISTS:
    case MATCH_DOES_NOT_EXIST:
        if (requirement->value_count != 0)
            return object_fail(checking, path, requirement->key,
                               "has values: operators Exists and DoesNotExist take none");
        return 0;
    }
    return object_fail(checking, path, requirement->key,
                       "has an unknown operator: use In, NotIn, Exists or DoesNotExist");
}

static int check_selector(struct object_checking *checking, const struct object_path *parent,
                          const char *name, enum selector_kind kind,
                          const struct selector *selector)
{
    const struct object_path path = {parent, name, NOT_INDEXED};
    int error = object_check_count(checking, &path, selector->count, LIMIT_REQUIREMENTS);

    if (!error && !selector->present && selector->count)
        error = object_fail(checking, &path, TEXT(""), "is absent and has requirements");
    for (size_t i = 0; !error && i < selector->count; i++)
        error = check_requirement(checking, &path, kind, &selector->requirements[i]);
    return error;
}

static int check_rule(struct object_checking *checking, const struct object_path *path,
                      const struct policy_rule *rule)
{
    int error;

    if (!rule->namespaces.present && !rule->pods.present)
        return object_fail(checking, path, TEXT(""),
                           "selects nothing by itself: give a podSelector or a namespaceSelector "
                           "({} matches all)");
    error =
        check_selector(checking, path, "namespaceSelector", SELECTS_NAMESPACES, &rule->namespaces);
    if (!error)
        error = check_selector(checking, path, "podSelector", SELECTS_PODS, &rule->pods);
    if (!error)
        error = check_selector(checking, path, "nodeSelector", SELECTS_NODES, &rule->nodes);
    return error;
}

static int check_gateway(struct object_checking *checking, const struct object_path *path,
                         const struct policy_gateway *gateway)
{
    const struct object_path nodes = {path, "nodeSelector", NOT_INDEXED};
    const struct object_path interface = {path, "interface", NOT_INDEXED};
    const struct object_path egress_ip = {path, "egressIP", NOT_INDEXED};
    char text[ADDRESS_TEXT_SIZE];

    if (!gateway->nodes.present)
        return object_fail(checking, &nodes, TEXT(""),
                           "is missing: it says which nodes are the gateway");
    if (gateway->interface.length && !ip_addr_is_none(&gateway->egress_ip))
        return object_fail(checking, path, gateway->interface,
                           "has both interface and egressIP: give at most one of them");
    if (gateway->interface.length && !names_is_interface(gateway->interface))
        return object_fail(checking, &interface, gateway->interface,
                           "is no interface name: use 1 to 15 characters without '/', ':' and "
                           "blanks");
    if (!ip_addr_is_none(&gateway->egress_ip) && !address_is_unicast(&gateway->egress_ip))
        return object_fail(checking, &egress_ip, text_of(address_format(&gateway->egress_ip, text)),
                           "is no address that a host can have: not unspecified, loopback, "
                           "multicast or broadcast");
    return check_selector(checking, path, "nodeSelector", SELECTS_NODES, &gateway->nodes);
}

static int check_gateways(struct object_checking *checking, const struct policy *policy)
{
    const char *name = policy->gateways_from_list ? "spec.egressGateways" : "spec.egressGateway";
    int error = object_check_count(checking, FIELD(name), policy->gateway_count, LIMIT_GATEWAYS);

    if (error)
        return error;
    if (policy->gateway_count == 0)
        return object_fail(checking, FIELD(name), TEXT(""),
                           "is missing: give egressGateway or egressGateways with a nodeSelector");
    if (policy->gateway_count > 1 && !policy->gateways_from_list)
        return object_fail(checking, FIELD(name), TEXT(""),
                           "is one gateway: several stand in egressGateways");
    for (size_t i = 0; !error && i < policy->gateway_count; i++) {
        const struct object_path path = {NULL, name, policy->gateways_from_list ? i : NOT_INDEXED};

        error = check_gateway(checking, &path, &policy->gateways[i]);
    }
    return error;
}

static int check_destinations(struct object_checking *checking, const struct policy *policy)
{
    int error;

    if (policy->destination_count == 0)
        return object_fail(checking, FIELD("spec.destinationCIDRs"), TEXT(""),
                           "is missing: give at least one CIDR, 0.0.0.0/0 means every IPv4 "
                           "destination");
    error = object_check_prefixes(checking, "spec.destinationCIDRs", policy->destinations,
                                  policy->destination_count, LIMIT_CIDRS);
    if (error)
        return error;
    return object_check_prefixes(checking, "spec.excludedCIDRs", policy->excluded,
                                 policy->excluded_count, LIMIT_CIDRS);
}

int object_check_policy(struct object_checking *checking, const struct policy *policy)
{
    int error = object_check_subdomain(checking, FIELD("metadata.name"), policy->name);

    if (!error)
        error = object_check_uid(checking, FIELD("metadata.uid"), policy->uid);
    if (!error)
        error =
            object_check_count(checking, FIELD("spec.selectors"), policy->rule_count, LIMIT_RULES);
    for (size_t i = 0; !error && i < policy->rule_count; i++) {
        const struct object_path path = {NULL, "spec.selectors", i};

        error = check_rule(checking, &path, &policy->rules[i]);
    }
    if (!error)
        error = check_destinations(checking, policy);
    if (!error)
        error = check_gateways(checking, policy);
    return error;
}

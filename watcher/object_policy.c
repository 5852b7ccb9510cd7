/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher/object_parse.h"

#include <errno.h>

static int policy_read_rule(const struct object_reader *reader, const struct field *field,
                            struct policy_rule *rule)
{
    static const char *const names[] = {"namespaceSelector", "podSelector", "nodeSelector", NULL};
    struct field namespaces = field_member(field, "namespaceSelector");
    struct field pods = field_member(field, "podSelector");
    struct field nodes = field_member(field, "nodeSelector");
    int error;

    if (!field->value || !json_is_object(field->value))
        return field_refuse(reader, field,
                            "has to be an object with podSelector or "
                            "namespaceSelector");
    error = field_known(reader, field, names);
    if (!error)
        error = object_selector_read(reader, &namespaces, &rule->namespaces);
    if (!error)
        error = object_selector_read(reader, &pods, &rule->pods);
    if (!error)
        error = object_selector_read(reader, &nodes, &rule->nodes);
    return error;
}

static int policy_read_rules(const struct object_reader *reader, const struct field *field,
                             struct policy *policy)
{
    size_t count = 0;
    int error = field_array(reader, field, &count);

    if (error)
        return error;
    policy->rules = arena_allocate(reader->arena, count, sizeof(*policy->rules));
    if (!policy->rules)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        struct field element = field_element(field, i);

        error = policy_read_rule(reader, &element, &policy->rules[i]);
        if (error)
            return error;
    }
    policy->rule_count = count;
    return 0;
}

static int policy_read_gateway(const struct object_reader *reader, const struct field *field,
                               struct policy_gateway *gateway)
{
    static const char *const names[] = {"nodeSelector", "interface", "egressIP", NULL};
    struct field nodes = field_member(field, "nodeSelector");
    struct field interface = field_member(field, "interface");
    struct field egress_ip = field_member(field, "egressIP");
    int error;

    if (!field->value || !json_is_object(field->value))
        return field_refuse(reader, field, "has to be an object with nodeSelector");
    error = field_known(reader, field, names);
    if (!error)
        error = object_selector_read(reader, &nodes, &gateway->nodes);
    if (!error && !gateway->nodes.present)
        error = field_refuse(reader, &nodes, "is required");
    if (!error)
        error = field_text(reader, &interface, &gateway->interface);
    if (!error)
        error = field_address(reader, &egress_ip, &gateway->egress_ip);
    return error;
}

/* spec.egressGateways where it is not empty, else spec.egressGateway. The single one is read in
 * any case, so that a mistake in it does not wait for the day when the list goes. */
static int policy_read_gateways(const struct object_reader *reader, const struct field *spec,
                                struct policy *policy)
{
    struct field single = field_member(spec, "egressGateway");
    struct field list = field_member(spec, "egressGateways");
    struct policy_gateway *gateways;
    size_t count = 0;
    int error = field_array(reader, &list, &count);

    if (error)
        return error;
    gateways = arena_allocate(reader->arena, count + 1, sizeof(*gateways));
    if (!gateways)
        return -ENOMEM;
    if (single.value || count == 0) {
        if (!single.value)
            return field_refuse(reader, &single, "is required");
        error = policy_read_gateway(reader, &single, &gateways[count]);
    }
    for (size_t i = 0; !error && i < count; i++) {
        struct field element = field_element(&list, i);

        error = policy_read_gateway(reader, &element, &gateways[i]);
    }
    if (error)
        return error;
    policy->gateways = gateways;
    policy->gateway_count = count ? count : 1;
    policy->gateways_from_list = count > 0;
    return 0;
}

static int policy_read_metadata(const struct object_reader *reader, const struct field *root,
                                struct policy *policy)
{
    struct field metadata = field_member(root, "metadata");
    struct field name = field_member(&metadata, "name");
    struct field uid = field_member(&metadata, "uid");
    struct field created = field_member(&metadata, "creationTimestamp");
    int error = field_is_object(reader, &metadata);

    if (!error)
        error = field_text(reader, &name, &policy->name);
    if (!error)
        error = field_text(reader, &uid, &policy->uid);
    if (!error)
        error = field_time(reader, &created, &policy->created);
    if (!error && policy->name.length == 0)
        error = field_refuse(reader, &name, "is required");
    return error;
}

int object_policy_read(const struct object_reader *reader, const struct field *root,
                       struct policy *policy)
{
    static const char *const names[] = {"selectors",     "destinationCIDRs", "excludedCIDRs",
                                        "egressGateway", "egressGateways",   NULL};
    struct field spec = field_member(root, "spec");
    struct field selectors = field_member(&spec, "selectors");
    struct field destinations = field_member(&spec, "destinationCIDRs");
    struct field excluded = field_member(&spec, "excludedCIDRs");
    int error = policy_read_metadata(reader, root, policy);

    if (!error)
        error = field_is_object(reader, &spec);
    if (!error)
        error = field_known(reader, &spec, names);
    if (!error && !selectors.value)
        error = field_refuse(reader, &selectors, "is required");
    if (!error)
        error = policy_read_rules(reader, &selectors, policy);
    if (!error && !destinations.value)
        error = field_refuse(reader, &destinations, "is required");
    if (!error)
        error = field_prefixes(reader, &destinations, &policy->destinations,
                               &policy->destination_count);
    if (!error)
        error = field_prefixes(reader, &excluded, &policy->excluded, &policy->excluded_count);
    if (!error)
        error = policy_read_gateways(reader, &spec, policy);
    return error;
}

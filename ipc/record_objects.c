/* SPDX-License-Identifier: Apache-2.0 */
/* Objects and identities in records: [kind, [fields]]. */
#include <errno.h>

#include "ipc/codec.h"
#include "ipc/objects_check.h"

static void put_selector(struct codec_writer *writer, const struct selector *selector)
{
    if (!selector->present) {
        codec_put_nil(writer);
        return;
    }
    codec_put_array(writer, selector->count);
    for (size_t i = 0; i < selector->count; i++) {
        const struct requirement *requirement = &selector->requirements[i];

        codec_put_array(writer, 3);
        codec_put_text(writer, requirement->key);
        codec_put_unsigned(writer, requirement->match);
        codec_put_array(writer, requirement->value_count);
        for (size_t j = 0; j < requirement->value_count; j++)
            codec_put_text(writer, requirement->values[j]);
    }
}

/* A key of a selector may have the prefix of a namespace's labels before it. */
enum { LIMIT_SELECTOR_KEY = LIMIT_LABEL_KEY + 31 };

static void get_requirement(struct codec_fields *from, struct requirement *requirement)
{
    struct codec_fields fields = codec_get_array(from, 3);
    struct codec_fields values;

    requirement->key = codec_get_text(&fields, LIMIT_SELECTOR_KEY);
    requirement->match = (enum match_operator)codec_get_unsigned(&fields, MATCH_DOES_NOT_EXIST);
    requirement->values = codec_get_list(&fields, LIMIT_VALUES, sizeof(*requirement->values),
                                         &values, &requirement->value_count);
    for (size_t i = 0; i < requirement->value_count; i++)
        requirement->values[i] = codec_get_text(&values, LIMIT_LABEL_VALUE);
}

static void get_selector(struct codec_fields *from, struct selector *selector)
{
    struct codec_fields list;

    if (codec_get_nil(from))
        return;
    selector->present = true;
    selector->requirements = codec_get_list(
        from, LIMIT_REQUIREMENTS, sizeof(*selector->requirements), &list, &selector->count);
    for (size_t i = 0; i < selector->count; i++)
        get_requirement(&list, &selector->requirements[i]);
}

static void put_policy(struct codec_writer *writer, const struct policy *policy)
{
    codec_put_array(writer, 8);
    codec_put_text(writer, policy->name);
    codec_put_text(writer, policy->uid);
    codec_put_signed(writer, policy->created);
    codec_put_array(writer, policy->rule_count);
    for (size_t i = 0; i < policy->rule_count; i++) {
        codec_put_array(writer, 3);
        put_selector(writer, &policy->rules[i].namespaces);
        put_selector(writer, &policy->rules[i].pods);
        put_selector(writer, &policy->rules[i].nodes);
    }
    codec_put_prefixes(writer, policy->destinations, policy->destination_count);
    codec_put_prefixes(writer, policy->excluded, policy->excluded_count);
    codec_put_array(writer, policy->gateway_count);
    for (size_t i = 0; i < policy->gateway_count; i++) {
        codec_put_array(writer, 3);
        put_selector(writer, &policy->gateways[i].nodes);
        codec_put_text(writer, policy->gateways[i].interface);
        codec_put_address(writer, &policy->gateways[i].egress_ip);
    }
    codec_put_bool(writer, policy->gateways_from_list);
}

static void get_rules(struct codec_fields *from, struct policy *policy)
{
    struct codec_fields list;

    policy->rules =
        codec_get_list(from, LIMIT_RULES, sizeof(*policy->rules), &list, &policy->rule_count);
    for (size_t i = 0; i < policy->rule_count; i++) {
        struct codec_fields rule = codec_get_array(&list, 3);

        get_selector(&rule, &policy->rules[i].namespaces);
        get_selector(&rule, &policy->rules[i].pods);
        get_selector(&rule, &policy->rules[i].nodes);
    }
}

static void get_gateways(struct codec_fields *from, struct policy *policy)
{
    struct codec_fields list;

    policy->gateways = codec_get_list(from, LIMIT_GATEWAYS, sizeof(*policy->gateways), &list,
                                      &policy->gateway_count);
    for (size_t i = 0; i < policy->gateway_count; i++) {
        struct codec_fields gateway = codec_get_array(&list, 3);

        get_selector(&gateway, &policy->gateways[i].nodes);
        policy->gateways[i].interface = codec_get_text(&gateway, LIMIT_INTERFACE);
        policy->gateways[i].egress_ip = codec_get_address(&gateway);
    }
}

static void get_policy(struct codec_fields *from, struct policy *policy)
{
    struct codec_fields fields = codec_get_array(from, 8);

    policy->name = codec_get_text(&fields, LIMIT_NAME);
    policy->uid = codec_get_text(&fields, LIMIT_UID);
    policy->created = codec_get_signed(&fields);
    get_rules(&fields, policy);
    policy->destinations = codec_get_prefixes(&fields, LIMIT_CIDRS, &policy->destination_count);
    policy->excluded = codec_get_prefixes(&fields, LIMIT_CIDRS, &policy->excluded_count);
    get_gateways(&fields, policy);
    policy->gateways_from_list = codec_get_bool(&fields);
}

static void put_pod(struct codec_writer *writer, const struct pod *pod)
{
    codec_put_array(writer, 10);
    codec_put_text(writer, pod->namespace);
    codec_put_text(writer, pod->name);
    codec_put_text(writer, pod->uid);
    codec_put_text(writer, pod->node);
    codec_put_text(writer, pod->service_account);
    codec_put_signed(writer, pod->created);
    codec_put_labels(writer, &pod->labels);
    codec_put_addresses(writer, pod->addresses, pod->address_count);
    codec_put_bool(writer, pod->host_network);
    codec_put_bool(writer, pod->ended);
}

static void get_pod(struct codec_fields *from, struct pod *pod)
{
    struct codec_fields fields = codec_get_array(from, 10);

    pod->namespace = codec_get_text(&fields, LIMIT_NAME);
    pod->name = codec_get_text(&fields, LIMIT_NAME);
    pod->uid = codec_get_text(&fields, LIMIT_UID);
    pod->node = codec_get_text(&fields, LIMIT_NAME);
    pod->service_account = codec_get_text(&fields, LIMIT_NAME);
    pod->created = codec_get_signed(&fields);
    pod->labels = codec_get_labels(&fields);
    pod->addresses = codec_get_addresses(&fields, LIMIT_POD_ADDRESSES, &pod->address_count);
    pod->host_network = codec_get_bool(&fields);
    pod->ended = codec_get_bool(&fields);
}

static void put_namespace(struct codec_writer *writer, const struct namespace *namespace)
{
    codec_put_array(writer, 3);
    codec_put_text(writer, namespace->name);
    codec_put_text(writer, namespace->uid);
    codec_put_labels(writer, &namespace->labels);
}

static void get_namespace(struct codec_fields *from, struct namespace *namespace)
{
    struct codec_fields fields = codec_get_array(from, 3);

    namespace->name = codec_get_text(&fields, LIMIT_NAME);
    namespace->uid = codec_get_text(&fields, LIMIT_UID);
    namespace->labels = codec_get_labels(&fields);
}

static void put_node(struct codec_writer *writer, const struct node *node)
{
    codec_put_array(writer, 7);
    codec_put_text(writer, node->name);
    codec_put_text(writer, node->uid);
    codec_put_labels(writer, &node->labels);
    codec_put_addresses(writer, node->internal, node->internal_count);
    codec_put_addresses(writer, node->others, node->other_count);
    codec_put_prefixes(writer, node->pod_cidrs, node->pod_cidr_count);
    codec_put_bool(writer, node->ready);
}

static void get_node(struct codec_fields *from, struct node *node)
{
    struct codec_fields fields = codec_get_array(from, 7);

    node->name = codec_get_text(&fields, LIMIT_NAME);
    node->uid = codec_get_text(&fields, LIMIT_UID);
    node->labels = codec_get_labels(&fields);
    node->internal = codec_get_addresses(&fields, LIMIT_NODE_ADDRESSES, &node->internal_count);
    node->others = codec_get_addresses(&fields, LIMIT_NODE_ADDRESSES, &node->other_count);
    node->pod_cidrs = codec_get_prefixes(&fields, LIMIT_CIDRS, &node->pod_cidr_count);
    node->ready = codec_get_bool(&fields);
}

static void put_link(struct codec_writer *writer, const struct link *link)
{
    codec_put_array(writer, 6);
    codec_put_unsigned(writer, link->ifindex);
    codec_put_text(writer, link->name);
    codec_put_bool(writer, link->up);
    codec_put_array(writer, link->address_count);
    for (size_t i = 0; i < link->address_count; i++) {
        codec_put_array(writer, 2);
        codec_put_address(writer, &link->addresses[i].address);
        codec_put_bool(writer, link->addresses[i].usable);
    }
    codec_put_bool(writer, link->default_route_v4);
    codec_put_bool(writer, link->default_route_v6);
}

static void get_link(struct codec_fields *from, struct link *link)
{
    struct codec_fields fields = codec_get_array(from, 6);
    struct codec_fields list;

    link->ifindex = (uint32_t)codec_get_unsigned(&fields, UINT32_MAX);
    link->name = codec_get_text(&fields, LIMIT_INTERFACE);
    link->up = codec_get_bool(&fields);
    link->addresses = codec_get_list(&fields, LIMIT_LINK_ADDRESSES, sizeof(*link->addresses), &list,
                                     &link->address_count);
    for (size_t i = 0; i < link->address_count; i++) {
        struct codec_fields address = codec_get_array(&list, 2);

        link->addresses[i].address = codec_get_address(&address);
        link->addresses[i].usable = codec_get_bool(&address);
    }
    link->default_route_v4 = codec_get_bool(&fields);
    link->default_route_v6 = codec_get_bool(&fields);
}

void codec_put_object(struct codec_writer *writer, const struct object *object)
{
    const char *reason;

    if (object_verify(object, NULL, &reason) < 0) {
        writer->error = -EINVAL;
        return;
    }
    codec_put_array(writer, 2);
    codec_put_unsigned(writer, object->kind);
    switch (object->kind) {
    case KIND_POLICY:
        put_policy(writer, &object->policy);
        break;
    case KIND_POD:
        put_pod(writer, &object->pod);
        break;
    case KIND_NAMESPACE:
        put_namespace(writer, &object->namespace);
        break;
    case KIND_NODE:
        put_node(writer, &object->node);
        break;
    case KIND_LINK:
        put_link(writer, &object->link);
        break;
    case KINDS:
        break;
    }
}

/* Ends in the validating constructor, which sorts the labels and finds a key that came twice. */
static void object_finish(struct codec_reader *reader, struct object *object)
{
    const char *reason;

    if (reader->error)
        return;
    object_sort(object);
    if (object_verify(object, NULL, &reason) < 0)
        codec_refuse(reader, reason);
}

void codec_get_object(struct codec_fields *from, struct object *object)
{
    struct codec_fields fields = codec_get_array(from, 2);

    object->kind = (enum object_kind)codec_get_unsigned(&fields, KINDS - 1);
    switch (object->kind) {
    case KIND_POLICY:
        get_policy(&fields, &object->policy);
        break;
    case KIND_POD:
        get_pod(&fields, &object->pod);
        break;
    case KIND_NAMESPACE:
        get_namespace(&fields, &object->namespace);
        break;
    case KIND_NODE:
        get_node(&fields, &object->node);
        break;
    case KIND_LINK:
        get_link(&fields, &object->link);
        break;
    case KINDS:
        break;
    }
    object_finish(from->reader, object);
}

static const char *identity_check(const struct object_identity *identity)
{
    size_t limit = identity->kind == KIND_POD ? LIMIT_UID : LIMIT_NAME;

    if ((unsigned)identity->kind >= KINDS)
        return "no such kind of object";
    if (identity->kind == KIND_LINK)
        return identity->ifindex && identity->ifindex <= INT32_MAX && !identity->name.length
                   ? NULL
                   : "a link is identified by its interface index alone";
    return identity->name.length && identity->name.length <= limit && !identity->ifindex
               ? NULL
               : "an object is identified by its name, a pod by its UID";
}

void codec_put_identity(struct codec_writer *writer, const struct object_identity *identity)
{
    if (identity_check(identity)) {
        writer->error = -EINVAL;
        return;
    }
    codec_put_array(writer, 3);
    codec_put_unsigned(writer, identity->kind);
    codec_put_text(writer, identity->name);
    codec_put_unsigned(writer, identity->ifindex);
}

void codec_get_identity(struct codec_fields *from, struct object_identity *identity)
{
    struct codec_fields fields = codec_get_array(from, 3);
    const char *wrong;

    identity->kind = (enum object_kind)codec_get_unsigned(&fields, KINDS - 1);
    identity->name = codec_get_text(&fields, LIMIT_NAME);
    identity->ifindex = (uint32_t)codec_get_unsigned(&fields, UINT32_MAX);
    wrong = identity_check(identity);
    if (wrong)
        codec_refuse(from->reader, wrong);
}

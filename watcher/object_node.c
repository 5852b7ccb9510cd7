/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher/object_parse.h"

#include <errno.h>

int object_metadata_read(const struct object_reader *reader, const struct field *root,
                         struct text *name, struct text *uid, struct labels *labels)
{
    struct field metadata = field_member(root, "metadata");
    struct field name_field = field_member(&metadata, "name");
    struct field uid_field = field_member(&metadata, "uid");
    struct field labels_field = field_member(&metadata, "labels");
    int error = field_is_object(reader, &metadata);

    if (!error)
        error = field_text(reader, &name_field, name);
    if (!error)
        error = field_text(reader, &uid_field, uid);
    if (!error)
        error = field_labels(reader, &labels_field, labels);
    if (!error && name->length == 0)
        error = field_refuse(reader, &name_field, "is required");
    return error;
}

/* Host names are no addresses. An address of any type but InternalIP may be a name as well (cloud
 * providers do that), so only an InternalIP has to parse. */
static int node_read_address(const struct object_reader *reader, const struct field *field,
                             struct node *node)
{
    struct field type_field = field_member(field, "type");
    struct field address_field = field_member(field, "address");
    struct text type = {0};
    struct text text = {0};
    struct ip_addr address = {0};
    int error = field_is_object(reader, field);

    if (!error)
        error = field_text(reader, &type_field, &type);
    if (!error)
        error = field_text(reader, &address_field, &text);
    if (error)
        return error;
    if (text_equal(type, TEXT("InternalIP"))) {
        error = field_address(reader, &address_field, &address);
        if (!error && ip_addr_is_none(&address))
            error = field_refuse(reader, &address_field, "is required");
        if (!error)
            node->internal[node->internal_count++] = address;
        return error;
    }
    if (address_parse(text, &address) == 0 && !ip_addr_is_none(&address))
        node->others[node->other_count++] = address;
    return 0;
}

static int node_read_addresses(const struct object_reader *reader, const struct field *status,
                               struct node *node)
{
    struct field list = field_member(status, "addresses");
    size_t count = 0;
    int error = field_array(reader, &list, &count);

    if (error)
        return error;
    node->internal = arena_allocate(reader->arena, count, sizeof(*node->internal));
    node->others = arena_allocate(reader->arena, count, sizeof(*node->others));
    if (!node->internal || !node->others)
        return -ENOMEM;
    for (size_t i = 0; !error && i < count; i++) {
        struct field element = field_element(&list, i);

        error = node_read_address(reader, &element, node);
    }
    return error;
}

static int node_read_ready(const struct object_reader *reader, const struct field *status,
                           struct node *node)
{
    struct field list = field_member(status, "conditions");
    size_t count = 0;
    int error = field_array(reader, &list, &count);

    for (size_t i = 0; !error && i < count; i++) {
        struct field element = field_element(&list, i);
        struct field type_field = field_member(&element, "type");
        struct field state_field = field_member(&element, "status");
        struct text type = {0};
        struct text state = {0};

        error = field_is_object(reader, &element);
        if (!error)
            error = field_text(reader, &type_field, &type);
        if (!error)
            error = field_text(reader, &state_field, &state);
        if (!error && text_equal(type, TEXT("Ready")))
            node->ready = text_equal(state, TEXT("True"));
    }
    return error;
}

/* spec.podCIDRs, or the older spec.podCIDR where that is empty. */
static int node_read_ranges(const struct object_reader *reader, const struct field *root,
                            struct node *node)
{
    struct field spec = field_member(root, "spec");
    struct field list = field_member(&spec, "podCIDRs");
    struct field single = field_member(&spec, "podCIDR");
    struct text text = {0};
    int error = field_is_object(reader, &spec);

    if (!error)
        error = field_prefixes(reader, &list, &node->pod_cidrs, &node->pod_cidr_count);
    if (error || node->pod_cidr_count)
        return error;
    error = field_text(reader, &single, &text);
    if (error || text.length == 0)
        return error;
    node->pod_cidrs = arena_allocate(reader->arena, 1, sizeof(*node->pod_cidrs));
    if (!node->pod_cidrs)
        return -ENOMEM;
    if (prefix_parse(text, node->pod_cidrs))
        return field_refuse(reader, &single, "has to be a CIDR such as 10.244.1.0/24");
    node->pod_cidr_count = 1;
    return 0;
}

int object_node_read(const struct object_reader *reader, const struct field *root,
                     struct node *node)
{
    struct field status = field_member(root, "status");
    int error = object_metadata_read(reader, root, &node->name, &node->uid, &node->labels);

    if (!error)
        error = field_is_object(reader, &status);
    if (!error)
        error = node_read_addresses(reader, &status, node);
    if (!error)
        error = node_read_ready(reader, &status, node);
    if (!error)
        error = node_read_ranges(reader, root, node);
    return error;
}

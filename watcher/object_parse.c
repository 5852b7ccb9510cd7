/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher/object_parse.h"

#include <errno.h>

static const struct {
    const char *api_version;
    const char *name;
    enum object_kind kind;
} object_kinds[] = {
    {"cilium.io/v2", "CiliumEgressGatewayPolicy", KIND_POLICY},
    {"v1", "Pod", KIND_POD},
    {"v1", "Namespace", KIND_NAMESPACE},
    {"v1", "Node", KIND_NODE},
};

int object_kind_named(const char *api_version, const char *name, enum object_kind *kind)
{
    for (size_t i = 0; i < ARRAY_SIZE(object_kinds); i++) {
        if (strcmp(object_kinds[i].api_version, api_version) == 0 &&
            strcmp(object_kinds[i].name, name) == 0) {
            *kind = object_kinds[i].kind;
            return 0;
        }
    }
    return -ENOENT;
}

static int object_read_name(const struct object_reader *reader, const struct field *root,
                            struct text *name)
{
    struct field metadata = field_member(root, "metadata");
    struct field field = field_member(&metadata, "name");
    struct text text = {0};
    int error = field_is_object(reader, &metadata);

    if (!error)
        error = field_text(reader, &field, &text);
    if (error)
        return error;
    if (text.length == 0)
        return field_refuse(reader, &field, "is required");
    *name = text;
    return 0;
}

int object_parse_identity(enum object_kind kind, const json_t *value, struct arena *arena,
                          struct object_identity *identity, struct object_error *error)
{
    struct object_reader reader = {arena, error};
    struct field root = field_root(value);
    struct pod pod = {0};
    struct text name;
    int result;

    memset(error, 0, sizeof(*error));
    if (!json_is_object(value))
        return field_refuse(&reader, &root, "has to be an object");
    if (kind == KIND_POD) {
        result = object_pod_identity(&reader, &root, &pod);
        name = pod.uid;
    } else {
        result = object_read_name(&reader, &root, &name);
    }
    if (!result)
        *identity = (struct object_identity){.kind = kind, .name = name};
    return result;
}

static int object_read(const struct object_reader *reader, const struct field *root,
                       struct object *object)
{
    switch (object->kind) {
    case KIND_POLICY:
        return object_policy_read(reader, root, &object->policy);
    case KIND_POD:
        return object_pod_read(reader, root, &object->pod);
    case KIND_NAMESPACE:
        return object_namespace_read(reader, root, &object->namespace);
    case KIND_NODE:
        return object_node_read(reader, root, &object->node);
    default:
        return field_refuse(reader, root, "is no object of the API");
    }
}

int object_parse(enum object_kind kind, const json_t *value, struct arena *arena,
                 struct object *object, struct object_error *error)
{
    struct object_reader reader = {arena, error};
    struct field root = field_root(value);
    struct object parsed = {.kind = kind};
    int result;

    memset(error, 0, sizeof(*error));
    if (!json_is_object(value))
        return field_refuse(&reader, &root, "has to be an object");
    result = object_read(&reader, &root, &parsed);
    if (!result)
        result = object_check(&parsed, error);
    if (!result)
        *object = parsed;
    return result;
}

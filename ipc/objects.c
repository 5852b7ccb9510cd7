/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/objects.h"

#include <errno.h>
#include <stdlib.h>

#include "ipc/names.h"
#include "ipc/objects_check.h"

const char *object_kind_name(enum object_kind kind)
{
    static const char *const names[KINDS] = {
        [KIND_POLICY] = "policy", [KIND_POD] = "pod",   [KIND_NAMESPACE] = "namespace",
        [KIND_NODE] = "node",     [KIND_LINK] = "link",
    };

    return (unsigned)kind < KINDS ? names[kind] : "unknown";
}

struct object_identity object_identity(const struct object *object)
{
    struct object_identity identity = {.kind = object->kind};

    switch (object->kind) {
    case KIND_POLICY:
        identity.name = object->policy.name;
        break;
    case KIND_POD:
        identity.name = object->pod.uid;
        break;
    case KIND_NAMESPACE:
        identity.name = object->namespace.name;
        break;
    case KIND_NODE:
        identity.name = object->node.name;
        break;
    case KIND_LINK:
        identity.ifindex = object->link.ifindex;
        break;
    case KINDS:
        break;
    }
    return identity;
}

static size_t path_write(const struct object_path *path, char *out, size_t size)
{
    size_t used = path->parent ? path_write(path->parent, out, size) : 0;
    int added;

    if (used >= size)
        return used;
    if (path->index == NOT_INDEXED)
        added = snprintf(out + used, size - used, "%s%s", used ? "." : "", path->name);
    else
        added = snprintf(out + used, size - used, "%s%s[%zu]", used ? "." : "", path->name,
                         path->index);
    return added < 0 ? used : used + (size_t)added;
}

int object_fail(struct object_checking *checking, const struct object_path *path, struct text value,
                const char *reason)
{
    struct object_error *error = checking->error;

    checking->reason = reason;
    if (error) {
        path_write(path, error->field, sizeof(error->field));
        snprintf(error->value, sizeof(error->value), "%.*s", TEXT_ARG(value));
        snprintf(error->reason, sizeof(error->reason), "%s", reason);
    }
    return -EINVAL;
}

int object_check_subdomain(struct object_checking *checking, const struct object_path *path,
                           struct text name)
{
    if (names_is_subdomain(name))
        return 0;
    if (name.length == 0)
        return object_fail(checking, path, name, "is missing: a name is needed");
    return object_fail(checking, path, name,
                       "is no name: use at most 253 lower-case letters, digits, '-' and '.', with "
                       "a letter or digit at both ends of each part");
}

/* Objects from files have none; pods are identified by theirs and check for it before. */
int object_check_uid(struct object_checking *checking, const struct object_path *path,
                     struct text uid)
{
    if (uid.length == 0 || names_is_opaque(uid, LIMIT_UID))
        return 0;
    return object_fail(checking, path, uid,
                       "is no UID: use at most 128 printable ASCII characters without blanks");
}

int object_check_count(struct object_checking *checking, const struct object_path *path,
                       size_t count, size_t limit)
{
    char text[32];

    if (count <= limit)
        return 0;
    snprintf(text, sizeof(text), "%zu items", count);
    switch (limit) {
    case LIMIT_POD_ADDRESSES:
        return object_fail(checking, path, text_of(text), "has too many items: at most 16");
    case LIMIT_GATEWAYS:
        return object_fail(checking, path, text_of(text), "has too many items: at most 64");
    case LIMIT_RULES:
        return object_fail(checking, path, text_of(text), "has too many items: at most 256");
    case LIMIT_LABELS:
        return object_fail(checking, path, text_of(text), "has too many items: at most 1024");
    case LIMIT_CIDRS:
        return object_fail(checking, path, text_of(text), "has too many items: at most 2048");
    default:
        return object_fail(checking, path, text_of(text), "has too many items");
    }
}

_Static_assert(LIMIT_POD_ADDRESSES == 16 && LIMIT_GATEWAYS == 64 && LIMIT_RULES == 256 &&
                   LIMIT_LABELS == 1024 && LIMIT_CIDRS == 2048,
               "the messages of object_check_count() name them");

static bool prefix_is_valid(const struct ip_prefix *prefix)
{
    struct ip_addr masked;

    if (prefix->length > address_bits(&prefix->address))
        return false;
    masked = address_mask(&prefix->address, prefix->length);
    return ip_addr_equal(&masked, &prefix->address);
}

int object_check_prefixes(struct object_checking *checking, const char *name,
                          const struct ip_prefix *items, size_t count, size_t limit)
{
    char text[PREFIX_TEXT_SIZE];
    int error = object_check_count(checking, FIELD(name), count, limit);

    for (size_t i = 0; !error && i < count; i++) {
        const struct object_path path = {NULL, name, i};

        if (!prefix_is_valid(&items[i]))
            error = object_fail(checking, &path, text_of(prefix_format(&items[i], text)),
                                "is no CIDR: use a network such as 10.0.0.0/8 or 2001:db8::/32");
    }
    return error;
}

static int check_addresses(struct object_checking *checking, const char *name,
                           const struct ip_addr *items, size_t count, size_t limit)
{
    char text[ADDRESS_TEXT_SIZE];
    int error = object_check_count(checking, FIELD(name), count, limit);

    for (size_t i = 0; !error && i < count; i++) {
        if (!address_is_unicast(&items[i]))
            error = object_fail(checking, FIELD(name), text_of(address_format(&items[i], text)),
                                "is no address that a host can have: not unspecified, loopback, "
                                "multicast or broadcast");
    }
    return error;
}

static int check_label(struct object_checking *checking, const struct label *label,
                       const struct label *before)
{
    const struct object_path *path = FIELD("metadata.labels");
    int order = before ? text_compare(before->key, label->key) : -1;

    if (!names_is_label_key(label->key))
        return object_fail(checking, path, label->key,
                           "is no label key: use [DNS name/]name, the name of at most 63 letters, "
                           "digits, '-', '_' and '.'");
    if (!names_is_label_value(label->value))
        return object_fail(checking, path, label->value,
                           "is no label value: use at most 63 letters, digits, '-', '_' and '.', "
                           "with a letter or digit at both ends");
    if (order == 0)
        return object_fail(checking, path, label->key, "stands there twice: give each key once");
    if (order > 0)
        return object_fail(checking, path, label->key, "is out of order: labels are sorted by key");
    return 0;
}

static int check_labels(struct object_checking *checking, const struct labels *labels)
{
    int error = object_check_count(checking, FIELD("metadata.labels"), labels->count, LIMIT_LABELS);

    for (size_t i = 0; !error && i < labels->count; i++)
        error = check_label(checking, &labels->items[i], i ? &labels->items[i - 1] : NULL);
    return error;
}

static int check_namespace_name(struct object_checking *checking, const struct object_path *path,
                                struct text name)
{
    if (names_is_dns_label(name))
        return 0;
    return object_fail(checking, path, name,
                       "is no namespace: use 1 to 63 lower-case letters, digits and '-', with a "
                       "letter or digit at both ends");
}

static int check_pod(struct object_checking *checking, const struct pod *pod)
{
    int error;

    if (pod->uid.length == 0)
        return object_fail(checking, FIELD("metadata.uid"), pod->uid,
                           "is missing: a pod is identified by its UID");
    error = object_check_uid(checking, FIELD("metadata.uid"), pod->uid);
    if (!error)
        error = check_namespace_name(checking, FIELD("metadata.namespace"), pod->namespace);
    if (!error)
        error = object_check_subdomain(checking, FIELD("metadata.name"), pod->name);
    if (!error && pod->node.length)
        error = object_check_subdomain(checking, FIELD("spec.nodeName"), pod->node);
    if (!error && pod->service_account.length)
        error = object_check_subdomain(checking, FIELD("spec.serviceAccountName"),
                                       pod->service_account);
    if (!error)
        error = check_labels(checking, &pod->labels);
    if (!error)
        error = check_addresses(checking, "status.podIPs", pod->addresses, pod->address_count,
                                LIMIT_POD_ADDRESSES);
    return error;
}

static int check_namespace(struct object_checking *checking, const struct namespace *namespace)
{
    int error = check_namespace_name(checking, FIELD("metadata.name"), namespace->name);

    if (!error)
        error = object_check_uid(checking, FIELD("metadata.uid"), namespace->uid);
    if (!error)
        error = check_labels(checking, &namespace->labels);
    return error;
}

static int check_node(struct object_checking *checking, const struct node *node)
{
    int error = object_check_subdomain(checking, FIELD("metadata.name"), node->name);

    if (!error)
        error = object_check_uid(checking, FIELD("metadata.uid"), node->uid);
    if (!error)
        error = check_labels(checking, &node->labels);
    if (!error)
        error = check_addresses(checking, "status.addresses", node->internal, node->internal_count,
                                LIMIT_NODE_ADDRESSES);
    if (!error)
        error = check_addresses(checking, "status.addresses", node->others, node->other_count,
                                LIMIT_NODE_ADDRESSES);
    if (!error)
        error = object_check_prefixes(checking, "spec.podCIDRs", node->pod_cidrs,
                                      node->pod_cidr_count, LIMIT_CIDRS);
    return error;
}

static int check_link(struct object_checking *checking, const struct link *link)
{
    int error;

    if (link->ifindex == 0 || link->ifindex > INT32_MAX)
        return object_fail(checking, FIELD("ifindex"), TEXT(""),
                           "is no interface index: it is 1 or more");
    if (!names_is_interface(link->name))
        return object_fail(checking, FIELD("name"), link->name,
                           "is no interface name: use 1 to 15 characters without '/', ':' and "
                           "blanks");
    error =
        object_check_count(checking, FIELD("addresses"), link->address_count, LIMIT_LINK_ADDRESSES);
    for (size_t i = 0; !error && i < link->address_count; i++) {
        const struct object_path path = {NULL, "addresses", i};

        /* Loopback and link-local ones are addresses of a link like others. */
        if (ip_addr_is_none(&link->addresses[i].address))
            error = object_fail(checking, &path, TEXT(""), "is missing: an address is needed");
    }
    return error;
}

int object_verify(const struct object *object, struct object_error *error, const char **reason)
{
    struct object_checking checking = {.error = error};
    int result = -EINVAL;

    switch (object->kind) {
    case KIND_POLICY:
        result = object_check_policy(&checking, &object->policy);
        break;
    case KIND_POD:
        result = check_pod(&checking, &object->pod);
        break;
    case KIND_NAMESPACE:
        result = check_namespace(&checking, &object->namespace);
        break;
    case KIND_NODE:
        result = check_node(&checking, &object->node);
        break;
    case KIND_LINK:
        result = check_link(&checking, &object->link);
        break;
    default:
        result = object_fail(&checking, FIELD("kind"), TEXT(""), "is no kind of object");
    }
    if (result)
        *reason = checking.reason;
    return result;
}

static int label_order(const void *a, const void *b)
{
    return text_compare(((const struct label *)a)->key, ((const struct label *)b)->key);
}

void object_sort(struct object *object)
{
    struct labels none = {0}, *labels = &none;

    if (object->kind == KIND_POD)
        labels = &object->pod.labels;
    else if (object->kind == KIND_NAMESPACE)
        labels = &object->namespace.labels;
    else if (object->kind == KIND_NODE)
        labels = &object->node.labels;
    if (labels->count > 1)
        qsort(labels->items, labels->count, sizeof(*labels->items), label_order);
}

int object_check(struct object *object, struct object_error *error)
{
    const char *reason;

    object_sort(object);
    return object_verify(object, error, &reason);
}

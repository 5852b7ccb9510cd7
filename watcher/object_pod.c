/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher/object_parse.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

/* Always the same for the same name, on every node. */
static uint64_t pod_name_digest(const char *data, size_t length)
{
    uint64_t digest = 0xcbf29ce484222325; /* FNV-1a */

    for (size_t i = 0; i < length; i++)
        digest = (digest ^ (unsigned char)data[i]) * 0x100000001b3;
    return digest;
}

/* A pod that was written by hand has no UID: its full name stands for it, which no real UID can
 * equal because of the slash. What a UID has no room for is replaced by a digest. */
static int pod_derive_uid(const struct object_reader *reader, struct pod *pod)
{
    enum { DIGEST_SIZE = 17 }; /* a tilde and 16 digits */
    size_t length = pod->namespace.length + 1 + pod->name.length;
    char *uid = arena_allocate(reader->arena, length + 1, 1);

    if (!uid)
        return -ENOMEM;
    memcpy(uid, pod->namespace.data, pod->namespace.length);
    uid[pod->namespace.length] = '/';
    memcpy(uid + pod->namespace.length + 1, pod->name.data, pod->name.length);
    if (length > LIMIT_UID) {
        uint64_t digest = pod_name_digest(uid, length);

        length = LIMIT_UID;
        snprintf(uid + LIMIT_UID - DIGEST_SIZE, DIGEST_SIZE + 1, "~%016" PRIx64, digest);
    }
    pod->uid = (struct text){uid, length};
    return 0;
}

int object_pod_identity(const struct object_reader *reader, const struct field *root,
                        struct pod *pod)
{
    struct field metadata = field_member(root, "metadata");
    struct field name = field_member(&metadata, "name");
    struct field namespace = field_member(&metadata, "namespace");
    struct field uid = field_member(&metadata, "uid");
    int error = field_is_object(reader, &metadata);

    if (!error)
        error = field_text(reader, &name, &pod->name);
    if (!error)
        error = field_text(reader, &namespace, &pod->namespace);
    if (!error)
        error = field_text(reader, &uid, &pod->uid);
    if (!error && pod->name.length == 0)
        error = field_refuse(reader, &name, "is required");
    if (error)
        return error;
    if (pod->namespace.length == 0)
        pod->namespace = TEXT("default");
    return pod->uid.length ? 0 : pod_derive_uid(reader, pod);
}

static int pod_add_address(const struct object_reader *reader, const struct field *field,
                           struct pod *pod)
{
    struct ip_addr address = {0};
    int error = field_address(reader, field, &address);

    if (!error && !ip_addr_is_none(&address))
        pod->addresses[pod->address_count++] = address;
    return error;
}

/* status.podIPs, or the older status.podIP where that is empty. */
static int pod_read_addresses(const struct object_reader *reader, const struct field *status,
                              struct pod *pod)
{
    struct field list = field_member(status, "podIPs");
    struct field single = field_member(status, "podIP");
    size_t count = 0;
    int error = field_array(reader, &list, &count);

    if (error)
        return error;
    pod->addresses = arena_allocate(reader->arena, count + 1, sizeof(*pod->addresses));
    if (!pod->addresses)
        return -ENOMEM;
    for (size_t i = 0; !error && i < count; i++) {
        struct field element = field_element(&list, i);
        struct field ip = field_member(&element, "ip");

        error = field_is_object(reader, &element);
        if (!error)
            error = pod_add_address(reader, &ip, pod);
    }
    if (!error && pod->address_count == 0)
        error = pod_add_address(reader, &single, pod);
    return error;
}

static int pod_read_spec(const struct object_reader *reader, const struct field *root,
                         struct pod *pod)
{
    struct field spec = field_member(root, "spec");
    struct field node = field_member(&spec, "nodeName");
    struct field host_network = field_member(&spec, "hostNetwork");
    struct field account = field_member(&spec, "serviceAccountName");
    int error = field_is_object(reader, &spec);

    if (!error)
        error = field_text(reader, &node, &pod->node);
    if (!error)
        error = field_bool(reader, &host_network, &pod->host_network);
    if (!error)
        error = field_text(reader, &account, &pod->service_account);
    return error;
}

/* A pod that is being deleted still runs: only its phase tells that it has ended. */
static int pod_read_status(const struct object_reader *reader, const struct field *root,
                           struct pod *pod)
{
    struct field status = field_member(root, "status");
    struct field phase_field = field_member(&status, "phase");
    struct text phase = {0};
    int error = field_is_object(reader, &status);

    if (!error)
        error = field_text(reader, &phase_field, &phase);
    if (error)
        return error;
    pod->ended = text_equal(phase, TEXT("Succeeded")) || text_equal(phase, TEXT("Failed"));
    return pod_read_addresses(reader, &status, pod);
}

int object_pod_read(const struct object_reader *reader, const struct field *root, struct pod *pod)
{
    struct field metadata = field_member(root, "metadata");
    struct field labels = field_member(&metadata, "labels");
    struct field created = field_member(&metadata, "creationTimestamp");
    int error = object_pod_identity(reader, root, pod);

    if (!error)
        error = field_labels(reader, &labels, &pod->labels);
    if (!error)
        error = field_time(reader, &created, &pod->created);
    if (!error)
        error = pod_read_spec(reader, root, pod);
    if (!error)
        error = pod_read_status(reader, root, pod);
    return error;
}

int object_namespace_read(const struct object_reader *reader, const struct field *root,
                          struct namespace *namespace)
{
    return object_metadata_read(reader, root, &namespace->name, &namespace->uid,
                                &namespace->labels);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher/kube_prune.h"

#include <errno.h>
#include <string.h>

/* Members to keep, ended by one without a name. */
struct mask {
    const char *name;
    const struct mask *members; /* of an object; NULL: all of it */
};

struct walk {
    const char *at, *end;
    struct kube_buffer *out;
};

static const struct mask annotations[] = {{"k8s.io/initial-events-end", NULL}, {NULL, NULL}};
static const struct mask metadata[] = {
    {"name", NULL},
    {"namespace", NULL},
    {"uid", NULL},
    {"labels", NULL},
    {"resourceVersion", NULL},
    {"creationTimestamp", NULL},
    {"annotations", annotations},
    {NULL, NULL},
};
static const struct mask pod_spec[] = {
    {"nodeName", NULL},
    {"hostNetwork", NULL},
    {"serviceAccountName", NULL},
    {NULL, NULL},
};
static const struct mask pod_status[] = {
    {"phase", NULL},
    {"podIP", NULL},
    {"podIPs", NULL},
    {NULL, NULL},
};
static const struct mask node_spec[] = {{"podCIDR", NULL}, {"podCIDRs", NULL}, {NULL, NULL}};
static const struct mask node_status[] = {
    {"addresses", NULL},
    {"conditions", NULL},
    {NULL, NULL},
};

/* An event's object can be a Status, which has the last two. */
#define OBJECT_MEMBERS                                                                             \
    {"metadata", metadata}, {"code", NULL}, {"message", NULL},                                     \
    {                                                                                              \
        NULL, NULL                                                                                 \
    }

static const struct mask policy[] = {{"spec", NULL}, OBJECT_MEMBERS};
static const struct mask pod[] = {{"spec", pod_spec}, {"status", pod_status}, OBJECT_MEMBERS};
static const struct mask node[] = {{"spec", node_spec}, {"status", node_status}, OBJECT_MEMBERS};
static const struct mask namespace[] = {OBJECT_MEMBERS};

static const struct mask *mask_of(enum object_kind kind)
{
    switch (kind) {
    case KIND_POLICY:
        return policy;
    case KIND_POD:
        return pod;
    case KIND_NODE:
        return node;
    default:
        return namespace;
    }
}

static int walk_keep(struct walk *walk, const char *data, size_t length)
{
    return kube_buffer_add(walk->out, data, length, KUBE_OBJECT_LIMIT);
}

static void skip_space(struct walk *walk)
{
    while (walk->at < walk->end &&
           (*walk->at == ' ' || *walk->at == '\t' || *walk->at == '\r' || *walk->at == '\n'))
        walk->at++;
}

static bool walk_sees(const struct walk *walk, char byte)
{
    return walk->at < walk->end && *walk->at == byte;
}

/* From behind the quote that opens a string to behind the one that closes it. */
static int skip_string(struct walk *walk)
{
    while (walk->at < walk->end) {
        char byte = *walk->at++;

        if (byte == '"')
            return 0;
        if (byte == '\\' && walk->at < walk->end)
            walk->at++;
    }
    return -EINVAL;
}

/* An object or an array. */
static int skip_nested(struct walk *walk)
{
    size_t depth = 0;

    while (walk->at < walk->end) {
        char byte = *walk->at++;

        if (byte == '"') {
            if (skip_string(walk))
                return -EINVAL;
        } else if (byte == '{' || byte == '[') {
            depth++;
        } else if ((byte == '}' || byte == ']') && --depth == 0) {
            return 0;
        }
    }
    return -EINVAL;
}

static int skip_value(struct walk *walk)
{
    const char *start = walk->at;

    if (walk_sees(walk, '"')) {
        walk->at++;
        return skip_string(walk);
    }
    if (walk_sees(walk, '{') || walk_sees(walk, '['))
        return skip_nested(walk);
    while (walk->at < walk->end && !memchr(",}] \t\r\n", *walk->at, 7))
        walk->at++;
    return walk->at > start ? 0 : -EINVAL;
}

/* A key with an escape might be any: it is kept. */
static bool mask_find(const struct mask *mask, const char *key, size_t length,
                      const struct mask **members)
{
    for (; mask->name; mask++) {
        if (strlen(mask->name) == length && !memcmp(mask->name, key, length)) {
            *members = mask->members;
            return true;
        }
    }
    *members = NULL;
    return memchr(key, '\\', length) != NULL;
}

static int prune_value(struct walk *walk, const struct mask *mask);

/* "key": value, kept or not. */
static int prune_member(struct walk *walk, const struct mask *mask, bool *kept)
{
    const char *key = walk->at;
    const struct mask *members;
    size_t length;

    if (!walk_sees(walk, '"'))
        return -EINVAL;
    walk->at++;
    if (skip_string(walk))
        return -EINVAL;
    length = (size_t)(walk->at - key);
    skip_space(walk);
    if (!walk_sees(walk, ':'))
        return -EINVAL;
    walk->at++;
    skip_space(walk);
    if (!mask_find(mask, key + 1, length - 2, &members))
        return skip_value(walk);
    if (*kept && walk_keep(walk, ",", 1))
        return -ENOMEM;
    *kept = true;
    if (walk_keep(walk, key, length) || walk_keep(walk, ":", 1))
        return -ENOMEM;
    return prune_value(walk, members);
}

static int prune_members(struct walk *walk, const struct mask *mask)
{
    bool kept = false;

    walk->at++;
    skip_space(walk);
    if (walk_sees(walk, '}')) {
        walk->at++;
        return 0;
    }
    for (;;) {
        int error;

        skip_space(walk);
        error = prune_member(walk, mask, &kept);
        if (error)
            return error;
        skip_space(walk);
        if (walk_sees(walk, '}')) {
            walk->at++;
            return 0;
        }
        if (!walk_sees(walk, ','))
            return -EINVAL;
        walk->at++;
    }
}

/* As deep as masks are. */
static int prune_value(struct walk *walk, const struct mask *mask)
{
    const char *start = walk->at;
    int error;

    if (!mask || !walk_sees(walk, '{')) {
        error = skip_value(walk);
        return error ? error : walk_keep(walk, start, (size_t)(walk->at - start));
    }
    error = walk_keep(walk, "{", 1);
    if (!error)
        error = prune_members(walk, mask);
    return error ? error : walk_keep(walk, "}", 1);
}

static int prune(const struct mask *mask, const char *data, size_t length, struct kube_buffer *out)
{
    struct walk walk = {data, data + length, out};
    int error;

    skip_space(&walk);
    error = prune_value(&walk, mask);
    skip_space(&walk);
    return error ? error : walk.at == walk.end ? 0 : -EINVAL;
}

int kube_prune_object(enum object_kind kind, const char *data, size_t length,
                      struct kube_buffer *out)
{
    return prune(mask_of(kind), data, length, out);
}

int kube_prune_event(enum object_kind kind, const char *data, size_t length,
                     struct kube_buffer *out)
{
    const struct mask event[] = {{"type", NULL}, {"object", mask_of(kind)}, {NULL, NULL}};

    return prune(event, data, length, out);
}

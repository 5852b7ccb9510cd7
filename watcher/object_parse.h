/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WATCHER_OBJECT_PARSE_H
#define WATCHER_OBJECT_PARSE_H

/*
 * Objects of the Kubernetes API, as JSON values, to what we use of them. Every source reads its
 * objects here. The values that are read point into the JSON and into the arena: both have to
 * outlive the object.
 */

#include <jansson.h>

#include "common/arena.h"
#include "ipc/objects.h"
#include "watcher/field.h"

/* The kind that an API version and a kind's name stand for; -ENOENT: none that we use. */
int object_kind_named(const char *api_version, const char *name,
                      enum object_kind *kind) _must_check_;

/*
 * Which object it is, also where the rest of it is invalid. A pod without metadata.uid (written by
 * hand) is identified by "namespace/name". -EINVAL with `error` filled: not even that can be told.
 */
int object_parse_identity(enum object_kind kind, const json_t *value, struct arena *arena,
                          struct object_identity *identity,
                          struct object_error *error) _must_check_;

/* The whole object, checked by object_check(). -EINVAL with `error` filled, or -ENOMEM. */
int object_parse(enum object_kind kind, const json_t *value, struct arena *arena,
                 struct object *object, struct object_error *error) _must_check_;

/* The parts; each reads from the object's root. */
int object_policy_read(const struct object_reader *reader, const struct field *root,
                       struct policy *policy) _must_check_;
int object_pod_read(const struct object_reader *reader, const struct field *root,
                    struct pod *pod) _must_check_;
int object_namespace_read(const struct object_reader *reader, const struct field *root,
                          struct namespace *namespace) _must_check_;
int object_node_read(const struct object_reader *reader, const struct field *root,
                     struct node *node) _must_check_;

/* metadata.name, which is required, uid and labels of what is in no namespace. */
int object_metadata_read(const struct object_reader *reader, const struct field *root,
                         struct text *name, struct text *uid, struct labels *labels) _must_check_;

/* A label selector; absent fields leave it absent. */
int object_selector_read(const struct object_reader *reader, const struct field *field,
                         struct selector *selector) _must_check_;

/* metadata.name, namespace and uid of a pod, with what stands for those that are absent. */
int object_pod_identity(const struct object_reader *reader, const struct field *root,
                        struct pod *pod) _must_check_;

#endif

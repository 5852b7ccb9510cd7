/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IPC_OBJECTS_CHECK_H
#define IPC_OBJECTS_CHECK_H

/* Private to ipc/: what the checks of the kinds of objects share. */

#include "ipc/objects.h"

/* A field, as a chain that is written out only when something is wrong with it. */
struct object_path {
    const struct object_path *parent;
    const char *name;
    size_t index; /* NOT_INDEXED, or the position in a list */
};

#define NOT_INDEXED SIZE_MAX
#define FIELD(name) (&(const struct object_path){NULL, (name), NOT_INDEXED})

struct object_checking {
    struct object_error *error; /* NULL where nobody wants it */
    const char *reason;         /* a constant text, once something is wrong */
};

/* Notes the first thing that is wrong; returns -EINVAL. */
int object_fail(struct object_checking *checking, const struct object_path *path, struct text value,
                const char *reason) _must_check_;

int object_check_subdomain(struct object_checking *checking, const struct object_path *path,
                           struct text name) _must_check_;
int object_check_uid(struct object_checking *checking, const struct object_path *path,
                     struct text uid) _must_check_;
int object_check_count(struct object_checking *checking, const struct object_path *path,
                       size_t count, size_t limit) _must_check_;
int object_check_prefixes(struct object_checking *checking, const char *name,
                          const struct ip_prefix *items, size_t count, size_t limit) _must_check_;

int object_check_policy(struct object_checking *checking, const struct policy *policy) _must_check_;

/* Puts the labels in order. */
void object_sort(struct object *object);

/*
 * object_check() for an object that may not be changed: labels must be sorted already. `error` may
 * be NULL; `reason` gets a constant text.
 */
int object_verify(const struct object *object, struct object_error *error,
                  const char **reason) _must_check_;

#endif

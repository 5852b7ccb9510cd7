/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WATCHER_FIELD_H
#define WATCHER_FIELD_H

/*
 * A field of an API object together with where it stands, so that every refusal can name it. The
 * values live in the tree; what is read points into it. A null value is an absent one, as in the
 * API.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/address.h"
#include "common/arena.h"
#include "ipc/objects.h"

struct field {
    const json_t *value; /* NULL: absent */
    const struct field *parent;
    const char *name; /* of a member; NULL: an element, or the object itself */
    size_t index;
};

struct object_reader {
    struct arena *arena;
    struct object_error *error;
};

struct field field_root(const json_t *value);
struct field field_member(const struct field *of, const char *name);
struct field field_element(const struct field *of, size_t index);

/* Fills the reader's error with the field's path and value. Returns -EINVAL. */
int field_refuse(const struct object_reader *reader, const struct field *field, const char *reason);

/* Each gives 0 and leaves the output alone where the field is absent, and -EINVAL with the error
 * filled where it has another type or does not read as what it should be. */
int field_is_object(const struct object_reader *reader, const struct field *field) _must_check_;
int field_array(const struct object_reader *reader, const struct field *field,
                size_t *count) _must_check_;
int field_text(const struct object_reader *reader, const struct field *field,
               struct text *text) _must_check_;
int field_bool(const struct object_reader *reader, const struct field *field,
               bool *value) _must_check_;
/* RFC 3339 -> seconds since 1970. */
int field_time(const struct object_reader *reader, const struct field *field,
               int64_t *seconds) _must_check_;
int field_address(const struct object_reader *reader, const struct field *field,
                  struct ip_addr *address) _must_check_;
/* A list of CIDRs, in the reader's arena. */
int field_prefixes(const struct object_reader *reader, const struct field *field,
                   struct ip_prefix **prefixes, size_t *count) _must_check_;
/* An object of strings, in the reader's arena. */
int field_labels(const struct object_reader *reader, const struct field *field,
                 struct labels *labels) _must_check_;

/* Refuses the first member that is not one of `names` (ended by NULL). */
int field_known(const struct object_reader *reader, const struct field *field,
                const char *const *names) _must_check_;

#endif

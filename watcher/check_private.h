/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WATCHER_CHECK_PRIVATE_H
#define WATCHER_CHECK_PRIVATE_H

/* Inside of --check. */

#include "common/hash.h"
#include "ipc/record.h"
#include "watcher/manifest_walk.h"

enum check_severity { CHECK_NOTE, CHECK_WARNING, CHECK_ERROR, CHECK_SEVERITIES };

/* Findings about one object that are told; more would bury the rest. */
enum { CHECK_OBJECT_LIMIT = 100 };

struct check {
    FILE *out;
    const char *file; /* that is being read, as messages name it */
    size_t findings[CHECK_SEVERITIES];
    size_t objects;
    size_t skipped;              /* of kinds that we do not use */
    size_t unreadable;           /* files and directories */
    int error;                   /* -ENOMEM: nothing more is checked */
    struct hash_table seen;      /* of struct check_seen, by identity */
    struct record_buffer buffer; /* for packing */
};

/* check_report.c */

/* Writes a finding about an object. */
void check_report(struct check *check, enum check_severity severity,
                  const struct manifest_item *item, const struct object_error *error);
/* The same about a place in the file. */
void check_report_line(struct check *check, enum check_severity severity, size_t line,
                       const char *reason);
/* Writes text from outside: control characters as \xNN, so that it stays on its line. */
void check_write(FILE *out, const char *text);

/* check_object.c */

/* Checks one object as the source reads it. */
void check_object(struct check *check, enum object_kind kind, const struct manifest_item *item);
/* Forgets which objects there were. */
void check_forget(struct check *check);

/* check_policy.c */

/* Reports what is valid in a policy and hardly meant. */
void check_policy(struct check *check, const struct manifest_item *item,
                  const struct policy *policy);

#endif

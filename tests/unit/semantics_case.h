/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SEMANTICS_CASE_H
#define TESTS_SEMANTICS_CASE_H

/*
 * Files of cases. What stands before the first `case` belongs to each of them. A line starts with a
 * word; a block of indented lines may follow it:
 *
 *   case TITLE
 *   node, namespace, pod, link      see semantics_model.h
 *   policy NAME [created=SECONDS]   with its spec as YAML; what the block leaves out is
 *                                     selectors: [{podSelector: {}}]
 *                                     destinationCIDRs: [0.0.0.0/0]
 *                                     egressGateway: {nodeSelector: {matchLabels: {gateway: a}}}
 *   policy NAME deleted
 *   yaml                            whole documents
 *   manifest FILE                   the same from a file, below the directory of the cases
 *   refused FIELD REASON            the policy above is invalid, for this reason: it changes
 * nothing config cluster=NAME cluster-cidrs=A,B pod-cidrs=A,B update                          plan
 * what came so far dump NODE                       and the rows that the node's dump has then log
 * NODE,NODE TEXT              a line of the log of these nodes ("*": all) then the next events
 *
 * In texts, '*' stands for anything. A node without `dump` has no rows, and every warning and error
 * has to be expected: what is written is all there is.
 */

#include <stddef.h>

struct semantics_file;

struct semantics_case {
    const struct semantics_file *file;
    char *title;
    size_t first; /* lines, the last one excluded */
    size_t last;
};

struct semantics_file {
    const char *path;
    char **lines;
    size_t line_count;
    size_t header; /* lines that belong to each case */
    struct semantics_case *cases;
    size_t case_count;
};

/* Aborts where the file cannot be read. */
struct semantics_file *semantics_file_read(const char *path);
/* The same from a text; `name` is for messages. */
struct semantics_file *semantics_file_of(const char *name, char *text);
void semantics_file_free(struct semantics_file *file);

/* Runs a case; fails the cmocka test that it is called in. */
void semantics_case_run(const struct semantics_case *test);

#endif

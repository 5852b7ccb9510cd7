/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WATCHER_KUBE_PATH_H
#define WATCHER_KUBE_PATH_H

#include <stdbool.h>

#include "common/macros.h"

/* A list or watch request, as the part of its URL behind the server. */
struct kube_path {
    const char *resource;   /* "/api/v1/pods" */
    const char *selector;   /* field selector, "" or NULL: none */
    unsigned watch_seconds; /* 0: a list */
    const char *version;    /* of a watch: where it starts */
    bool initial_events;    /* of a watch: everything there is comes first */
    unsigned limit;         /* of a list: objects of one page */
    const char *next;       /* of a list: the token of the next page, or NULL */
};

/* Allocated; NULL: out of memory. Values are percent-encoded. */
char *kube_path_format(const struct kube_path *path) _must_check_;

#endif

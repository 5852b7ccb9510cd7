/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_TOOLS_KUBE_H
#define TESTS_TOOLS_KUBE_H

/* What the followers of the API server share. */

#include <string.h>

#include "watcher/kube_watch.h"

/* The resource whose kind has this name on the command line, or NULL. */
static inline const struct kube_resource *resource_named(const char *kind)
{
    for (size_t i = 0; i < KUBE_RESOURCES; i++)
        if (!strcmp(object_kind_name(kube_resources[i].kind), kind))
            return &kube_resources[i];
    return NULL;
}

#endif

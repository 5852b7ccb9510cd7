/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WATCHER_KUBE_WATCH_H
#define WATCHER_KUBE_WATCH_H

/*
 * One kind, followed for ever: listed, then watched, listed again where the server cannot say what
 * changed since. What is known is never taken away but by the server's word.
 *
 *   waiting -> streaming (a watch that starts with everything) -> watching -> waiting -> watching
 *           -> listing   (pages, where a server has no streaming lists)    -> watching
 */

#include "watcher/kube_client.h"
#include "watcher/source.h"

struct kube_resource {
    enum object_kind kind;
    const char *path; /* e.g. "/api/v1/pods" */
    const char *name; /* as RBAC has it, with its API group */
};

/* The kinds that a source of objects has to report. */
enum { KUBE_RESOURCES = 4 };
extern const struct kube_resource kube_resources[KUBE_RESOURCES];

struct kube_watch;

int kube_watch_new(struct kube_client *client, const struct kube_resource *resource,
                   const struct source_sink *sink, struct kube_watch **created) _must_check_;

/* Follows the objects that `selector` ("spec.nodeName=worker-1") selects, all of them where it is
 * "". The first call starts; one with another selector lists anew, and what is known stays until
 * that list is complete. -ENOMEM: nothing has changed. */
int kube_watch_follow(struct kube_watch *watch, const char *selector) _must_check_;

/* Seconds since which the kind cannot be followed; 0: all is well. */
uint64_t kube_watch_trouble_seconds(const struct kube_watch *watch);

void kube_watch_free(struct kube_watch *watch);

#endif

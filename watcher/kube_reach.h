/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WATCHER_KUBE_REACH_H
#define WATCHER_KUBE_REACH_H

/* What the sealed watcher must reach to follow a kubeconfig: files, and the ports of the servers.
 */

#include "common/landlock.h"
#include "watcher/kube_config.h"

enum { KUBE_REACH_FILES = 5, KUBE_REACH_PORTS = KUBE_SERVERS_LIMIT + 1 };

/* Zero-initialised = nothing. */
struct kube_reach {
    char *files[KUBE_REACH_FILES]; /* the kubeconfig, CA, certificate, key, token; may be NULL */
    uint16_t ports[KUBE_REACH_PORTS];
    size_t port_count;
    bool names;       /* a host has to be resolved */
    bool authorities; /* the system's own are used */
};

/* `kubeconfig` may be NULL. -ENOMEM, or -EINVAL: a URL that libcurl does not take. */
int kube_reach_make(const char *kubeconfig, const struct kube_config *config,
                    struct kube_reach *reach) _must_check_;
int kube_reach_allow(const struct kube_reach *reach, struct landlock *landlock) _must_check_;

/* Whether a process that was allowed `allowed` can do with it what needs `needed`. */
bool kube_reach_covers(const struct kube_reach *allowed, const struct kube_reach *needed);

void kube_reach_clear(struct kube_reach *reach);

#endif

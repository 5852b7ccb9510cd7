/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WATCHER_KUBE_CREDENTIALS_H
#define WATCHER_KUBE_CREDENTIALS_H

#include <stdbool.h>

#include "watcher/kube_config.h"

/*
 * What a request shows to the API server, and the authority that the server is checked against, as
 * the files hold them now. Read again for each request: that is how a rotated token, certificate or
 * CA is picked up. Nothing of it may reach a log.
 */
struct kube_credentials {
    struct kube_blob ca; /* PEM; empty: the system's authorities */
    struct kube_blob certificate;
    struct kube_blob key;
    struct kube_blob authorization; /* the whole header line, or empty */
};

/* -EINVAL or the errno of reading, with one line in `message` that names the file. */
int kube_credentials_read(const struct kube_config *config, struct kube_credentials *credentials,
                          char *message, size_t size) _must_check_;

bool kube_credentials_equal(const struct kube_credentials *a, const struct kube_credentials *b);

void kube_credentials_clear(struct kube_credentials *credentials);

#define _cleanup_kube_credentials_ _cleanup_(kube_credentials_clear)

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WATCHER_KUBE_EASY_H
#define WATCHER_KUBE_EASY_H

/* A GET as libcurl has it: where to, as whom, and what is never done (redirects, the environment's
 * proxies, a connection that is not verified). */

#include "watcher/kube_client.h"

/* Zero-initialised = empty. */
struct kube_easy {
    CURL *easy;
    char host[256]; /* whose address is needed: the server, or the proxy before it */
    char port[8];
    struct curl_slist *headers, *resolved, *connect_to;
};

/* With the client's configuration and credentials as they are now. `path` with its query, from the
 * slash on. -ENOMEM, or -EINVAL: a URL that libcurl does not take. */
int kube_easy_make(const struct kube_client *client, const char *path,
                   struct kube_easy *made) _must_check_;

/* Pins the addresses of the host, "192.0.2.1,[2001:db8::1]": libcurl resolves nothing itself. */
int kube_easy_resolve(struct kube_easy *made, const char *addresses) _must_check_;

void kube_easy_clear(struct kube_easy *made);

#endif

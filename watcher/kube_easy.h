/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WATCHER_KUBE_EASY_H
#define WATCHER_KUBE_EASY_H

/* A GET as libcurl has it: where to, as whom, and what is never done (redirects, the environment's
 * proxies, a connection that is not verified). */

#include "watcher/kube_client.h"

enum { KUBE_HOST_SIZE = 256, KUBE_PORT_SIZE = 8 };

/* Host and port of a URL, the scheme's port where it has none. -EINVAL: libcurl does not take it.
 */
int kube_url_host(const char *text, char host[KUBE_HOST_SIZE],
                  char port[KUBE_PORT_SIZE]) _must_check_;

/* Zero-initialised = empty. */
struct kube_easy {
    CURL *easy;
    char host[KUBE_HOST_SIZE]; /* whose address is needed: the server, or the proxy before it */
    char port[KUBE_PORT_SIZE];
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

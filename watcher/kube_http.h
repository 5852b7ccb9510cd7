/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WATCHER_KUBE_HTTP_H
#define WATCHER_KUBE_HTTP_H

/*
 * libcurl's multi interface, driven by the event loop: curl says which descriptors and which time
 * it waits for, nothing runs in between.
 */

#include <curl/curl.h>
#include <event2/event.h>

#include "common/macros.h"

struct kube_http;

/* A transfer has ended; CURLOPT_PRIVATE of the handle tells whose it is. It has been taken out. */
typedef void (*kube_http_done)(void *owner, CURLcode code);

/* Loads libcurl and its TLS library, to be called before the process is sealed. */
int kube_http_prepare(void) _must_check_;

int kube_http_open(struct event_base *base, kube_http_done done,
                   struct kube_http **opened) _must_check_;

int kube_http_add(struct kube_http *http, CURL *easy) _must_check_;
/* Takes out a transfer that has not ended; not from inside of one of curl's callbacks. */
void kube_http_remove(struct kube_http *http, CURL *easy);

/* Closes all connections; no transfer may be left. */
int kube_http_renew(struct kube_http *http) _must_check_;

void kube_http_close(struct kube_http *http);

#endif

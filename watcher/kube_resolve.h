/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WATCHER_KUBE_RESOLVE_H
#define WATCHER_KUBE_RESOLVE_H

/*
 * Names to addresses without a thread or a process, which the sealed watcher may not start: by
 * libevent's resolver, with /etc/hosts and /etc/resolv.conf as they are at that moment.
 */

#include <event2/event.h>
#include <stdbool.h>

#include "common/macros.h"

enum { KUBE_ADDRESSES_SIZE = 512 };

struct kube_resolve;

/* `addresses`: "192.0.2.1,[2001:db8::1]", or NULL with `error`, a text. */
typedef void (*kube_resolved)(void *context, const char *addresses, const char *error);

/* Whether it is an address already; a URL's brackets around IPv6 are fine. */
bool kube_resolve_is_address(const char *host);

/* Starts a look-up; `resolved` is called once, later, unless it is cancelled before. */
int kube_resolve_start(struct event_base *base, const char *host, kube_resolved resolved,
                       void *context, struct kube_resolve **started) _must_check_;
void kube_resolve_cancel(struct kube_resolve *resolve);

#endif

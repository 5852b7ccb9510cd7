/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WATCHER_KUBE_PRUNE_H
#define WATCHER_KUBE_PRUNE_H

/*
 * Leaves out of an object's text what nobody here reads. Nine tenths of a pod are that; to skip
 * them costs far less than to make a tree of them.
 */

#include "ipc/objects.h"
#include "watcher/kube_decode.h"

/* Copies one object of a kind, or one event of a watch with such an object, with the members that
 * are read. What is copied is still to be parsed: only brackets and quotes are looked at. -EINVAL:
 * it is no such text as far as that tells, and what `out` holds then is worth nothing. -EFBIG,
 * -ENOMEM. */
int kube_prune_object(enum object_kind kind, const char *data, size_t length,
                      struct kube_buffer *out) _must_check_;
int kube_prune_event(enum object_kind kind, const char *data, size_t length,
                     struct kube_buffer *out) _must_check_;

#endif

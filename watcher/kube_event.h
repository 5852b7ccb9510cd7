/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WATCHER_KUBE_EVENT_H
#define WATCHER_KUBE_EVENT_H

/*
 * One JSON value of the API server's, read: an item of a list, an event of a watch, or a Status.
 * Objects go to the sink; one that is invalid is named in the log, and what was known of it stays.
 */

#include <stdbool.h>
#include <stddef.h>

#include "watcher/kube_client.h"
#include "watcher/source.h"

enum { KUBE_VERSION_SIZE = 128, KUBE_CONTINUE_SIZE = 8192 };

enum kube_event_type { KUBE_ADDED, KUBE_MODIFIED, KUBE_DELETED, KUBE_BOOKMARK, KUBE_ERROR };

struct kube_event {
    enum kube_event_type type;
    char version[KUBE_VERSION_SIZE]; /* metadata.resourceVersion, not of an error */
    bool initial_end;                /* a bookmark that ends the initial events */
    long code;                       /* of an error: that of its Status */
    char reason[KUBE_TEXT_SIZE];     /* of an error: its Status' message */
};

struct kube_envelope {
    char version[KUBE_VERSION_SIZE];
    char next[KUBE_CONTINUE_SIZE]; /* token of the next page; "" at the end */
};

/* An item of a list. -EBADMSG with `reason`: it is no object that can be told apart. */
int kube_item_read(enum object_kind kind, const char *data, size_t length,
                   const struct source_sink *sink, char reason[KUBE_TEXT_SIZE]) _must_check_;

/* A line of a watch. -EBADMSG with `reason`. */
int kube_event_read(enum object_kind kind, const char *data, size_t length,
                    const struct source_sink *sink, struct kube_event *event,
                    char reason[KUBE_TEXT_SIZE]) _must_check_;

/* What is around the items. -EBADMSG with `reason`: it is no list. */
int kube_envelope_read(const char *data, size_t length, struct kube_envelope *envelope,
                       char reason[KUBE_TEXT_SIZE]) _must_check_;

/* The message of a Status; whatever else an error's body is, its beginning. */
void kube_status_read(const char *data, size_t length, char reason[KUBE_TEXT_SIZE]);

#endif

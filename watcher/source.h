/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WATCHER_SOURCE_H
#define WATCHER_SOURCE_H

/*
 * Where objects come from. A source runs in the watcher's event loop and reports what it learns to
 * a sink; it never waits. The sink compares with what it knows: reporting an object that has not
 * changed costs no record.
 */

#include <event2/event.h>

#include "common/config.h"
#include "common/landlock.h"
#include "ipc/objects.h"

/* What a source calls. The objects need to live only as long as the call. */
struct source_sink {
    void *context;
    /* A full list of a kind starts; what is not reported before list_end is gone. */
    void (*list_begin)(void *context, enum object_kind kind);
    /* An object was added or changed. It has passed object_check(). */
    void (*object)(void *context, const struct object *object);
    void (*remove)(void *context, const struct object_identity *identity);
    /* The list names this object, but its new version is invalid: what is known of it stays. */
    void (*keep)(void *context, const struct object_identity *identity);
    void (*list_end)(void *context, enum object_kind kind);
};

struct source;

struct source_operations {
    const char *name;
    /* Opens what must be opened before the process is sealed. */
    int (*open)(const struct config *config, struct source **source);
    /* Allows what the source still opens and connects to in the sealed process. NULL: nothing. */
    int (*confine)(struct source *source, struct landlock *landlock);
    /* Starts reporting, in the sealed process. */
    int (*start)(struct source *source, struct event_base *base, const struct source_sink *sink);
    /* The planner needs pods of this node only, or all pods. */
    void (*set_scope)(struct source *source, bool all_pods);
    /* Seconds since which this kind cannot be followed; 0: all is well, or not of this source.
     * NULL: it always can. */
    uint64_t (*trouble)(const struct source *source, enum object_kind kind);
    void (*close)(struct source *source);
};

extern const struct source_operations source_manifests;
/* The API server. */
extern const struct source_operations source_kubernetes;
/* This node's own links, addresses and default routes (KIND_LINK), by rtnetlink. */
extern const struct source_operations source_links;

#endif

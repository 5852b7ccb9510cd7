/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WATCHER_KUBE_WATCH_STATE_H
#define WATCHER_KUBE_WATCH_STATE_H

/* What a watch consists of, for its two halves: kube_watch.c decides what to ask for next,
 * kube_response.c takes in what comes. */

#include "watcher/kube_backoff.h"
#include "watcher/kube_decode.h"
#include "watcher/kube_event.h"
#include "watcher/kube_request.h"
#include "watcher/kube_watch.h"

enum phase { WAITING, PROBING, LISTING, STREAMING, WATCHING };

struct kube_watch {
    struct kube_client *client;
    const struct kube_resource *resource;
    const struct source_sink *sink;
    struct kube_request *request; /* NULL while waiting */
    struct event *timer;
    char *selector;       /* NULL: not started */
    uint64_t followed[2]; /* when it got its selector, and the one before */
    enum phase phase;
    char version[KUBE_VERSION_SIZE]; /* to watch from; "": a list is needed */
    char floor[KUBE_VERSION_SIZE];   /* the next list may be no older than this; "": the newest */
    char *next;                      /* token of the next page, or NULL */
    struct kube_backoff backoff;
    struct kube_backoff
        denied;             /* how often in a row the server did not know the resource or right */
    bool probe;             /* before it resumes: has the server been set back meanwhile? */
    unsigned resumes;       /* watches in a row that brought nothing */
    uint64_t no_streaming;  /* until then the server is not asked for streaming lists */
    uint64_t trouble_since; /* 0: all is well */
    uint64_t trouble_logged;
    const char *trouble; /* what it is, a constant: to tell one from the next */
    struct {
        long status;
        bool progress; /* something came that shows that the server knows our version */
        long code;     /* of an ERROR event; 0: none */
        char reason[KUBE_TEXT_SIZE]; /* of an ERROR event, or why we refuse the response */
        struct kube_buffer error_body;
        struct kube_lines lines;
        uint64_t line_since; /* when the line began that is not complete; 0: none */
        struct kube_list list;
    } response;
};

/* Names what is wrong with this kind: `what`, a constant, once, and again every ten minutes. */
void kube_watch_trouble(struct kube_watch *watch, const char *what, const char *reason);
/* All is well again. */
void kube_watch_well(struct kube_watch *watch);

/* Whether a version is older; versions are compared where they are numbers, as they are in every
 * server there is. */
bool kube_version_is_older(const char *a, const char *b);

/* For struct kube_handler. */
int kube_response_head(void *context, long status, const char *type);
int kube_response_body(void *context, const char *data, size_t length);

void kube_response_reset(struct kube_watch *watch);

/* Keeps why the response is not taken in. Returns -EBADMSG. */
int kube_response_refuse(struct kube_watch *watch, const char *reason);

/* What is around the items of a list that has ended. */
int kube_response_envelope(struct kube_watch *watch, struct kube_envelope *envelope) _must_check_;

#endif

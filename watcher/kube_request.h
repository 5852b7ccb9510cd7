/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WATCHER_KUBE_REQUEST_H
#define WATCHER_KUBE_REQUEST_H

/*
 * One GET. Credentials are read, the name of the server is resolved, and the response is handed on
 * as it comes; a server that takes too long is given up.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "watcher/kube_client.h"

enum kube_outcome {
    KUBE_COMPLETE,       /* the response has ended: look at `status` */
    KUBE_REFUSED,        /* the handler wanted no more of it */
    KUBE_UNREACHABLE,    /* no connection, or it broke */
    KUBE_SILENT,         /* nothing came for too long; the connections were renewed */
    KUBE_NO_CREDENTIALS, /* nothing was sent */
};

struct kube_result {
    enum kube_outcome outcome;
    int code;            /* libcurl's, 0: it knows of no error */
    long status;         /* of HTTP; 0: none came */
    bool head;           /* the response had started */
    long retry_after;    /* seconds; 0: not given */
    const char *reason;  /* one line, where the outcome is not KUBE_COMPLETE; "" otherwise */
    uint64_t generation; /* of the client, for kube_client_failed() */
    uint64_t lasted;     /* milliseconds */
};

/* A negative value from head or body ends the request as KUBE_REFUSED. None of them may start or
 * cancel a request, but `ended` may. */
struct kube_handler {
    /* The headers are there. `type` is the content type, "" where there is none. */
    int (*head)(void *context, long status, const char *type);
    int (*body)(void *context, const char *data, size_t length);
    /* Called once, not after kube_request_cancel(); the request is gone then. */
    void (*ended)(void *context, const struct kube_result *result);
};

/* `path` with its query, from the slash on. `total`: milliseconds for all of it. `request` is set
 * before anything is called. */
int kube_request_start(struct kube_client *client, const char *path, unsigned total,
                       const struct kube_handler *handler, void *context,
                       struct kube_request **started) _must_check_;
void kube_request_cancel(struct kube_request *request);

/* Ends all requests of a generation or before as KUBE_SILENT. */
void kube_requests_break(struct kube_client *client, uint64_t generation);

/* For kube_http_open(). */
void kube_request_ended(void *owner, CURLcode code);

#endif

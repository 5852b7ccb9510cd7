/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WATCHER_KUBE_CLIENT_H
#define WATCHER_KUBE_CLIENT_H

/*
 * The API server as all kinds share it: where it is, as whom we come, its connections, and whether
 * it answers. One of several servers is used at a time, from the first failure on the next one.
 */

#include <curl/curl.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "watcher/kube_credentials.h"
#include "watcher/kube_http.h"
#include "watcher/kube_reach.h"

enum { KUBE_TEXT_SIZE = 512 }; /* of a reason, one line */

/* How long to wait for what, in milliseconds. */
struct kube_timing {
    unsigned head;    /* from the start of a request to the end of its response's headers */
    unsigned silence; /* without a byte: a server sends a bookmark about once a minute */
    unsigned page;    /* for one page of a list as a whole */
    unsigned sync;    /* for a whole list that is sent as a watch */
    unsigned watch;   /* for a watch: asked of the server, spread over once to twice this */
    unsigned grace;   /* that the server may be late with ending it */
};

extern const struct kube_timing kube_timing_default;

struct kube_request;

struct kube_client {
    struct event_base *base;
    struct kube_http *http;
    struct kube_timing timing;
    char *kubeconfig; /* NULL: in the cluster */
    struct stat kubeconfig_status;
    struct kube_config config;
    bool confined; /* to `reach`: another configuration may need more */
    struct kube_reach reach;
    struct kube_credentials credentials;
    size_t server;       /* the one of config.servers that is used now */
    uint64_t generation; /* grows when another server, or new connections, are taken */
    struct {
        char host[256];
        char addresses[512];
        uint64_t at;
    } resolved;
    struct kube_request *requests; /* all that have not ended */
    bool away;                     /* the server could not be reached last time */
    uint64_t away_since, away_logged;
    int away_code; /* the kind of reason that was logged last */
};

/* Reads the configuration, to be called before the process is sealed. On failure the reason has
 * been logged. `kubeconfig` NULL: in the cluster. */
int kube_client_open(const char *kubeconfig, struct kube_client **opened) _must_check_;
/* Allows what the configuration needs in the sealed process. */
int kube_client_confine(struct kube_client *client, struct landlock *landlock) _must_check_;
int kube_client_start(struct kube_client *client, struct event_base *base) _must_check_;
void kube_client_close(struct kube_client *client);

/* Reads what may have been replaced: kubeconfig, token, certificates. A kubeconfig that has become
 * wrong is named in the log and the last good one stays; one that needs what the sealed process may
 * not reach ends the loop, so that the watcher is started again. -EINVAL or an errno of reading
 * with `message`: there are no credentials now. */
int kube_client_refresh(struct kube_client *client, char message[KUBE_TEXT_SIZE]) _must_check_;

const char *kube_client_server(const struct kube_client *client);

/* Milliseconds of a clock that never goes back. */
uint64_t kube_now(void);

/* A request of this generation could not reach the server, or was answered that the server itself
 * is in trouble: the next one is tried. Several kinds fail at once, the first one counts. */
void kube_client_failed(struct kube_client *client, uint64_t generation);

/* The connections are suspect: all of them are closed, and every request ends. */
void kube_client_renew(struct kube_client *client);

/* Whether the server answers, for the log and the service manager: each change is told once, an
 * outage again where its reason is of another kind (`code`, libcurl's), and every ten minutes. */
void kube_client_note_away(struct kube_client *client, int code, const char *reason);
void kube_client_note_back(struct kube_client *client);

#endif

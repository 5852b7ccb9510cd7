/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "watcher/kube_client.h"
#include "watcher/kube_watch.h"
#include "watcher/source.h"

const struct kube_resource kube_resources[KUBE_RESOURCES] = {
    {KIND_POLICY, "/apis/cilium.io/v2/ciliumegressgatewaypolicies",
     "ciliumegressgatewaypolicies.cilium.io"},
    {KIND_POD, "/api/v1/pods", "pods"},
    {KIND_NAMESPACE, "/api/v1/namespaces", "namespaces"},
    {KIND_NODE, "/api/v1/nodes", "nodes"},
};

struct source {
    struct kube_client *client;
    struct source_sink sink;
    struct kube_watch *watches[KUBE_RESOURCES];
    char *own_pods; /* field selector of the pods of this node */
    enum pods_scope pods;
};

static void kubernetes_close(struct source *source)
{
    if (!source)
        return;
    for (size_t i = 0; i < KUBE_RESOURCES; i++)
        kube_watch_free(source->watches[i]);
    kube_client_close(source->client);
    free(source->own_pods);
    free(source);
}

static int kubernetes_open(const struct config *config, struct source **opened)
{
    struct source *source = calloc(1, sizeof(*source));
    int error;

    if (!source)
        return -ENOMEM;
    source->pods = config->pods;
    if (asprintf(&source->own_pods, "spec.nodeName=%s", config->node) < 0) {
        free(source);
        return -ENOMEM;
    }
    error = kube_client_open(config->source.in_cluster ? NULL : config->source.kubeconfig,
                             &source->client);
    if (error) {
        kubernetes_close(source);
        return error;
    }
    *opened = source;
    return 0;
}

static int kubernetes_confine(struct source *source, struct landlock *landlock)
{
    return kube_client_confine(source->client, landlock);
}

/* The field selector of a kind where the planner needs all pods, or those of this node only. */
static const char *selector_of(const struct source *source, enum object_kind kind, bool all_pods)
{
    return kind == KIND_POD && !all_pods ? source->own_pods : "";
}

static int kubernetes_start(struct source *source, struct event_base *base,
                            const struct source_sink *sink)
{
    int error = kube_client_start(source->client, base);

    source->sink = *sink;
    for (size_t i = 0; !error && i < KUBE_RESOURCES; i++) {
        error =
            kube_watch_new(source->client, &kube_resources[i], &source->sink, &source->watches[i]);
        if (!error)
            error =
                kube_watch_follow(source->watches[i], selector_of(source, kube_resources[i].kind,
                                                                  source->pods == PODS_ALL));
    }
    return error;
}

static void kubernetes_set_scope(struct source *source, bool all_pods)
{
    if (source->pods != PODS_AUTO)
        return;
    for (size_t i = 0; i < KUBE_RESOURCES; i++) {
        if (source->watches[i] &&
            kube_watch_follow(source->watches[i],
                              selector_of(source, kube_resources[i].kind, all_pods)))
            log_error("out of memory: the pods to follow stay as they are");
    }
}

static uint64_t kubernetes_trouble(const struct source *source, enum object_kind kind)
{
    for (size_t i = 0; i < KUBE_RESOURCES; i++) {
        if (kube_resources[i].kind == kind && source->watches[i])
            return kube_watch_trouble_seconds(source->watches[i]);
    }
    return 0;
}

const struct source_operations source_kubernetes = {
    .name = "kubernetes",
    .open = kubernetes_open,
    .confine = kubernetes_confine,
    .start = kubernetes_start,
    .set_scope = kubernetes_set_scope,
    .trouble = kubernetes_trouble,
    .close = kubernetes_close,
};

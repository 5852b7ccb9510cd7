/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WATCHER_KUBE_CONFIG_H
#define WATCHER_KUBE_CONFIG_H

#include <stddef.h>

#include "common/config.h"
#include "common/macros.h"

enum {
    KUBE_FILE_LIMIT = 1 << 20, /* bytes of a kubeconfig, certificate, key or token file */
    KUBE_SERVERS_LIMIT = 16,
};

/* Bytes from a file or from base64; wiped when they are released. Empty: `data` is NULL. A NUL
 * stands behind them. */
struct kube_blob {
    char *data;
    size_t length;
};

void kube_blob_clear(struct kube_blob *blob);

/* Reads a whole file. -EFBIG: larger than KUBE_FILE_LIMIT. */
int kube_blob_read(const char *path, struct kube_blob *blob) _must_check_;

/* Decodes base64 (white space between the characters is allowed). -EINVAL: it is none. */
int kube_blob_decode(const char *text, struct kube_blob *blob) _must_check_;

/*
 * How to reach the API server and as whom: the current context of a kubeconfig, or a pod's service
 * account. Of each pair of file and data at most one is given. Paths are absolute, or relative to
 * the working directory as the path of the kubeconfig is.
 */
struct kube_config {
    struct string_list servers; /* URLs without a slash at the end; at least one */
    char *tls_server_name;      /* NULL: the host of the URL */
    char *proxy;                /* URL, or NULL */
    char *ca_file;
    struct kube_blob ca;
    char *certificate_file;
    struct kube_blob certificate;
    char *key_file;
    struct kube_blob key;
    char *token_file;
    struct kube_blob token;
};

/* Reads a kubeconfig. On failure -EINVAL, or the errno of reading, with one line in `message` that
 * names file and field and says what would be right. No message holds a secret. */
int kube_config_load(const char *path, struct kube_config *config, char *message,
                     size_t size) _must_check_;

/* The same from memory; relative paths in it are resolved beside `path`. */
int kube_config_parse(const char *path, const char *data, size_t length, struct kube_config *config,
                      char *message, size_t size) _must_check_;

/* What a pod of the cluster has: $KUBERNETES_SERVICE_HOST, $KUBERNETES_SERVICE_PORT, and the files
 * of the service account in `directory` (NULL: where kubelet mounts them). */
int kube_config_in_cluster(const char *directory, struct kube_config *config, char *message,
                           size_t size) _must_check_;

void kube_config_clear(struct kube_config *config);

#define _cleanup_kube_config_ _cleanup_(kube_config_clear)
#define _cleanup_kube_blob_   _cleanup_(kube_blob_clear)

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WATCHER_KUBE_READER_H
#define WATCHER_KUBE_READER_H

/* Parts of a kubeconfig's YAML, each with its place in the file for messages. */

#include <yaml.h>

#include "watcher/kube_config.h"

/* One kubeconfig while it is read. */
struct kube_reader {
    const char *path;
    yaml_document_t document;
    struct kube_config *config;
    char *message;
    size_t size;
};

/* A mapping of the file with its place in it, for messages. */
struct kube_place {
    yaml_node_t *node;
    char name[320];
};

/* Writes "FILE: FIELD: ..." into the reader's message; `field` may be NULL. Returns -EINVAL. */
_format_(3, 4) int kube_reader_fail(struct kube_reader *reader, const char *field,
                                    const char *format, ...);

/* A member of a mapping; NULL: absent, or it is no mapping. */
yaml_node_t *kube_reader_find(struct kube_reader *reader, yaml_node_t *mapping, const char *key);

/* The text of a member, NULL where it is absent, null or empty. It lives as long as the document.
 */
int kube_reader_string(struct kube_reader *reader, const struct kube_place *place, const char *key,
                       const char **value) _must_check_;

/* Finds LIST[name == NAME].KEY, e.g. clusters[production].cluster, a mapping. */
int kube_reader_named(struct kube_reader *reader, const char *list, const char *name,
                      const char *key, struct kube_place *place) _must_check_;

/* Copies of a text and of a path, which is relative to the folder of the kubeconfig, as kubectl
 * has it. NULL gives nothing. */
int kube_reader_copy(char **target, const char *value) _must_check_;
int kube_reader_path(struct kube_reader *reader, char **target, const char *value) _must_check_;

/* The pair that kubeconfigs have for each piece: KEY names a file, KEY-data holds it. */
int kube_reader_pair(struct kube_reader *reader, const struct kube_place *place, const char *key,
                     char **file, struct kube_blob *data) _must_check_;

#endif

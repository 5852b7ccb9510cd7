/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher/kube_credentials.h"

#include <errno.h>
#include <string.h>

static int blob_copy(const struct kube_blob *from, struct kube_blob *to)
{
    if (!from->data)
        return 0;
    to->data = calloc(1, from->length + 1);
    if (!to->data)
        return -ENOMEM;
    memcpy(to->data, from->data, from->length);
    to->length = from->length;
    return 0;
}

/* From the file where there is one, else from the kubeconfig itself. */
static int blob_obtain(const char *file, const struct kube_blob *data, struct kube_blob *blob,
                       char *message, size_t size)
{
    int error = file ? kube_blob_read(file, blob) : blob_copy(data, blob);

    if (!error && file && blob->length == 0)
        error = -ENODATA;
    if (error)
        snprintf(message, size, "%s: cannot be read: %s", file ? file : "kubeconfig",
                 error == -ENODATA ? "it is empty" : strerror(-error));
    return error;
}

/* White space around the token is the file's; anything else but printable characters in it would
 * change the request. */
static int header_make(struct kube_blob *token, struct kube_blob *header)
{
    static const char start[] = "Authorization: Bearer ";
    size_t first = 0, last = token->length;

    while (last > 0 && strchr(" \t\r\n", token->data[last - 1]))
        last--;
    while (first < last && strchr(" \t\r\n", token->data[first]))
        first++;
    if (first == last)
        return -EINVAL;
    for (size_t i = first; i < last; i++) {
        if (token->data[i] <= ' ' || token->data[i] >= 0x7f)
            return -EINVAL;
    }
    header->length = sizeof(start) - 1 + last - first;
    header->data = calloc(1, header->length + 1);
    if (!header->data)
        return -ENOMEM;
    memcpy(header->data, start, sizeof(start) - 1);
    memcpy(header->data + sizeof(start) - 1, token->data + first, last - first);
    return 0;
}

static int authorization_read(const struct kube_config *config, struct kube_blob *header,
                              char *message, size_t size)
{
    _cleanup_kube_blob_ struct kube_blob token = {0};
    int error;

    if (!config->token_file && !config->token.data)
        return 0;
    error = blob_obtain(config->token_file, &config->token, &token, message, size);
    if (error)
        return error;
    error = header_make(&token, header);
    if (error)
        snprintf(message, size, "%s: %s", config->token_file ? config->token_file : "kubeconfig",
                 error == -EINVAL ? "holds no token: it must be one line of printable characters"
                                  : "out of memory");
    return error;
}

int kube_credentials_read(const struct kube_config *config, struct kube_credentials *credentials,
                          char *message, size_t size)
{
    _cleanup_kube_credentials_ struct kube_credentials read = {0};
    int error = blob_obtain(config->ca_file, &config->ca, &read.ca, message, size);

    if (!error)
        error = blob_obtain(config->certificate_file, &config->certificate, &read.certificate,
                            message, size);
    if (!error)
        error = blob_obtain(config->key_file, &config->key, &read.key, message, size);
    if (!error)
        error = authorization_read(config, &read.authorization, message, size);
    if (error)
        return error;
    kube_credentials_clear(credentials);
    *credentials = read;
    read = (struct kube_credentials){0};
    return 0;
}

static bool blob_equal(const struct kube_blob *a, const struct kube_blob *b)
{
    return a->length == b->length && (!a->length || memcmp(a->data, b->data, a->length) == 0);
}

bool kube_credentials_equal(const struct kube_credentials *a, const struct kube_credentials *b)
{
    return blob_equal(&a->ca, &b->ca) && blob_equal(&a->certificate, &b->certificate) &&
           blob_equal(&a->key, &b->key) && blob_equal(&a->authorization, &b->authorization);
}

void kube_credentials_clear(struct kube_credentials *credentials)
{
    kube_blob_clear(&credentials->ca);
    kube_blob_clear(&credentials->certificate);
    kube_blob_clear(&credentials->key);
    kube_blob_clear(&credentials->authorization);
}

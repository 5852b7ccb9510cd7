/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher/kube_reach.h"

#include <errno.h>
#include <string.h>

#include "watcher/kube_easy.h"
#include "watcher/kube_resolve.h"

/* Where distributions keep their authorities, with what the links there lead to. */
static const char *const authorities[] = {
    "/etc/ssl",
    "/etc/pki",
    "/etc/ca-certificates",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
};

static void reach_add_port(struct kube_reach *reach, uint16_t port)
{
    for (size_t i = 0; i < reach->port_count; i++) {
        if (reach->ports[i] == port)
            return;
    }
    if (reach->port_count < KUBE_REACH_PORTS)
        reach->ports[reach->port_count++] = port;
}

static int reach_add_url(struct kube_reach *reach, const char *url)
{
    char host[KUBE_HOST_SIZE], port[KUBE_PORT_SIZE];
    int error = kube_url_host(url, host, port);

    if (error)
        return error;
    reach_add_port(reach, (uint16_t)strtoul(port, NULL, 10));
    reach->names |= !kube_resolve_is_address(host);
    return 0;
}

/* With a proxy it is the one that reaches the servers. */
static int reach_add_hosts(struct kube_reach *reach, const struct kube_config *config)
{
    int error = 0;

    if (config->proxy)
        return reach_add_url(reach, config->proxy);
    for (size_t i = 0; !error && i < config->servers.count; i++)
        error = reach_add_url(reach, config->servers.items[i]);
    return error;
}

int kube_reach_make(const char *kubeconfig, const struct kube_config *config,
                    struct kube_reach *reach)
{
    const char *const files[KUBE_REACH_FILES] = {kubeconfig, config->ca_file,
                                                 config->certificate_file, config->key_file,
                                                 config->token_file};
    struct kube_reach made = {.authorities = !config->ca_file && !config->ca.data};
    int error = reach_add_hosts(&made, config);

    for (size_t i = 0; !error && i < KUBE_REACH_FILES; i++) {
        made.files[i] = files[i] ? strdup(files[i]) : NULL;
        if (files[i] && !made.files[i])
            error = -ENOMEM;
    }
    if (error)
        kube_reach_clear(&made);
    else
        *reach = made;
    return error;
}

/* hosts and resolv.conf are replaced by whoever writes them, so that it has to be their directory.
 */
static int allow_names(struct landlock *landlock)
{
    int error = landlock_allow_beside(landlock, "/etc/hosts", LANDLOCK_READ);

    return error ? error : landlock_allow_beside(landlock, "/etc/resolv.conf", LANDLOCK_READ);
}

int kube_reach_allow(const struct kube_reach *reach, struct landlock *landlock)
{
    int error = reach->names ? allow_names(landlock) : 0;

    for (size_t i = 0; !error && i < KUBE_REACH_FILES; i++) {
        if (reach->files[i])
            error = landlock_allow_beside(landlock, reach->files[i], LANDLOCK_READ);
    }
    for (size_t i = 0; !error && reach->authorities && i < ARRAY_SIZE(authorities); i++)
        error = landlock_allow(landlock, authorities[i], LANDLOCK_READ);
    for (size_t i = 0; !error && i < reach->port_count; i++)
        error = landlock_allow_port(landlock, reach->ports[i]);
    return error;
}

static size_t directory_length(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? (size_t)(slash - path) : 0;
}

static bool covers_file(const struct kube_reach *allowed, const char *path)
{
    size_t length = directory_length(path);

    for (size_t i = 0; i < KUBE_REACH_FILES; i++) {
        const char *file = allowed->files[i];

        if (file && directory_length(file) == length && strncmp(file, path, length) == 0)
            return true;
    }
    return false;
}

static bool covers_port(const struct kube_reach *allowed, uint16_t port)
{
    for (size_t i = 0; i < allowed->port_count; i++) {
        if (allowed->ports[i] == port)
            return true;
    }
    return false;
}

bool kube_reach_covers(const struct kube_reach *allowed, const struct kube_reach *needed)
{
    if ((needed->names && !allowed->names) || (needed->authorities && !allowed->authorities))
        return false;
    for (size_t i = 0; i < KUBE_REACH_FILES; i++) {
        if (needed->files[i] && !covers_file(allowed, needed->files[i]))
            return false;
    }
    for (size_t i = 0; i < needed->port_count; i++) {
        if (!covers_port(allowed, needed->ports[i]))
            return false;
    }
    return true;
}

void kube_reach_clear(struct kube_reach *reach)
{
    for (size_t i = 0; i < KUBE_REACH_FILES; i++)
        free(reach->files[i]);
    *reach = (struct kube_reach){0};
}

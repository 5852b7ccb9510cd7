/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Follows one kind of the API server as so many nodes do, each with a client, a connection and a
 * backoff of its own:
 *
 *   kube_fleet KUBECONFIG KIND CLIENTS
 *
 * "synced" for each client that has its first list, "set NAME" for each client that learns of an
 * object afterwards; one a line. Ends on SIGTERM.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/options.h"
#include "tests/tools/kube.h"

enum { CLIENTS_MOST = 10000 };

struct member {
    struct kube_client *client;
    struct kube_watch *watch;
    bool synced;
};

static void on_begin(void *context _unused_, enum object_kind kind _unused_)
{
}

static void on_object(void *context, const struct object *object)
{
    const struct member *member = context;

    if (member->synced)
        printf("set %.*s\n", TEXT_ARG(object_identity(object).name));
}

static void on_identity(void *context _unused_, const struct object_identity *identity _unused_)
{
}

static void on_end(void *context, enum object_kind kind _unused_)
{
    struct member *member = context;

    if (!member->synced)
        puts("synced");
    member->synced = true;
}

static int member_start(struct member *member, struct source_sink *sink, struct event_base *base,
                        const char *kubeconfig, const struct kube_resource *resource)
{
    *sink = (struct source_sink){member, on_begin, on_object, on_identity, on_identity, on_end};
    return kube_client_open(kubeconfig, &member->client) ||
           kube_client_start(member->client, base) ||
           kube_watch_new(member->client, resource, sink, &member->watch) ||
           kube_watch_follow(member->watch, "");
}

static int fleet_run(const char *kubeconfig, const struct kube_resource *resource, unsigned count)
{
    struct member *members = calloc(count, sizeof(*members));
    struct source_sink *sinks = calloc(count, sizeof(*sinks));
    struct event_base *base = NULL;
    int error = members && sinks ? loop_open(&base) : -1;

    for (unsigned i = 0; !error && i < count; i++)
        error = member_start(&members[i], &sinks[i], base, kubeconfig, resource);
    if (!error)
        error = loop_run(base);
    for (unsigned i = 0; members && i < count; i++) {
        kube_watch_free(members[i].watch);
        kube_client_close(members[i].client);
    }
    if (base)
        loop_close(base);
    free(members);
    free(sinks);
    return error;
}

int main(int argc, char **argv)
{
    const struct kube_resource *resource = argc == 4 ? resource_named(argv[2]) : NULL;
    unsigned long count = resource ? strtoul(argv[3], NULL, 10) : 0;
    struct rlimit files = {1 << 16, 1 << 16};

    if (count == 0 || count > CLIENTS_MOST) {
        fputs("usage: kube_fleet KUBECONFIG KIND CLIENTS\n", stderr);
        return EXIT_USAGE;
    }
    setlinebuf(stdout);
    log_set_level(LEVEL_ERROR);
    if (setrlimit(RLIMIT_NOFILE, &files))
        perror("too few files can be open");
    return fleet_run(argv[1], resource, (unsigned)count) ? EXIT_FAILED : 0;
}

/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Follows one kind of the API server as the watcher does, and prints what it would keep:
 *
 *   kube_follow KUBECONFIG|in-cluster KIND [SELECTOR [SILENCE-MS [HEAD-MS]]]
 *
 * "begin", "end" of a list, "set NAME", "keep NAME", "remove NAME", "unlisted NAME": not in the
 * list that ends; one a line. Ends on SIGTERM with the peak of its memory in kB. As root it becomes
 * user 64101 and is sealed as the watcher is.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/loop.h"
#include "common/options.h"
#include "common/hash.h"
#include "common/seal.h"
#include "tests/tools/kube.h"
#include "watcher/sandbox.h"

struct known {
    unsigned list;
    size_t length;
    char name[];
};

struct follower {
    struct hash_table known;
    unsigned list;
};

static bool known_equal(const void *item, const void *key)
{
    const struct known *known = item;
    const struct text *name = key;

    return known->length == name->length && !memcmp(known->name, name->data, name->length);
}

static struct known *known_find(struct follower *follower, struct text name)
{
    return hash_find(&follower->known, hash_bytes(name.data, name.length), &name);
}

static void on_begin(void *context, enum object_kind kind _unused_)
{
    struct follower *follower = context;

    follower->list++;
    puts("begin");
}

static void on_object(void *context, const struct object *object)
{
    struct follower *follower = context;
    struct text name = object_identity(object).name;
    struct known *known = known_find(follower, name);

    if (!known) {
        known = calloc(1, sizeof(*known) + name.length);
        known->length = name.length;
        memcpy(known->name, name.data, name.length);
        if (hash_add(&follower->known, hash_bytes(name.data, name.length), known))
            exit(EXIT_FAILED);
    }
    known->list = follower->list;
    printf("set %.*s\n", TEXT_ARG(name));
}

static void on_keep(void *context, const struct object_identity *identity)
{
    struct follower *follower = context;
    struct known *known = known_find(follower, identity->name);

    if (known)
        known->list = follower->list;
    printf("keep %.*s\n", TEXT_ARG(identity->name));
}

static void on_remove(void *context, const struct object_identity *identity)
{
    struct follower *follower = context;
    struct text name = identity->name;

    free(hash_remove(&follower->known, hash_bytes(name.data, name.length), &name));
    printf("remove %.*s\n", TEXT_ARG(name));
}

static void on_end(void *context, enum object_kind kind _unused_)
{
    struct follower *follower = context;
    bool found = true;

    while (found) {
        size_t cursor = 0;
        struct known *known;

        found = false;
        while ((known = hash_next(&follower->known, &cursor)) != NULL) {
            struct text name = {known->name, known->length};

            if (known->list == follower->list)
                continue;
            printf("unlisted %.*s\n", TEXT_ARG(name));
            hash_remove(&follower->known, hash_bytes(name.data, name.length), &name);
            free(known);
            found = true;
            break;
        }
    }
    printf("end %zu\n", follower->known.count);
}

/* From /proc, opened before: a sealed process may neither ask for its resource usage nor open that.
 */
static int peak_read(FILE *file, char *peak, size_t size)
{
    char line[256];

    while (file && fgets(line, sizeof(line), file)) {
        if (!strncmp(line, "VmHWM:", 6)) {
            snprintf(peak, size, "%ld", strtol(line + 6, NULL, 10));
            return 0;
        }
    }
    return -1;
}

/* As the watcher: what libcurl and the resolver do has to be among what it may do. */
static int follower_seal(struct kube_client *client)
{
    _cleanup_(landlock_close) struct landlock landlock;
    const struct seal seal = {
        .user = "64101",
        .limits = {.open_files = 256, .no_file_writes = false, .no_processes = true},
        .landlock = &landlock,
        .rules = watcher_rules,
        .rule_count = watcher_rule_count,
    };

    if (landlock_open(&landlock) || kube_client_confine(client, &landlock))
        return -EPERM;
    return geteuid() == 0 ? seal_process(&seal) : 0;
}

int main(int argc, char **argv)
{
    struct follower follower = {.known = HASH_TABLE(known_equal)};
    const struct source_sink sink = {&follower, on_begin, on_object, on_remove, on_keep, on_end};
    const struct kube_resource *resource = argc >= 3 ? resource_named(argv[2]) : NULL;
    struct event_base *base = NULL;
    struct kube_client *client = NULL;
    struct kube_watch *watch = NULL;
    _cleanup_fclose_ FILE *usage = fopen("/proc/self/status", "re");
    const char *kubeconfig;
    char peak[32];
    int status = EXIT_FAILED;

    setlinebuf(stdout);
    log_set_level(LEVEL_DEBUG);
    if (!resource) {
        fputs("usage: kube_follow KUBECONFIG|in-cluster KIND [SELECTOR [SILENCE-MS [HEAD-MS]]]\n",
              stderr);
        return EXIT_USAGE;
    }
    kubeconfig = strcmp(argv[1], "in-cluster") ? argv[1] : NULL;
    if (loop_open(&base) || kube_client_open(kubeconfig, &client))
        return EXIT_FAILED;
    if (argc > 4)
        client->timing.silence = (unsigned)atoi(argv[4]);
    if (argc > 5)
        client->timing.head = (unsigned)atoi(argv[5]);
    if (!follower_seal(client) && !kube_client_start(client, base) &&
        !kube_watch_new(client, resource, &sink, &watch) &&
        !kube_watch_follow(watch, argc > 3 ? argv[3] : ""))
        status = loop_run(base);
    kube_watch_free(watch);
    kube_client_close(client);
    loop_close(base);
    hash_clear(&follower.known, free);
    if (peak_read(usage, peak, sizeof(peak)) == 0)
        printf("peak %s\n", peak);
    return status;
}

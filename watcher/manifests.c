/* SPDX-License-Identifier: Apache-2.0 */
/* Objects from directories of YAML and JSON files, followed by inotify. */
#include "watcher/manifests.h"

#include <errno.h>
#include <limits.h>
#include <sys/inotify.h>

#include "common/log.h"

struct source {
    struct manifests manifests;
};

static const enum object_kind manifest_kinds[] = {KIND_POLICY, KIND_POD, KIND_NAMESPACE, KIND_NODE};

static bool claim_has_name(const void *item, const void *key)
{
    return text_equal(((const struct manifest_claim *)item)->identity.name,
                      *(const struct text *)key);
}

static void manifests_close(struct source *handle)
{
    struct manifests *source = &handle->manifests;

    for (size_t i = 0; i < source->directory_count; i++)
        manifest_directory_close(&source->directories[i]);
    manifests_release_claims(source);
    if (source->readable)
        event_free(source->readable);
    if (source->retry)
        event_free(source->retry);
    if (source->inotify >= 0)
        close(source->inotify);
    free(source->directories);
    free(source->node);
    free(handle);
}

static int manifests_prepare(struct manifests *source, const struct config *config)
{
    size_t count = config->source.directories.count;

    TAILQ_INIT(&source->touched);
    for (int kind = 0; kind < KINDS; kind++)
        source->claims[kind] = HASH_TABLE(claim_has_name);
    source->all_pods = config->pods == PODS_ALL;
    source->follow_scope = config->pods == PODS_AUTO;
    source->node = strdup(config->node ? config->node : "");
    source->directories = calloc(count ? count : 1, sizeof(*source->directories));
    if (!source->node || !source->directories)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        source->directory_count = i + 1;
        if (manifest_directory_open(&source->directories[i], source,
                                    config->source.directories.items[i]))
            return -ENOMEM;
    }
    hash_bytes("", 0); /* draws its key while the process is not sealed */
    return 0;
}

static int manifests_open(const struct config *config, struct source **source)
{
    struct source *created = calloc(1, sizeof(*created));
    int error;

    if (!created)
        return -ENOMEM;
    created->manifests.inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (created->manifests.inotify < 0) {
        error = -errno;
        log_error("cannot watch directories: raise fs.inotify.max_user_instances",
                  log_errno(error));
    } else {
        error = manifests_prepare(&created->manifests, config);
    }
    if (error) {
        manifests_close(created);
        return error;
    }
    *source = created;
    return 0;
}

/* A directory may be replaced by another one: then the one above it counts. */
static int manifests_confine(struct source *source, struct landlock *landlock)
{
    const struct manifests *manifests = &source->manifests;
    int error = 0;

    for (size_t i = 0; !error && i < manifests->directory_count; i++)
        error = landlock_allow_beside(landlock, manifests->directories[i].path,
                                      LANDLOCK_READ | LANDLOCK_LIST);
    return error;
}

/* The first lists go out when all directories could be read: before that, what is missing cannot
 * be told from what is gone. */
static void manifests_report(struct manifests *source)
{
    if (source->reported) {
        manifests_flush(source);
        return;
    }
    manifests_flush(source);
    for (size_t i = 0; i < source->directory_count; i++) {
        if (!source->directories[i].was_read)
            return;
    }
    source->reported = true;
    for (size_t i = 0; i < ARRAY_SIZE(manifest_kinds); i++)
        manifests_list(source, manifest_kinds[i]);
}

static void manifests_update(struct manifests *source)
{
    for (size_t i = 0; i < source->directory_count; i++)
        manifest_directory_update(&source->directories[i]);
    manifests_report(source);
}

static void manifests_overflow(struct manifests *source)
{
    log_warning("more changes of files than the kernel could queue: reading all of them again");
    for (size_t i = 0; i < source->directory_count; i++)
        manifest_directory_attach(&source->directories[i]);
}

/* Several directories may share a watch: it belongs to the inode, not to who asked for it. */
static void manifests_event(struct manifests *source, const struct inotify_event *event)
{
    const char *name = event->len ? event->name : NULL;

    if (event->mask & IN_Q_OVERFLOW) {
        manifests_overflow(source);
        return;
    }
    for (size_t i = 0; i < source->directory_count; i++) {
        struct manifest_directory *directory = &source->directories[i];

        if (event->wd == directory->watch)
            manifest_directory_event(directory, event->mask, name);
        else if (event->wd == directory->parent_watch &&
                 (!name || strcmp(name, directory->base) == 0) && !(event->mask & IN_CLOSE_WRITE))
            manifest_directory_attach(directory);
    }
}

static void on_readable(evutil_socket_t fd, short what _unused_, void *context)
{
    union {
        struct inotify_event event;
        char bytes[64 * (sizeof(struct inotify_event) + NAME_MAX + 1)];
    } buffer;
    struct manifests *source = context;
    ssize_t length;

    /* A bound: whoever writes without a pause shall not keep us from reading files. */
    for (int rounds = 0; rounds < 16; rounds++) {
        length = read(fd, &buffer, sizeof(buffer));
        if (length <= 0)
            break;
        for (ssize_t at = 0; at < length;) {
            const struct inotify_event *event =
                (const struct inotify_event *)(const void *)(buffer.bytes + at);

            manifests_event(source, event);
            at += (ssize_t)(sizeof(*event) + event->len);
        }
    }
    manifests_update(source);
}

void manifests_retry(struct manifests *source)
{
    static const struct timeval pause = {.tv_sec = MANIFEST_RETRY_SECONDS};

    event_add(source->retry, &pause);
}

static void on_retry(evutil_socket_t fd _unused_, short what _unused_, void *context)
{
    struct manifests *source = context;

    for (size_t i = 0; i < source->directory_count; i++) {
        if (source->directories[i].fd < 0)
            manifest_directory_attach(&source->directories[i]);
    }
    manifests_update(source);
}

static int manifests_start(struct source *handle, struct event_base *base,
                           const struct source_sink *sink)
{
    struct manifests *source = &handle->manifests;

    source->base = base;
    source->sink = *sink;
    source->readable = event_new(base, source->inotify, EV_READ | EV_PERSIST, on_readable, source);
    source->retry = event_new(base, -1, 0, on_retry, source);
    if (!source->readable || !source->retry || event_add(source->readable, NULL))
        return -ENOMEM;
    for (size_t i = 0; i < source->directory_count; i++)
        manifest_directory_attach(&source->directories[i]);
    manifests_update(source);
    return 0;
}

static void manifests_set_scope(struct source *handle, bool all_pods)
{
    struct manifests *source = &handle->manifests;

    if (!source->follow_scope || source->all_pods == all_pods)
        return;
    source->all_pods = all_pods;
    if (source->reported)
        manifests_list(source, KIND_POD);
}

const struct source_operations source_manifests = {
    .name = "manifests",
    .open = manifests_open,
    .confine = manifests_confine,
    .start = manifests_start,
    .set_scope = manifests_set_scope,
    .close = manifests_close,
};

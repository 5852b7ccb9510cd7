/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher/manifests.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "common/log.h"

#define DIRECTORY_EVENTS                                                                           \
    (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE | IN_DELETE_SELF |       \
     IN_MOVE_SELF)

/* Parts of the path: "/etc/manifests/" -> "/etc", "manifests". */
static int directory_split(struct manifest_directory *directory)
{
    size_t length = strlen(directory->path);
    size_t start;

    while (length > 1 && directory->path[length - 1] == '/')
        length--;
    for (start = length; start > 0 && directory->path[start - 1] != '/'; start--)
        ;
    directory->base = strndup(directory->path + start, length - start);
    if (start == 0)
        directory->parent = strdup(".");
    else
        directory->parent = strndup(directory->path, start > 1 ? start - 1 : 1);
    return directory->base && directory->parent ? 0 : -ENOMEM;
}

int manifest_directory_open(struct manifest_directory *directory, struct manifests *source,
                            const char *path)
{
    directory->source = source;
    directory->index = (size_t)(directory - source->directories);
    directory->fd = -1;
    directory->watch = -1;
    directory->parent_watch = -1;
    directory->path = path;
    return directory_split(directory);
}

static int file_compare_name(const void *key, const void *item)
{
    return strcmp(key, (*(struct manifest_file *const *)item)->name);
}

static struct manifest_file *directory_find(const struct manifest_directory *directory,
                                            const char *name)
{
    struct manifest_file **found = directory->file_count
                                       ? bsearch(name, directory->files, directory->file_count,
                                                 sizeof(*directory->files), file_compare_name)
                                       : NULL;

    return found ? *found : NULL;
}

static struct manifest_file *directory_add(struct manifest_directory *directory, const char *name)
{
    struct manifest_file **files;
    struct manifest_file *file;
    size_t at = directory->file_count;

    if (directory->file_count == MANIFEST_FILES_LIMIT) {
        if (!directory->overfull)
            log_error("too many manifests in a directory, some are left out: put several objects "
                      "into a file",
                      log_string("directory", directory->path), log_string("file", name),
                      log_number("limit", MANIFEST_FILES_LIMIT));
        directory->overfull = true;
        return NULL;
    }
    files =
        reallocarray(directory->files, directory->file_count + 1, sizeof(struct manifest_file *));
    if (!files)
        return NULL;
    directory->files = files;
    file = calloc(1, sizeof(*file) + strlen(name) + 1);
    if (!file)
        return NULL;
    strcpy(file->name, name);
    file->directory = directory;
    TAILQ_INIT(&file->objects);
    while (at > 0 && strcmp(files[at - 1]->name, name) > 0)
        at--;
    memmove(&files[at + 1], &files[at], (directory->file_count - at) * sizeof(*files));
    files[at] = file;
    directory->file_count++;
    return file;
}

/* Marks a file for reading; it is added where it is new. Without memory for it, the directory is
 * looked through again. */
static struct manifest_file *directory_mark(struct manifest_directory *directory, const char *name)
{
    struct manifest_file *file = directory_find(directory, name);

    if (!file)
        file = directory_add(directory, name);
    if (file) {
        file->pending = true;
    } else if (!directory->overfull) {
        directory->rescan = true;
        manifests_retry(directory->source);
    }
    return file;
}

static int entry_matches(const struct dirent *entry)
{
    return manifest_name_matches(entry->d_name);
}

static int entry_compare(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* Marks what is there for reading, and forgets the files that are not. */
static int directory_scan(struct manifest_directory *directory)
{
    struct dirent **entries;
    int count = scandirat(directory->fd, ".", &entries, entry_matches, entry_compare);

    if (count < 0)
        return -errno;
    for (int i = 0; i < count; i++) {
        struct manifest_file *file = directory_mark(directory, entries[i]->d_name);

        directory->has_links |= entries[i]->d_type == DT_LNK || entries[i]->d_type == DT_UNKNOWN;
        if (file)
            file->found = true;
        free(entries[i]);
    }
    free(entries);
    for (size_t i = 0; i < directory->file_count; i++) {
        if (!directory->files[i]->found)
            directory->files[i]->pending = true; /* will turn out not to be there */
        directory->files[i]->found = false;
    }
    return 0;
}

/* What this process or the system lacks now and may have later; nothing is wrong with the file. */
static bool error_passes(int error)
{
    return error == -ENOMEM || error == -EMFILE || error == -ENFILE || error == -EINTR ||
           error == -EAGAIN;
}

/* False: a file could not be read for a reason that passes; it and those after it wait for the next
 * try, so that there is one line in the log and not one for each of them. */
static bool directory_read_pending(struct manifest_directory *directory)
{
    bool all = true;
    size_t kept = 0;

    for (size_t i = 0; i < directory->file_count; i++) {
        struct manifest_file *file = directory->files[i];
        int error = all && file->pending ? manifest_file_read(file) : 0;

        if (error == -ENOENT) {
            log_debug("file is gone", log_string("file", file->name));
            manifest_file_free(file);
            continue;
        }
        if (all) {
            file->pending = error_passes(error);
            all = !file->pending;
        }
        directory->files[kept++] = file;
    }
    directory->file_count = kept;
    if (!all)
        manifests_retry(directory->source);
    return all;
}

/* The directory cannot be read: what is known stays, and it is tried again. */
static void directory_lose(struct manifest_directory *directory, int error)
{
    if (directory->fd >= 0)
        close(TAKE_FD(directory->fd));
    if (!directory->missing && error == -ENOSPC) /* as inotify names it */
        log_error("cannot watch directory of manifests, what was known of it stays in force: raise "
                  "fs.inotify.max_user_watches",
                  log_string("directory", directory->path));
    else if (!directory->missing)
        log_error(directory->was_read
                      ? "directory of manifests is gone, what was known of it stays in force"
                      : "cannot read directory of manifests, nothing is planned until it is there",
                  log_string("directory", directory->path), log_errno(error));
    directory->missing = true;
    manifests_retry(directory->source);
}

/* Gives `*watch` another descriptor and ends the old one where nobody uses it any more. */
static void directory_set_watch(struct manifests *source, int *watch, int new_watch)
{
    int old = *watch;

    *watch = new_watch;
    if (old < 0)
        return;
    for (size_t i = 0; i < source->directory_count; i++) {
        if (source->directories[i].watch == old || source->directories[i].parent_watch == old)
            return;
    }
    if (inotify_rm_watch(source->inotify, old) < 0 && errno != EINVAL)
        log_debug("cannot end a watch", log_errno(errno));
}

/* Watches first, opens after: nothing that changes between the two is missed. */
static int directory_open(struct manifest_directory *directory)
{
    struct manifests *source = directory->source;
    int error, fd = -1;
    int parent = inotify_add_watch(source->inotify, directory->parent, DIRECTORY_EVENTS);
    int watch = inotify_add_watch(source->inotify, directory->path, DIRECTORY_EVENTS | IN_ONLYDIR);

    error = watch < 0 ? -errno : 0;
    directory_set_watch(source, &directory->parent_watch, parent);
    directory_set_watch(source, &directory->watch, watch);
    if (!error) {
        fd = open(directory->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        error = fd < 0 ? -errno : 0;
    }
    if (error)
        return error;
    if (directory->fd >= 0)
        close(directory->fd);
    directory->fd = fd;
    return 0;
}

void manifest_directory_attach(struct manifest_directory *directory)
{
    int error;

    /* What was removed before the directory itself went, is gone; the rest is kept with it. */
    if (directory->fd >= 0)
        (void)directory_read_pending(directory);
    error = directory_open(directory);
    if (error) {
        directory_lose(directory, error);
        return;
    }
    if (directory->missing)
        log_info("directory of manifests is there", log_string("directory", directory->path));
    directory->missing = false;
    directory->rescan = true;
}

/* A file that was just created is read when its writer closes it; a link is whole at once. */
static bool directory_is_link(struct manifest_directory *directory, const char *name)
{
    struct stat status;

    if (fstatat(directory->fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return false;
    directory->has_links |= S_ISLNK(status.st_mode);
    return S_ISLNK(status.st_mode) || (S_ISREG(status.st_mode) && status.st_nlink > 1);
}

void manifest_directory_event(struct manifest_directory *directory, unsigned mask, const char *name)
{
    bool link;

    if (mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT)) {
        manifest_directory_attach(directory);
        return;
    }
    if (!name || directory->fd < 0)
        return;
    if (!manifest_name_matches(name)) {
        /* Manifests may be links through this one ("..data" of a mounted ConfigMap). */
        directory->rescan |= directory->has_links && !(mask & IN_CLOSE_WRITE);
        return;
    }
    link = mask & (IN_CREATE | IN_MOVED_TO) && directory_is_link(directory, name);
    if (!(mask & IN_CREATE) || link)
        directory_mark(directory, name);
}

void manifest_directory_update(struct manifest_directory *directory)
{
    int error;

    if (directory->fd < 0)
        return;
    if (directory->rescan) {
        directory->rescan = false;
        error = directory_scan(directory);
        if (error_passes(error)) {
            log_warning("cannot look through directory of manifests, it is tried again",
                        log_string("directory", directory->path), log_errno(error));
            directory->rescan = true;
            manifests_retry(directory->source);
            return;
        }
        if (error) {
            directory_lose(directory, error);
            return;
        }
    }
    if (directory_read_pending(directory) && !directory->rescan)
        directory->was_read = true;
}

void manifest_directory_close(struct manifest_directory *directory)
{
    for (size_t i = 0; i < directory->file_count; i++)
        manifest_file_free(directory->files[i]);
    free(directory->files);
    if (directory->fd >= 0)
        close(directory->fd);
    free(directory->base);
    free(directory->parent);
}

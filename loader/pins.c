/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/pins.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "common/log.h"
#include "common/seal.h"

#define DIRECTORY_MODE 0750
#define PIN_MODE       0640

int pins_path(const char *root, const char *folder, const char *name, char path[PATH_MAX])
{
    int length =
        snprintf(path, PATH_MAX, "%s/%s%s%s", root, folder, name ? "/" : "", name ? name : "");

    return length < 0 || length >= PATH_MAX ? -ENAMETOOLONG : 0;
}

/* The nearest directory at or above `path` that exists has to be a bpffs. */
static int bpffs_check(const char *root)
{
    char path[PATH_MAX];
    struct statfs status;

    snprintf(path, sizeof(path), "%s", root);
    while (statfs(path, &status) < 0) {
        int error = errno;

        if (error != ENOENT || strcmp(path, "/") == 0) {
            log_error("the directory of the pins cannot be reached: the loader's user needs search "
                      "permission on the directories above it",
                      log_string("paths.bpf", root), log_string("at", path), log_errno(error));
            return -error;
        }
        *(strrchr(path, '/') == path ? path + 1 : strrchr(path, '/')) = '\0';
    }
    if (status.f_type == BPF_FS_MAGIC)
        return 0;
    log_error("paths.bpf is not on a bpf filesystem: mount -t bpf bpf /sys/fs/bpf",
              log_string("paths.bpf", root));
    return -ENODEV;
}

/* Takes root's directory over. Anybody else's is refused, and so is a link: where the filesystem
 * lets every user in, they would choose what we give away and what we find pinned. */
static int directory_own(const struct pins *pins, const char *path)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat status;

    if (fd < 0 || fstat(fd, &status) < 0) {
        int error = errno;

        log_error("the directory of the pins cannot be opened: it must be a directory, no link",
                  log_string("path", path), log_errno(error));
        return -error;
    }
    if (status.st_uid == pins->uid && status.st_gid == pins->gid)
        return 0;
    if (geteuid() == 0 && status.st_uid == 0 && fchown(fd, pins->uid, pins->gid) == 0 &&
        fchmod(fd, DIRECTORY_MODE) == 0)
        return 0;
    log_error("the directory of the pins belongs to somebody else: give it to the loader's user, "
              "or remove it by egressgw-loader --detach",
              log_string("path", path), log_number("uid", status.st_uid),
              log_number("wanted", pins->uid));
    return -EPERM;
}

static int directory_make(const struct pins *pins, const char *path)
{
    bool made = mkdir(path, DIRECTORY_MODE) == 0;
    int error = 0;

    /* The umask of a service would keep the group, which may dump, from searching it. */
    if (made ? chmod(path, DIRECTORY_MODE) < 0 : errno != EEXIST)
        error = errno;
    if (!error)
        return directory_own(pins, path);
    log_error("cannot make the directory of the pins", log_string("path", path), log_errno(error));
    return -error;
}

static int directories_make(const struct pins *pins)
{
    static const char *const folders[] = {"maps", "programs", "links"};
    int error = directory_make(pins, pins->root);

    for (size_t i = 0; !error && i < ARRAY_SIZE(folders); i++) {
        char path[PATH_MAX];

        error = pins_path(pins->root, folders[i], NULL, path);
        if (!error)
            error = directory_make(pins, path);
    }
    return error;
}

int pins_open(const struct config *config, struct pins *pins)
{
    struct pins opened = {.lock = -1};
    int error;

    error = seal_resolve_user(config->users.loader, &opened.uid, &opened.gid);
    if (error) {
        log_error("no such user: create it, or set users.loader",
                  log_string("user", config->users.loader));
        return error;
    }
    if (config->paths.bpf[0] != '/' ||
        strlen(config->paths.bpf) >= sizeof(opened.root) - NAME_MAX) {
        log_error("not an absolute path of ordinary length",
                  log_string("paths.bpf", config->paths.bpf));
        return -EINVAL;
    }
    strcpy(opened.root, config->paths.bpf);
    error = bpffs_check(opened.root);
    if (!error)
        error = directories_make(&opened);
    if (error)
        return error;
    opened.lock = open(opened.root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (opened.lock < 0)
        return -errno;
    if (flock(opened.lock, LOCK_EX | LOCK_NB) < 0) {
        error = -errno;
        log_error("another egressgw-loader runs with these pins", log_string("path", opened.root));
        pins_close(&opened);
        return error;
    }
    *pins = opened;
    return 0;
}

void pins_close(struct pins *pins)
{
    if (pins->lock >= 0)
        close(pins->lock);
    pins->lock = -1;
}

bool pins_are_used(const char *root)
{
    _cleanup_close_ int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

int pins_pin(const struct pins *pins, int fd, const char *folder, const char *name)
{
    char path[PATH_MAX], fresh[PATH_MAX];
    char fresh_name[NAME_MAX + 1];
    int error;

    if ((size_t)snprintf(fresh_name, sizeof(fresh_name), "%s_new", name) >= sizeof(fresh_name))
        return -ENAMETOOLONG;
    error = pins_path(pins->root, folder, name, path);
    if (!error)
        error = pins_path(pins->root, folder, fresh_name, fresh);
    if (error)
        return error;
    /* Left by a start that was killed. */
    if (unlink(fresh) < 0 && errno != ENOENT)
        return -errno;
    error = bpf_obj_pin(fd, fresh);
    if (error)
        return error;
    if (chmod(fresh, PIN_MODE) < 0 || (geteuid() == 0 && lchown(fresh, pins->uid, pins->gid) < 0) ||
        rename(fresh, path) < 0) {
        error = -errno;
        unlink(fresh);
    }
    return error;
}

int pins_get(const char *root, const char *folder, const char *name, bool read_only)
{
    LIBBPF_OPTS(bpf_obj_get_opts, options, .file_flags = read_only ? BPF_F_RDONLY : 0);
    char path[PATH_MAX];
    int error = pins_path(root, folder, name, path);

    return error ? error : bpf_obj_get_opts(path, &options);
}

int pins_layout(const char *root, bool read_only, unsigned *version)
{
    _cleanup_close_ int fd = pins_get(root, "maps", PIN_LAYOUT, read_only);
    __u32 key = 0, value = 0;
    int error;

    if (fd < 0)
        return fd;
    error = bpf_map_lookup_elem(fd, &key, &value);
    if (error)
        return error;
    *version = value;
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "common/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/landlock.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "common/log.h"

/* The kernel's numbers: the headers of the build may be older than the kernel that it runs on. */
enum {
    FILE_RIGHTS_1 = (1 << 13) - 1, /* execute, write, read, list, remove, make */
    FILE_RIGHT_REFER = 1 << 13,    /* rename to another directory; since 2 */
    FILE_RIGHT_TRUNCATE = 1 << 14, /* since 3 */
    FILE_RIGHT_IOCTL = 1 << 15,    /* of devices; since 5 */
    PORT_RIGHT_BIND = 1 << 0,      /* since 4 */
    PORT_RIGHT_CONNECT = 1 << 1,
    SCOPES = 3, /* no abstract sockets, no signals to those outside; since 6 */
    VERSION_REFER = 2,
    VERSION_TRUNCATE = 3,
    VERSION_PORTS = 4,
    VERSION_IOCTL = 5,
    VERSION_SCOPES = 6,
    RULE_PORT = 2,
};

struct ruleset_attributes {
    uint64_t files;
    uint64_t ports;
    uint64_t scopes;
};

struct port_attributes {
    uint64_t rights;
    uint64_t port;
};

static struct ruleset_attributes attributes_of(int version)
{
    struct ruleset_attributes attributes = {.files = FILE_RIGHTS_1};

    if (version >= VERSION_REFER)
        attributes.files |= FILE_RIGHT_REFER;
    if (version >= VERSION_TRUNCATE)
        attributes.files |= FILE_RIGHT_TRUNCATE;
    if (version >= VERSION_IOCTL)
        attributes.files |= FILE_RIGHT_IOCTL;
    if (version >= VERSION_PORTS)
        attributes.ports = PORT_RIGHT_BIND | PORT_RIGHT_CONNECT;
    if (version >= VERSION_SCOPES)
        attributes.scopes = SCOPES;
    return attributes;
}

/* An older kernel refuses what is behind the end of its own structure, unless it is zero. */
int landlock_open(struct landlock *landlock)
{
    struct ruleset_attributes attributes;
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    long ruleset;

    *landlock = (struct landlock){.ruleset = -1};
    if (version < 0 && (errno == ENOSYS || errno == EOPNOTSUPP)) {
        log_info("the kernel has no Landlock: modes of files and the list of system calls alone "
                 "keep this process from other files");
        return 0;
    }
    if (version < 0)
        return -errno;
    attributes = attributes_of((int)version);
    ruleset = syscall(SYS_landlock_create_ruleset, &attributes, sizeof(attributes), 0);
    if (ruleset < 0)
        return -errno;
    landlock->ruleset = (int)ruleset;
    landlock->version = (int)version;
    return 0;
}

static uint64_t file_rights(unsigned rights, bool directory)
{
    uint64_t access = rights & LANDLOCK_READ ? LANDLOCK_ACCESS_FS_READ_FILE : 0;

    if (directory && (rights & LANDLOCK_LIST))
        access |= LANDLOCK_ACCESS_FS_READ_DIR;
    if (directory && (rights & LANDLOCK_REPLACE))
        access |= LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE;
    return access;
}

/* -ENOENT: there is nothing, or nothing that anybody may see. */
static int allow_existing(struct landlock *landlock, const char *path, unsigned rights)
{
    struct landlock_path_beneath_attr rule = {0};
    _cleanup_close_ int fd = open(path, O_PATH | O_CLOEXEC);
    struct stat status;

    if (fd < 0)
        return errno == ENOTDIR || errno == EACCES ? -ENOENT : -errno;
    if (fstat(fd, &status) < 0)
        return -errno;
    rule.parent_fd = fd;
    rule.allowed_access = file_rights(rights, S_ISDIR(status.st_mode));
    if (!rule.allowed_access)
        return 0;
    return syscall(SYS_landlock_add_rule, landlock->ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) <
                   0
               ? -errno
               : 0;
}

int landlock_allow(struct landlock *landlock, const char *path, unsigned rights)
{
    int error = landlock->ruleset < 0 ? 0 : allow_existing(landlock, path, rights);

    return error == -ENOENT ? 0 : error;
}

/* "/a/b" -> "/a"; false where nothing is left but the root directory. "b" -> ".". */
static bool path_shorten(char *path)
{
    size_t length = strlen(path);

    while (length > 0 && path[length - 1] == '/')
        length--;
    while (length > 0 && path[length - 1] != '/')
        length--;
    while (length > 1 && path[length - 1] == '/')
        length--;
    if (length == 1 && path[0] == '/')
        return false;
    if (length == 0)
        path[length++] = '.';
    path[length] = '\0';
    return true;
}

/* The nearest directory above that there is. For what lies in the root directory that would be
 * everything: then the file as it is now has to do. */
static int allow_above(struct landlock *landlock, const char *path, unsigned rights)
{
    char above[PATH_MAX];
    int error = -ENOENT;

    if ((size_t)snprintf(above, sizeof(above), "%s", path) >= sizeof(above))
        return -ENAMETOOLONG;
    while (error == -ENOENT && path_shorten(above)) {
        error = allow_existing(landlock, above, rights);
        if (strcmp(above, ".") == 0)
            break;
    }
    return error == -ENOENT ? landlock_allow(landlock, path, rights) : error;
}

int landlock_allow_beside(struct landlock *landlock, const char *path, unsigned rights)
{
    char real[PATH_MAX];
    int error = 0;

    if (landlock->ruleset < 0)
        return 0;
    error = allow_above(landlock, path, rights);
    if (!error && realpath(path, real))
        error = allow_above(landlock, real, rights);
    return error;
}

int landlock_allow_port(struct landlock *landlock, uint16_t port)
{
    struct port_attributes rule = {.rights = PORT_RIGHT_CONNECT, .port = port};

    if (landlock->version < VERSION_PORTS)
        return 0;
    return syscall(SYS_landlock_add_rule, landlock->ruleset, RULE_PORT, &rule, 0) < 0 ? -errno : 0;
}

/* Everybody may list the root directory otherwise, and no rule is for all of it. */
static int verify(void)
{
    _cleanup_close_ int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd < 0 && errno == EACCES ? 0 : -EPERM;
}

int landlock_enforce(struct landlock *landlock)
{
    if (landlock->ruleset < 0)
        return 0;
    if (syscall(SYS_landlock_restrict_self, landlock->ruleset, 0) < 0)
        return -errno;
    landlock_close(landlock);
    return verify();
}

void landlock_close(struct landlock *landlock)
{
    if (landlock->ruleset >= 0)
        close(landlock->ruleset);
    landlock->ruleset = -1;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Makes the listening socket of a daemon that the service manager did not give one to. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "common/log.h"
#include "ipc/channel_private.h"

/* One peer, and one that replaces it. */
enum { BACKLOG = 4 };

/*
 * Whether some process still has the socket at this address. A connection of another type tells
 * without disturbing it: the kernel compares the types only where there is a socket.
 */
static bool socket_is_live(const struct sockaddr_un *address)
{
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return true;
    if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
        return true;
    return errno != ECONNREFUSED && errno != ENOENT;
}

/* 0 where the path is free, or has a socket that nobody listens on. */
static int path_check(const char *path, const struct sockaddr_un *address)
{
    struct stat status;

    if (lstat(path, &status) < 0) {
        if (errno == ENOENT)
            return 0;
        log_error("cannot look at the socket's path", log_string("path", path), log_errno(errno));
        return -errno;
    }
    if (!S_ISSOCK(status.st_mode)) {
        log_error("this is no socket: remove it or change paths.runtime", log_string("path", path));
        return -EEXIST;
    }
    if (socket_is_live(address)) {
        log_error("another instance is running: stop it or change paths.runtime",
                  log_string("path", path));
        return -EADDRINUSE;
    }
    return 0;
}

/* Binds under a name that nobody knows, so that the socket has its owner and mode before it can be
 * found. */
static int socket_bind(int fd, const struct sockaddr_un *hidden, uid_t owner)
{
    mode_t mask = umask(0177);
    int error = bind(fd, (const struct sockaddr *)hidden, sizeof(*hidden)) < 0 ? -errno : 0;

    umask(mask);
    if (error)
        return error;
    if ((owner != geteuid() && lchown(hidden->sun_path, owner, (gid_t)-1) < 0) ||
        listen(fd, BACKLOG) < 0)
        error = -errno;
    if (error)
        unlink(hidden->sun_path);
    return error;
}

static int socket_publish(int fd, const char *path, uid_t owner)
{
    struct sockaddr_un hidden;
    char name[sizeof(hidden.sun_path) + 16];
    int error;

    snprintf(name, sizeof(name), "%s.%d", path, (int)getpid());
    error = channel_address(name, &hidden);
    if (error)
        return error;
    /* Left by a process that had our number and was killed between the two steps. */
    if (unlink(name) < 0 && errno != ENOENT)
        return -errno;
    error = socket_bind(fd, &hidden, owner);
    if (!error && rename(name, path) < 0) {
        error = -errno;
        unlink(name);
    }
    return error;
}

int channel_listen(const char *path, uid_t peer)
{
    _cleanup_close_ int fd = -1;
    struct sockaddr_un address;
    int error = channel_address(path, &address);

    if (!error) {
        error = path_check(path, &address);
        if (error)
            return error;
        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        error = fd < 0 ? -errno : socket_publish(fd, path, peer);
    }
    if (error) {
        log_error("cannot listen: the directory must exist and belong to this user",
                  log_string("path", path), log_number("peer-uid", peer), log_errno(error));
        return error;
    }
    return TAKE_FD(fd);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "common/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { PASSED_FIRST = 3, PASSED_LIMIT = 64 };

static int notify_fd = -1;
static uint64_t watchdog_interval;

/* Sockets that nobody has asked for yet. */
static struct {
    int fd;
    char *name;
} passed[PASSED_LIMIT];
static size_t passed_count;

/* A decimal number, or 0 where the variable is missing or holds anything else. */
static uint64_t environment_number(const char *name)
{
    const char *value = getenv(name);
    char *end;

    if (!value || *value < '0' || *value > '9')
        return 0;
    errno = 0;
    unsigned long long number = strtoull(value, &end, 10);
    return errno || *end ? 0 : number;
}

static int notify_connect(const char *path, int fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(path);

    if ((path[0] != '/' && path[0] != '@') || length < 2)
        return -EINVAL;
    if (length >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    memcpy(address.sun_path, path, length);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    if (path[0] == '@')
        address.sun_path[0] = '\0'; /* the abstract namespace counts every byte */
    else
        size++;
    return connect(fd, (struct sockaddr *)&address, size) ? -errno : 0;
}

int notify_open(void)
{
    const char *path = getenv("NOTIFY_SOCKET");

    if (!path)
        return 0;
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int result = fd < 0 ? -errno : notify_connect(path, fd);
    if (result)
        return result;
    unsetenv("NOTIFY_SOCKET");
    if (notify_fd >= 0)
        close(notify_fd);
    notify_fd = TAKE_FD(fd);
    return 0;
}

void notify_send(const char *state)
{
    if (notify_fd >= 0)
        (void)!send(notify_fd, state, strlen(state), MSG_DONTWAIT | MSG_NOSIGNAL);
}

uint64_t notify_watchdog_interval(void)
{
    uint64_t timeout = environment_number("WATCHDOG_USEC");
    const char *pid = getenv("WATCHDOG_PID");

    if (timeout && (!pid || environment_number("WATCHDOG_PID") == (uint64_t)getpid()))
        watchdog_interval = timeout / 2;
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    return watchdog_interval;
}

/* Notes one socket under the next name of *names; without a name it has the service manager's
 * default. */
static void passed_note(int fd, const char **names)
{
    size_t length = *names ? strcspn(*names, ":") : 0;
    int flags = fcntl(fd, F_GETFD);

    if (flags >= 0 && fcntl(fd, F_SETFD, flags | FD_CLOEXEC) == 0) {
        char *name = *names ? strndup(*names, length) : strdup("unknown");

        if (name) {
            passed[passed_count].fd = fd;
            passed[passed_count++].name = name;
        }
    }
    if (*names)
        *names = (*names)[length] ? *names + length + 1 : NULL;
}

static void passed_read(void)
{
    uint64_t count = environment_number("LISTEN_FDS");
    const char *names = getenv("LISTEN_FDNAMES");

    if (environment_number("LISTEN_PID") == (uint64_t)getpid())
        for (int i = 0; (uint64_t)i < count && passed_count < PASSED_LIMIT; i++)
            passed_note(PASSED_FIRST + i, &names);
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
}

int notify_socket(const char *name)
{
    passed_read();
    for (size_t i = 0; i < passed_count; i++) {
        if (strcmp(passed[i].name, name) != 0)
            continue;
        int fd = passed[i].fd;

        free(passed[i].name);
        memmove(&passed[i], &passed[i + 1], (--passed_count - i) * sizeof(passed[0]));
        return fd;
    }
    return -ENOENT;
}

/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Preloaded into a daemon: one of its system calls fails, or ends it.
 *
 *   EGRESSGW_FAULT=CALL:ERROR:NUMBER   the NUMBER-th CALL, counted from 1, fails with ERROR (a
 *                                      number); with ERROR 0 the process dies there
 *
 * CALL is bpf, link (bpf(2) that makes a link), types (that loads BTF, other than libbpf's trials),
 * sendmsg, recvmsg, accept4, epoll_ctl or malloc. With child it is the process that comes of the
 * NUMBER-th fork() that stops, until it is told to go on. With NUMBER 0 nothing happens; at its end
 * the process says on standard error how many there were. With NUMBER -1 every one fails.
 */
#include <dlfcn.h>
#include <errno.h>
#include <linux/bpf.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

enum { TRIAL_SIZE = 4096 }; /* bytes of BTF, that no trial reaches */

static struct {
    char call[16];
    int error;
    long number, count;
} fault;

__attribute__((constructor)) static void fault_read(void)
{
    const char *wanted = getenv("EGRESSGW_FAULT");

    if (wanted && sscanf(wanted, "%15[^:]:%d:%ld", fault.call, &fault.error, &fault.number) != 3)
        fault.call[0] = '\0';
}

__attribute__((destructor)) static void fault_tell(void)
{
    char line[64];
    int length = snprintf(line, sizeof(line), "%ld calls of %s\n", fault.count, fault.call);

    if (fault.call[0] && !fault.number && write(STDERR_FILENO, line, (size_t)length) < 0)
        _exit(1);
}

/* Whether this call is to fail. A sealed process is not let through to kill(), which ends it too.
 */
static int strikes(const char *call)
{
    if (!fault.call[0] || strcmp(call, fault.call) != 0 ||
        (++fault.count != fault.number && fault.number != -1))
        return 0;
    if (!fault.error)
        kill(getpid(), SIGKILL);
    errno = fault.error;
    return 1;
}

static int bpf_strikes(long command, const union bpf_attr *attributes)
{
    switch (command) {
    case BPF_BTF_LOAD:
        return attributes->btf_size > TRIAL_SIZE && strikes("types");
    case BPF_LINK_CREATE:
        return strikes("link");
    case BPF_MAP_UPDATE_ELEM:
    case BPF_MAP_DELETE_ELEM:
    case BPF_MAP_UPDATE_BATCH:
    case BPF_MAP_DELETE_BATCH:
        return strikes("change");
    default:
        return 0;
    }
}

long syscall(long number, ...)
{
    long a[6];
    va_list arguments;

    va_start(arguments, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(arguments, long);
    va_end(arguments);
    if (number == SYS_bpf && (strikes("bpf") || bpf_strikes(a[0], (const union bpf_attr *)a[1])))
        return -1;
    return NEXT(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

pid_t fork(void)
{
    int stops = strikes("child");
    pid_t pid = NEXT(fork)();

    if (!pid && stops)
        raise(SIGSTOP);
    return pid;
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    return strikes("sendmsg") ? -1 : NEXT(sendmsg)(fd, message, flags);
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    return strikes("recvmsg") ? -1 : NEXT(recvmsg)(fd, message, flags);
}

int accept4(int fd, struct sockaddr *address, socklen_t *size, int flags)
{
    return strikes("accept4") ? -1 : NEXT(accept4)(fd, address, size, flags);
}

int epoll_ctl(int fd, int operation, int target, struct epoll_event *event)
{
    return strikes("epoll_ctl") ? -1 : NEXT(epoll_ctl)(fd, operation, target, event);
}

/* libseccomp looks at no result when it makes a filter: it crashes or never ends. Not ours to test.
 */
static int memory_strikes(const void *caller)
{
    Dl_info object;

    if (strcmp(fault.call, "malloc") != 0)
        return 0;
    if (dladdr(caller, &object) && object.dli_fname && strstr(object.dli_fname, "libseccomp"))
        return 0;
    return strikes("malloc");
}

void *__libc_malloc(size_t size);

void *malloc(size_t size)
{
    return memory_strikes(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

void *__libc_calloc(size_t count, size_t size);

void *calloc(size_t count, size_t size)
{
    return memory_strikes(__builtin_return_address(0)) ? NULL : __libc_calloc(count, size);
}

void *__libc_realloc(void *memory, size_t size);

void *realloc(void *memory, size_t size)
{
    return memory_strikes(__builtin_return_address(0)) ? NULL : __libc_realloc(memory, size);
}

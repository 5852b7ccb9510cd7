/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher/sandbox.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <seccomp.h>
#include <sys/socket.h>

#include "common/macros.h"

/* The type of a socket, without the flags that stand beside it. */
#define SOCKET_TYPE(type)                                                                          \
    {                                                                                              \
        .used = true, .index = 1, .test = ARGUMENT_MASKED, .mask = 0xf, .value = (type)            \
    }

/* Flags that write, create or truncate; O_TMPFILE without the bit that it shares with
 * O_DIRECTORY. */
#define WRITING_FLAGS (O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND | (O_TMPFILE & ~O_DIRECTORY))

const struct seccomp_rule watcher_rules[] = {
    /* manifests */
    {.call = SCMP_SYS(openat),
     .arguments = {{.used = true,
                    .index = 2,
                    .test = ARGUMENT_MASKED,
                    .mask = WRITING_FLAGS,
                    .value = O_RDONLY}}},
#if !__GLIBC_PREREQ(2, 33)
    SECCOMP_CALL(fstat),
#endif
    SECCOMP_CALL(newfstatat),
    SECCOMP_CALL(getdents64),
    SECCOMP_CALL(inotify_add_watch),
    SECCOMP_CALL(inotify_rm_watch),
    {.call = SCMP_SYS(fcntl), .arguments = {SECCOMP_INT(1, F_GETFL)}},
    /* the planner; the netlink socket is open already */
    {.call = SCMP_SYS(socket), .arguments = {SECCOMP_INT(0, AF_UNIX)}},
    SECCOMP_CALL(connect),
    {.call = SCMP_SYS(getsockopt),
     .arguments = {SECCOMP_INT(1, SOL_SOCKET), SECCOMP_INT(2, SO_PEERCRED)}},
    {.call = SCMP_SYS(getsockopt),
     .arguments = {SECCOMP_INT(1, SOL_SOCKET), SECCOMP_INT(2, SO_ERROR)}},
    SECCOMP_CALL(accept4), /* clients of the metrics; their socket listens already */
    /* the API server: TCP; names are resolved over UDP in this process, since it has no other */
    {.call = SCMP_SYS(socket), .arguments = {SECCOMP_INT(0, AF_INET), SOCKET_TYPE(SOCK_STREAM)}},
    {.call = SCMP_SYS(socket), .arguments = {SECCOMP_INT(0, AF_INET), SOCKET_TYPE(SOCK_DGRAM)}},
    {.call = SCMP_SYS(socket), .arguments = {SECCOMP_INT(0, AF_INET6), SOCKET_TYPE(SOCK_STREAM)}},
    {.call = SCMP_SYS(socket), .arguments = {SECCOMP_INT(0, AF_INET6), SOCKET_TYPE(SOCK_DGRAM)}},
    {.call = SCMP_SYS(setsockopt),
     .arguments = {SECCOMP_INT(1, SOL_SOCKET), SECCOMP_INT(2, SO_KEEPALIVE)}},
    {.call = SCMP_SYS(setsockopt), .arguments = {SECCOMP_INT(1, IPPROTO_TCP)}},
    {.call = SCMP_SYS(fcntl), .arguments = {SECCOMP_INT(1, F_SETFL)}},
    {.call = SCMP_SYS(socketpair), .arguments = {SECCOMP_INT(0, AF_UNIX)}}, /* curl wakes itself */
    SECCOMP_CALL(getsockname),
    SECCOMP_CALL(getpeername),
    SECCOMP_CALL(recvfrom),
    SECCOMP_CALL(getrandom),
    SECCOMP_CALL(futex), /* what is done once, in libraries that know threads */
#ifdef __NR_poll
    SECCOMP_CALL(poll),
#else
    SECCOMP_CALL(ppoll),
#endif
    SECCOMP_CALL(uname), /* the resolver's search domain, where resolv.conf has none */
};

const size_t watcher_rule_count = ARRAY_SIZE(watcher_rules);

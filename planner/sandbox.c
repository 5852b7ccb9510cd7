/* SPDX-License-Identifier: Apache-2.0 */
#include "planner/sandbox.h"

#include <fcntl.h>
#include <seccomp.h>
#include <sys/socket.h>

/* An int argument of a system call: the kernel ignores its upper half. */
#define INT_EQUAL(position, number)                                                                \
    {                                                                                              \
        .used = true, .index = (position), .test = ARGUMENT_MASKED, .mask = 0xffffffff,            \
        .value = (number)                                                                          \
    }

const struct seccomp_rule planner_rules[] = {
    {.call = SCMP_SYS(socket),
     .arguments = {INT_EQUAL(0, AF_UNIX),
                   INT_EQUAL(1, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK)}},
    {.call = SCMP_SYS(connect)}, /* only Unix sockets can be there */
    {.call = SCMP_SYS(accept4)},
    {.call = SCMP_SYS(getsockopt),
     .arguments = {INT_EQUAL(1, SOL_SOCKET), INT_EQUAL(2, SO_PEERCRED)}},
};

const size_t planner_rule_count = ARRAY_SIZE(planner_rules);

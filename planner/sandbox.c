/* SPDX-License-Identifier: Apache-2.0 */
#include "planner/sandbox.h"

#include <fcntl.h>
#include <seccomp.h>
#include <sys/socket.h>

const struct seccomp_rule planner_rules[] = {
    {.call = SCMP_SYS(socket),
     .arguments = {SECCOMP_INT(0, AF_UNIX),
                   SECCOMP_INT(1, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK)}},
    SECCOMP_CALL(connect), /* only Unix sockets can be there */
    SECCOMP_CALL(accept4),
    {.call = SCMP_SYS(getsockopt),
     .arguments = {SECCOMP_INT(1, SOL_SOCKET), SECCOMP_INT(2, SO_PEERCRED)}},
};

const size_t planner_rule_count = ARRAY_SIZE(planner_rules);

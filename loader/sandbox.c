/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/sandbox.h"

#include <linux/bpf.h>
#include <linux/membarrier.h>
#include <linux/netlink.h>
#include <seccomp.h>
#include <sys/socket.h>

#include "common/log.h"

#define BPF_COMMAND(command)                                                                       \
    {                                                                                              \
        .call = SCMP_SYS(bpf), .arguments = { SECCOMP_INT(0, command) }                            \
    }

enum { OPEN_FILES = 64 };

const struct seccomp_rule loader_rules[] = {
    BPF_COMMAND(BPF_MAP_LOOKUP_ELEM),
    BPF_COMMAND(BPF_MAP_UPDATE_ELEM),
    BPF_COMMAND(BPF_MAP_DELETE_ELEM),
    BPF_COMMAND(BPF_MAP_GET_NEXT_KEY),
    BPF_COMMAND(BPF_MAP_LOOKUP_BATCH),
    BPF_COMMAND(BPF_MAP_UPDATE_BATCH),
    BPF_COMMAND(BPF_MAP_DELETE_BATCH),
    {.call = SCMP_SYS(membarrier), .arguments = {SECCOMP_INT(0, MEMBARRIER_CMD_GLOBAL)}},
    /* the planner's connections */
    SECCOMP_CALL(accept4),
    {.call = SCMP_SYS(getsockopt),
     .arguments = {SECCOMP_INT(1, SOL_SOCKET), SECCOMP_INT(2, SO_PEERCRED)}},
};

/* BPF_OBJ_GET_INFO_BY_FD: libbpf reads the program's name for a clsact filter. The sockets are
 * those that libbpf opens for it. */
const struct seccomp_rule helper_rules[] = {
    BPF_COMMAND(BPF_LINK_CREATE),
    BPF_COMMAND(BPF_OBJ_PIN),
    BPF_COMMAND(BPF_OBJ_GET_INFO_BY_FD),
    SECCOMP_CALL(geteuid),
    SECCOMP_CALL(restart_syscall), /* poll(), after the process was stopped */
#ifdef __NR_poll
    SECCOMP_CALL(poll),
    SECCOMP_CALL(chmod),
    SECCOMP_CALL(rename),
    SECCOMP_CALL(unlink),
#else
    SECCOMP_CALL(ppoll),
    SECCOMP_CALL(fchmodat),
    SECCOMP_CALL(renameat),
    SECCOMP_CALL(renameat2),
    SECCOMP_CALL(unlinkat),
#endif
    {.call = SCMP_SYS(socket),
     .arguments = {SECCOMP_INT(0, AF_NETLINK), SECCOMP_INT(2, NETLINK_ROUTE)}},
    SECCOMP_CALL(bind),
    SECCOMP_CALL(getsockname),
    SECCOMP_CALL(setsockopt),
};

const size_t loader_rule_count = ARRAY_SIZE(loader_rules);
const size_t helper_rule_count = ARRAY_SIZE(helper_rules);

int sandbox_seal_loader(const char *user)
{
    const struct seal seal = {
        .user = user,
        .limits = {.open_files = OPEN_FILES, .no_file_writes = true, .no_processes = true},
        .rules = loader_rules,
        .rule_count = loader_rule_count,
    };

    return seal_process(&seal);
}

int sandbox_seal_helper(const char *user, const char *pins)
{
    static const cap_value_t keep[] = {CAP_NET_ADMIN};
    _cleanup_(landlock_close) struct landlock landlock;
    const struct seal seal = {
        .user = user,
        .keep = keep,
        .keep_count = ARRAY_SIZE(keep),
        .landlock = &landlock,
        .limits = {.open_files = OPEN_FILES, .no_file_writes = true, .no_processes = true},
        .rules = helper_rules,
        .rule_count = helper_rule_count,
    };

    int error = landlock_open(&landlock);

    if (!error)
        error = landlock_allow(&landlock, pins, LANDLOCK_REPLACE);
    if (error) {
        log_error("cannot restrict files by Landlock", log_errno(error));
        return error;
    }
    return seal_process(&seal);
}

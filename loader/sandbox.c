/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/sandbox.h"

#include <linux/bpf.h>
#include <linux/netlink.h>
#include <seccomp.h>
#include <sys/socket.h>

#include "common/seal.h"

/* An int or enum argument; its upper half may hold anything. */
#define ARGUMENT_IS(index_, value_)                                                                \
    {                                                                                              \
        .used = true, .index = index_, .test = ARGUMENT_MASKED, .mask = UINT32_MAX,                \
        .value = value_                                                                            \
    }
#define CALL(name)                                                                                 \
    {                                                                                              \
        .call = SCMP_SYS(name)                                                                     \
    }
#define BPF_COMMAND(command)                                                                       \
    {                                                                                              \
        .call = SCMP_SYS(bpf), .arguments = { ARGUMENT_IS(0, command) }                            \
    }

enum { OPEN_FILES = 64 };

static const struct seccomp_rule loader_rules[] = {
    BPF_COMMAND(BPF_MAP_LOOKUP_ELEM),
    BPF_COMMAND(BPF_MAP_UPDATE_ELEM),
    BPF_COMMAND(BPF_MAP_DELETE_ELEM),
    BPF_COMMAND(BPF_MAP_GET_NEXT_KEY),
    BPF_COMMAND(BPF_MAP_LOOKUP_BATCH),
    BPF_COMMAND(BPF_MAP_UPDATE_BATCH),
    BPF_COMMAND(BPF_MAP_DELETE_BATCH),
    /* the planner's connections */
    CALL(accept4),
    {.call = SCMP_SYS(getsockopt),
     .arguments = {ARGUMENT_IS(1, SOL_SOCKET), ARGUMENT_IS(2, SO_PEERCRED)}},
};

/* BPF_OBJ_GET_INFO_BY_FD: libbpf reads the program's name for a clsact filter. The sockets are
 * those that libbpf opens for it. */
static const struct seccomp_rule helper_rules[] = {
    BPF_COMMAND(BPF_LINK_CREATE),
    BPF_COMMAND(BPF_OBJ_PIN),
    BPF_COMMAND(BPF_OBJ_GET_INFO_BY_FD),
    CALL(poll),
    CALL(ppoll),
    CALL(geteuid),
    CALL(chmod),
    CALL(fchmodat),
    CALL(rename),
    CALL(renameat),
    CALL(renameat2),
    CALL(unlink),
    CALL(unlinkat),
    {.call = SCMP_SYS(socket),
     .arguments = {ARGUMENT_IS(0, AF_NETLINK), ARGUMENT_IS(2, NETLINK_ROUTE)}},
    CALL(bind),
    CALL(getsockname),
    CALL(setsockopt),
};

int sandbox_seal_loader(const char *user)
{
    const struct seal seal = {
        .user = user,
        .limits = {.open_files = OPEN_FILES, .no_file_writes = true, .no_processes = true},
        .rules = loader_rules,
        .rule_count = ARRAY_SIZE(loader_rules),
    };

    return seal_process(&seal);
}

int sandbox_seal_helper(const char *user)
{
    static const cap_value_t keep[] = {CAP_NET_ADMIN};
    const struct seal seal = {
        .user = user,
        .keep = keep,
        .keep_count = ARRAY_SIZE(keep),
        .limits = {.open_files = OPEN_FILES, .no_file_writes = true, .no_processes = true},
        .rules = helper_rules,
        .rule_count = ARRAY_SIZE(helper_rules),
    };

    return seal_process(&seal);
}

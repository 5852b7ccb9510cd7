/* SPDX-License-Identifier: Apache-2.0 */
#include <bpf/libbpf.h>
#include <errno.h>

#include "loader/attach_hooks.h"

/* Others number their filters from 1; a handle that is ours alone never replaces theirs. */
enum { FILTER_HANDLE = 0x65670001, FILTER_PRIORITY = 1 };

static enum bpf_tc_attach_point attach_point(enum direction direction)
{
    return direction == DIRECTION_EGRESS ? BPF_TC_EGRESS : BPF_TC_INGRESS;
}

int clsact_attach(uint32_t ifindex, enum direction direction, int program)
{
    LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex,
                .attach_point = attach_point(direction));
    LIBBPF_OPTS(bpf_tc_opts, options, .handle = FILTER_HANDLE, .priority = FILTER_PRIORITY,
                .prog_fd = program, .flags = BPF_TC_F_REPLACE);
    int error = bpf_tc_hook_create(&hook);

    if (error && error != -EEXIST)
        return error;
    return bpf_tc_attach(&hook, &options);
}

int clsact_detach(uint32_t ifindex, enum direction direction)
{
    LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex,
                .attach_point = attach_point(direction));
    LIBBPF_OPTS(bpf_tc_opts, options, .handle = FILTER_HANDLE, .priority = FILTER_PRIORITY);
    int error = bpf_tc_detach(&hook, &options);

    /* No clsact qdisc on this interface reads as a wrong parent. */
    return error == -EINVAL ? -ENOENT : error;
}

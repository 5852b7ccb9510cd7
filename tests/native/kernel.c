/* SPDX-License-Identifier: Apache-2.0 */
/* The surroundings of the native datapath: of its own, or those of this machine's kernel. */
#include <errno.h>
#include <linux/if_packet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "native.h"
#include "tests/native/way.skel.h"
#include "way.h"

enum { FRAME = 256 };

static int way_fd;

/* Everything is behind one neighbour of interface 2, with an MTU of 1500. */
static long fixed_fib_lookup(struct bpf_fib_lookup *fib, uint32_t flags)
{
    (void)flags;
    fib->ifindex = 2;
    if (fib->tot_len > 1500) {
        fib->mtu_result = 1500;
        return BPF_FIB_LKUP_RET_FRAG_NEEDED;
    }
    fib->mtu_result = 1500;
    memset(fib->dmac, 2, sizeof(fib->dmac));
    memset(fib->smac, 4, sizeof(fib->smac));
    return BPF_FIB_LKUP_RET_SUCCESS;
}

static long fixed_check_mtu(uint32_t ifindex, uint32_t *mtu)
{
    long result = *mtu > 1500 ? BPF_MTU_CHK_RET_FRAG_NEEDED : BPF_MTU_CHK_RET_SUCCESS;

    *mtu = 1500;
    return ifindex ? result : -ENODEV;
}

struct native_kernel native_kernel = {
    .fib_lookup = fixed_fib_lookup,
    .check_mtu = fixed_check_mtu,
    .random = 1,
};

/* By the system call: libbpf's function is the one that runs the native programs here. */
static void way_ask(struct way_question *question)
{
    uint8_t frame[FRAME] = {0};
    union bpf_attr attributes = {
        .test = {.prog_fd = (uint32_t)way_fd,
                 .data_in = (uintptr_t)frame,
                 .data_size_in = sizeof(frame),
                 .data_out = (uintptr_t)frame,
                 .data_size_out = sizeof(frame)},
    };

    memcpy(frame + WAY_OFFSET, question, sizeof(*question));
    if (syscall(SYS_bpf, BPF_PROG_TEST_RUN, &attributes, sizeof(attributes)) < 0) {
        perror("native datapath: asking the kernel");
        exit(1);
    }
    memcpy(question, frame + WAY_OFFSET, sizeof(*question));
}

static long kernel_fib_lookup(struct bpf_fib_lookup *fib, uint32_t flags)
{
    struct way_question question = {.fib = *fib, .what = WAY_FIB, .flags = flags};

    way_ask(&question);
    *fib = question.fib;
    return question.result;
}

static long kernel_check_mtu(uint32_t ifindex, uint32_t *mtu)
{
    struct way_question question = {.what = WAY_MTU, .ifindex = ifindex, .mtu = *mtu};

    way_ask(&question);
    *mtu = question.mtu;
    return question.result;
}

static long kernel_transmit(uint32_t ifindex, const uint8_t *frame, size_t length)
{
    struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = (int)ifindex};
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    ssize_t sent = fd < 0 ? -1 : sendto(fd, frame, length, 0, (const void *)&to, sizeof(to));
    long error = sent < 0 ? -errno : 0;

    if (fd >= 0)
        close(fd);
    return error;
}

void native_use_kernel(void)
{
    struct way_bpf *skeleton = way_bpf__open();

    if (way_fd)
        return;
    /* Not the skeleton's own call: that one loads nothing here. */
    if (!skeleton || bpf_object__load(skeleton->obj)) {
        fprintf(stderr, "native datapath: the program that asks the kernel cannot be loaded\n");
        exit(1);
    }
    way_fd = native_program_fd(skeleton->progs.native_way);
    native_kernel.fib_lookup = kernel_fib_lookup;
    native_kernel.check_mtu = kernel_check_mtu;
    native_kernel.transmit = kernel_transmit;
}

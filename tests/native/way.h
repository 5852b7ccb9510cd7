/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TESTS_NATIVE_WAY_H
#define TESTS_NATIVE_WAY_H

#include <linux/bpf.h>

#define WAY_OFFSET 64

enum { WAY_FIB, WAY_MTU };

struct way_question {
    struct bpf_fib_lookup fib;
    __u32 what;
    __u32 flags;
    __u32 ifindex;
    __u32 mtu;
    __s64 result;
};

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TESTS_NATIVE_BPF_HELPERS_H
#define TESTS_NATIVE_BPF_HELPERS_H

/*
 * Stands in for libbpf's header of this name where the datapath is compiled for this machine. A
 * helper that the datapath begins to use and that is not here is an error of the compiler, by name:
 * add it here and in helpers.c.
 */

#include <linux/bpf.h>

#define __uint(name, value) int(*name)[value]
#define __type(name, value) __typeof__(value) *name
#define SEC(name)           __attribute__((used))

#undef __always_inline
#define __always_inline inline __attribute__((always_inline))
#ifndef __noinline
#define __noinline __attribute__((noinline))
#endif
#ifndef NULL
#define NULL ((void *)0)
#endif
#define barrier()             __asm__ volatile("" ::: "memory")
#define barrier_var(variable) __asm__ volatile("" : "+r"(variable))

/* libbpf has functions of the same names for user space. */
#define bpf_map_lookup_elem native_map_lookup
#define bpf_map_update_elem native_map_update
#define bpf_map_delete_elem native_map_delete

void *native_map_lookup(void *map, const void *key);
long native_map_update(void *map, const void *key, const void *value, __u64 flags);
long native_map_delete(void *map, const void *key);

long bpf_loop(__u32 rounds, void *callback, void *context, __u64 flags);
__u64 bpf_ktime_get_coarse_ns(void);
__u64 bpf_ktime_get_ns(void);
__u64 bpf_jiffies64(void);
__u32 bpf_get_prandom_u32(void);
__u32 bpf_get_smp_processor_id(void);
long bpf_skb_load_bytes(const struct __sk_buff *skb, __u32 offset, void *to, __u32 length);
long bpf_skb_store_bytes(struct __sk_buff *skb, __u32 offset, const void *from, __u32 length,
                         __u64 flags);
long bpf_skb_pull_data(struct __sk_buff *skb, __u32 length);
long bpf_l3_csum_replace(struct __sk_buff *skb, __u32 offset, __u64 from, __u64 to, __u64 flags);
long bpf_l4_csum_replace(struct __sk_buff *skb, __u32 offset, __u64 from, __u64 to, __u64 flags);
__s64 bpf_csum_diff(const __be32 *from, __u32 from_size, const __be32 *to, __u32 to_size,
                    __u32 seed);
long bpf_skb_adjust_room(struct __sk_buff *skb, __s32 difference, __u32 mode, __u64 flags);
long bpf_skb_change_proto(struct __sk_buff *skb, __be16 protocol, __u64 flags);
long bpf_skb_change_tail(struct __sk_buff *skb, __u32 length, __u64 flags);
long bpf_fib_lookup(void *skb, struct bpf_fib_lookup *fib, int size, __u32 flags);
struct bpf_sock *bpf_skc_lookup_tcp(void *skb, struct bpf_sock_tuple *tuple, __u32 size,
                                    __u64 netns, __u64 flags);
struct bpf_sock *bpf_sk_lookup_udp(void *skb, struct bpf_sock_tuple *tuple, __u32 size, __u64 netns,
                                   __u64 flags);
long bpf_sk_release(void *socket);
long bpf_check_mtu(void *skb, __u32 ifindex, __u32 *mtu, __s32 difference, __u64 flags);
long bpf_redirect(__u32 ifindex, __u64 flags);
long bpf_redirect_neigh(__u32 ifindex, struct bpf_redir_neigh *next, int size, __u64 flags);
long bpf_clone_redirect(struct __sk_buff *skb, __u32 ifindex, __u64 flags);

#endif

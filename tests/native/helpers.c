/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's helpers, as far as the datapath uses them, on a packet in memory. */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "native.h"
#include "tests/native/include/bpf/bpf_helpers.h"

#define NOT_SUPPORTED (-524) /* the kernel's own ENOTSUPP */
#define DATA_ADDRESS  ((void *)0x20000000)
#define ROOM_LARGEST  0xfff

static uint8_t *room; /* where the packet lies, with headroom */
static struct native_skb *running;

static struct native_skb *skb_of(const void *skb)
{
    return (struct native_skb *)skb;
}

static void skb_point(struct native_skb *skb)
{
    if (skb->linear > skb->ctx.len)
        skb->linear = skb->ctx.len;
    skb->ctx.data = (uint32_t)(uintptr_t)skb->data;
    skb->ctx.data_end = skb->ctx.data + skb->linear;
}

void native_skb_fill(struct native_skb *skb, const void *frame, size_t length, uint32_t linear)
{
    if (!room)
        room = mmap(DATA_ADDRESS, NATIVE_ROOM, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (room == MAP_FAILED || length > NATIVE_ROOM - NATIVE_HEADROOM - ROOM_LARGEST) {
        perror("native datapath: memory for packets");
        exit(1);
    }
    skb->data = room + NATIVE_HEADROOM;
    skb->linear = linear ? linear : (uint32_t)length;
    skb->ctx.len = (uint32_t)length;
    memcpy(skb->data, frame, length);
    if (length >= ETH_HLEN)
        memcpy(&skb->ctx.protocol, skb->data + 12, 2);
    skb_point(skb);
}

int native_run(const char *program, struct native_skb *skb)
{
    int (*run)(struct __sk_buff *) = (int (*)(struct __sk_buff *))dlsym(RTLD_DEFAULT, program);
    int verdict;

    if (!run) {
        fprintf(stderr, "native datapath: no program %s\n", program);
        exit(1);
    }
    running = skb;
    verdict = run(&skb->ctx);
    running = NULL;
    native_elements_settle();
    return verdict;
}

bool native_call_fails(void)
{
    return ++native_kernel.calls == native_kernel.failing_call;
}

long native_core_read(void *to, __u32 size, const void *from)
{
    if (native_call_fails())
        return -EFAULT;
    if (from == running)
        from = &running->nfct; /* the one member of the kernel's packet that is read */
    if (!from)
        return -EFAULT;
    memcpy(to, from, size);
    return 0;
}

int native_ip_summed(void)
{
    return native_kernel.ip_summed;
}

__u64 bpf_ktime_get_coarse_ns(void)
{
    struct timespec now;

    if (native_kernel.now)
        return native_kernel.now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (__u64)now.tv_sec * 1000000000 + (__u64)now.tv_nsec;
}

__u64 bpf_ktime_get_ns(void)
{
    return bpf_ktime_get_coarse_ns();
}

__u64 bpf_jiffies64(void)
{
    return bpf_ktime_get_coarse_ns() / 4000000;
}

__u32 bpf_get_prandom_u32(void)
{
    native_kernel.random = native_kernel.random * 1664525 + 1013904223;
    return native_kernel.random ^ native_kernel.random >> 16;
}

__u32 bpf_get_smp_processor_id(void)
{
    return 0;
}

long bpf_loop(__u32 rounds, void *callback, void *context, __u64 flags)
{
    long (*call)(__u32, void *) = (long (*)(__u32, void *))callback;
    __u32 done = 0;

    if (native_call_fails())
        return -EINVAL;
    while (done < rounds && !call(done++, context))
        ;
    return flags ? -EINVAL : done;
}

long bpf_skb_load_bytes(const struct __sk_buff *skb, __u32 offset, void *to, __u32 length)
{
    if (native_call_fails()) {
        memset(to, 0, length);
        return -EFAULT;
    }
    if (offset > 0xffff || (__u64)offset + length > skb->len) {
        memset(to, 0, length);
        return -EFAULT;
    }
    memcpy(to, skb_of(skb)->data + offset, length);
    return 0;
}

long bpf_skb_store_bytes(struct __sk_buff *skb, __u32 offset, const void *from, __u32 length,
                         __u64 flags)
{
    if (native_call_fails())
        return -ENOMEM;
    if (flags & ~(__u64)(BPF_F_RECOMPUTE_CSUM | BPF_F_INVALIDATE_HASH))
        return -EINVAL;
    if (offset > 0xffff || (__u64)offset + length > skb->len)
        return -EFAULT;
    memcpy(skb_of(skb)->data + offset, from, length);
    return 0;
}

long bpf_skb_pull_data(struct __sk_buff *skb, __u32 length)
{
    struct native_skb *native = skb_of(skb);

    if (native_call_fails())
        return -ENOMEM;
    if (length > skb->len)
        return -ENOMEM;
    if (!length)
        length = native->linear;
    if (length > native->linear)
        native->linear = length;
    skb_point(native);
    return 0;
}

static __u32 sum_add(__u32 sum, __u32 more)
{
    sum += more;
    return sum + (sum < more);
}

static __u16 sum_fold(__u32 sum)
{
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return (__u16)~sum;
}

static long sum_replace(struct __sk_buff *skb, __u32 offset, __u32 from, __u32 to, __u64 flags)
{
    __u16 check;
    __u32 sum;

    if (native_call_fails())
        return -ENOMEM;
    if (offset > 0xffff || offset & 1 || (__u64)offset + sizeof(check) > skb->len)
        return -EFAULT;
    memcpy(&check, skb_of(skb)->data + offset, sizeof(check));
    if (flags & BPF_F_MARK_MANGLED_0 && !check)
        return 0;
    sum = (__u16)~check;
    switch (flags & BPF_F_HDR_FIELD_MASK) {
    case 0:
        if (from)
            return -EINVAL;
        break;
    case 2:
    case 4:
        sum = sum_add(sum, ~from);
        break;
    default:
        return -EINVAL;
    }
    check = sum_fold(sum_add(sum, to));
    if (flags & BPF_F_MARK_MANGLED_0 && !check)
        check = 0xffff;
    memcpy(skb_of(skb)->data + offset, &check, sizeof(check));
    return 0;
}

long bpf_l3_csum_replace(struct __sk_buff *skb, __u32 offset, __u64 from, __u64 to, __u64 flags)
{
    if (flags & ~(__u64)BPF_F_HDR_FIELD_MASK)
        return -EINVAL;
    return sum_replace(skb, offset, (__u32)from, (__u32)to, flags);
}

long bpf_l4_csum_replace(struct __sk_buff *skb, __u32 offset, __u64 from, __u64 to, __u64 flags)
{
    if (flags & ~(__u64)(BPF_F_MARK_MANGLED_0 | BPF_F_PSEUDO_HDR | BPF_F_HDR_FIELD_MASK))
        return -EINVAL;
    return sum_replace(skb, offset, (__u32)from, (__u32)to, flags);
}

__s64 bpf_csum_diff(const __be32 *from, __u32 from_size, const __be32 *to, __u32 to_size,
                    __u32 seed)
{
    if ((from_size | to_size) % 4)
        return -EINVAL;
    for (__u32 i = 0; i < from_size / 4; i++)
        seed = sum_add(seed, ~from[i]);
    for (__u32 i = 0; i < to_size / 4; i++)
        seed = sum_add(seed, to[i]);
    return seed;
}

/* Bytes behind the Ethernet header: `length` more, zeroes, or fewer. */
static long skb_push(struct native_skb *skb, __u32 length)
{
    if (skb->data - room < length)
        return -ENOMEM;
    skb->data -= length;
    memmove(skb->data, skb->data + length, ETH_HLEN);
    memset(skb->data + ETH_HLEN, 0, length);
    skb->ctx.len += length;
    skb->linear += length;
    skb_point(skb);
    return 0;
}

static long skb_pop(struct native_skb *skb, __u32 length)
{
    if (skb->ctx.len < ETH_HLEN + length)
        return -ENOMEM;
    if (skb->linear < ETH_HLEN + length)
        skb->linear = ETH_HLEN + length;
    memmove(skb->data + length, skb->data, ETH_HLEN);
    skb->data += length;
    skb->ctx.len -= length;
    skb->linear -= length;
    skb_point(skb);
    return 0;
}

static long room_grow(struct native_skb *skb, __u32 length, __u64 flags)
{
    long error;

    if (flags & BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 && flags & BPF_F_ADJ_ROOM_ENCAP_L3_IPV6)
        return -EINVAL;
    if (flags & (BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 | BPF_F_ADJ_ROOM_ENCAP_L3_IPV6)) {
        if (skb->encapsulated)
            return -EALREADY;
        skb->encapsulated = true;
    }
    error = skb_push(skb, length);
    if (error)
        return error;
    if (flags & BPF_F_ADJ_ROOM_ENCAP_L3_IPV4)
        skb->ctx.protocol = htons(ETH_P_IP);
    if (flags & BPF_F_ADJ_ROOM_ENCAP_L3_IPV6)
        skb->ctx.protocol = htons(ETH_P_IPV6);
    return 0;
}

static long room_shrink(struct native_skb *skb, __u32 length, __u64 flags)
{
    const __u64 decap4 = 1ULL << 7, decap6 = 1ULL << 8; /* younger than Debian 12's headers */
    __u32 now = skb->ctx.len - ETH_HLEN;
    __u32 least = skb->ctx.protocol == htons(ETH_P_IP) ? 20 : 40;
    long error;

    if (flags & ~(BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_NO_CSUM_RESET | decap4 | decap6))
        return -EINVAL;
    if (flags & decap4)
        least = 20;
    else if (flags & decap6)
        least = 40;
    if (length >= now || now - length < least)
        return NOT_SUPPORTED;
    error = skb_pop(skb, length);
    if (!error && flags & decap4)
        skb->ctx.protocol = htons(ETH_P_IP);
    if (!error && flags & decap6)
        skb->ctx.protocol = htons(ETH_P_IPV6);
    return error;
}

long bpf_skb_adjust_room(struct __sk_buff *skb, __s32 difference, __u32 mode, __u64 flags)
{
    __u32 length = (__u32)abs(difference);

    if (native_call_fails())
        return -ENOMEM;
    if (length > ROOM_LARGEST || mode != BPF_ADJ_ROOM_MAC)
        return -EINVAL;
    if (skb->protocol != htons(ETH_P_IP) && skb->protocol != htons(ETH_P_IPV6))
        return NOT_SUPPORTED;
    return difference < 0 ? room_shrink(skb_of(skb), length, flags)
                          : room_grow(skb_of(skb), length, flags);
}

long bpf_skb_change_proto(struct __sk_buff *skb, __be16 protocol, __u64 flags)
{
    long error = NOT_SUPPORTED;

    if (native_call_fails())
        return -ENOMEM;
    if (flags)
        return -EINVAL;
    if (skb->protocol == htons(ETH_P_IP) && protocol == htons(ETH_P_IPV6))
        error = skb_push(skb_of(skb), 20);
    else if (skb->protocol == htons(ETH_P_IPV6) && protocol == htons(ETH_P_IP))
        error = skb_pop(skb_of(skb), 20);
    if (!error)
        skb->protocol = protocol;
    return error;
}

long bpf_skb_change_tail(struct __sk_buff *skb, __u32 length, __u64 flags)
{
    struct native_skb *native = skb_of(skb);

    if (native_call_fails())
        return -ENOMEM;
    if (flags)
        return -EINVAL;
    if (length < ETH_HLEN || length > NATIVE_ROOM - NATIVE_HEADROOM)
        return -EINVAL;
    if (length > skb->len)
        memset(native->data + skb->len, 0, length - skb->len);
    skb->len = native->linear = length;
    skb_point(native);
    return 0;
}

long bpf_fib_lookup(void *skb, struct bpf_fib_lookup *fib, int size, __u32 flags)
{
    (void)skb;
    if (native_call_fails())
        return -EINVAL;
    return size < (int)sizeof(*fib) ? -EINVAL : native_kernel.fib_lookup(fib, flags);
}

/* A socket that another one cannot be bound beside. */
static struct bpf_sock *socket_lookup(const struct bpf_sock_tuple *tuple, __u32 size, int type)
{
    static struct bpf_sock found;
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = tuple->ipv6.dport};
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = tuple->ipv4.dport};
    int is_v4 = size == sizeof(tuple->ipv4), held;
    int fd = socket(is_v4 ? AF_INET : AF_INET6, type | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return NULL;
    v4.sin_addr.s_addr = tuple->ipv4.daddr;
    memcpy(&v6.sin6_addr, tuple->ipv6.daddr, sizeof(v6.sin6_addr));
    held = (is_v4 ? bind(fd, (const void *)&v4, sizeof(v4))
                  : bind(fd, (const void *)&v6, sizeof(v6))) < 0 &&
           errno == EADDRINUSE;
    close(fd);
    return held ? &found : NULL;
}

struct bpf_sock *bpf_skc_lookup_tcp(void *skb, struct bpf_sock_tuple *tuple, __u32 size,
                                    __u64 netns, __u64 flags)
{
    (void)skb;
    return netns != (__u64)BPF_F_CURRENT_NETNS || flags ? NULL
                                                        : socket_lookup(tuple, size, SOCK_STREAM);
}

struct bpf_sock *bpf_sk_lookup_udp(void *skb, struct bpf_sock_tuple *tuple, __u32 size, __u64 netns,
                                   __u64 flags)
{
    (void)skb;
    return netns != (__u64)BPF_F_CURRENT_NETNS || flags ? NULL
                                                        : socket_lookup(tuple, size, SOCK_DGRAM);
}

long bpf_sk_release(void *socket)
{
    return socket ? 0 : -EINVAL;
}

long bpf_check_mtu(void *skb, __u32 ifindex, __u32 *mtu, __s32 difference, __u64 flags)
{
    (void)skb;
    if (native_call_fails())
        return -EINVAL;
    return difference || flags ? -EINVAL : native_kernel.check_mtu(ifindex, mtu);
}

long bpf_redirect(__u32 ifindex, __u64 flags)
{
    native_kernel.redirected = ifindex;
    return flags & ~(__u64)BPF_F_INGRESS ? TC_ACT_SHOT : TC_ACT_REDIRECT;
}

long bpf_redirect_neigh(__u32 ifindex, struct bpf_redir_neigh *next, int size, __u64 flags)
{
    native_kernel.redirected = ifindex;
    return flags || (next && size < (int)sizeof(*next)) ? TC_ACT_SHOT : TC_ACT_REDIRECT;
}

long bpf_clone_redirect(struct __sk_buff *skb, __u32 ifindex, __u64 flags)
{
    if (native_call_fails())
        return -ENOMEM;
    if (bpf_redirect(ifindex, flags) != TC_ACT_REDIRECT)
        return -EINVAL;
    if (!native_kernel.transmit)
        return 0;
    return native_kernel.transmit(ifindex, skb_of(skb)->data, skb->len);
}

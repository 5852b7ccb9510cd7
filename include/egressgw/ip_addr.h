/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef EGRESSGW_IP_ADDR_H
#define EGRESSGW_IP_ADDR_H

#include <linux/types.h>

/*
 * An IP address of either family, in network byte order. An IPv4 address is held as an IPv4-mapped
 * IPv6 address (::ffff:a.b.c.d). All zero bytes mean "no address".
 */
struct ip_addr {
    union {
        __u8 bytes[16];
        __be32 words_be[4];
        __u64 halves[2]; /* to compare and copy by: what is in them has no order */
    };
};

_Static_assert(sizeof(struct ip_addr) == 16, "ip_addr is shared with BPF");

/* The third word of an IPv4-mapped address, as it lies in memory. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define IP_ADDR_MAPPED_WORD_BE ((__be32)0xffff0000)
#else
#define IP_ADDR_MAPPED_WORD_BE ((__be32)0x0000ffff)
#endif

static inline __attribute__((always_inline)) struct ip_addr ip_addr_from_v4(__be32 v4_be)
{
    struct ip_addr address = {.words_be = {0, 0, IP_ADDR_MAPPED_WORD_BE, v4_be}};
    return address;
}

static inline __attribute__((always_inline)) int ip_addr_is_v4(const struct ip_addr *address)
{
    return address->halves[0] == 0 && address->words_be[2] == IP_ADDR_MAPPED_WORD_BE;
}

static inline __attribute__((always_inline)) int ip_addr_is_none(const struct ip_addr *address)
{
    return (address->halves[0] | address->halves[1]) == 0;
}

static inline __attribute__((always_inline)) int ip_addr_equal(const struct ip_addr *a,
                                                               const struct ip_addr *b)
{
    return ((a->halves[0] ^ b->halves[0]) | (a->halves[1] ^ b->halves[1])) == 0;
}

#endif

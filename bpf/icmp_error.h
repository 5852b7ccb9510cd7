/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef EGRESSGW_BPF_ICMP_ERROR_H
#define EGRESSGW_BPF_ICMP_ERROR_H

/*
 * ICMP errors quote the beginning of the packet that they are about. It went the other way, so what
 * is the destination of an error is the source in its quote, and both are translated together. A
 * quote may end 8 bytes behind its IP header, and what it lacks is not looked for.
 */

#include "drop.h"
#include "packet_read.h"
#include "protocol.h"
#include "rewrite.h"

#define QUOTE_L4_LEAST 8

/* Where one error is worked on. */
struct icmp_error {
    struct packet quote; /* `length`: of what is there, of a longer packet perhaps */
    struct ip_addr node; /* where the error goes on to; none: it stays on this node */
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct icmp_error);
} icmp_errors SEC(".maps");

/* The error of icmp_error_read(). */
static __always_inline struct icmp_error *icmp_error_current(void)
{
    __u32 zero = 0;

    return bpf_map_lookup_elem(&icmp_errors, &zero);
}

/*
 * Bytes behind the ICMP header that belong to the quote: RFC 4884 lets other objects follow it.
 * Returns a number or -1 where the header promises more than there is.
 */
static __always_inline int quote_room(const struct packet *packet, const __u8 *icmp, __u32 room)
{
    __u32 length = 0;

    if (packet->version == 4)
        length = icmp[5] * 4;
    else if (icmp[0] == ICMPV6_UNREACHABLE || icmp[0] == ICMPV6_TIME_EXCEEDED)
        length = icmp[4] * 8;
    if (length > room)
        return -1;
    return length ? length : room;
}

static __always_inline int quote_read_v4(struct __sk_buff *skb, struct packet *quote, __u32 room)
{
    struct iphdr ip;

    if (room < sizeof(ip) || bpf_skb_load_bytes(skb, quote->l3, &ip, sizeof(ip)) || ip.version != 4)
        return -1;
    packet_set_addresses_v4(quote, &ip, quote->direction);
    quote->flow.protocol = ip.protocol;
    quote->l4 = quote->l3 + ip.ihl * 4;
    quote->l3_check = ip.check;
    quote->hop_limit = ip.ttl;
    quote->fragment = fragment_kind(bpf_ntohs(ip.frag_off));
    quote->length = bpf_ntohs(ip.tot_len);
    return ip.ihl * 4 < sizeof(ip) ? -1 : 0;
}

static __always_inline int quote_read_v6(struct __sk_buff *skb, struct packet *quote, __u32 room)
{
    struct ipv6hdr ip;
    int i;

    if (room < sizeof(ip) || bpf_skb_load_bytes(skb, quote->l3, &ip, sizeof(ip)) || ip.version != 6)
        return -1;
    packet_set_addresses_v6(quote, &ip, quote->direction);
    quote->flow.protocol = ip.nexthdr;
    quote->l4 = quote->l3 + sizeof(ip);
    quote->length = sizeof(ip) + bpf_ntohs(ip.payload_len);
    for (i = 0; i < EXTENSIONS_MOST && protocol_is_extension(quote->flow.protocol); i++) {
        if (packet_skip_extension(skb, quote))
            return -1;
        if (quote->fragment == FRAGMENT_LATER)
            break;
    }
    return 0;
}

/* Of the answer to a ping, only its receiver can complain; of the ping itself, everybody else. */
static __always_inline void quote_read_icmp(struct packet *quote,
                                            const struct icmp_echo_header *icmp)
{
    packet_parse_icmp(quote, icmp, quote->direction);
    if (quote->icmp != (quote->direction == OUTBOUND ? ICMP_REQUEST : ICMP_REPLY))
        quote->has_ports = 0;
}

/* Reads the ports behind the IP header of the quote, of which there are `room` bytes. */
static __always_inline int quote_read_l4(struct __sk_buff *skb, struct packet *quote, __u32 room)
{
    __u8 header[QUOTE_L4_LEAST] __attribute__((aligned(4)));
    __u32 ip_header = quote->l4 - quote->l3;
    __u8 icmp = quote->version == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;

    if (quote->length > room)
        quote->length = room;
    if (quote->fragment == FRAGMENT_LATER)
        return 0;
    if (ip_header + sizeof(header) > quote->length ||
        bpf_skb_load_bytes(skb, quote->l4, header, sizeof(header)))
        return -1;
    if (quote->flow.protocol == icmp)
        quote_read_icmp(quote, (const void *)header);
    else if (protocol_has_ports(quote->flow.protocol))
        packet_set_ports(quote, quote->direction, *(const __be16 *)header,
                         *(const __be16 *)(header + 2));
    return 0;
}

/*
 * Reads what an ICMP error is about into the room that icmp_error_current() returns. Returns 0, 1
 * where the quote is not from this end of the error or can belong to no mapping, or REASON(why).
 */
__noinline int icmp_error_read(struct __sk_buff *skb, const struct packet *packet)
{
    struct icmp_error *error = icmp_error_current();
    struct packet *quote;
    __u8 icmp[sizeof(struct icmp_echo_header)];
    int room, invalid;

    if (!packet || !error)
        return REASON(DROP_INTERNAL);
    if (packet->fragment != FRAGMENT_NONE)
        return REASON(DROP_FRAGMENT);
    if (bpf_skb_load_bytes(skb, packet->l4, icmp, sizeof(icmp)))
        return REASON(DROP_MALFORMED);
    __builtin_memset(error, 0, sizeof(*error));
    quote = &error->quote;
    quote->version = packet->version;
    quote->direction = packet->direction ^ OUTBOUND ^ INBOUND;
    quote->l3 = packet->l4 + sizeof(icmp);
    room = quote_room(packet, icmp, packet->length - (quote->l3 - packet->l3));
    if (room < 0)
        return REASON(DROP_MALFORMED);
    if (quote->version == 4)
        invalid = quote_read_v4(skb, quote, room);
    else
        invalid = quote_read_v6(skb, quote, room);
    if (invalid || quote_read_l4(skb, quote, room))
        return REASON(DROP_MALFORMED);
    if (!ip_addr_equal(&quote->flow.local, &packet->flow.local))
        return 1;
    return quote->has_ports || (quote->fragment != FRAGMENT_LATER && protocol_by_address(quote))
               ? 0
               : 1;
}

/* Stores a new value at an even place of an ICMP packet and adds the difference to a sum. */
static __always_inline int quote_store(struct __sk_buff *skb, __u32 offset, __u16 from, __u16 to,
                                       __u32 *difference)
{
    if (from == to)
        return 0;
    *difference += (__u16)~from + to;
    return bpf_skb_store_bytes(skb, offset, &to, sizeof(to), 0);
}

/* Port and checksum of layer 4, where the quote goes as far; `address` is the addresses' part. */
static __always_inline int quote_rewrite_l4(struct __sk_buff *skb, const struct packet *quote,
                                            __u32 address, __be16 port_be, __u32 *difference)
{
    __be16 old_be = quote->flow.local_port_be;
    struct l4_fields fields;
    __u32 sum = 0;
    __u16 check, fresh;

    if (!quote->has_ports || !l4_fields_find(quote, &fields))
        return 0;
    if (quote_store(skb, fields.port, old_be, port_be, difference))
        return -1;
    if (fields.checksum + sizeof(check) > quote->l3 + quote->length)
        return 0;
    if (bpf_skb_load_bytes(skb, fields.checksum, &check, sizeof(check)))
        return -1;
    if (!check && fields.flags & BPF_F_MARK_MANGLED_0)
        return 0; /* it was sent without */
    if (fields.pseudo_flags)
        sum = (address & 0xffff) + (address >> 16);
    fresh = checksum_fold(sum + (__u16)~check + (__u16)~old_be + port_be);
    if (!fresh && fields.flags & BPF_F_MARK_MANGLED_0)
        fresh = 0xffff;
    return quote_store(skb, fields.checksum, check, fresh, difference);
}

static __always_inline int quote_rewrite_l3(struct __sk_buff *skb, struct packet *quote,
                                            const struct ip_addr *address)
{
    if (quote->version == 4)
        return rewrite_l3_v4(skb, quote, address->words_be[3], quote->hop_limit);
    return bpf_skb_store_bytes(skb, quote->l3 + address_offset_v6(quote->direction), address,
                               sizeof(*address), 0);
}

/*
 * Gives the quote that was read from the error `packet` another address and port at its local end,
 * and makes the error's checksum follow. The sum that the interface gave for the frame stays, as
 * all of these bytes and their checksum are in it. Returns 0 or REASON(why).
 */
__noinline int icmp_error_rewrite(struct __sk_buff *skb, const struct packet *packet,
                                  const struct ip_addr *address, __be16 port_be)
{
    struct icmp_error *error = icmp_error_current();
    __u32 difference = 0, addresses;

    if (!packet || !address || !error)
        return REASON(DROP_INTERNAL);
    addresses = checksum_difference(&error->quote.flow.local, address);
    if (quote_rewrite_l4(skb, &error->quote, addresses, port_be, &difference) ||
        quote_rewrite_l3(skb, &error->quote, address))
        return REASON(DROP_INTERNAL);
    /* In IPv4 the header's own checksum makes up for the address. */
    if (packet->version == 6)
        difference += (addresses & 0xffff) + (addresses >> 16);
    if (bpf_l4_csum_replace(skb, packet->l4 + __builtin_offsetof(struct icmp_echo_header, checksum),
                            0, difference, 0))
        return REASON(DROP_INTERNAL);
    return 0;
}

#endif

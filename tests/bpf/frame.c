// SPDX-License-Identifier: Apache-2.0
#include "frame.h"

#include <arpa/inet.h>
#include <assert.h>
#include <string.h>

const uint8_t mac_uplink[6] = {0x02, 0, 0, 0, 0, 0x10};
const uint8_t mac_gateway[6] = {0x02, 0, 0, 0, 0, 0x02};
const uint8_t mac_router[6] = {0x02, 0, 0, 0, 0, 0xfe};
const uint8_t mac_second[6] = {0x02, 0, 0, 0, 1, 0x10};
const uint8_t mac_second_gateway[6] = {0x02, 0, 0, 0, 1, 0x02};
const uint8_t mac_zero[6] = {0};

static const uint8_t mac_pod_end[6] = {0x02, 'e', 'g', 0, 0, 1};
static const uint8_t mac_gateway_end[6] = {0x02, 'e', 'g', 0, 0, 2};

uint16_t checksum_of(const uint8_t *bytes, size_t length, uint32_t start)
{
    uint32_t sum = start;

    for (size_t i = 0; i < length; i++)
        sum += i & 1 ? bytes[i] : (uint32_t)bytes[i] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return ~sum;
}

uint16_t frame_u16(const struct frame *frame, size_t offset)
{
    assert(offset + 2 <= frame->length);
    return frame->data[offset] << 8 | frame->data[offset + 1];
}

void frame_set_u16(struct frame *frame, size_t offset, uint16_t value)
{
    assert(offset + 2 <= FRAME_SIZE);
    frame->data[offset] = value >> 8;
    frame->data[offset + 1] = value;
}

void frame_fix_ip_checksum(struct frame *frame, size_t offset)
{
    size_t header = (frame->data[offset] & 15) * 4;

    frame_set_u16(frame, offset + 10, 0);
    frame_set_u16(frame, offset + 10, checksum_of(frame->data + offset, header, 0));
}

uint32_t frame_flow_label(const struct frame *frame, size_t offset)
{
    return (uint32_t)(frame_u16(frame, offset) & 15) << 16 | frame_u16(frame, offset + 2);
}

static int is_v6(const char *address)
{
    return strchr(address, ':') != NULL;
}

size_t frame_overhead(const char *outer_address)
{
    return is_v6(outer_address) ? FRAME_TUNNEL6 : FRAME_TUNNEL;
}

static void set_ethernet(struct frame *frame, size_t offset, const uint8_t *destination,
                         const uint8_t *source, uint16_t type)
{
    memcpy(frame->data + offset, destination, 6);
    memcpy(frame->data + offset + 6, source, 6);
    frame_set_u16(frame, offset + 12, type);
}

static void set_address(struct frame *frame, size_t offset, const char *address)
{
    int parsed = inet_pton(is_v6(address) ? AF_INET6 : AF_INET, address, frame->data + offset);

    assert(parsed == 1);
    (void)parsed;
}

static void set_ip4(struct frame *frame, size_t offset, const struct packet_spec *spec,
                    size_t length, uint16_t id)
{
    size_t header = 20 + spec->ip_options_length;

    frame->data[offset] = 0x40 | header / 4;
    frame->data[offset + 1] = spec->traffic_class;
    frame_set_u16(frame, offset + 2, length);
    frame_set_u16(frame, offset + 4, id);
    frame_set_u16(frame, offset + 6, spec->fragment);
    frame->data[offset + 8] = spec->hop_limit ? spec->hop_limit : 64;
    frame->data[offset + 9] = spec->protocol;
    set_address(frame, offset + 12, spec->source);
    set_address(frame, offset + 16, spec->destination);
    if (spec->ip_options_length)
        memcpy(frame->data + offset + 20, spec->ip_options, spec->ip_options_length);
    frame_fix_ip_checksum(frame, offset);
}

static void set_ip6(struct frame *frame, size_t offset, const struct packet_spec *spec,
                    size_t length)
{
    frame->data[offset] = 0x60 | spec->traffic_class >> 4;
    frame->data[offset + 1] = (spec->traffic_class & 15) << 4 | spec->flow_label >> 16;
    frame_set_u16(frame, offset + 2, spec->flow_label & 0xffff);
    frame_set_u16(frame, offset + 4, length - 40);
    frame->data[offset + 6] = spec->extensions_length ? spec->extension : spec->protocol;
    frame->data[offset + 7] = spec->hop_limit ? spec->hop_limit : 64;
    set_address(frame, offset + 8, spec->source);
    set_address(frame, offset + 24, spec->destination);
    if (spec->extensions_length)
        memcpy(frame->data + offset + 40, spec->extensions, spec->extensions_length);
}

static void set_ip(struct frame *frame, size_t offset, const struct packet_spec *spec,
                   size_t length, uint16_t id)
{
    if (is_v6(spec->source))
        set_ip6(frame, offset, spec, length);
    else
        set_ip4(frame, offset, spec, length, id);
}

static size_t ip_header(const struct packet_spec *spec)
{
    return is_v6(spec->source) ? 40 + spec->extensions_length : 20 + spec->ip_options_length;
}

/* The sum of the pseudo header. */
static uint32_t pseudo_sum(const struct frame *frame, size_t ip, uint8_t protocol, size_t length)
{
    int v6 = frame->data[ip] >> 4 == 6;
    uint32_t sum = protocol + length;

    for (size_t i = v6 ? 8 : 12; i < (v6 ? 40 : 20); i += 2)
        sum += frame_u16(frame, ip + i);
    return sum;
}

static void frame_set_u32(struct frame *frame, size_t offset, uint32_t value)
{
    frame_set_u16(frame, offset, value >> 16);
    frame_set_u16(frame, offset + 2, (uint16_t)value);
}

static void set_tcp(struct frame *frame, size_t offset, const struct packet_spec *spec)
{
    frame_set_u16(frame, offset, spec->source_port);
    frame_set_u16(frame, offset + 2, spec->destination_port);
    frame_set_u32(frame, offset + 4, spec->tcp_sequence ? spec->tcp_sequence : 0x11220000);
    frame_set_u32(frame, offset + 8, spec->tcp_ack);
    frame->data[offset + 12] = (20 + spec->options_length) / 4 << 4;
    frame->data[offset + 13] = spec->tcp_flags;
    frame_set_u16(frame, offset + 14, 0x7000);
    if (spec->options_length)
        memcpy(frame->data + offset + 20, spec->options, spec->options_length);
}

static size_t l4_header(const struct packet_spec *spec)
{
    switch (spec->protocol) {
    case IPPROTO_TCP:
        return 20 + spec->options_length;
    case IPPROTO_UDP:
    case IPPROTO_UDPLITE:
    case IPPROTO_DCCP:
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6:
        return 8;
    }
    return 0;
}

static void set_l4(struct frame *frame, size_t offset, const struct packet_spec *spec,
                   size_t length)
{
    uint32_t pseudo = pseudo_sum(frame, FRAME_ETHERNET, spec->protocol, length);
    uint16_t sum;

    switch (spec->protocol) {
    case IPPROTO_TCP:
        set_tcp(frame, offset, spec);
        frame_set_u16(frame, offset + 16, checksum_of(frame->data + offset, length, pseudo));
        break;
    case IPPROTO_UDP:
    case IPPROTO_UDPLITE: /* with its length as what the checksum covers: all of it */
    case IPPROTO_DCCP:    /* with a header that is not complete */
        frame_set_u16(frame, offset, spec->source_port);
        frame_set_u16(frame, offset + 2, spec->destination_port);
        frame_set_u16(frame, offset + 4, length);
        sum = checksum_of(frame->data + offset, length, pseudo);
        frame_set_u16(frame, offset + 6, spec->no_checksum ? 0 : sum ? sum : 0xffff);
        break;
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6:
        frame->data[offset] = spec->icmp_type;
        frame_set_u16(frame, offset + 4, spec->source_port);
        frame_set_u16(frame, offset + 6, 1);
        if (spec->protocol == IPPROTO_ICMP)
            pseudo = 0;
        frame_set_u16(frame, offset + 2, checksum_of(frame->data + offset, length, pseudo));
        break;
    }
}

void frame_build(struct frame *frame, const uint8_t *destination, const uint8_t *source,
                 const struct packet_spec *spec)
{
    size_t l4 = FRAME_ETHERNET + ip_header(spec);
    size_t later = spec->fragment & 0x1fff ? 1 : 0;
    size_t header = later ? 0 : l4_header(spec), length = header + spec->payload;

    assert(l4 + length <= FRAME_SIZE);
    memset(frame, 0, sizeof(*frame));
    frame->length = l4 + length;
    set_ethernet(frame, 0, destination, source, is_v6(spec->source) ? 0x86dd : 0x0800);
    set_ip(frame, FRAME_ETHERNET, spec, frame->length - FRAME_ETHERNET, 0x1234);
    for (size_t i = 0; i < spec->payload; i++)
        frame->data[l4 + header + i] = 'a' + i % 23;
    if (!later)
        set_l4(frame, l4, spec, length);
}

void frame_fix_icmp_checksum(struct frame *frame)
{
    int v6 = frame->data[FRAME_ETHERNET] >> 4 == 6;
    size_t header = v6 ? 40 : (frame->data[FRAME_ETHERNET] & 15) * 4;
    size_t icmp = FRAME_ETHERNET + header, length = frame->length - icmp;

    frame_set_u16(frame, icmp + 2, 0);
    frame_set_u16(frame, icmp + 2,
                  checksum_of(frame->data + icmp, length,
                              v6 ? pseudo_sum(frame, FRAME_ETHERNET, IPPROTO_ICMPV6, length) : 0));
}

void frame_build_error(struct frame *frame, const uint8_t *destination, const uint8_t *source,
                       const struct packet_spec *spec, uint32_t word, const struct frame *about,
                       size_t quoted)
{
    struct packet_spec error = *spec;
    size_t icmp = FRAME_ETHERNET + ip_header(spec);

    assert(FRAME_ETHERNET + quoted <= about->length);
    error.payload = quoted;
    frame_build(frame, destination, source, &error);
    frame_set_u16(frame, icmp + 4, word >> 16);
    frame_set_u16(frame, icmp + 6, word & 0xffff);
    memcpy(frame->data + icmp + 8, about->data + FRAME_ETHERNET, quoted);
    frame_fix_icmp_checksum(frame);
}

static void cut_v6(struct frame *piece, const struct frame *whole, size_t start, size_t length,
                   int more)
{
    static const uint8_t id[] = {0xde, 0xad, 0xbe, 0xef};
    size_t ip = FRAME_ETHERNET;

    frame_set_u16(piece, ip + 4, 8 + length);
    piece->data[ip + 6] = 44;
    piece->data[ip + 40] = whole->data[ip + 6];
    piece->data[ip + 41] = 0;
    frame_set_u16(piece, ip + 42, start | more);
    memcpy(piece->data + ip + 44, id, sizeof(id));
}

static void cut_v4(struct frame *piece, const struct frame *whole, size_t start, size_t length,
                   int more)
{
    size_t ip = FRAME_ETHERNET;
    uint16_t place = frame_u16(whole, ip + 6);

    frame_set_u16(piece, ip + 2, 20 + length);
    frame_set_u16(piece, ip + 6, (place + start / 8) | (more ? MORE_FRAGMENTS : 0));
    frame_fix_ip_checksum(piece, ip);
}

void frame_cut(struct frame *piece, const struct frame *whole, size_t start, size_t length)
{
    int v6 = whole->data[FRAME_ETHERNET] >> 4 == 6;
    size_t ip = FRAME_ETHERNET, data = ip + (v6 ? 40 : 20), header = v6 ? 48 : 20;
    int more = data + start + length < whole->length;

    assert(data + start + length <= whole->length);
    *piece = *whole;
    piece->length = ip + header + length;
    memcpy(piece->data + ip + header, whole->data + data + start, length);
    if (v6)
        cut_v6(piece, whole, start, length, more);
    else
        cut_v4(piece, whole, start, length, more);
}

static uint8_t traffic_class_of(const struct frame *frame, size_t ip)
{
    if (frame->data[ip] >> 4 == 6)
        return frame->data[ip] << 4 | frame->data[ip + 1] >> 4;
    return frame->data[ip + 1];
}

void frame_encapsulate(struct frame *frame, const uint8_t *destination, const uint8_t *source,
                       const char *outer_source, const char *outer_destination, uint32_t id,
                       uint16_t port, uint32_t vni)
{
    struct packet_spec outer = {
        .source = outer_source,
        .destination = outer_destination,
        .protocol = IPPROTO_UDP,
        .traffic_class = traffic_class_of(frame, FRAME_ETHERNET),
        .flow_label = id,
        .fragment = is_v6(outer_source) ? 0 : DO_NOT_FRAGMENT,
    };
    size_t overhead = frame_overhead(outer_source), udp = FRAME_ETHERNET + ip_header(&outer);
    size_t vxlan = udp + 8;
    uint16_t type = frame_u16(frame, 12);

    assert(frame->length + overhead <= FRAME_SIZE);
    memmove(frame->data + overhead + FRAME_ETHERNET, frame->data + FRAME_ETHERNET,
            frame->length - FRAME_ETHERNET);
    frame->length += overhead;
    memset(frame->data, 0, overhead + FRAME_ETHERNET);
    set_ethernet(frame, 0, destination, source, is_v6(outer_source) ? 0x86dd : 0x0800);
    set_ip(frame, FRAME_ETHERNET, &outer, frame->length - FRAME_ETHERNET, id);
    frame_set_u16(frame, udp, port);
    frame_set_u16(frame, udp + 2, 4789);
    frame_set_u16(frame, udp + 4, frame->length - udp);
    frame->data[vxlan] = 0x08;
    frame_set_u16(frame, vxlan + 4, vni >> 8);
    frame->data[vxlan + 6] = vni;
    set_ethernet(frame, vxlan + 8, mac_gateway_end, mac_pod_end, type);
}

void frame_answer(struct frame *frame)
{
    size_t udp = frame_u16(frame, 12) == 0x86dd ? FRAME_ETHERNET + 40 : FRAME_ETHERNET + 20;
    size_t inner = udp + 16;

    set_ethernet(frame, inner, mac_pod_end, mac_gateway_end, frame_u16(frame, inner + 12));
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "common/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { V4_OFFSET_BITS = 96, V4_OFFSET_BYTES = 12 };

int address_parse(struct text text, struct ip_addr *address)
{
    char string[ADDRESS_TEXT_SIZE];
    struct ip_addr v6;
    struct in_addr v4;

    if (text.length == 0 || text.length >= sizeof(string) || memchr(text.data, '\0', text.length))
        return -EINVAL;
    memcpy(string, text.data, text.length);
    string[text.length] = '\0';
    if (inet_pton(AF_INET, string, &v4) == 1) {
        *address = ip_addr_from_v4(v4.s_addr);
        return 0;
    }
    if (inet_pton(AF_INET6, string, v6.bytes) != 1 || ip_addr_is_v4(&v6))
        return -EINVAL;
    *address = v6;
    return 0;
}

/* One to three decimal digits without a leading zero. */
static int prefix_parse_length(struct text text, unsigned limit, unsigned *length)
{
    unsigned value = 0;

    if (text.length == 0 || text.length > 3 || (text.length > 1 && text.data[0] == '0'))
        return -EINVAL;
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return -EINVAL;
        value = value * 10 + (unsigned)(text.data[i] - '0');
    }
    if (value > limit)
        return -EINVAL;
    *length = value;
    return 0;
}

int prefix_parse(struct text text, struct ip_prefix *prefix)
{
    const char *slash = text.length ? memchr(text.data, '/', text.length) : NULL;
    struct ip_addr address;
    unsigned length;

    if (!slash)
        return -EINVAL;
    size_t before = (size_t)(slash - text.data);
    if (address_parse((struct text){text.data, before}, &address))
        return -EINVAL;
    if (prefix_parse_length((struct text){slash + 1, text.length - before - 1},
                            address_bits(&address), &length))
        return -EINVAL;
    prefix->address = address_mask(&address, length);
    prefix->length = (uint8_t)length;
    return 0;
}

/* Unlike address_format(), takes all zero bytes for the IPv6 address "::". */
static void address_format_bytes(const struct ip_addr *address, char buffer[ADDRESS_TEXT_SIZE])
{
    if (ip_addr_is_v4(address))
        inet_ntop(AF_INET, &address->words_be[3], buffer, ADDRESS_TEXT_SIZE);
    else
        inet_ntop(AF_INET6, address->bytes, buffer, ADDRESS_TEXT_SIZE);
}

const char *address_format(const struct ip_addr *address, char buffer[ADDRESS_TEXT_SIZE])
{
    if (ip_addr_is_none(address))
        return strcpy(buffer, "0.0.0.0");
    address_format_bytes(address, buffer);
    return buffer;
}

const char *prefix_format(const struct ip_prefix *prefix, char buffer[PREFIX_TEXT_SIZE])
{
    address_format_bytes(&prefix->address, buffer);
    size_t used = strlen(buffer);
    snprintf(buffer + used, PREFIX_TEXT_SIZE - used, "/%u", prefix->length);
    return buffer;
}

unsigned address_bits(const struct ip_addr *address)
{
    return ip_addr_is_v4(address) ? 32 : 128;
}

struct ip_addr address_mask(const struct ip_addr *address, unsigned length)
{
    struct ip_addr masked = *address;

    if (ip_addr_is_v4(address))
        length += V4_OFFSET_BITS;
    for (unsigned i = 0; i < sizeof(masked.bytes); i++) {
        unsigned kept = length > i * 8 ? length - i * 8 : 0;

        if (kept < 8)
            masked.bytes[i] &= (unsigned char)(0xff00 >> kept);
    }
    return masked;
}

bool prefix_contains(const struct ip_prefix *prefix, const struct ip_addr *address)
{
    struct ip_addr masked = address_mask(address, prefix->length);

    return ip_addr_is_v4(&prefix->address) == ip_addr_is_v4(address) &&
           ip_addr_equal(&masked, &prefix->address);
}

bool prefix_equal(const struct ip_prefix *a, const struct ip_prefix *b)
{
    return a->length == b->length && ip_addr_equal(&a->address, &b->address);
}

int address_compare(const struct ip_addr *a, const struct ip_addr *b)
{
    int family = ip_addr_is_v4(b) - ip_addr_is_v4(a);

    return family ? family : memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

int prefix_compare(const struct ip_prefix *a, const struct ip_prefix *b)
{
    int order = address_compare(&a->address, &b->address);

    return order ? order : (int)a->length - (int)b->length;
}

bool address_is_unicast(const struct ip_addr *address)
{
    static const struct ip_addr loopback_v6 = {.bytes = {[15] = 1}};
    const unsigned char *v4 = address->bytes + V4_OFFSET_BYTES;

    if (ip_addr_is_v4(address))
        return address->words_be[3] != htonl(INADDR_ANY) &&
               address->words_be[3] != htonl(INADDR_BROADCAST) && v4[0] != 127 &&
               (v4[0] & 0xf0) != 0xe0;
    return !ip_addr_is_none(address) && !ip_addr_equal(address, &loopback_v6) &&
           address->bytes[0] != 0xff;
}

bool address_is_global(const struct ip_addr *address)
{
    const unsigned char *v4 = address->bytes + V4_OFFSET_BYTES;

    if (!address_is_unicast(address))
        return false;
    if (ip_addr_is_v4(address))
        return !(v4[0] == 169 && v4[1] == 254);
    return !(address->bytes[0] == 0xfe && (address->bytes[1] & 0xc0) == 0x80);
}

const char *address_port_format(const struct ip_addr *address, __be16 port_be, bool with_port,
                                char buffer[ADDRESS_PORT_TEXT_SIZE])
{
    char text[ADDRESS_TEXT_SIZE];

    address_format(address, text);
    if (!with_port)
        snprintf(buffer, ADDRESS_PORT_TEXT_SIZE, "%s", text);
    else
        snprintf(buffer, ADDRESS_PORT_TEXT_SIZE, ip_addr_is_v4(address) ? "%s:%u" : "[%s]:%u", text,
                 ntohs(port_be));
    return buffer;
}

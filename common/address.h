/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COMMON_ADDRESS_H
#define COMMON_ADDRESS_H

#include <egressgw/ip_addr.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/macros.h"
#include "common/text.h"

/* A CIDR block. `length` counts in the address's own family (0-32 or 0-128); host bits are zero. */
struct ip_prefix {
    struct ip_addr address;
    uint8_t length;
};

/* Longest text of an address or a prefix, with the NUL. */
#define ADDRESS_TEXT_SIZE 46
#define PREFIX_TEXT_SIZE  50

/* Text -> value. -EINVAL: not exactly one address (or prefix; "10.0.0.1" alone is no prefix).
 * IPv4-mapped IPv6 text is refused: it would change family. prefix_parse() clears host bits. */
int address_parse(struct text text, struct ip_addr *address) _must_check_;
int prefix_parse(struct text text, struct ip_prefix *prefix) _must_check_;

/* Value -> text, in the canonical form. Returns `buffer`. No address: "0.0.0.0". */
const char *address_format(const struct ip_addr *address, char buffer[ADDRESS_TEXT_SIZE]);
const char *prefix_format(const struct ip_prefix *prefix, char buffer[PREFIX_TEXT_SIZE]);

/* 32 or 128: the bits of an address of this family. */
unsigned address_bits(const struct ip_addr *address);

/* Clears the bits behind the prefix. */
struct ip_addr address_mask(const struct ip_addr *address, unsigned length);

bool prefix_contains(const struct ip_prefix *prefix, const struct ip_addr *address);
bool prefix_equal(const struct ip_prefix *a, const struct ip_prefix *b);

/* Order: IPv4 before IPv6, then by address, then shorter prefixes first; <0, 0, >0. */
int address_compare(const struct ip_addr *a, const struct ip_addr *b);
int prefix_compare(const struct ip_prefix *a, const struct ip_prefix *b);

/* An address that one host can have: not unspecified, loopback, multicast, broadcast. */
bool address_is_unicast(const struct ip_addr *address);
/* Unicast and not link-local. */
bool address_is_global(const struct ip_addr *address);

/* An address and, if asked for, its port; IPv6 in brackets then. Returns `buffer`. */
#define ADDRESS_PORT_TEXT_SIZE (ADDRESS_TEXT_SIZE + 10)
const char *address_port_format(const struct ip_addr *address, __be16 port_be, bool with_port,
                                char buffer[ADDRESS_PORT_TEXT_SIZE]);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COMMON_PROTOCOL_NAME_H
#define COMMON_PROTOCOL_NAME_H

#include <stdint.h>

enum { PROTOCOL_NAME_SIZE = 16 };

/* "tcp", "udp", ...; the number where it has no name here. Returns `buffer`. */
const char *protocol_name(uint8_t protocol, char buffer[PROTOCOL_NAME_SIZE]);

#endif

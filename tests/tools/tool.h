/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_TOOLS_TOOL_H
#define TESTS_TOOLS_TOOL_H

/* What the traffic programs of the lab share: addresses, sockets with a deadline, the byte pattern
 * that a transfer carries, and the few words that client and server say to each other. */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* First line of a TCP connection: what the client wants. */
#define TOOL_WHO      "who\n"      /* the peer's address and port, then the end */
#define TOOL_TRANSFER "transfer\n" /* pattern both ways, then a line of what was received */
#define TOOL_SINK     "sink\n"     /* bytes until the end, then their number */
#define TOOL_ECHO     "echo\n"     /* records of TOOL_RECORD bytes, each sent back */
#define TOOL_COUNT    "count\n"    /* the number of TOOL_BLAST datagrams since the last question */

/* First byte of a datagram: 'w' and 's' are answered with the peer's address, 'b' is counted. */
#define TOOL_UDP_WHO      'w'
#define TOOL_UDP_SEQUENCE 's'
#define TOOL_UDP_BLAST    'b'

enum { TOOL_RECORD = 64, TOOL_LINE = 128, TOOL_CHUNK = 65536 };

struct tool_address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    };
    socklen_t length;
};

__attribute__((format(printf, 1, 2), noreturn)) static inline void tool_fail(const char *format,
                                                                             ...)
{
    va_list arguments;

    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

static inline uint64_t tool_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

/* A decimal number between the limits; anything else ends the program. */
static inline unsigned long tool_number(const char *text, unsigned long low, unsigned long high)
{
    char *end;
    unsigned long value;

    errno = 0;
    value = strtoul(text, &end, 10);
    if (errno || end == text || *end || value < low || value > high)
        tool_fail("%s: a number between %lu and %lu is needed", text, low, high);
    return value;
}

static inline struct tool_address tool_address_parse(const char *text, unsigned long port)
{
    struct tool_address address = {.length = sizeof(address.v4)};

    if (inet_pton(AF_INET, text, &address.v4.sin_addr) == 1) {
        address.v4.sin_family = AF_INET;
        address.v4.sin_port = htons((uint16_t)port);
    } else if (inet_pton(AF_INET6, text, &address.v6.sin6_addr) == 1) {
        address.v6.sin6_family = AF_INET6;
        address.v6.sin6_port = htons((uint16_t)port);
        address.length = sizeof(address.v6);
    } else {
        tool_fail("%s: not an IP address", text);
    }
    return address;
}

/* "ADDRESS PORT"; returns its length. */
static inline int tool_address_print(const struct tool_address *address, char *text, size_t size)
{
    char host[INET6_ADDRSTRLEN] = "?";
    bool v4 = address->any.sa_family == AF_INET;

    inet_ntop(address->any.sa_family,
              v4 ? (const void *)&address->v4.sin_addr : (const void *)&address->v6.sin6_addr, host,
              sizeof(host));
    return snprintf(text, size, "%s %u", host,
                    ntohs(v4 ? address->v4.sin_port : address->v6.sin6_port));
}

static inline void tool_socket_deadline(int fd, unsigned long milliseconds)
{
    struct timeval limit = {.tv_sec = (time_t)(milliseconds / 1000),
                            .tv_usec = (suseconds_t)(milliseconds % 1000 * 1000)};

    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)))
        tool_fail("setsockopt: %s", strerror(errno));
}

/* A socket of `type` with a deadline on each call, bound to `source` (NULL: any address). */
static inline int tool_socket(int type, const struct tool_address *source, int family,
                              unsigned long milliseconds)
{
    int on = 1, fd = socket(family, type | SOCK_CLOEXEC, 0);

    if (fd < 0)
        tool_fail("socket: %s", strerror(errno));
    tool_socket_deadline(fd, milliseconds);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (source && bind(fd, &source->any, source->length))
        tool_fail("bind: %s", strerror(errno));
    return fd;
}

/* Writes all of it; false on an error or a deadline. */
static inline bool tool_write(int fd, const void *data, size_t length)
{
    const char *at = data;

    while (length > 0) {
        ssize_t done = send(fd, at, length, MSG_NOSIGNAL);

        if (done <= 0)
            return false;
        at += done;
        length -= (size_t)done;
    }
    return true;
}

/* Reads up to the end of a line (or of the stream, or of the room); the text ends in a zero byte.
 * Returns its length, 0 where nothing came. */
static inline size_t tool_read_line(int fd, char *line, size_t size)
{
    size_t length = 0;

    while (length + 1 < size) {
        ssize_t done = recv(fd, line + length, 1, 0);

        if (done <= 0)
            break;
        length++;
        if (line[length - 1] == '\n')
            break;
    }
    line[length] = 0;
    return length;
}

/* The byte at an offset of a stream: no two places of a stream, and no two streams, look alike, so
 * that a lost, repeated or moved piece shows. */
static inline uint8_t tool_pattern(uint64_t stream, uint64_t offset)
{
    uint64_t x = (offset >> 3) * 0x9e3779b97f4a7c15ULL + stream * 0xd1342543de82ef95ULL;

    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x ^= x >> 27;
    return (uint8_t)(x >> (8 * (offset & 7)));
}

enum { TOOL_STREAM_UP = 1, TOOL_STREAM_DOWN = 2 };

static inline void tool_pattern_fill(uint64_t stream, uint64_t offset, uint8_t *data, size_t length)
{
    for (size_t i = 0; i < length; i++)
        data[i] = tool_pattern(stream, offset + i);
}

/* The number of bytes, from the first on, that are right. */
static inline size_t tool_pattern_check(uint64_t stream, uint64_t offset, const uint8_t *data,
                                        size_t length)
{
    size_t i = 0;

    while (i < length && data[i] == tool_pattern(stream, offset + i))
        i++;
    return i;
}

#define TOOL_HASH_START 0xcbf29ce484222325ULL

/* FNV-1a, continued. */
static inline uint64_t tool_hash(uint64_t hash, const uint8_t *data, size_t length)
{
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ data[i]) * 0x100000001b3ULL;
    return hash;
}

#endif

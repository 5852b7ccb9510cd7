/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/hostile.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

#include "tests/unit/record_samples.h"

#ifdef __SANITIZE_ADDRESS__
enum { ROUNDS = 5000 }; /* each takes longer */
#else
enum { ROUNDS = 50000 };
#endif
enum { TYPE_AT = 2, GENERATION_AT = 4, TURNS = 8 };

void hostile_say(struct hostile_talk *talk, const struct record *record)
{
    assert_true(talk->count < HOSTILE_RECORDS);
    assert_int_equal(record_pack(record, &talk->records[talk->count++]), 0);
}

static void change_bytes(struct record_buffer *record, uint64_t *seed)
{
    for (uint32_t times = 1 + sample_number(seed, 4); times && record->length; times--)
        record->data[sample_number(seed, (uint32_t)record->length)] =
            (unsigned char)sample_number(seed, 256);
}

/* A container or a string that says it has four billion parts. */
static void change_count(struct record_buffer *record, uint64_t *seed)
{
    static const unsigned char heads[] = {0xdd, 0xdf, 0xdb, 0xc6, 0xdc, 0xde, 0xda};
    size_t at = record->length ? sample_number(seed, (uint32_t)record->length) : 0;

    if (at + 5 > record->length)
        return;
    record->data[at] = heads[sample_number(seed, sizeof(heads))];
    memset(record->data + at + 1, 0xff, 4);
}

/* Arrays in arrays, to the end of the record. */
static void change_depth(struct record_buffer *record, uint64_t *seed)
{
    record->length = 1000 + sample_number(seed, RECORD_SIZE_LIMIT - 1000);
    memset(record->data + GENERATION_AT + 8, 0x91, record->length - GENERATION_AT - 8);
}

static void change_length(struct record_buffer *record, uint64_t *seed)
{
    size_t before = record->length;

    record->length = sample_number(seed, sample_number(seed, 2) ? (uint32_t)before + 1 : 4096);
    for (size_t i = before; i < record->length; i++)
        record->data[i] = (unsigned char)sample_number(seed, 256);
}

static void change_order(struct hostile_talk *talk, uint64_t *seed)
{
    static struct record_buffer kept;
    uint32_t a = sample_number(seed, (uint32_t)talk->count);
    uint32_t b = sample_number(seed, (uint32_t)talk->count);

    kept = talk->records[a];
    talk->records[a] = talk->records[b];
    if (sample_number(seed, 2)) /* else it is said twice */
        talk->records[b] = kept;
}

static void mutate_once(struct hostile_talk *talk, uint64_t *seed)
{
    struct record_buffer *record = &talk->records[sample_number(seed, (uint32_t)talk->count)];

    switch (sample_number(seed, 10)) {
    case 0:
        change_length(record, seed);
        break;
    case 1:
        change_count(record, seed);
        break;
    case 2:
        change_order(talk, seed);
        break;
    case 3:
        talk->count = 1 + sample_number(seed, (uint32_t)talk->count);
        break;
    case 4:
        record->data[TYPE_AT] = (unsigned char)sample_number(seed, RECORD_TYPES + 1);
        break;
    case 5:
        record_set_generation(record, sample_number(seed, 2) ? sample_number(seed, 20)
                                                             : UINT64_MAX - sample_number(seed, 2));
        break;
    case 6:
        change_depth(record, seed);
        break;
    default:
        change_bytes(record, seed);
    }
}

void hostile_mutate(struct hostile_talk *talk, uint64_t *seed)
{
    for (uint32_t times = 1 + sample_number(seed, 3); times; times--)
        mutate_once(talk, seed);
}

static void turn(struct event_base *base)
{
    for (int i = 0; i < TURNS; i++)
        event_base_loop(base, EVLOOP_NONBLOCK);
}

void hostile_send(struct event_base *base, int listener, const struct hostile_talk *talk, bool deaf)
{
    static unsigned char answer[RECORD_SIZE_LIMIT];
    struct sockaddr_un address;
    socklen_t size = sizeof(address);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, size), 0);
    for (size_t i = 0; i < talk->count; i++) {
        const struct record_buffer *record = &talk->records[i];

        if (send(fd, record->data, record->length, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
            if (errno != EAGAIN)
                break;
            turn(base);
        }
    }
    turn(base);
    while (!deaf && recv(fd, answer, sizeof(answer), MSG_DONTWAIT) > 0)
        ;
    close(fd);
    turn(base);
}

void hostile_flood(struct event_base *base, int listener)
{
    static struct hostile_talk nothing;
    struct sockaddr_un address;
    socklen_t size = sizeof(address);
    int fds[200];

    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        fds[i] = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (connect(fds[i], (struct sockaddr *)&address, size) < 0)
            assert_int_equal(errno, EAGAIN);
        if (i % 50 == 0)
            hostile_send(base, listener, &nothing, true);
    }
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        close(fds[i]);
    hostile_send(base, listener, &nothing, true);
}

unsigned hostile_rounds(void)
{
    const char *rounds = getenv("HOSTILE_ROUNDS");

    if (rounds)
        return (unsigned)strtoul(rounds, NULL, 10);
    return getenv("SOAK") ? 20 * ROUNDS : ROUNDS;
}

size_t hostile_memory(void)
{
    struct mallinfo2 info = mallinfo2();

    return info.uordblks + info.hblkhd;
}

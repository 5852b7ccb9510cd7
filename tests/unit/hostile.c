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

#include "tests/unit/fake_clock.h"
#include "tests/unit/record_samples.h"

#ifdef __SANITIZE_ADDRESS__
enum { ROUNDS = 2000 }; /* each takes longer */
#else
enum { ROUNDS = 10000 };
#endif
enum { TURNS = 8 };
enum { RECONNECT_MS = 1000 }; /* what a client that was refused waits at most */
enum { CHECK_EVERY = 500 };   /* rounds */

struct hostile_log hostile_log;

static void turn(struct event_base *base)
{
    for (int i = 0; i < TURNS; i++)
        event_base_loop(base, EVLOOP_NONBLOCK);
}

void hostile_say_on(struct event_base *base, int fd, const struct hostile_talk *talk, bool deaf)
{
    static unsigned char answer[RECORD_SIZE_LIMIT];

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

void hostile_send(struct event_base *base, int listener, const struct hostile_talk *talk, bool deaf)
{
    struct sockaddr_un address;
    socklen_t size = sizeof(address);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, size), 0);
    hostile_say_on(base, fd, talk, deaf);
}

void hostile_send_one(int fd, const struct hostile_talk *talk, size_t at)
{
    const struct record_buffer *record = &talk->records[at];

    assert_int_equal(send(fd, record->data, record->length, MSG_NOSIGNAL), record->length);
}

int hostile_accept(struct event_base *base, int listener)
{
    int fd;

    for (int i = 0; i < TURNS; i++) {
        fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0)
            return fd;
        assert_int_equal(errno, EAGAIN);
        fake_clock_forward(RECONNECT_MS);
        turn(base);
    }
    fail_msg("nobody connects");
    return -1;
}

int hostile_listen(char path[HOSTILE_PATH])
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    snprintf(path, HOSTILE_PATH, "%s/hostile-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    assert_non_null(mkdtemp(path));
    strcat(path, "/socket");
    assert_true(strlen(path) < sizeof(address.sun_path));
    strcpy(address.sun_path, path);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(listener, 8), 0);
    return listener;
}

void hostile_unlisten(int listener, char path[HOSTILE_PATH])
{
    close(listener);
    unlink(path);
    *strrchr(path, '/') = '\0';
    assert_int_equal(rmdir(path), 0);
}

bool hostile_hear(struct event_base *base, int fd, struct arena *arena, struct record *record)
{
    static unsigned char data[RECORD_SIZE_LIMIT];
    const char *why = "";
    ssize_t length = -1;

    for (int i = 0; i < TURNS && length < 0; i++) {
        length = recv(fd, data, sizeof(data), MSG_DONTWAIT);
        if (length < 0)
            turn(base);
    }
    if (length <= 0)
        return false;
    arena_clear(arena);
    if (record_unpack(data, (size_t)length, arena, record, &why) < 0)
        fail_msg("%s", why);
    return true;
}

bool hostile_is_closed(struct event_base *base, int fd)
{
    char byte;
    ssize_t length;

    turn(base);
    do
        length = recv(fd, &byte, 1, MSG_DONTWAIT);
    while (length > 0);
    return length == 0 || errno != EAGAIN;
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

static void on_line(enum log_level level, const char *line, void *context _unused_)
{
    if (level > LEVEL_WARNING)
        return;
    hostile_log.lines++;
    snprintf(hostile_log.last, sizeof(hostile_log.last), "%s", line);
}

void hostile_watch_log(void)
{
    hostile_log = (struct hostile_log){0};
    log_set_sink(on_line, NULL);
}

void hostile_random(const struct hostile_side *side, uint64_t seed)
{
    unsigned rounds = hostile_rounds();
    size_t before = 0;

    print_message("# seed %d, %u rounds\n", (int)seed, rounds);
    for (unsigned round = 0; round < rounds; round++) {
        side->round(round, &seed);
        if (hostile_log.lines > side->lines_most)
            fail_msg("round %u: %u lines, the last one: %s", round, hostile_log.lines,
                     hostile_log.last);
        if (round % CHECK_EVERY == 0)
            side->resyncs();
        if (round <= CHECK_EVERY)
            before = hostile_memory();
    }
    side->resyncs();
    assert_true(hostile_memory() < before + side->memory_most);
}

void hostile_assert_closed(const struct hostile_side *side, int fd, const char *why)
{
    char peer[32];

    snprintf(peer, sizeof(peer), "peer=%s", side->peer);
    assert_true(hostile_is_closed(side->base, fd));
    assert_int_equal(hostile_log.lines, 1);
    if (!strstr(hostile_log.last, why) || !strstr(hostile_log.last, peer))
        fail_msg("not for %s: %s", why, hostile_log.last);
    close(fd);
}

void hostile_types_of_others(const struct hostile_side *side, uint32_t own, uint64_t seed)
{
    static struct hostile_talk talk;

    for (int type = RECORD_SYNC_BEGIN; type < RECORD_TYPES; type++) {
        _cleanup_arena_ struct arena arena = {0};
        struct record record = sample_record(&arena, &seed, (enum record_type)type);
        int fd;

        if (own & 1U << type)
            continue;
        fd = side->connect();
        talk.count = hostile_log.lines = 0;
        hostile_say(&talk, &record);
        hostile_send_one(fd, &talk, 0);
        hostile_assert_closed(side, fd, "not for this side");
    }
    side->resyncs();
}

void hostile_report_without_end(const struct hostile_side *side, int fd)
{
    static struct hostile_talk talk;
    size_t before = hostile_memory();

    hostile_log.lines = 0;
    for (uint32_t from = 0; !hostile_log.lines && from < 4 * STATUS_REPORT_LIMIT; from += 20) {
        talk.count = 0;
        hostile_say_report(&talk, from == 0, false, from);
        hostile_send_one(fd, &talk, 0);
        event_base_loop(side->base, EVLOOP_NONBLOCK);
    }
    hostile_assert_closed(side, fd, "record=status");
    assert_true(hostile_memory() < before + side->memory_most);
    side->resyncs();
}

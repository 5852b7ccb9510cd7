/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A peer of a daemon that has been taken over: says what an honest one said, changed at random.
 *
 *   hostile relay SOCKET UID TARGET UID HEARD SAID
 *       stands between two honest daemons until one of them ends: listens as the first user,
 *       connects as the second, and keeps what came from TARGET in HEARD, what went there in SAID
 *   hostile connect SOCKET UID SAID ROUNDS SEED
 *       says it to a daemon that listens, changed each time
 *   hostile serve SOCKET UID PEER SAID HEARD ROUNDS SEED
 *       listens for a daemon of the user PEER that begins as in SAID, and answers what is in HEARD,
 *       changed each time
 *
 * Every third time it does not listen to what the other side says.
 */
#include <linux/sockios.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/un.h>

#include <cmocka.h>

#include "ipc/channel.h"
#include "tests/tools/tool.h"
#include "tests/unit/hostile_talk.h"

enum { DEADLINE_MS = 10000, USER_MOST = 1 << 30 };

/* ---- sockets, as another user ---- */

static uid_t user_of(const char *text)
{
    return (uid_t)tool_number(text, 0, USER_MOST);
}

static void become(uid_t user)
{
    if (seteuid(user))
        tool_fail("user %u: %s", user, strerror(errno));
}

/* Who called listen(2) last is who the peer finds there. */
static int listen_as(const char *path, uid_t user, uid_t peer)
{
    int fd = channel_listen(path, peer);

    if (fd < 0)
        tool_fail("%s: %s", path, strerror(-fd));
    become(user);
    if (listen(fd, 8))
        tool_fail("%s, as user %u: %s", path, user, strerror(errno));
    become(0);
    return fd;
}

static int connect_as(const char *path, uid_t user)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    if (fd < 0 || strlen(path) >= sizeof(address.sun_path))
        tool_fail("%s: no socket can have this path", path);
    strcpy(address.sun_path, path);
    become(user);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)))
        tool_fail("%s, as user %u: %s", path, user, strerror(errno));
    become(0);
    return fd;
}

/* The events that are there within some milliseconds. */
static int wait_for(int fd, int events, int milliseconds)
{
    struct pollfd poller = {.fd = fd, .events = (short)events};

    return poll(&poller, 1, milliseconds) < 0 ? 0 : poller.revents;
}

static int accept_next(int listener)
{
    if (!(wait_for(listener, POLLIN, DEADLINE_MS) & POLLIN))
        tool_fail("nobody connects");
    return accept4(listener, NULL, NULL, SOCK_CLOEXEC);
}

/* ---- talks in files: each record after its length ---- */

static void talk_load(struct hostile_talk *talk, const char *path)
{
    FILE *file = fopen(path, "r");
    uint32_t length;

    if (!file)
        tool_fail("%s: %s", path, strerror(errno));
    for (talk->count = 0; talk->count < HOSTILE_RECORDS; talk->count++) {
        struct record_buffer *record = &talk->records[talk->count];

        if (fread(&length, sizeof(length), 1, file) != 1)
            break;
        if (length > RECORD_SIZE_LIMIT || fread(record->data, 1, length, file) != length)
            tool_fail("%s: it ends within a record", path);
        record->length = length;
    }
    fclose(file);
    if (talk->count < 2)
        tool_fail("%s: nothing was said", path);
}

static void talk_store(FILE *file, const struct record_buffer *record)
{
    uint32_t length = (uint32_t)record->length;

    if (fwrite(&length, sizeof(length), 1, file) != 1 ||
        fwrite(record->data, 1, length, file) != length || fflush(file))
        tool_fail("cannot write what was said");
}

/* ---- between two honest daemons ---- */

/* Takes one record to the other side; false: that was all. */
static bool pass(int from, int to, FILE *file)
{
    static struct record_buffer record;
    ssize_t length = recv(from, record.data, sizeof(record.data), 0);

    if (length <= 0)
        return false;
    record.length = (size_t)length;
    talk_store(file, &record);
    return send(to, record.data, record.length, MSG_NOSIGNAL) == length;
}

static void relay(char **arguments)
{
    uid_t user = user_of(arguments[3]);
    int listener = listen_as(arguments[0], user_of(arguments[1]), user), client, target;
    FILE *heard = fopen(arguments[4], "w"), *said = fopen(arguments[5], "w");
    bool both = true;

    if (!heard || !said)
        tool_fail("%s, %s: %s", arguments[4], arguments[5], strerror(errno));
    client = accept_next(listener);
    target = connect_as(arguments[2], user);
    while (both) {
        struct pollfd ends[] = {{.fd = client, .events = POLLIN}, {.fd = target, .events = POLLIN}};

        if (poll(ends, 2, -1) < 0)
            tool_fail("poll: %s", strerror(errno));
        if (ends[0].revents)
            both = pass(client, target, said);
        if (both && ends[1].revents)
            both = pass(target, client, heard);
    }
}

/* ---- taken over ---- */

static void hear(int fd)
{
    static unsigned char answer[RECORD_SIZE_LIMIT];

    while (recv(fd, answer, sizeof(answer), MSG_DONTWAIT) > 0)
        ;
}

/* Waits until the other side has read everything, or has closed. */
static void await_read(int fd, bool deaf)
{
    uint64_t end = tool_now_ns() + DEADLINE_MS * 1000000ULL;
    int unread = 0;

    while (!(wait_for(fd, 0, 0) & POLLHUP) && ioctl(fd, SIOCOUTQ, &unread) == 0 && unread > 0) {
        if (tool_now_ns() > end)
            tool_fail("the other side reads nothing");
        if (!deaf)
            hear(fd);
        wait_for(fd, 0, 1);
    }
}

static void say(int fd, const struct hostile_talk *talk, bool deaf)
{
    for (size_t i = 0; i < talk->count; i++) {
        const struct record_buffer *record = &talk->records[i];

        while (send(fd, record->data, record->length, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
            if (errno != EAGAIN)
                return; /* it has closed */
            if (!deaf)
                hear(fd);
            if (!wait_for(fd, POLLOUT, DEADLINE_MS))
                tool_fail("the other side reads nothing");
        }
    }
    await_read(fd, deaf);
}

/* The numbers of this conversation, which begins with this record, in an answer to that one. */
static void talk_shift(struct hostile_talk *talk, uint64_t then, uint64_t now)
{
    for (size_t i = 0; i < talk->count; i++) {
        uint64_t generation = hostile_generation(&talk->records[i]);

        if (generation >= then)
            record_set_generation(&talk->records[i], generation - then + now);
    }
}

static void connect_rounds(char **arguments)
{
    static struct hostile_talk said, talk;
    unsigned long rounds = tool_number(arguments[3], 1, 100000000);
    uint64_t seed = tool_number(arguments[4], 0, USER_MOST);

    talk_load(&said, arguments[2]);
    for (unsigned long round = 0; round < rounds; round++) {
        int fd = connect_as(arguments[0], user_of(arguments[1]));

        hostile_repeat(&talk, &said);
        hostile_mutate(&talk, &seed);
        say(fd, &talk, round % 3 == 0);
        close(fd);
    }
}

static void serve_rounds(char **arguments)
{
    static struct hostile_talk begin, answers, talk;
    static struct record_buffer first;
    int listener = listen_as(arguments[0], user_of(arguments[1]), user_of(arguments[2]));
    unsigned long rounds = tool_number(arguments[5], 1, 100000000);
    uint64_t seed = tool_number(arguments[6], 0, USER_MOST);

    talk_load(&begin, arguments[3]);
    talk_load(&answers, arguments[4]);
    for (unsigned long round = 0; round < rounds; round++) {
        int fd = accept_next(listener);
        ssize_t length = wait_for(fd, POLLIN, DEADLINE_MS) & POLLIN
                             ? recv(fd, first.data, sizeof(first.data), 0)
                             : 0;

        if (length <= 0)
            tool_fail("it connects and says nothing");
        first.length = (size_t)length;
        hostile_repeat(&talk, &answers);
        talk_shift(&talk, hostile_generation(&begin.records[0]), hostile_generation(&first));
        hostile_mutate(&talk, &seed);
        say(fd, &talk, round % 3 == 0);
        close(fd);
    }
    unlink(arguments[0]);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int arguments;
        void (*run)(char **arguments);
    } ways[] = {{"relay", 6, relay}, {"connect", 5, connect_rounds}, {"serve", 7, serve_rounds}};

    for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
        if (argc >= 2 && !strcmp(argv[1], ways[i].name) && argc == 2 + ways[i].arguments) {
            ways[i].run(argv + 2);
            return 0;
        }
    }
    tool_fail("usage: hostile relay SOCKET UID TARGET UID HEARD SAID\n"
              "       hostile connect SOCKET UID SAID ROUNDS SEED\n"
              "       hostile serve SOCKET UID PEER SAID HEARD ROUNDS SEED");
}

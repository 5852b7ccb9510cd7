/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_HOSTILE_H
#define TESTS_HOSTILE_H

#include <event2/event.h>

#include "common/log.h"
#include "tests/unit/hostile_talk.h"

/* A peer that has been taken over, over a real socket. */

enum { HOSTILE_PATH = 100 };

/* Connects to the listening socket, sends all of it as far as the other side takes it, gives that
 * its turns on `base`, reads its answers (unless `deaf`) and closes. */
void hostile_send(struct event_base *base, int listener, const struct hostile_talk *talk,
                  bool deaf);

/* The same on a connection that there is. */
void hostile_say_on(struct event_base *base, int fd, const struct hostile_talk *talk, bool deaf);

/* Sends one record of it, all of which has to be taken. */
void hostile_send_one(int fd, const struct hostile_talk *talk, size_t at);

/* Where the side under test is the one that connects: a listening socket in a directory of its own,
 * and its path; and both gone again. */
int hostile_listen(char path[HOSTILE_PATH]);
void hostile_unlisten(int listener, char path[HOSTILE_PATH]);
/* The side under test, which has to connect; its pauses pass at once (fake_clock.h). */
int hostile_accept(struct event_base *base, int listener);

/* The next record that the other side has to say, in `arena`; false: none in a few turns, or the
 * connection is closed. */
bool hostile_hear(struct event_base *base, int fd, struct arena *arena, struct record *record);
/* Whether the other side has closed it; what it had said does not matter any more. */
bool hostile_is_closed(struct event_base *base, int fd);

/* Connects two hundred times, faster than connections are taken, and ends all of them: the newest
 * counts, none is kept. */
void hostile_flood(struct event_base *base, int listener);

/* Warnings and errors of the side under test: how many since somebody set that to 0, and the last.
 */
struct hostile_log {
    unsigned lines;
    char last[LOG_LINE_SIZE];
};
extern struct hostile_log hostile_log;
void hostile_watch_log(void);

/* A side under test, and the peer that has been taken over as its log names it. */
struct hostile_side {
    const char *peer;
    struct event_base *base;
    int (*connect)(void); /* a new connection, as far as the peer may talk on it */
    void (*round)(unsigned number, uint64_t *seed); /* a conversation that was changed */
    void (*resyncs)(void); /* asserts that the next peer, an honest one, sets everything right */
    unsigned lines_most;   /* of the log, for a connection */
    size_t memory_most;    /* bytes more at the end than in the beginning */
};

/* Changed conversations, with a look now and then whether an honest peer gets through. */
void hostile_random(const struct hostile_side *side, uint64_t seed);

/* The connection was closed, with one line that holds `why`. */
void hostile_assert_closed(const struct hostile_side *side, int fd, const char *why);

/* Types that only others send, with contents that would be right. `own`: bits of the peer's own. */
void hostile_types_of_others(const struct hostile_side *side, uint32_t own, uint64_t seed);

/* A report that never ends takes no more than a report may. */
void hostile_report_without_end(const struct hostile_side *side, int fd);

/* Rounds of mutations: $HOSTILE_ROUNDS, or with SOAK=1 many, else what a test takes that has no
 * time. */
unsigned hostile_rounds(void);

/* Bytes that are allocated now. */
size_t hostile_memory(void);

#endif

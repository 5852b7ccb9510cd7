/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_CHANNEL_PAIR_H
#define TESTS_CHANNEL_PAIR_H

/* Both ends of a channel on one event base, over a real socket in a directory of its own. Include
 * after cmocka.h. */

#include <event2/event.h>

#include "common/log.h"
#include "ipc/channel.h"

struct channel_side {
    struct channel *channel;
    unsigned connected, closed, writable, taken;
    uint64_t generation; /* of the last record */
    int answer;          /* what the handler returns */
    unsigned next_state; /* set by the handler, where not 0 */
};

struct channel_pair {
    struct event_base *base;
    char directory[64];
    char path[96];
    struct channel_side server_side, client_side;
    struct channel_server *server;
    struct channel_client *client;
    unsigned lines; /* of the log that hold `wanted` */
    const char *wanted;
    char last_line[LOG_LINE_SIZE];
    bool expired;
};
extern struct channel_pair pair;

/* Setup and teardown of a test. */
int channel_pair_setup(void **state);
int channel_pair_teardown(void **state);

/* Runs the loop until the condition holds. */
#define RUN_UNTIL(condition)                                                                       \
    do {                                                                                           \
        while (!(condition)) {                                                                     \
            assert_int_equal(event_base_loop(pair.base, EVLOOP_ONCE), 0);                          \
            if (pair.expired)                                                                      \
                fail_msg("never: %s", #condition);                                                 \
        }                                                                                          \
    } while (0)

/* Lines of the log that hold this are counted from here on. */
void channel_pair_want_line(const char *wanted);

/* A server that takes this user, on the socket or on another listener; a client that wants this
 * user to listen; and both with our own, until they are connected. */
void channel_pair_serve(uid_t peer);
void channel_pair_serve_on(int listener, uid_t peer);
void channel_pair_dial(uid_t peer);
void channel_pair_connect(void);
/* A record without contents, which there is room for. */
void channel_pair_send(struct channel_side *side, enum record_type type, uint64_t generation);

/* A peer that is no channel: it can send anything. */
int channel_pair_raw_connect(void);
void channel_pair_raw_send(int fd, const struct record *record);
bool channel_pair_raw_closed(int fd);

#endif

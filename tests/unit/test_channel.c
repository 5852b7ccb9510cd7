/* SPDX-License-Identifier: Apache-2.0 */
/* A channel that works: states, full sockets, peers that go and come back. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "tests/unit/channel_pair.h"

static void test_exchange_and_states(void **state _unused_)
{
    channel_pair_connect();
    assert_int_equal(channel_state(pair.server_side.channel), 0);
    pair.server_side.next_state = 1;
    channel_pair_send(&pair.client_side, RECORD_SYNC_BEGIN, 1);
    channel_pair_send(&pair.client_side, RECORD_SYNC_END, 2);
    RUN_UNTIL(pair.server_side.taken == 2);
    assert_int_equal(pair.server_side.generation, 2);
    assert_int_equal(channel_state(pair.server_side.channel), 1);
    channel_pair_send(&pair.server_side, RECORD_ACKNOWLEDGE, 2);
    RUN_UNTIL(pair.client_side.taken == 1);
    assert_int_equal(pair.client_side.generation, 2);
    assert_int_equal(pair.server_side.closed + pair.client_side.closed, 0);
}

static void fill_until_full(struct channel_side *side, unsigned *sent)
{
    static struct table_entry entries[RECORD_ENTRIES_LIMIT];
    struct record record = {.type = RECORD_ENTRIES, .entries = {entries, RECORD_ENTRIES_LIMIT}};
    int error;

    for (size_t i = 0; i < RECORD_ENTRIES_LIMIT; i++) {
        entries[i] = (struct table_entry){.table = TABLE_NODES};
        entries[i].key.address = ip_addr_from_v4(0x0100000a);
    }
    while ((error = channel_send_record(side->channel, &record)) == 0)
        record.generation = ++*sent;
    assert_int_equal(error, -EAGAIN);
}

static void test_full_socket(void **state _unused_)
{
    static unsigned char data[RECORD_SIZE_LIMIT];
    unsigned sent = 0;
    int fd;

    channel_pair_serve(geteuid());
    fd = channel_pair_raw_connect();
    RUN_UNTIL(pair.server_side.channel);
    fill_until_full(&pair.server_side, &sent);
    assert_true(sent > 0);
    event_base_loop(pair.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    assert_int_equal(pair.server_side.writable, 0);
    for (unsigned i = 0; i < sent; i++)
        assert_true(recv(fd, data, sizeof(data), MSG_DONTWAIT) > 0);
    assert_int_equal(recv(fd, data, sizeof(data), MSG_DONTWAIT), -1);
    RUN_UNTIL(pair.server_side.writable == 1);
    event_base_loop(pair.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    assert_int_equal(pair.server_side.writable, 1);
    channel_pair_send(&pair.server_side, RECORD_ACKNOWLEDGE, 1);
    close(fd);
}

/* Nothing is lost or out of order where a sender goes on whenever there is room. */
static void test_full_socket_of_a_channel(void **state _unused_)
{
    unsigned sent = 0;

    channel_pair_connect();
    for (unsigned round = 1; round <= 3; round++) {
        fill_until_full(&pair.server_side, &sent);
        RUN_UNTIL(pair.server_side.writable == round);
    }
    RUN_UNTIL(pair.client_side.taken == sent);
    assert_int_equal(pair.client_side.generation, sent - 1);
}

static void on_pause(evutil_socket_t fd _unused_, short events _unused_, void *context)
{
    *(bool *)context = true;
}

static void test_reconnect(void **state _unused_)
{
    const struct timeval pause = {.tv_usec = 200000};
    bool paused = false;

    channel_pair_connect();
    channel_pair_want_line("waiting for the peer");
    channel_server_free(pair.server);
    pair.server = NULL;
    assert_int_equal(pair.server_side.closed, 0);
    assert_int_equal(event_base_once(pair.base, -1, EV_TIMEOUT, on_pause, &paused, &pause), 0);
    RUN_UNTIL(pair.client_side.closed == 1 && paused);
    assert_int_equal(pair.lines, 1); /* of several attempts */
    channel_pair_want_line("connected peer=planner");
    channel_pair_serve(geteuid());
    RUN_UNTIL(pair.client_side.connected == 2 && pair.server_side.connected == 2);
    assert_int_equal(pair.lines, 1);
    channel_pair_send(&pair.client_side, RECORD_SYNC_BEGIN, 9);
    RUN_UNTIL(pair.server_side.generation == 9);
}

static void test_client_comes_first(void **state _unused_)
{
    channel_pair_want_line("waiting for the peer");
    channel_pair_dial(geteuid());
    RUN_UNTIL(pair.lines == 1);
    channel_pair_serve(geteuid());
    RUN_UNTIL(pair.client_side.connected == 1);
}

static void test_replacement(void **state _unused_)
{
    const struct record record = {.type = RECORD_SYNC_BEGIN, .generation = 5};
    struct channel *old;
    int first, second;

    channel_pair_serve(geteuid());
    first = channel_pair_raw_connect();
    RUN_UNTIL(pair.server_side.connected == 1);
    old = pair.server_side.channel;
    assert_non_null(old);
    second = channel_pair_raw_connect();
    RUN_UNTIL(pair.server_side.connected == 2);
    assert_int_equal(pair.server_side.closed, 1);
    assert_non_null(pair.server_side.channel); /* closed before connected */
    assert_true(channel_pair_raw_closed(first));
    channel_pair_raw_send(second, &record);
    RUN_UNTIL(pair.server_side.generation == 5);
    close(first);
    close(second);
}

/* A peer that ends with unread records behind it: the kernel resets the connection, and what the
 * peer had said before is still heard. The reset is told to a sender or to the reader. */
static void last_words(bool send_first)
{
    const struct record record = {.type = RECORD_SYNC_BEGIN, .generation = 6};
    const struct record answer = {.type = RECORD_ACKNOWLEDGE};
    int fd;

    channel_pair_serve(geteuid());
    fd = channel_pair_raw_connect();
    RUN_UNTIL(pair.server_side.channel);
    channel_pair_send(&pair.server_side, RECORD_ACKNOWLEDGE, 1);
    channel_pair_raw_send(fd, &record);
    close(fd);
    if (send_first)
        assert_int_equal(channel_send_record(pair.server_side.channel, &answer), -EPIPE);
    assert_int_equal(pair.server_side.closed, 0);
    RUN_UNTIL(pair.server_side.closed == 1);
    assert_int_equal(pair.server_side.generation, 6);
}

static void test_last_words(void **state _unused_)
{
    last_words(false);
}

static void test_last_words_while_sending(void **state _unused_)
{
    last_words(true);
}

static void test_close_from_outside(void **state _unused_)
{
    const struct record record = {.type = RECORD_ACKNOWLEDGE};

    channel_pair_connect();
    channel_pair_want_line("reason=\"out of order\"");
    channel_close(pair.server_side.channel, "out of order");
    channel_close(pair.server_side.channel, "out of order");
    assert_int_equal(pair.lines, 1);
    assert_int_equal(pair.server_side.closed, 0);
    assert_int_equal(channel_send_record(pair.server_side.channel, &record), -EPIPE);
    RUN_UNTIL(pair.server_side.closed == 1 && pair.client_side.connected == 2);
    channel_pair_want_line("");
    channel_close(pair.client_side.channel, NULL);
    assert_int_equal(pair.lines, 0);
}

static void test_turns_are_bounded(void **state _unused_)
{
    const struct record record = {.type = RECORD_SYNC_BEGIN};
    unsigned before = 0, turns = 0;
    int fd;

    channel_pair_serve(geteuid());
    fd = channel_pair_raw_connect();
    for (int i = 0; i < 200; i++)
        channel_pair_raw_send(fd, &record);
    while (pair.server_side.taken < 200) {
        assert_int_equal(event_base_loop(pair.base, EVLOOP_ONCE | EVLOOP_NONBLOCK), 0);
        assert_true(pair.server_side.taken - before <= 64);
        before = pair.server_side.taken;
        turns++;
        assert_true(turns < 100);
    }
    close(fd);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, channel_pair_setup, channel_pair_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_exchange_and_states),
        CASE(test_full_socket),
        CASE(test_full_socket_of_a_channel),
        CASE(test_reconnect),
        CASE(test_client_comes_first),
        CASE(test_replacement),
        CASE(test_last_words),
        CASE(test_last_words_while_sending),
        CASE(test_close_from_outside),
        CASE(test_turns_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <egressgw/nat_state.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/macros.h"

#define SYN  NAT_SEEN_SYN
#define DATA (NAT_SEEN_DATA | NAT_SEEN_ACK)
#define FIN  NAT_SEEN_FIN
#define RST  NAT_SEEN_RST

enum { NOW = 5000000 };

static void test_states_and_timeouts(void **state)
{
    static const struct {
        uint8_t protocol, packets, answers;
        enum nat_state state;
        enum nat_timeout timeout;
    } cases[] = {
        {IPPROTO_TCP, SYN, 0, NAT_NEW, NAT_TCP_TRANSITORY},
        {IPPROTO_TCP, SYN | DATA, 0, NAT_NEW, NAT_TCP_TRANSITORY},
        {IPPROTO_TCP, SYN, SYN, NAT_OPENING, NAT_TCP_TRANSITORY},
        {IPPROTO_TCP, SYN, SYN | DATA, NAT_OPENING, NAT_TCP_TRANSITORY},
        {IPPROTO_TCP, SYN | DATA, SYN, NAT_ESTABLISHED, NAT_TCP_ESTABLISHED},
        {IPPROTO_TCP, SYN | DATA, SYN | DATA, NAT_ESTABLISHED, NAT_TCP_ESTABLISHED},
        {IPPROTO_TCP, DATA, DATA, NAT_ESTABLISHED, NAT_TCP_ESTABLISHED},
        {IPPROTO_TCP, SYN | DATA | FIN, SYN | DATA, NAT_CLOSING, NAT_TCP_TRANSITORY},
        {IPPROTO_TCP, SYN | DATA, SYN | DATA | FIN, NAT_CLOSING, NAT_TCP_TRANSITORY},
        {IPPROTO_TCP, SYN | DATA | FIN, SYN | DATA | FIN, NAT_CLOSED, NAT_TCP_CLOSED},
        {IPPROTO_TCP, SYN | DATA | RST, SYN | DATA, NAT_CLOSED, NAT_TCP_CLOSED},
        {IPPROTO_TCP, SYN, RST, NAT_CLOSED, NAT_TCP_CLOSED},
        {IPPROTO_UDP, DATA, 0, NAT_NEW, NAT_UDP_UNANSWERED},
        {IPPROTO_UDP, DATA, DATA, NAT_ESTABLISHED, NAT_UDP_ANSWERED},
        {IPPROTO_UDPLITE, DATA, DATA, NAT_ESTABLISHED, NAT_UDP_ANSWERED},
        {IPPROTO_ICMP, DATA, DATA, NAT_ESTABLISHED, NAT_ICMP},
        {IPPROTO_ICMPV6, DATA, 0, NAT_NEW, NAT_ICMP},
        {IPPROTO_SCTP, DATA, DATA, NAT_ESTABLISHED, NAT_OTHER},
        {IPPROTO_GRE, DATA, 0, NAT_NEW, NAT_OTHER},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_int_equal(nat_state_of(cases[i].protocol, cases[i].packets, cases[i].answers),
                         cases[i].state);
        assert_int_equal(nat_timeout_of(cases[i].protocol, cases[i].state), cases[i].timeout);
    }
}

static uint32_t ago(unsigned seconds)
{
    return NOW - nat_ticks(seconds);
}

static void test_younger_use_decides(void **state)
{
    static const uint32_t timeouts[NAT_TIMEOUTS] = {
        [NAT_UDP_UNANSWERED] = 111, [NAT_UDP_ANSWERED] = 1117};
    struct nat_use packets = {.last_seen = ago(31), .seen = DATA}, answers = {.last_seen = ago(29)};

    (void)state;
    assert_false(nat_is_idle(IPPROTO_UDP, &packets, &answers, timeouts, NOW));
    assert_true(nat_is_idle(IPPROTO_UDP, &packets, NULL, timeouts, NOW));
    answers.last_seen = ago(31);
    assert_true(nat_is_idle(IPPROTO_UDP, &packets, &answers, timeouts, NOW));
    answers.seen = DATA;
    assert_false(nat_is_idle(IPPROTO_UDP, &packets, &answers, timeouts, NOW));
    answers.seen = 0;
    packets.last_seen = ago(29);
    assert_false(nat_is_idle(IPPROTO_UDP, &packets, &answers, timeouts, NOW));
    /* A packet that was seen after our look at the clock, and a clock that wraps around. */
    packets.last_seen = NOW + 1;
    assert_false(nat_is_idle(IPPROTO_UDP, &packets, &answers, timeouts, NOW));
    packets.last_seen = UINT32_MAX - 10;
    answers.last_seen = UINT32_MAX - 20;
    assert_false(nat_is_idle(IPPROTO_UDP, &packets, &answers, timeouts, 5));
    assert_true(nat_is_idle(IPPROTO_UDP, &packets, &answers, timeouts, 200));
}

/* --- TCP, segment by segment -------------------------------------------------------------------*/

enum { POD_START = 1000, SERVER_START = 0xfffffff0 };

struct connection {
    struct nat_use packets, answers;
};

static void pod_sends(struct connection *connection, uint8_t flags, uint32_t sequence, uint32_t ack)
{
    struct nat_segment segment = {sequence, ack, 100, flags, 2};

    nat_use_take(&connection->packets, &connection->answers, &segment);
}

static void server_sends(struct connection *connection, uint8_t flags, uint32_t sequence,
                         uint32_t ack)
{
    struct nat_segment segment = {sequence, ack, 50, flags, 1};

    nat_use_take(&connection->answers, &connection->packets, &segment);
}

static enum nat_state state_of(const struct connection *connection)
{
    return nat_state_of(IPPROTO_TCP, connection->packets.seen, connection->answers.seen);
}

static struct connection established(void)
{
    struct connection connection = {0};

    pod_sends(&connection, TCP_SYN, POD_START, 0);
    assert_int_equal(state_of(&connection), NAT_NEW);
    server_sends(&connection, TCP_SYN | TCP_ACK, SERVER_START, POD_START + 1);
    assert_int_equal(state_of(&connection), NAT_OPENING);
    pod_sends(&connection, TCP_ACK, POD_START + 1, SERVER_START + 1);
    assert_int_equal(state_of(&connection), NAT_ESTABLISHED);
    server_sends(&connection, TCP_ACK, SERVER_START + 1, POD_START + 1);
    return connection;
}

static void test_connection_is_closed(void **state)
{
    struct connection connection = established();

    (void)state;
    pod_sends(&connection, TCP_FIN | TCP_ACK, POD_START + 1, SERVER_START + 1);
    assert_int_equal(state_of(&connection), NAT_CLOSING);
    server_sends(&connection, TCP_ACK, SERVER_START + 1, POD_START + 2);
    assert_int_equal(state_of(&connection), NAT_CLOSING);
    server_sends(&connection, TCP_FIN | TCP_ACK, SERVER_START + 1, POD_START + 2);
    assert_int_equal(state_of(&connection), NAT_CLOSED);
    pod_sends(&connection, TCP_ACK, POD_START + 2, SERVER_START + 2);
    assert_int_equal(state_of(&connection), NAT_CLOSED);
}

static void test_simultaneous_open(void **state)
{
    struct connection connection = {0};

    (void)state;
    pod_sends(&connection, TCP_SYN, POD_START, 0);
    server_sends(&connection, TCP_SYN, SERVER_START, 0);
    assert_int_equal(state_of(&connection), NAT_OPENING);
    pod_sends(&connection, TCP_SYN | TCP_ACK, POD_START, SERVER_START + 1);
    assert_int_equal(state_of(&connection), NAT_OPENING);
    server_sends(&connection, TCP_SYN | TCP_ACK, SERVER_START, POD_START + 1);
    pod_sends(&connection, TCP_ACK, POD_START + 1, SERVER_START + 1);
    assert_int_equal(state_of(&connection), NAT_ESTABLISHED);
}

/* The pod takes 100 << 2 bytes from what it has acknowledged on, the server 50 << 1. */
static void test_only_a_reset_in_the_window_closes(void **state)
{
    static const struct {
        bool pod;
        uint32_t offset;
        enum nat_state state;
    } cases[] = {
        {false, 0, NAT_CLOSED},
        {false, 399, NAT_CLOSED},
        {false, 400, NAT_ESTABLISHED},
        {false, UINT32_MAX, NAT_ESTABLISHED},
        {false, 1u << 31, NAT_ESTABLISHED},
        {true, 0, NAT_CLOSED},
        {true, 99, NAT_CLOSED},
        {true, 100, NAT_ESTABLISHED},
        {true, UINT32_MAX, NAT_ESTABLISHED},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct connection connection = established();

        if (cases[i].pod)
            pod_sends(&connection, TCP_RST, POD_START + 1 + cases[i].offset, 0);
        else
            server_sends(&connection, TCP_RST, SERVER_START + 1 + cases[i].offset, 0);
        assert_int_equal(state_of(&connection), cases[i].state);
    }
}

static void test_refused_connection(void **state)
{
    struct connection connection = {0};

    (void)state;
    pod_sends(&connection, TCP_SYN, POD_START, 0);
    server_sends(&connection, TCP_RST | TCP_ACK, 0, POD_START); /* a guess */
    assert_int_not_equal(state_of(&connection), NAT_CLOSED);
    server_sends(&connection, TCP_RST, 0, POD_START + 1);
    assert_int_not_equal(state_of(&connection), NAT_CLOSED);
    server_sends(&connection, TCP_RST | TCP_ACK, 0, POD_START + 1);
    assert_int_equal(state_of(&connection), NAT_CLOSED);
}

/* A reset that the pod did not believe: the server goes on. */
static void test_connection_goes_on_after_a_reset(void **state)
{
    struct connection connection = established();

    (void)state;
    server_sends(&connection, TCP_RST, SERVER_START + 11, 0);
    assert_int_equal(state_of(&connection), NAT_CLOSED);
    server_sends(&connection, TCP_ACK, SERVER_START + 1, POD_START + 1);
    assert_int_equal(state_of(&connection), NAT_ESTABLISHED);
}

static void test_window_moves_on_and_not_back(void **state)
{
    struct connection connection = established();

    (void)state;
    pod_sends(&connection, TCP_ACK, POD_START + 1, SERVER_START + 5001);
    pod_sends(&connection, TCP_ACK, POD_START + 1, SERVER_START + 1001);
    server_sends(&connection, TCP_RST, SERVER_START + 1001, 0);
    assert_int_equal(state_of(&connection), NAT_ESTABLISHED);
    server_sends(&connection, TCP_RST, SERVER_START + 5001, 0);
    assert_int_equal(state_of(&connection), NAT_CLOSED);
}

/* A FIN from elsewhere does not shorten the life of a connection. */
static void test_only_a_fitting_fin_counts(void **state)
{
    struct connection connection = established();

    (void)state;
    server_sends(&connection, TCP_FIN | TCP_ACK, SERVER_START + 100000, POD_START + 1);
    assert_int_equal(state_of(&connection), NAT_ESTABLISHED);
}

/* Of a connection that was open before the mapping, the scale of windows is not known. */
static void test_window_without_handshake(void **state)
{
    struct connection connection = {0};

    (void)state;
    pod_sends(&connection, TCP_ACK, 5, 900);
    server_sends(&connection, TCP_RST, 900 + (100 << 14), 0);
    assert_int_not_equal(state_of(&connection), NAT_CLOSED);
    server_sends(&connection, TCP_RST, 900 + (99 << 14), 0);
    assert_int_equal(state_of(&connection), NAT_CLOSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_states_and_timeouts),
        cmocka_unit_test(test_younger_use_decides),
        cmocka_unit_test(test_connection_is_closed),
        cmocka_unit_test(test_simultaneous_open),
        cmocka_unit_test(test_only_a_reset_in_the_window_closes),
        cmocka_unit_test(test_refused_connection),
        cmocka_unit_test(test_connection_goes_on_after_a_reset),
        cmocka_unit_test(test_window_moves_on_and_not_back),
        cmocka_unit_test(test_only_a_fitting_fin_counts),
        cmocka_unit_test(test_window_without_handshake),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

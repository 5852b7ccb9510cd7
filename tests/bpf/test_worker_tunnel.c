// SPDX-License-Identifier: Apache-2.0
/* The egress program on a worker: how packets go into the tunnel. */

#include "roles.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <linux/if_ether.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void test_udp_is_encapsulated(void **state)
{
    worker_put(*state, NODE_OTHER);
    worker_expect_tunnel(*state, &worker_udp_out);
}

static void test_every_protocol_is_encapsulated(void **state)
{
    static const int protocols[] = {IPPROTO_TCP,  IPPROTO_UDP, IPPROTO_ICMP,
                                    IPPROTO_SCTP, IPPROTO_GRE, IPPROTO_ESP};
    struct packet_spec spec = worker_udp_out;

    for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++) {
        harness_setup(state);
        worker_put(*state, NODE_OTHER);
        spec.protocol = protocols[i];
        spec.icmp_type = 8;
        worker_expect_tunnel(*state, &spec);
    }
}

static void test_fragments_are_encapsulated(void **state)
{
    struct packet_spec spec = worker_udp_out;
    struct harness *harness = *state;
    uint16_t port;

    worker_put(harness, NODE_OTHER);
    spec.fragment = 0x2000;
    spec.payload = 1000;
    worker_expect_tunnel(harness, &spec);
    port = frame_u16(&harness->out, FRAME_ETHERNET + 20);
    harness_setup(state);
    worker_put(harness, NODE_OTHER);
    spec.fragment = 126;
    worker_expect_tunnel(harness, &spec);
    /* All fragments take one path. */
    assert_int_equal(frame_u16(&harness->out, FRAME_ETHERNET + 20), port);
}

static void test_ip_options_are_kept(void **state)
{
    static const uint8_t options[] = {0x94, 4, 0, 0, 1, 1, 1, 0};
    struct packet_spec spec = worker_udp_out;

    spec.ip_options = options;
    spec.ip_options_length = sizeof(options);
    worker_put(*state, NODE_OTHER);
    worker_expect_tunnel(*state, &spec);
}

static void test_flows_have_source_ports(void **state)
{
    struct packet_spec spec = worker_udp_out;
    struct harness *harness = *state;
    uint16_t first, differing = 0;
    struct frame frame;

    worker_put(harness, NODE_OTHER);
    worker_build(&frame, &spec);
    harness_egress(harness, &frame);
    first = frame_u16(&harness->out, FRAME_ETHERNET + 20);
    harness_egress(harness, &frame);
    assert_int_equal(frame_u16(&harness->out, FRAME_ETHERNET + 20), first);
    for (int i = 0; i < 32; i++) {
        spec.source_port++;
        worker_build(&frame, &spec);
        harness_egress(harness, &frame);
        differing += frame_u16(&harness->out, FRAME_ETHERNET + 20) != first;
    }
    assert_in_range(differing, 30, 32);
}

static void test_neighbour_not_resolved(void **state)
{
    struct harness *harness = *state;
    struct frame frame;

    worker_put(harness, NODE_UNSEEN);
    worker_build(&frame, &worker_udp_out);
    harness_egress(harness, &frame);
    assert_tunnel(harness, TC_ACT_REDIRECT, &frame, mac_zero, mac_zero, NODE_OWN, NODE_UNSEEN);
}

/* One packet in a while goes by the neighbour itself, which makes the kernel confirm it. */
static void test_next_hop_is_confirmed(void **state)
{
    struct harness *harness = *state;
    struct frame frame;

    worker_put(harness, NODE_OTHER);
    put_next_hops(harness, ticks_now() - 1);
    worker_build(&frame, &worker_udp_out);
    harness_egress(harness, &frame);
    assert_tunnel(harness, TC_ACT_REDIRECT, &frame, mac_gateway, mac_uplink, NODE_OWN, NODE_OTHER);
    put_next_hops(harness, ticks_now() + 1);
    harness_egress(harness, &frame);
    assert_int_equal(harness->verdict, VERDICT_PASS);
}

/* Makes a remembered way one by another router. */
static void way_move(struct way *way)
{
    memcpy(way->addresses, mac_router, ETH_ALEN);
}

static void way_narrow(struct way *way)
{
    way->mtu = 100; /* leaves 50 for the packet */
}

static void way_grow_old(struct way *way)
{
    way_move(way);
    way->jiffy--;
}

static int ways_found;

static void way_find_moved(struct way *way)
{
    ways_found += !memcmp(way->addresses, mac_router, ETH_ALEN);
}

static void way_find_narrow(struct way *way)
{
    ways_found += way->mtu == 100;
}

/* Whether a way that has been changed is still there: the packet took it, it was not looked up. */
static bool way_is_there(struct harness *harness, void (*find)(struct way *way))
{
    ways_found = 0;
    change_ways(harness, find);
    return ways_found > 0;
}

/* A way holds for the jiffy in which it was looked up: again where that was over in between. */
static void test_way_is_remembered(void **state)
{
    struct harness *harness = *state;
    struct frame frame;
    int turns = 0;

    worker_put(harness, NODE_OTHER);
    worker_build(&frame, &worker_udp_out);
    do {
        harness_egress(harness, &frame);
        assert_int_equal(change_ways(harness, way_move), 1);
        harness_egress(harness, &frame);
        assert_true(++turns < 100);
    } while (!way_is_there(harness, way_find_moved));
    assert_tunnel(harness, VERDICT_PASS, &frame, mac_router, mac_uplink, NODE_OWN, NODE_OTHER);
    do {
        harness_egress(harness, &frame);
        assert_int_equal(change_ways(harness, way_narrow), 1);
        harness_egress(harness, &frame);
        assert_true(++turns < 200);
    } while (!way_is_there(harness, way_find_narrow));
    assert_int_equal(harness->verdict, TC_ACT_REDIRECT);
    assert_int_equal(get_counter(harness, DROP_TOO_BIG).packets, 1);
    change_ways(harness, way_grow_old);
    harness_egress(harness, &frame);
    assert_tunnel(harness, VERDICT_PASS, &frame, mac_gateway, mac_uplink, NODE_OWN, NODE_OTHER);
}

static uint64_t milliseconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Whatever the kernel says by now, no packet that is sent 100 ms later takes the way from before.
 */
static void test_way_is_asked_for_again(void **state)
{
    struct harness *harness = *state;
    struct frame frame;

    worker_put(harness, NODE_OTHER);
    worker_build(&frame, &worker_udp_out);
    for (int round = 0; round < 8; round++) {
        uint64_t changed, sent;

        harness_egress(harness, &frame);
        changed = milliseconds_now();
        assert_int_equal(change_ways(harness, way_move), 1);
        do {
            sent = milliseconds_now();
            harness_egress(harness, &frame);
        } while (way_is_there(harness, way_find_moved) && sent < changed + 100);
        assert_true(sent < changed + 100);
        assert_tunnel(harness, VERDICT_PASS, &frame, mac_gateway, mac_uplink, NODE_OWN, NODE_OTHER);
    }
}

/* A way that was looked up for another packet is none. */
static void test_way_of_another_flow(void **state)
{
    struct packet_spec spec = worker_udp_out;
    struct harness *harness = *state;
    struct frame frame;

    worker_put(harness, NODE_OTHER);
    worker_build(&frame, &spec);
    harness_egress(harness, &frame);
    put_gateway(harness, 1, NODE_ELSEWHERE, NULL, 0);
    spec.source_port++;
    worker_build(&frame, &spec);
    harness_egress(harness, &frame);
    assert_tunnel(harness, TC_ACT_REDIRECT, &frame, mac_second_gateway, mac_second, NODE_OWN,
                  NODE_ELSEWHERE);
}

static void test_gateway_by_another_interface(void **state)
{
    struct harness *harness = *state;
    struct frame frame;

    worker_put(harness, NODE_ELSEWHERE);
    worker_build(&frame, &worker_udp_out);
    harness_egress(harness, &frame);
    assert_tunnel(harness, TC_ACT_REDIRECT, &frame, mac_second_gateway, mac_second, NODE_OWN,
                  NODE_ELSEWHERE);
}

static void test_no_forwarding_on_loopback(void **state)
{
    struct harness *harness = *state;
    struct frame frame;

    worker_put(harness, NODE_OTHER);
    worker_build(&frame, &worker_udp_out);
    assert_int_equal(system("sysctl -qw net.ipv4.conf.lo.forwarding=0"), 0);
    harness_egress(harness, &frame);
    assert_int_equal(system("sysctl -qw net.ipv4.conf.lo.forwarding=1"), 0);
    assert_tunnel(harness, TC_ACT_REDIRECT, &frame, mac_zero, mac_zero, NODE_OWN, NODE_OTHER);
}

static void test_no_route_to_the_gateway(void **state)
{
    worker_put(*state, "203.0.113.5");
    worker_expect_drop(*state, &worker_udp_out, DROP_NO_ROUTE);
}

static void test_no_own_address_drops(void **state)
{
    worker_put(*state, NODE_OTHER);
    put_settings(*state, NULL, NULL, 0);
    worker_expect_drop(*state, &worker_udp_out, DROP_NO_TABLE);
}

static void test_packet_that_just_fits(void **state)
{
    struct packet_spec spec = worker_udp_out;

    worker_put(*state, NODE_OTHER);
    spec.payload = 1450 - 28;
    worker_expect_tunnel(*state, &spec);
}

/* Its sender is told: see test_refuse. */
static void expect_too_big(struct harness *harness, const struct packet_spec *spec)
{
    struct frame frame;

    worker_build(&frame, spec);
    harness_egress(harness, &frame);
    assert_int_equal(harness->verdict, TC_ACT_REDIRECT);
    assert_counted(harness, DROP_TOO_BIG);
}

static void test_packet_too_big_for_the_tunnel(void **state)
{
    struct packet_spec spec = worker_udp_out;

    worker_put(*state, NODE_OTHER);
    spec.payload = 1451 - 28;
    spec.fragment = DO_NOT_FRAGMENT;
    expect_too_big(*state, &spec);
}

static void test_segments_too_big_for_the_tunnel(void **state)
{
    struct packet_spec spec = worker_udp_out;
    struct harness *harness = *state;

    worker_put(harness, NODE_OTHER);
    spec.protocol = IPPROTO_TCP;
    spec.tcp_flags = ACK;
    spec.payload = 2900;
    harness->gso_size = 1411;
    expect_too_big(harness, &spec);
}

static void test_segment_size_is_lowered(void **state)
{
    static const uint8_t before[] = {2, 4, 0x05, 0xb4, 1, 3, 3, 7}; /* 1460 */
    static const uint8_t after[] = {2, 4, 0x05, 0x82, 1, 3, 3, 7};  /* 1410 */
    struct packet_spec spec = worker_udp_out;
    struct harness *harness = *state;
    struct frame frame;

    spec.protocol = IPPROTO_TCP;
    spec.tcp_flags = SYN;
    spec.options_length = sizeof(before);
    worker_put(harness, NODE_OTHER);
    spec.options = before;
    worker_build(&frame, &spec);
    harness_egress(harness, &frame);
    spec.options = after;
    worker_build(&frame, &spec);
    assert_tunnel(harness, VERDICT_PASS, &frame, mac_gateway, mac_uplink, NODE_OWN, NODE_OTHER);
}

static void test_segment_size_at_an_odd_offset(void **state)
{
    static const uint8_t before[] = {1, 4, 2, 1, 1, 2, 4, 0x23, 0x28, 0, 0, 0}; /* 9000 */
    static const uint8_t after[] = {1, 4, 2, 1, 1, 2, 4, 0x05, 0x82, 0, 0, 0};
    static const uint8_t small[] = {1, 4, 2, 1, 1, 2, 4, 0x05, 0x00, 0, 0, 0};
    struct packet_spec spec = worker_udp_out;
    struct harness *harness = *state;
    struct frame frame;

    spec.protocol = IPPROTO_TCP;
    spec.tcp_flags = SYN;
    spec.options_length = sizeof(before);
    worker_put(harness, NODE_UNSEEN); /* the MTU is known even if the neighbour is not */
    spec.options = before;
    worker_build(&frame, &spec);
    harness_egress(harness, &frame);
    spec.options = after;
    worker_build(&frame, &spec);
    assert_tunnel(harness, TC_ACT_REDIRECT, &frame, mac_zero, mac_zero, NODE_OWN, NODE_UNSEEN);
    spec.options = small; /* fits already */
    worker_build(&frame, &spec);
    harness_egress(harness, &frame);
    assert_tunnel(harness, TC_ACT_REDIRECT, &frame, mac_zero, mac_zero, NODE_OWN, NODE_UNSEEN);
}

static void test_broken_tcp_options_are_kept(void **state)
{
    static const uint8_t zero_length[] = {3, 0, 2, 4, 0x23, 0x28, 0, 0};
    static const uint8_t too_short[] = {3, 1, 2, 4, 0x23, 0x28, 0, 0};
    static const uint8_t cut_short[] = {1, 1, 1, 1, 1, 1, 2, 4};
    struct packet_spec spec = worker_udp_out;

    spec.protocol = IPPROTO_TCP;
    spec.tcp_flags = SYN;
    spec.options_length = sizeof(zero_length);
    spec.options = zero_length;
    worker_put(*state, NODE_OTHER);
    worker_expect_tunnel(*state, &spec);
    harness_setup(state);
    worker_put(*state, NODE_OTHER);
    spec.options = too_short;
    worker_expect_tunnel(*state, &spec);
    harness_setup(state);
    worker_put(*state, NODE_OTHER);
    spec.options = cut_short;
    worker_expect_tunnel(*state, &spec);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_udp_is_encapsulated),
        TEST(test_every_protocol_is_encapsulated),
        TEST(test_fragments_are_encapsulated),
        TEST(test_ip_options_are_kept),
        TEST(test_flows_have_source_ports),
        TEST(test_neighbour_not_resolved),
        TEST(test_next_hop_is_confirmed),
        TEST(test_way_is_remembered),
        TEST(test_way_is_asked_for_again),
        TEST(test_way_of_another_flow),
        TEST(test_gateway_by_another_interface),
        TEST(test_no_forwarding_on_loopback),
        TEST(test_no_route_to_the_gateway),
        TEST(test_no_own_address_drops),
        TEST(test_packet_that_just_fits),
        TEST(test_packet_too_big_for_the_tunnel),
        TEST(test_segments_too_big_for_the_tunnel),
        TEST(test_segment_size_is_lowered),
        TEST(test_segment_size_at_an_odd_offset),
        TEST(test_broken_tcp_options_are_kept),
    };

    return cmocka_run_group_tests(tests, harness_network, NULL);
}

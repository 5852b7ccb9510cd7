// SPDX-License-Identifier: Apache-2.0
/* A gateway: packets from the tunnel leave with the egress IP. */

#include "roles.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <stdlib.h>
#include <string.h>

/* The last run sent that packet on, with another source and one hop less. */
static void assert_translated(struct harness *harness, const struct packet_spec *spec,
                              const char *source, uint16_t port, const uint8_t *destination)
{
    struct packet_spec sent = *spec;
    struct frame expected;

    sent.source = source;
    sent.source_port = port;
    sent.hop_limit = spec->hop_limit - 1;
    frame_build(&expected, destination, mac_uplink, &sent);
    assert_int_equal(harness->verdict, TC_ACT_REDIRECT);
    assert_int_equal(harness->mark_out, DATAPATH_MARK);
    assert_frame(&harness->out, &expected);
}

static void test_udp_leaves_with_the_egress_ip(void **state)
{
    struct nat_key key = flow_key(IPPROTO_UDP, POD_OTHER, 20000, SERVER, 53);
    struct nat_key back = flow_key(IPPROTO_UDP, EGRESS_IP, 20000, SERVER, 53);
    struct harness *harness = *state;
    struct nat_forward forward;
    struct nat_reverse reverse;
    struct ip_addr address;
    uint32_t before = ticks_now();

    gateway_put(harness);
    gateway_receive(harness, &gateway_udp_out);
    assert_translated(harness, &gateway_udp_out, EGRESS_IP, 20000, mac_router);
    assert_counted(harness, COUNT_TRANSLATED_OUT);
    assert_int_equal(get_forward(harness, &key, &forward), 0);
    address = address_of(EGRESS_IP);
    assert_memory_equal(&forward.egress, &address, sizeof(address));
    assert_int_equal(ntohs(forward.egress_port_be), 20000);
    assert_int_equal(forward.policy, 7);
    assert_int_equal(forward.use.seen, NAT_SEEN_DATA);
    assert_in_range(forward.use.last_seen, before, ticks_now());
    assert_int_equal(get_reverse(harness, &back, &reverse), 0);
    address = address_of(POD_OTHER);
    assert_memory_equal(&reverse.pod, &address, sizeof(address));
    address = address_of(NODE_OTHER);
    assert_memory_equal(&reverse.node, &address, sizeof(address));
    assert_int_equal(ntohs(reverse.pod_port_be), 20000);
    assert_int_equal(reverse.use.seen, 0);
    assert_in_range(reverse.use.last_seen, before, ticks_now());
}

static void test_tcp_and_ping_leave_with_the_egress_ip(void **state)
{
    struct packet_spec spec = gateway_udp_out;

    gateway_put(*state);
    spec.protocol = IPPROTO_TCP;
    spec.tcp_flags = SYN;
    gateway_receive(*state, &spec);
    assert_translated(*state, &spec, EGRESS_IP, 20000, mac_router);
    spec.tcp_flags = ACK;
    spec.payload = 32; /* an even length takes another way through the checksum */
    gateway_receive(*state, &spec);
    assert_translated(*state, &spec, EGRESS_IP, 20000, mac_router);
    spec.protocol = IPPROTO_ICMP;
    spec.icmp_type = 8;
    gateway_receive(*state, &spec);
    assert_translated(*state, &spec, EGRESS_IP, 20000, mac_router);
    assert_int_equal(get_counter(*state, COUNT_TRANSLATED_OUT).packets, 3);
}

/* Ports that the node itself uses are replaced; the checksums follow. */
static void test_port_is_replaced(void **state)
{
    static const int protocols[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP};
    struct packet_spec spec = gateway_udp_out;
    struct harness *harness = *state;
    struct nat_forward forward;
    struct nat_key key;

    gateway_put(harness);
    spec.source_port = 40000;
    spec.icmp_type = 8;
    for (size_t i = 0; i < 3; i++) {
        uint16_t port;

        spec.protocol = protocols[i];
        gateway_receive(harness, &spec);
        key = flow_key(spec.protocol, POD_OTHER, 40000, SERVER,
                       spec.protocol == IPPROTO_ICMP ? 0 : 53);
        assert_int_equal(get_forward(harness, &key, &forward), 0);
        port = ntohs(forward.egress_port_be);
        assert_true(port >= 1024 && (port < 32768 || port > 60999));
        assert_translated(harness, &spec, EGRESS_IP, port, mac_router);
    }
}

static void test_udp_without_checksum(void **state)
{
    struct packet_spec spec = gateway_udp_out;

    gateway_put(*state);
    spec.no_checksum = 1;
    gateway_receive(*state, &spec);
    assert_translated(*state, &spec, EGRESS_IP, 20000, mac_router);
}

static void test_destination_without_resolved_neighbour(void **state)
{
    struct packet_spec spec = gateway_udp_out;
    struct harness *harness = *state;
    struct frame expected;

    gateway_put(harness);
    put_route(harness, TEST_PROFILE, "10.0.2.0", 24, ROUTE_GATEWAY);
    assert_int_equal(system("ip route replace 192.0.2.99 dev up0"), 0);
    spec.destination = "192.0.2.99";
    gateway_receive(harness, &spec);
    spec.source = EGRESS_IP;
    spec.hop_limit--;
    frame_build(&expected, mac_uplink, mac_gateway, &spec); /* the kernel fills in the rest */
    assert_int_equal(harness->verdict, TC_ACT_REDIRECT);
    assert_frame(&harness->out, &expected);
}

static void test_congestion_mark_is_handed_on(void **state)
{
    struct packet_spec spec = gateway_udp_out;
    struct harness *harness = *state;
    struct frame frame;

    gateway_put(harness);
    spec.traffic_class = 0x2a; /* capable of it */
    gateway_build(&frame, &spec, NODE_OTHER);
    frame.data[FRAME_ETHERNET + 1] = 0x2b; /* marked on the way */
    frame_fix_ip_checksum(&frame, FRAME_ETHERNET);
    harness_ingress(harness, &frame);
    spec.traffic_class = 0x2b;
    assert_translated(harness, &spec, EGRESS_IP, 20000, mac_router);
}

static void expect_drop(struct harness *harness, const struct packet_spec *spec,
                        enum drop_reason reason)
{
    gateway_receive(harness, spec);
    assert_drop(harness, reason);
    assert_int_equal(map_entries(harness->skeleton->maps.nat_forward), 0);
    assert_int_equal(map_entries(harness->skeleton->maps.nat_reverse), 0);
}

static void test_unknown_source_is_dropped(void **state)
{
    struct packet_spec spec = gateway_udp_out;

    gateway_put(*state);
    spec.source = "10.244.2.99";
    expect_drop(*state, &spec, DROP_UNKNOWN_ENDPOINT);
}

static void test_unknown_node_is_dropped(void **state)
{
    struct harness *harness = *state;
    struct frame frame;

    gateway_put(harness);
    gateway_build(&frame, &gateway_udp_out, "10.0.0.66");
    harness_ingress(harness, &frame);
    assert_drop(harness, DROP_UNKNOWN_NODE);
}

static void test_wrong_node_is_dropped(void **state)
{
    gateway_put(*state);
    put_endpoint(*state, POD_OTHER, "10.0.0.3", TEST_PROFILE, 0);
    expect_drop(*state, &gateway_udp_out, DROP_WRONG_NODE);
}

static void test_not_the_gateway(void **state)
{
    struct packet_spec spec = gateway_udp_out;

    gateway_put(*state);
    put_gateway(*state, 1, NODE_OTHER, NULL, 0);
    expect_drop(*state, &gateway_udp_out, DROP_NOT_GATEWAY);
    harness_setup(state);
    gateway_put(*state);
    spec.destination = "198.51.100.1";
    expect_drop(*state, &spec, DROP_NOT_GATEWAY);
    harness_setup(state);
    gateway_put(*state);
    put_route(*state, TEST_PROFILE, "0.0.0.0", 0, ROUTE_GATEWAY);
    spec.destination = "10.0.0.77"; /* a way into the cluster it is not */
    expect_drop(*state, &spec, DROP_NOT_GATEWAY);
    harness_setup(state);
    gateway_put(*state);
    put_route(*state, TEST_PROFILE, SERVER, 32, ROUTE_NO_GATEWAY);
    expect_drop(*state, &gateway_udp_out, DROP_NO_GATEWAY);
}

static void test_no_egress_ip(void **state)
{
    gateway_put(*state);
    put_gateway(*state, 1, NODE_OWN, NULL, GATEWAY_LOCAL);
    expect_drop(*state, &gateway_udp_out, DROP_NO_EGRESS_IP);
}

static void test_hop_limit_used_up(void **state)
{
    struct packet_spec spec = gateway_udp_out;

    gateway_put(*state);
    spec.hop_limit = 1;
    gateway_receive(*state, &spec);
    assert_int_equal(get_counter(*state, DROP_HOP_LIMIT).packets, 1); /* and told: test_refuse */
}

static void test_no_route_to_the_destination(void **state)
{
    struct packet_spec spec = gateway_udp_out;

    gateway_put(*state);
    put_route(*state, TEST_PROFILE, "203.0.113.0", 24, ROUTE_GATEWAY);
    spec.destination = "203.0.113.7";
    gateway_receive(*state, &spec);
    assert_drop(*state, DROP_NO_ROUTE);
}

static void test_what_cannot_be_translated(void **state)
{
    struct packet_spec spec = gateway_udp_out;

    gateway_put(*state);
    spec.protocol = IPPROTO_AH;
    expect_drop(*state, &spec, DROP_PROTOCOL);
    harness_setup(state);
    gateway_put(*state);
    spec.protocol = IPPROTO_ICMP;
    spec.icmp_type = 0; /* an answer that nobody has asked for */
    expect_drop(*state, &spec, DROP_PROTOCOL);
}

static void test_malformed_packets_inside(void **state)
{
    struct harness *harness = *state;
    struct frame frame;
    size_t inner = FRAME_ETHERNET + FRAME_TUNNEL;

    gateway_put(harness);
    gateway_build(&frame, &gateway_udp_out, NODE_OTHER);
    frame_set_u16(&frame, inner + 2, 60 + 1); /* longer than the frame */
    harness_ingress(harness, &frame);
    assert_drop(harness, DROP_MALFORMED);
    harness_setup(state);
    gateway_put(harness);
    gateway_build(&frame, &gateway_udp_out, NODE_OTHER);
    frame.data[inner] = 0x44; /* a header of 16 bytes */
    harness_ingress(harness, &frame);
    assert_drop(harness, DROP_MALFORMED);
    harness_setup(state);
    gateway_put(harness);
    gateway_build(&frame, &gateway_udp_out, NODE_OTHER);
    frame_set_u16(&frame, inner - 2, 0x0806); /* ARP */
    harness_ingress(harness, &frame);
    assert_drop(harness, DROP_MALFORMED);
    harness_setup(state);
    gateway_put(harness);
    gateway_build(&frame, &gateway_udp_out, NODE_OTHER);
    frame_set_u16(&frame, inner + 2, 24); /* ends in the UDP header */
    harness_ingress(harness, &frame);
    assert_drop(harness, DROP_MALFORMED);
}

/* Several datagrams that the receiver merged: only the first has an IP header of its own. */
static void test_merged_datagrams(void **state)
{
    struct harness *harness = *state;
    struct frame frame;

    gateway_put(harness);
    gateway_build(&frame, &gateway_udp_out, NODE_OTHER);
    frame.length += 100;
    harness->gso_size = 100;
    harness_ingress(harness, &frame);
    assert_drop(harness, DROP_MALFORMED);
}

static void test_fragment_of_the_tunnel(void **state)
{
    struct harness *harness = *state;
    struct frame frame;

    gateway_put(harness);
    gateway_build(&frame, &gateway_udp_out, NODE_OTHER);
    frame_set_u16(&frame, FRAME_ETHERNET + 6, 0x2000);
    frame_fix_ip_checksum(&frame, FRAME_ETHERNET);
    harness_ingress(harness, &frame);
    assert_drop(harness, DROP_FRAGMENT);
}

static void way_leave(struct way *way)
{
    (void)way;
}

/* Flows that differ in their source port alone have 16 ways, each in a place of its own. */
static void test_flows_share_ways(void **state)
{
    struct packet_spec spec = gateway_udp_out;
    struct harness *harness = *state;

    gateway_put(harness);
    for (spec.source_port = 10000; spec.source_port < 10256; spec.source_port++)
        gateway_receive(harness, &spec);
    assert_in_range(change_ways(harness, way_leave), 14, 16);
}

/* Which of two next hops have flows to that server that differ in their source port: 1, 2, or 3. */
static int next_hops_of(struct harness *harness, const char *server)
{
    struct packet_spec spec = gateway_udp_out;
    int hops = 0;

    spec.destination = server;
    for (spec.source_port = 10000; spec.source_port < 10064; spec.source_port++) {
        gateway_receive(harness, &spec);
        assert_int_equal(harness->verdict, TC_ACT_REDIRECT);
        if (memcmp(harness->out.data, mac_gateway, sizeof(mac_gateway)) == 0)
            hops |= 1;
        else if (memcmp(harness->out.data, mac_second_gateway, sizeof(mac_second_gateway)) == 0)
            hops |= 2;
        else
            fail_msg("sent to neither of the next hops");
    }
    return hops;
}

/* By a hash that has a seed of the machine's own, so one server's flows may have one of them. */
static void test_flows_are_spread_over_next_hops(void **state)
{
    static const char *const servers[] = {"192.0.2.10", "192.0.2.11", "192.0.2.12", "192.0.2.13"};
    struct harness *harness = *state;
    int spread = 0;

    gateway_put(harness);
    assert_int_equal(system("sysctl -qw net.ipv4.fib_multipath_hash_policy=1 && ip route add "
                            "192.0.2.0/24 nexthop via 10.0.0.2 nexthop via 10.0.1.2"),
                     0);
    for (size_t i = 0; i < sizeof(servers) / sizeof(servers[0]); i++)
        spread |= next_hops_of(harness, servers[i]) == 3;
    assert_int_equal(system("ip route del 192.0.2.0/24"), 0);
    assert_true(spread);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_udp_leaves_with_the_egress_ip),
        TEST(test_tcp_and_ping_leave_with_the_egress_ip),
        TEST(test_port_is_replaced),
        TEST(test_udp_without_checksum),
        TEST(test_destination_without_resolved_neighbour),
        TEST(test_congestion_mark_is_handed_on),
        TEST(test_unknown_source_is_dropped),
        TEST(test_unknown_node_is_dropped),
        TEST(test_wrong_node_is_dropped),
        TEST(test_not_the_gateway),
        TEST(test_no_egress_ip),
        TEST(test_hop_limit_used_up),
        TEST(test_no_route_to_the_destination),
        TEST(test_what_cannot_be_translated),
        TEST(test_malformed_packets_inside),
        TEST(test_merged_datagrams),
        TEST(test_fragment_of_the_tunnel),
        TEST(test_flows_share_ways),
        TEST(test_flows_are_spread_over_next_hops),
    };

    return cmocka_run_group_tests(tests, harness_network, NULL);
}

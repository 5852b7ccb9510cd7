// SPDX-License-Identifier: Apache-2.0
/* The egress program on a worker: which packets it takes. */

#include "roles.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

static void expect_pass(struct harness *harness, const struct packet_spec *spec)
{
    struct frame frame;

    worker_build(&frame, spec);
    harness_egress(harness, &frame);
    assert_pass(harness, &frame, COUNT_NOTHING);
    assert_int_equal(harness->mark_out, harness->mark);
}

static void test_own_packets_pass(void **state)
{
    struct harness *harness = *state;

    worker_put(harness, NODE_OTHER);
    harness->mark = DATAPATH_MARK;
    expect_pass(harness, &worker_udp_out);
}

static void test_other_protocols_pass(void **state)
{
    struct harness *harness = *state;
    struct frame frame;

    worker_put(harness, NODE_OTHER);
    worker_build(&frame, &worker_udp_out);
    frame_set_u16(&frame, 12, 0x0806);
    harness_egress(harness, &frame);
    assert_pass(harness, &frame, COUNT_NOTHING);
}

static void test_endpoint_without_policies_passes(void **state)
{
    worker_put(*state, NODE_OTHER);
    put_endpoint(*state, POD, NODE_OWN, PROFILE_NONE, ENDPOINT_LOCAL);
    ((struct harness *)*state)->ingress_ifindex = 1;
    expect_pass(*state, &worker_udp_out);
}

static void test_destination_in_cluster_passes(void **state)
{
    struct packet_spec spec = worker_udp_out;

    worker_put(*state, NODE_OTHER);
    put_route(*state, TEST_PROFILE, "0.0.0.0", 0, ROUTE_GATEWAY);
    spec.destination = "10.0.0.77";
    expect_pass(*state, &spec);
    /* A pod outside of the ranges. */
    put_endpoint(*state, SERVER, NODE_OTHER, PROFILE_NONE, 0);
    expect_pass(*state, &worker_udp_out);
}

static void test_longest_prefix_decides(void **state)
{
    struct packet_spec spec = worker_udp_out;

    worker_put(*state, NODE_OTHER);
    put_route(*state, TEST_PROFILE, "192.0.2.128", 25, ROUTE_EXCLUDED);
    spec.destination = "192.0.2.200";
    expect_pass(*state, &spec);
    spec.destination = "198.51.100.1";
    expect_pass(*state, &spec);
    worker_expect_tunnel(*state, &worker_udp_out);
}

static void test_no_gateway_drops(void **state)
{
    worker_put(*state, NODE_OTHER);
    put_route(*state, TEST_PROFILE, SERVER, 32, ROUTE_NO_GATEWAY);
    worker_expect_refused(*state, &worker_udp_out, DROP_NO_GATEWAY);
}

static void test_missing_slot_drops(void **state)
{
    put_endpoint(*state, POD, NODE_OWN, TEST_PROFILE, ENDPOINT_LOCAL);
    put_route(*state, TEST_PROFILE, "192.0.2.0", 24, ROUTE_GATEWAY);
    put_gateway(*state, 0, NODE_OTHER, NULL, 0);
    worker_expect_drop(*state, &worker_udp_out, DROP_NO_TABLE);
}

static void test_unknown_endpoint_is_dropped(void **state)
{
    struct packet_spec spec = worker_udp_out;
    struct harness *harness = *state;

    worker_put(harness, NODE_OTHER);
    harness->ingress_ifindex = harness->up1;
    spec.source = "10.244.1.99";
    worker_expect_drop(harness, &spec, DROP_UNKNOWN_ENDPOINT);
}

static void test_unknown_endpoint_in_ranges_is_dropped(void **state)
{
    struct packet_spec spec = worker_udp_out;
    struct harness *harness = *state;

    worker_put(harness, NODE_OTHER);
    put_settings(harness, NODE_OWN, NULL, SETTINGS_POD_RANGES_KNOWN);
    put_route(harness, PROFILE_POD_RANGES, "10.244.0.0", 16, ROUTE_POD_RANGE);
    harness->ingress_ifindex = harness->up1;
    spec.source = "172.16.5.5"; /* forwarded for somebody who is no pod */
    expect_pass(harness, &spec);
    spec.source = "10.244.1.99";
    worker_expect_drop(harness, &spec, DROP_UNKNOWN_ENDPOINT);
}

static void test_unknown_endpoint_that_may_pass(void **state)
{
    struct packet_spec spec = worker_udp_out;
    struct harness *harness = *state;

    worker_put(harness, NODE_OTHER);
    put_route(harness, PROFILE_COVERED, "10.0.0.0", 8, ROUTE_COVERED);
    spec.source = "10.244.1.99";
    expect_pass(harness, &spec); /* sent by the node itself */
    harness->ingress_ifindex = harness->up1;
    spec.destination = "198.51.100.1"; /* no policy's */
    expect_pass(harness, &spec);
    spec.destination = "10.0.0.77"; /* covered, but in the cluster */
    expect_pass(harness, &spec);
}

static void test_unknown_endpoint_by_configuration(void **state)
{
    struct datapath_config config = harness_config();
    struct packet_spec spec = worker_udp_out;
    struct harness *harness = *state;

    config.unknown_endpoints_drop = 0;
    harness_reload(harness, &config, FEW_MAPPINGS);
    worker_put(harness, NODE_OTHER);
    harness->ingress_ifindex = harness->up1;
    spec.source = "10.244.1.99";
    expect_pass(harness, &spec);
}

static void test_endpoint_of_another_node(void **state)
{
    struct harness *harness = *state;

    worker_put(harness, NODE_OTHER);
    put_endpoint(harness, POD, NODE_OTHER, TEST_PROFILE, 0);
    expect_pass(harness, &worker_udp_out);
    harness->ingress_ifindex = harness->up1;
    worker_expect_drop(harness, &worker_udp_out, DROP_UNKNOWN_ENDPOINT);
}

static void put_inbound(struct harness *harness, const struct packet_spec *spec, uint32_t last_seen)
{
    int icmp = spec->protocol == IPPROTO_ICMP; /* the identifier is the other end's */
    struct nat_key key =
        flow_key(spec->protocol, spec->source, icmp ? 0 : spec->source_port, spec->destination,
                 icmp ? spec->source_port : spec->destination_port);
    struct flow flow = {.flags = FLOW_INBOUND, .endpoint = TEST_HASH, .last_seen = last_seen};

    put_flow(harness, &key, &flow);
}

static void test_answers_of_inbound_udp_pass(void **state)
{
    worker_put(*state, NODE_OTHER);
    put_inbound(*state, &worker_udp_out, ticks_now() - 100);
    expect_pass(*state, &worker_udp_out);
    put_inbound(*state, &worker_udp_out, ticks_now() - 1000); /* over four minutes ago */
    worker_expect_tunnel(*state, &worker_udp_out);
}

static void test_answers_of_inbound_tcp_pass(void **state)
{
    struct packet_spec spec = worker_udp_out;

    spec.protocol = IPPROTO_TCP;
    spec.tcp_flags = SYN | ACK;
    worker_put(*state, NODE_OTHER);
    put_inbound(*state, &spec, ticks_now() - 100000);
    expect_pass(*state, &spec);
    spec.tcp_flags = ACK;
    expect_pass(*state, &spec);
    spec.tcp_flags = SYN; /* the pod opens a connection of its own on the same ports */
    worker_expect_tunnel(*state, &spec);
}

static void test_answers_of_inbound_ping_pass(void **state)
{
    struct packet_spec spec = worker_udp_out;

    spec.protocol = IPPROTO_ICMP;
    spec.destination_port = 0;
    worker_put(*state, NODE_OTHER);
    put_inbound(*state, &spec, ticks_now());
    spec.icmp_type = 0;
    expect_pass(*state, &spec);
    spec.icmp_type = 8;
    worker_expect_tunnel(*state, &spec);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_own_packets_pass),
        TEST(test_other_protocols_pass),
        TEST(test_endpoint_without_policies_passes),
        TEST(test_destination_in_cluster_passes),
        TEST(test_longest_prefix_decides),
        TEST(test_no_gateway_drops),
        TEST(test_missing_slot_drops),
        TEST(test_unknown_endpoint_is_dropped),
        TEST(test_unknown_endpoint_in_ranges_is_dropped),
        TEST(test_unknown_endpoint_that_may_pass),
        TEST(test_unknown_endpoint_by_configuration),
        TEST(test_endpoint_of_another_node),
        TEST(test_answers_of_inbound_udp_pass),
        TEST(test_answers_of_inbound_tcp_pass),
        TEST(test_answers_of_inbound_ping_pass),
    };

    return cmocka_run_group_tests(tests, harness_network, NULL);
}

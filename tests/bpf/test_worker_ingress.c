// SPDX-License-Identifier: Apache-2.0
/* The ingress program on a worker: answers from the tunnel, and what is noted of other packets. */

#include "roles.h"

#include <arpa/inet.h>
#include <string.h>

static const struct packet_spec udp_in = {
    .source = SERVER,
    .destination = POD,
    .protocol = IPPROTO_UDP,
    .source_port = 53,
    .destination_port = 40000,
    .hop_limit = 55,
    .payload = 77,
};

static void put_worker(struct harness *harness)
{
    put_endpoint(harness, POD, NODE_OWN, TEST_PROFILE, ENDPOINT_LOCAL);
    put_endpoint(harness, POD_OTHER, "10.0.0.3", TEST_PROFILE, 0);
    put_route(harness, TEST_PROFILE, "192.0.2.0", 24, ROUTE_GATEWAY);
    put_gateway(harness, 1, NODE_OTHER, NULL, 0);
    put_node(harness, NODE_OTHER, NODE_GATEWAY);
    put_node(harness, "10.0.0.3", 0);
}

static void build(struct frame *frame, const struct packet_spec *spec)
{
    frame_build(frame, mac_uplink, mac_router, spec);
}

static void build_tunnel(struct frame *frame, const struct packet_spec *spec, const char *node)
{
    build(frame, spec);
    frame_encapsulate(frame, mac_uplink, mac_gateway, node, NODE_OWN, 5, 60000, TEST_VNI);
}

static void build_answer(struct frame *frame, const struct packet_spec *spec, const char *node)
{
    build_tunnel(frame, spec, node);
    frame_answer(frame);
}

/* The program leaves the frame alone. */
static void expect_untouched(struct harness *harness, const struct frame *frame)
{
    harness_ingress(harness, frame);
    assert_pass(harness, frame, COUNT_NOTHING);
}

static void test_answer_is_delivered(void **state)
{
    struct harness *harness = *state;
    struct frame frame, expected;

    put_worker(harness);
    build_answer(&frame, &udp_in, NODE_OTHER);
    harness_ingress(harness, &frame);
    frame_build(&expected, mac_uplink, mac_gateway, &udp_in);
    assert_pass(harness, &expected, COUNT_DECAPSULATED);
    assert_int_equal(map_entries(harness->skeleton->maps.flows), 0);
}

/* Those said the same both ways. */
static void test_answer_of_an_earlier_release_is_delivered(void **state)
{
    struct harness *harness = *state;
    struct frame frame, expected;

    put_worker(harness);
    build_tunnel(&frame, &udp_in, NODE_OTHER);
    harness_ingress(harness, &frame);
    frame_build(&expected, mac_uplink, mac_gateway, &udp_in);
    assert_pass(harness, &expected, COUNT_DECAPSULATED);
}

/* Where the host would send to the answer's sender by another interface, it is handed to that one;
 * there it goes on as it is, without the mark. */
static void test_answer_goes_to_the_way_out(void **state)
{
    struct packet_spec spec = udp_in;
    struct harness *harness = *state;
    struct frame frame, expected;

    put_worker(harness);
    spec.source = NODE_ELSEWHERE;
    build_answer(&frame, &spec, NODE_OTHER);
    harness_ingress(harness, &frame);
    assert_int_equal(harness->verdict, TC_ACT_REDIRECT);
    assert_int_equal(harness->mark_out, DATAPATH_MARK);
    frame_build(&expected, mac_second, mac_gateway, &spec);
    assert_frame(&harness->out, &expected);
    assert_counted(harness, COUNT_DECAPSULATED);
    harness->mark = DATAPATH_MARK;
    harness_ingress(harness, &expected);
    assert_int_equal(harness->verdict, VERDICT_PASS);
    assert_int_equal(harness->mark_out, 0);
    assert_frame(&harness->out, &expected);
    assert_counted(harness, COUNT_DECAPSULATED);
    assert_int_equal(map_entries(harness->skeleton->maps.flows), 0);
}

static void test_answer_of_any_protocol_is_delivered(void **state)
{
    struct packet_spec spec = udp_in;
    struct harness *harness = *state;
    struct frame frame, expected;

    put_worker(harness);
    spec.protocol = IPPROTO_ESP;
    build_answer(&frame, &spec, NODE_OTHER);
    harness_ingress(harness, &frame);
    frame_build(&expected, mac_uplink, mac_gateway, &spec);
    assert_pass(harness, &expected, COUNT_DECAPSULATED);
}

static void put_masquerade(struct harness *harness, int protocol, uint16_t remote_port)
{
    struct nat_key key = flow_key(protocol, POD, 40000, SERVER, remote_port);
    struct flow flow = {
        .masquerade = address_of(NODE_OWN),
        .masquerade_port_be = htons(2222),
        .flags = FLOW_MASQUERADED,
    };

    put_flow(harness, &key, &flow);
}

/* The host meets the answer to what its CNI had made of the packet. */
static void test_masquerade_is_restored(void **state)
{
    static const int protocols[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP};
    struct datapath_config config = harness_config();
    struct harness *harness = *state;
    struct frame frame, expected;

    config.conntrack = 1;
    harness_reload(harness, &config, FEW_MAPPINGS);
    put_worker(harness);
    for (size_t i = 0; i < 3; i++) {
        struct packet_spec spec = udp_in;

        spec.protocol = protocols[i];
        spec.tcp_flags = ACK;
        if (spec.protocol == IPPROTO_ICMP)
            spec.source_port = 40000;
        put_masquerade(harness, spec.protocol, spec.protocol == IPPROTO_ICMP ? 0 : 53);
        build_answer(&frame, &spec, NODE_OTHER);
        harness_ingress(harness, &frame);
        spec.destination = NODE_OWN;
        spec.destination_port = 2222;
        if (spec.protocol == IPPROTO_ICMP)
            spec.source_port = 2222;
        frame_build(&expected, mac_uplink, mac_gateway, &spec);
        assert_int_equal(harness->verdict, VERDICT_PASS);
        assert_frame(&harness->out, &expected);
    }
    assert_int_equal(get_counter(harness, COUNT_DECAPSULATED).packets, 3);
}

static void test_answer_from_a_node_that_is_no_gateway(void **state)
{
    struct harness *harness = *state;
    struct frame frame;

    put_worker(harness);
    build_answer(&frame, &udp_in, "10.0.0.3");
    harness_ingress(harness, &frame);
    assert_drop(harness, DROP_UNKNOWN_NODE);
}

static void test_answer_from_an_unknown_node(void **state)
{
    struct harness *harness = *state;
    struct frame frame;

    put_worker(harness);
    build_answer(&frame, &udp_in, "10.0.0.4");
    harness_ingress(harness, &frame);
    assert_drop(harness, DROP_UNKNOWN_NODE);
}

static void test_answer_to_an_unknown_pod(void **state)
{
    struct packet_spec spec = udp_in;
    struct harness *harness = *state;
    struct frame frame;

    put_worker(harness);
    spec.destination = "10.244.1.99";
    build_answer(&frame, &spec, NODE_OTHER);
    harness_ingress(harness, &frame);
    assert_drop(harness, DROP_UNKNOWN_ENDPOINT);
    harness_setup(state);
    put_worker(harness);
    spec.destination = POD_OTHER; /* lives elsewhere */
    build_answer(&frame, &spec, NODE_OTHER);
    harness_ingress(harness, &frame);
    assert_drop(harness, DROP_UNKNOWN_ENDPOINT);
}

/* Traffic between pods does not take this tunnel, whoever says so. */
static void expect_no_pod(struct harness *harness, int answers, enum drop_reason reason)
{
    struct packet_spec spec = udp_in;
    struct frame frame;

    put_worker(harness);
    spec.source = POD_OTHER;
    build_tunnel(&frame, &spec, "10.0.0.3");
    if (answers)
        frame_answer(&frame);
    harness_ingress(harness, &frame);
    assert_drop(harness, reason);
}

static void test_packet_from_a_pod_to_a_pod(void **state)
{
    expect_no_pod(*state, 0, DROP_NOT_GATEWAY);
}

static void test_packet_from_a_pod_is_no_answer(void **state)
{
    expect_no_pod(*state, 1, DROP_WRONG_NODE);
}

static void test_tunnels_of_others_pass(void **state)
{
    struct harness *harness = *state;
    struct frame frame;
    size_t vxlan = FRAME_ETHERNET + 28;

    put_worker(harness);
    build_answer(&frame, &udp_in, NODE_OTHER);
    frame.data[vxlan + 6]++; /* a CNI's VNI at the same port */
    expect_untouched(harness, &frame);
    build_answer(&frame, &udp_in, NODE_OTHER);
    frame.data[vxlan] = 0;
    expect_untouched(harness, &frame);
    build_answer(&frame, &udp_in, NODE_OTHER);
    frame_set_u16(&frame, FRAME_ETHERNET + 22, 4790);
    expect_untouched(harness, &frame);
    build_answer(&frame, &udp_in, NODE_OTHER);
    frame.data[FRAME_ETHERNET + 19]++; /* for another address of this node */
    frame_fix_ip_checksum(&frame, FRAME_ETHERNET);
    expect_untouched(harness, &frame);
    build_answer(&frame, &udp_in, NODE_OTHER);
    memcpy(frame.data, mac_second, 6); /* for another host */
    expect_untouched(harness, &frame);
    build_answer(&frame, &udp_in, NODE_OTHER);
    frame.length = vxlan + 4;
    frame_set_u16(&frame, FRAME_ETHERNET + 2, frame.length - FRAME_ETHERNET);
    frame_fix_ip_checksum(&frame, FRAME_ETHERNET);
    expect_untouched(harness, &frame);
}

static void test_packets_that_are_no_ip_pass(void **state)
{
    struct harness *harness = *state;
    struct frame frame;

    put_worker(harness);
    build(&frame, &udp_in);
    frame_set_u16(&frame, 12, 0x86dd);
    expect_untouched(harness, &frame);
    build(&frame, &udp_in);
    frame.data[FRAME_ETHERNET] = 0x42; /* a header of eight bytes */
    expect_untouched(harness, &frame);
}

/* Whether a packet from outside was noted as opening a flow. */
static int inbound_noted(struct harness *harness, const struct packet_spec *spec)
{
    int icmp = spec->protocol == IPPROTO_ICMP;
    struct nat_key key =
        flow_key(spec->protocol, spec->destination, icmp ? 0 : spec->destination_port, spec->source,
                 spec->source_port);
    struct frame frame;
    struct flow flow;

    build(&frame, spec);
    expect_untouched(harness, &frame);
    if (get_flow(harness, &key, &flow))
        return 0;
    assert_int_equal(flow.flags, FLOW_INBOUND);
    assert_in_range(flow.last_seen, ticks_now() - 10, ticks_now());
    return 1;
}

static void test_inbound_udp_is_noted(void **state)
{
    struct packet_spec spec = udp_in;
    struct harness *harness = *state;
    struct nat_key key = flow_key(IPPROTO_UDP, POD, 40000, SERVER, 53);
    struct flow old = {.flags = FLOW_INBOUND, .endpoint = TEST_HASH, .last_seen = 1};

    put_worker(harness);
    assert_true(inbound_noted(harness, &spec));
    put_flow(harness, &key, &old);
    assert_true(inbound_noted(harness, &spec)); /* and brought up to date */
}

static void test_inbound_tcp_is_noted_once(void **state)
{
    struct packet_spec spec = udp_in;

    put_worker(*state);
    spec.protocol = IPPROTO_TCP;
    spec.tcp_flags = ACK;
    assert_false(inbound_noted(*state, &spec));
    spec.tcp_flags = SYN | ACK;
    assert_false(inbound_noted(*state, &spec));
    spec.tcp_flags = SYN;
    assert_true(inbound_noted(*state, &spec));
}

static void test_inbound_ping_is_noted(void **state)
{
    struct packet_spec spec = udp_in;

    put_worker(*state);
    spec.protocol = IPPROTO_ICMP;
    spec.icmp_type = 0;
    assert_false(inbound_noted(*state, &spec));
    spec.icmp_type = 8;
    assert_true(inbound_noted(*state, &spec));
}

static void test_inbound_without_a_policy(void **state)
{
    struct packet_spec spec = udp_in;

    put_worker(*state);
    spec.source = "198.51.100.1"; /* its answers go directly anyway */
    assert_false(inbound_noted(*state, &spec));
    put_endpoint(*state, POD, NODE_OWN, PROFILE_NONE, ENDPOINT_LOCAL);
    assert_false(inbound_noted(*state, &udp_in));
    spec.protocol = IPPROTO_TCP; /* a policy may come while it lasts */
    spec.tcp_flags = SYN;
    assert_true(inbound_noted(*state, &spec));
}

static void test_inbound_from_the_cluster(void **state)
{
    struct packet_spec spec = udp_in;

    put_worker(*state);
    put_route(*state, TEST_PROFILE, "0.0.0.0", 0, ROUTE_GATEWAY);
    spec.source = "10.0.0.77";
    assert_false(inbound_noted(*state, &spec));
    spec.protocol = IPPROTO_TCP;
    spec.tcp_flags = SYN;
    assert_false(inbound_noted(*state, &spec));
}

static void test_inbound_to_others(void **state)
{
    struct packet_spec spec = udp_in;

    put_worker(*state);
    spec.destination = POD_OTHER;
    assert_false(inbound_noted(*state, &spec));
    spec.destination = NODE_OWN;
    assert_false(inbound_noted(*state, &spec));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_answer_is_delivered),
        TEST(test_answer_of_an_earlier_release_is_delivered),
        TEST(test_packet_from_a_pod_is_no_answer),
        TEST(test_answer_of_any_protocol_is_delivered),
        TEST(test_masquerade_is_restored),
        TEST(test_answer_from_a_node_that_is_no_gateway),
        TEST(test_answer_from_an_unknown_node),
        TEST(test_answer_to_an_unknown_pod),
        TEST(test_packet_from_a_pod_to_a_pod),
        TEST(test_tunnels_of_others_pass),
        TEST(test_packets_that_are_no_ip_pass),
        TEST(test_inbound_udp_is_noted),
        TEST(test_inbound_tcp_is_noted_once),
        TEST(test_inbound_ping_is_noted),
        TEST(test_inbound_without_a_policy),
        TEST(test_inbound_from_the_cluster),
        TEST(test_inbound_to_others),
        TEST(test_answer_goes_to_the_way_out),
    };

    return cmocka_run_group_tests(tests, harness_network, NULL);
}

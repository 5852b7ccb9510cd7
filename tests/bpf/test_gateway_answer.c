// SPDX-License-Identifier: Apache-2.0
/* A gateway: answers from outside, and pods of its own. */

#include "roles.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <stdlib.h>
#include <string.h>

/* What comes back. */
static const struct packet_spec udp_answer = {
    .source = SERVER,
    .destination = EGRESS_IP,
    .protocol = IPPROTO_UDP,
    .source_port = 53,
    .destination_port = 20000,
    .hop_limit = 57,
    .payload = 99,
};

static void assert_answer_in_tunnel(struct harness *harness, const struct packet_spec *answer,
                                    const char *pod, uint16_t port)
{
    struct packet_spec sent = *answer;
    struct frame expected;

    sent.destination = pod;
    sent.destination_port = port;
    if (sent.protocol == IPPROTO_ICMP)
        sent.source_port = port;
    sent.hop_limit--;
    frame_build(&expected, mac_uplink, mac_router, &sent);
    assert_tunnel(harness, TC_ACT_REDIRECT, &expected, mac_gateway, mac_uplink, NODE_OWN,
                  NODE_OTHER);
}

static void answer(struct harness *harness, const struct packet_spec *spec)
{
    struct frame frame;

    frame_build(&frame, mac_uplink, mac_router, spec);
    harness_ingress(harness, &frame);
}

static void test_answers_go_back_through_the_tunnel(void **state)
{
    struct nat_key back = flow_key(IPPROTO_UDP, EGRESS_IP, 20000, SERVER, 53);
    struct harness *harness = *state;
    struct nat_reverse reverse;

    gateway_put(harness);
    gateway_receive(harness, &gateway_udp_out);
    answer(harness, &udp_answer);
    assert_answer_in_tunnel(harness, &udp_answer, POD_OTHER, 20000);
    assert_int_equal(get_counter(harness, COUNT_TRANSLATED_IN).packets, 1);
    assert_int_equal(get_reverse(harness, &back, &reverse), 0);
    assert_int_equal(reverse.use.seen, NAT_SEEN_DATA);
}

static void test_answers_to_a_replaced_port(void **state)
{
    static const int protocols[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP};
    struct packet_spec out = gateway_udp_out, in = udp_answer;
    struct harness *harness = *state;
    struct nat_forward forward;
    struct nat_key key;

    gateway_put(harness);
    out.source_port = 40000;
    in.tcp_flags = ACK;
    for (size_t i = 0; i < 3; i++) {
        out.protocol = in.protocol = protocols[i];
        out.icmp_type = 8;
        gateway_receive(harness, &out);
        key =
            flow_key(out.protocol, POD_OTHER, 40000, SERVER, out.protocol == IPPROTO_ICMP ? 0 : 53);
        assert_int_equal(get_forward(harness, &key, &forward), 0);
        in.destination_port = ntohs(forward.egress_port_be);
        if (in.protocol == IPPROTO_ICMP)
            in.source_port = in.destination_port;
        answer(harness, &in);
        assert_answer_in_tunnel(harness, &in, POD_OTHER, 40000);
    }
}

static void test_segment_size_of_answers_is_lowered(void **state)
{
    static const uint8_t before[] = {2, 4, 0x05, 0xb4}, after[] = {2, 4, 0x05, 0x82};
    struct packet_spec out = gateway_udp_out, in = udp_answer;

    gateway_put(*state);
    out.protocol = in.protocol = IPPROTO_TCP;
    out.tcp_flags = SYN;
    gateway_receive(*state, &out);
    in.tcp_flags = SYN | ACK;
    in.options_length = sizeof(before);
    in.options = before;
    answer(*state, &in);
    in.options = after;
    assert_answer_in_tunnel(*state, &in, POD_OTHER, 20000);
}

static void test_answer_with_hop_limit_used_up(void **state)
{
    struct packet_spec in = udp_answer;

    gateway_put(*state);
    gateway_receive(*state, &gateway_udp_out);
    in.hop_limit = 1;
    answer(*state, &in);
    assert_int_equal(((struct harness *)*state)->verdict, TC_ACT_SHOT);
    assert_int_equal(get_counter(*state, DROP_HOP_LIMIT).packets, 1);
}

static void expect_not_ours(struct harness *harness, const struct packet_spec *spec)
{
    struct frame frame;

    frame_build(&frame, mac_uplink, mac_router, spec);
    harness_ingress(harness, &frame);
    assert_int_equal(harness->verdict, VERDICT_PASS);
    assert_frame(&harness->out, &frame);
    assert_int_equal(get_counter(harness, COUNT_TRANSLATED_IN).packets, 0);
}

/* The node keeps its own connections, also those to its egress IP. */
static void test_what_is_no_answer_passes(void **state)
{
    struct packet_spec in = udp_answer;
    struct harness *harness = *state;
    struct frame frame;

    gateway_put(harness);
    gateway_receive(harness, &gateway_udp_out);
    in.destination_port = 20001;
    expect_not_ours(harness, &in);
    in = udp_answer;
    in.source_port = 54;
    expect_not_ours(harness, &in);
    in = udp_answer;
    in.protocol = IPPROTO_TCP;
    expect_not_ours(harness, &in);
    in = udp_answer;
    in.source = "192.0.2.11";
    expect_not_ours(harness, &in);
    in = udp_answer;
    in.fragment = 100; /* its first one was not seen */
    expect_not_ours(harness, &in);
    frame_build(&frame, mac_second, mac_router, &udp_answer); /* another host's frame */
    harness_ingress(harness, &frame);
    assert_int_equal(harness->verdict, VERDICT_PASS);
    assert_frame(&harness->out, &frame);
}

/* No mapping has such a port; the host's own connections do. */
static void test_ephemeral_ports_are_the_hosts(void **state)
{
    struct nat_key claim = flow_key(IPPROTO_UDP, EGRESS_IP, 40000, SERVER, 53);
    struct nat_reverse reverse = {.pod = address_of(POD_OTHER), .node = address_of(NODE_OTHER)};
    struct packet_spec in = udp_answer;
    struct harness *harness = *state;

    gateway_put(harness);
    assert_int_equal(bpf_map_update_elem(bpf_map__fd(harness->skeleton->maps.nat_reverse), &claim,
                                         &reverse, BPF_ANY),
                     0);
    in.destination_port = 40000;
    expect_not_ours(harness, &in);
}

static void test_ping_of_the_node_passes(void **state)
{
    struct packet_spec out = gateway_udp_out, in = udp_answer;

    gateway_put(*state);
    out.protocol = in.protocol = IPPROTO_ICMP;
    out.icmp_type = in.icmp_type = 8;
    gateway_receive(*state, &out);
    in.source_port = 20000;
    expect_not_ours(*state, &in);
}

static const struct packet_spec local_out = {
    .source = POD,
    .destination = SERVER,
    .protocol = IPPROTO_UDP,
    .source_port = 20000,
    .destination_port = 53,
    .hop_limit = 63,
    .payload = 40,
};

static void put_local_pod(struct harness *harness)
{
    gateway_put(harness);
    put_endpoint(harness, POD, NODE_OWN, TEST_PROFILE, ENDPOINT_LOCAL);
}

static void test_local_pod_leaves_with_the_egress_ip(void **state)
{
    struct packet_spec sent = local_out;
    struct harness *harness = *state;
    struct frame frame, expected;

    put_local_pod(harness);
    frame_build(&frame, mac_router, mac_uplink, &local_out);
    harness_egress(harness, &frame);
    sent.source = EGRESS_IP;
    frame_build(&expected, mac_router, mac_uplink, &sent);
    assert_pass(harness, &expected, COUNT_TRANSLATED_OUT);
    assert_int_equal(harness->mark_out, DATAPATH_MARK);
}

static void test_local_pod_by_another_interface(void **state)
{
    struct packet_spec spec = local_out;
    struct harness *harness = *state;
    struct frame frame, expected;

    put_local_pod(harness);
    assert_int_equal(system("ip route replace 192.0.2.98 via 10.0.1.2"), 0);
    spec.destination = "192.0.2.98";
    frame_build(&frame, mac_router, mac_uplink, &spec);
    harness_egress(harness, &frame);
    spec.source = EGRESS_IP;
    frame_build(&expected, mac_second_gateway, mac_second, &spec);
    assert_int_equal(harness->verdict, TC_ACT_REDIRECT);
    assert_frame(&harness->out, &expected);
}

/* What leaves here already goes on, whatever the policies have become. */
static void expect_local_stays(struct harness *harness, enum route_action action)
{
    struct packet_spec spec = local_out, sent, other = local_out;
    struct frame frame, expected;

    harness_setup((void **)&harness);
    put_local_pod(harness);
    frame_build(&frame, mac_router, mac_uplink, &spec);
    harness_egress(harness, &frame);
    put_route(harness, TEST_PROFILE, "192.0.2.0", 24, action);
    harness_egress(harness, &frame);
    sent = spec;
    sent.source = EGRESS_IP;
    frame_build(&expected, mac_router, mac_uplink, &sent);
    assert_frame(&harness->out, &expected);
    assert_int_equal(get_counter(harness, COUNT_TRANSLATED_OUT).packets, 2);
    other.source_port++; /* a new one follows the policies */
    frame_build(&frame, mac_router, mac_uplink, &other);
    harness_egress(harness, &frame);
    assert_int_equal(get_counter(harness, COUNT_TRANSLATED_OUT).packets, 2);
}

static void test_local_pod_keeps_its_way(void **state)
{
    assert_int_equal(system("ip address replace " EGRESS_IP "/32 dev up0"), 0);
    expect_local_stays(*state, ROUTE_EXCLUDED);
    expect_local_stays(*state, ROUTE_NO_GATEWAY);
    assert_int_equal(system("ip address del " EGRESS_IP "/32 dev up0"), 0);
}

static void test_local_pod_drops(void **state)
{
    struct packet_spec spec = local_out;
    struct frame frame;

    put_local_pod(*state);
    put_gateway(*state, 1, NODE_OWN, NULL, GATEWAY_LOCAL);
    frame_build(&frame, mac_router, mac_uplink, &local_out);
    harness_egress(*state, &frame);
    assert_drop(*state, DROP_NO_EGRESS_IP);
    harness_setup(state);
    put_local_pod(*state);
    spec.protocol = IPPROTO_AH;
    frame_build(&frame, mac_router, mac_uplink, &spec);
    harness_egress(*state, &frame);
    assert_drop(*state, DROP_PROTOCOL);
}

static void answer_local(struct harness *harness, const char *address, uint16_t port)
{
    struct packet_spec in = udp_answer;
    struct frame frame, expected;

    frame_build(&frame, mac_router, mac_uplink, &local_out);
    harness_egress(harness, &frame);
    frame_build(&frame, mac_uplink, mac_router, &in);
    harness_ingress(harness, &frame);
    in.destination = address;
    in.destination_port = port;
    frame_build(&expected, mac_uplink, mac_router, &in);
    assert_int_equal(harness->verdict, VERDICT_PASS);
    assert_frame(&harness->out, &expected);
    assert_int_equal(get_counter(harness, COUNT_TRANSLATED_IN).packets, 1);
}

static void test_answers_to_a_local_pod(void **state)
{
    put_local_pod(*state);
    answer_local(*state, POD, 20000);
}

static void test_answers_to_a_masqueraded_local_pod(void **state)
{
    struct nat_key key = flow_key(IPPROTO_UDP, POD, 20000, SERVER, 53);
    struct flow flow = {
        .masquerade = address_of(NODE_OWN),
        .masquerade_port_be = htons(1055),
        .flags = FLOW_MASQUERADED,
    };
    struct datapath_config config = harness_config();
    struct harness *harness = *state;

    config.conntrack = 1;
    harness_reload(harness, &config, FEW_MAPPINGS);
    put_local_pod(harness);
    put_flow(harness, &key, &flow);
    answer_local(harness, NODE_OWN, 1055);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_answers_go_back_through_the_tunnel),
        TEST(test_answers_to_a_replaced_port),
        TEST(test_segment_size_of_answers_is_lowered),
        TEST(test_answer_with_hop_limit_used_up),
        TEST(test_what_is_no_answer_passes),
        TEST(test_ephemeral_ports_are_the_hosts),
        TEST(test_ping_of_the_node_passes),
        TEST(test_local_pod_leaves_with_the_egress_ip),
        TEST(test_local_pod_by_another_interface),
        TEST(test_local_pod_drops),
        TEST(test_local_pod_keeps_its_way),
        TEST(test_answers_to_a_local_pod),
        TEST(test_answers_to_a_masqueraded_local_pod),
    };

    return cmocka_run_group_tests(tests, harness_network, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/* A gateway with IPv6: translation both ways, in every mix of families. */

#include "families.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <string.h>

static const struct families v6_in_v4 = {POD_OTHER6, SERVER6, "2001:db8:7::", EGRESS_IP6, NODE_OWN,
                                         NODE_OTHER, 48,      IPPROTO_ICMPV6};
static const struct families v4_in_v6 = {POD_OTHER, SERVER,      "192.0.2.0", EGRESS_IP,
                                         NODE_OWN6, NODE_OTHER6, 24,          IPPROTO_ICMP};
static const struct families *const mixes[] = {&families_v6, &v6_in_v4, &v4_in_v6};

static void there_and_back(struct harness *harness, const struct families *families,
                           const struct packet_spec *out)
{
    struct packet_spec in;
    uint16_t port;

    families_receive(harness, families, out);
    port = families_port(harness, out);
    families_assert_sent(harness, families, out, port);
    in = families_answer_to(families, out, port);
    families_answer(harness, &in);
    families_assert_answered(harness, families, &in, out->source_port);
}

static void translate_all(void **state, int old_decap)
{
    struct datapath_config config = harness_config();
    struct harness *harness = *state;

    config.old_decap = old_decap;
    for (size_t i = 0; i < 3; i++) {
        const int protocols[] = {IPPROTO_TCP, IPPROTO_UDP, mixes[i]->icmp};

        for (size_t j = 0; j < 3; j++) {
            struct packet_spec out = families_udp_out(mixes[i]);

            harness_reload(harness, &config, FEW_MAPPINGS);
            families_put(harness, mixes[i]);
            out.protocol = protocols[j];
            out.tcp_flags = ACK;
            out.icmp_type = mixes[i]->icmp == IPPROTO_ICMP ? 8 : 128;
            there_and_back(harness, mixes[i], &out);
            assert_int_equal(families_port(harness, &out), 20000);
            out.source_port = 40000; /* the host's range: replaced */
            out.payload = 32;
            there_and_back(harness, mixes[i], &out);
            assert_int_not_equal(families_port(harness, &out), 40000);
            assert_int_equal(get_counter(harness, COUNT_TRANSLATED_OUT).packets, 2);
            assert_int_equal(get_counter(harness, COUNT_TRANSLATED_IN).packets, 2);
        }
    }
}

static void test_there_and_back(void **state)
{
    translate_all(state, 0);
}

static void test_there_and_back_on_older_kernels(void **state)
{
    translate_all(state, 1);
}

/* A sum that comes out as zero is sent as 0xffff: zero would mean that there is none. */
static void test_checksum_is_never_zero(void **state)
{
    struct packet_spec out = families_udp_out(&families_v6), sent = out;
    struct harness *harness = *state;
    size_t payload = FRAME_ETHERNET + 48, check = FRAME_ETHERNET + 46;
    struct frame frame, expected;
    uint16_t sum;

    families_put(harness, &families_v6);
    sent.source = EGRESS_IP6;
    sent.hop_limit--;
    frame_build(&expected, mac_router, mac_uplink, &sent);
    sum = frame_u16(&expected, check);
    /* What the sum lacks goes into the payload of both, so that the translated one has 0xffff. */
    frame_build(&frame, mac_router, mac_uplink, &out);
    for (int i = 0; i < 2; i++) {
        struct frame *changed = i ? &expected : &frame;
        uint32_t word = frame_u16(changed, payload) + sum;

        frame_set_u16(changed, payload, (word & 0xffff) + (word >> 16));
        word = (uint16_t)~frame_u16(changed, check) + (uint32_t)sum;
        frame_set_u16(changed, check, ~((word & 0xffff) + (word >> 16)));
    }
    frame_set_u16(&expected, check, 0xffff);
    frame_encapsulate(&frame, mac_uplink, mac_gateway, NODE_OTHER6, NODE_OWN6, 7, 50000, TEST_VNI);
    harness_ingress(harness, &frame);
    assert_int_equal(harness->verdict, TC_ACT_REDIRECT);
    assert_frame(&harness->out, &expected);
}

/* IPv6 packets of a tunnel may lack the checksum; they stay that way. */
static void test_udp_without_checksum(void **state)
{
    struct packet_spec out = families_udp_out(&families_v6);

    out.no_checksum = 1;
    families_put(*state, &families_v6);
    families_receive(*state, &families_v6, &out);
    families_assert_sent(*state, &families_v6, &out, 20000);
}

static void test_family_without_an_egress_ip(void **state)
{
    struct packet_spec out = families_udp_out(&families_v6);

    families_put(*state, &families_v6);
    put_gateway(*state, 1, NODE_OWN6, NULL, GATEWAY_LOCAL);
    families_receive(*state, &families_v6, &out);
    assert_drop(*state, DROP_NO_EGRESS_IP);
    harness_setup(state);
    families_put(*state, &families_v6);
    put_gateway(*state, 1, NODE_OWN6, EGRESS_IP, GATEWAY_LOCAL); /* never one of the other family */
    families_receive(*state, &families_v6, &out);
    assert_drop(*state, DROP_NO_EGRESS_IP);
}

static void expect_drop(void **state, const struct packet_spec *out, enum drop_reason reason)
{
    harness_setup(state);
    families_put(*state, &families_v6);
    families_receive(*state, &families_v6, out);
    assert_drop(*state, reason);
}

static void test_what_is_dropped(void **state)
{
    struct packet_spec out = families_udp_out(&families_v6);

    families_put(*state, &families_v6);
    out.hop_limit = 1;
    families_receive(*state, &families_v6, &out);
    assert_int_equal(get_counter(*state, DROP_HOP_LIMIT).packets, 1); /* and told: test_refuse */
    out = families_udp_out(&families_v6);
    out.source = "fd00:10:244:2::8";
    expect_drop(state, &out, DROP_UNKNOWN_ENDPOINT);
    out.source = "fe80::7";
    expect_drop(state, &out, DROP_MALFORMED);
    out.source = "::ffff:10.244.2.7"; /* must not be taken for the IPv4 pod */
    expect_drop(state, &out, DROP_MALFORMED);
    out = families_udp_out(&families_v6);
    out.destination = "::ffff:192.0.2.10";
    expect_drop(state, &out, DROP_MALFORMED);
    out.destination = NODE_OTHER6; /* in the cluster */
    expect_drop(state, &out, DROP_NOT_GATEWAY);
    out = families_udp_out(&families_v6);
    out.protocol = IPPROTO_AH;
    expect_drop(state, &out, DROP_PROTOCOL);
    out.protocol = IPPROTO_ICMP; /* not in IPv6 */
    out.icmp_type = 8;
    expect_drop(state, &out, DROP_PROTOCOL);
    out.protocol = IPPROTO_ICMPV6;
    out.icmp_type = 130; /* listeners of a group */
    expect_drop(state, &out, DROP_PROTOCOL);
    out.icmp_type = 129;
    expect_drop(state, &out, DROP_PROTOCOL);
}

static void test_worker_of_another_address(void **state)
{
    struct packet_spec out = families_udp_out(&families_v6);
    struct families lying = families_v6;

    lying.worker = "fd00::3";
    families_put(*state, &families_v6);
    families_receive(*state, &lying, &out);
    assert_drop(*state, DROP_UNKNOWN_NODE);
    harness_setup(state);
    families_put(*state, &families_v6);
    put_node(*state, "fd00::3", 0);
    families_receive(*state, &lying, &out);
    assert_drop(*state, DROP_WRONG_NODE);
}

static void test_no_route_to_the_destination(void **state)
{
    struct packet_spec out = families_udp_out(&families_v6);

    families_put(*state, &families_v6);
    put_route(*state, TEST_PROFILE, "2001:db8:bad::", 48, ROUTE_GATEWAY);
    out.destination = "2001:db8:bad::1";
    families_receive(*state, &families_v6, &out);
    assert_drop(*state, DROP_NO_ROUTE);
}

static void test_malformed_packets_inside(void **state)
{
    struct harness *harness = *state;
    struct packet_spec out = families_udp_out(&families_v6);

    for (int i = 0; i < 3; i++) {
        size_t inner = FRAME_ETHERNET + FRAME_TUNNEL6;
        struct frame frame;

        harness_setup(state);
        families_put(harness, &families_v6);
        frame_build(&frame, mac_router, mac_uplink, &out);
        frame_encapsulate(&frame, mac_uplink, mac_gateway, NODE_OTHER6, NODE_OWN6, 77, 50000,
                          TEST_VNI);
        if (i == 0)
            frame_set_u16(&frame, inner + 4, 40); /* longer than the frame */
        else if (i == 1)
            frame.data[inner] = 0x45; /* not what the Ethernet header says */
        else
            frame_set_u16(&frame, inner + 4, 7); /* ends in the UDP header */
        harness_ingress(harness, &frame);
        assert_drop(harness, DROP_MALFORMED);
    }
}

static void test_answers_that_are_not_ours(void **state)
{
    struct packet_spec out = families_udp_out(&families_v6), in;
    struct harness *harness = *state;
    struct frame frame;

    families_put(harness, &families_v6);
    in = families_answer_to(&families_v6, &out, 20000);
    frame_build(&frame, mac_uplink, mac_router, &in);
    harness_ingress(harness, &frame);
    assert_pass(harness, &frame, COUNT_NOTHING);
    in.protocol = IPPROTO_ICMPV6;
    in.icmp_type = 128; /* somebody pings the node */
    frame_build(&frame, mac_uplink, mac_router, &in);
    harness_ingress(harness, &frame);
    assert_pass(harness, &frame, COUNT_NOTHING);
}

static void test_pod_of_this_node(void **state)
{
    struct packet_spec out = families_udp_out(&families_v6), in, sent;
    struct harness *harness = *state;
    struct frame frame, expected;

    families_put(harness, &families_v6);
    put_endpoint(harness, POD_OTHER6, NODE_OWN6, TEST_PROFILE, ENDPOINT_LOCAL);
    frame_build(&frame, mac_router, mac_uplink, &out);
    harness_egress(harness, &frame);
    sent = out;
    sent.source = EGRESS_IP6;
    frame_build(&expected, mac_router, mac_uplink, &sent);
    assert_pass(harness, &expected, COUNT_TRANSLATED_OUT);
    in = families_answer_to(&families_v6, &out, 20000);
    frame_build(&frame, mac_uplink, mac_router, &in);
    harness_ingress(harness, &frame);
    in.destination = POD_OTHER6;
    frame_build(&expected, mac_uplink, mac_router, &in);
    assert_int_equal(harness->verdict, VERDICT_PASS);
    assert_frame(&harness->out, &expected);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_there_and_back),
        TEST(test_there_and_back_on_older_kernels),
        TEST(test_checksum_is_never_zero),
        TEST(test_udp_without_checksum),
        TEST(test_family_without_an_egress_ip),
        TEST(test_what_is_dropped),
        TEST(test_worker_of_another_address),
        TEST(test_no_route_to_the_destination),
        TEST(test_malformed_packets_inside),
        TEST(test_answers_that_are_not_ours),
        TEST(test_pod_of_this_node),
    };

    return cmocka_run_group_tests(tests, harness_network, NULL);
}

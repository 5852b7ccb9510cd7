// SPDX-License-Identifier: Apache-2.0
/* How far IPv6 packets are read: extension headers, fragments, and what stays on its link. */

#include "harness.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <string.h>

enum {
    HOP_BY_HOP = 0,
    ROUTING = 43,
    FRAGMENT = 44,
    DESTINATION = 60,
};

static const struct packet_spec udp_out = {
    .source = POD6,
    .destination = SERVER6,
    .protocol = IPPROTO_UDP,
    .source_port = 20000,
    .destination_port = 53,
    .flow_label = 0x12345,
    .payload = 40,
};

static void put_worker(struct harness *harness)
{
    put_endpoint(harness, POD6, NODE_OWN6, TEST_PROFILE, ENDPOINT_LOCAL);
    put_route(harness, TEST_PROFILE, "::", 0, ROUTE_GATEWAY);
    put_route(harness, PROFILE_COVERED, "::", 0, ROUTE_COVERED);
    put_gateway(harness, 1, NODE_OTHER6, NULL, 0);
}

/* This node is the gateway of its pod, so that the ports that were read show in the mapping. */
static void put_own_gateway(struct harness *harness)
{
    put_worker(harness);
    put_gateway(harness, 1, NODE_OWN6, EGRESS_IP6, GATEWAY_LOCAL);
}

static void send_out(struct harness *harness, struct frame *frame, const struct packet_spec *spec)
{
    frame_build(frame, mac_router, mac_uplink, spec);
    harness_egress(harness, frame);
}

static void expect_pass(struct harness *harness, const struct packet_spec *spec)
{
    struct frame frame;

    send_out(harness, &frame, spec);
    assert_pass(harness, &frame, COUNT_NOTHING);
}

static void expect_drop(void **state, const struct packet_spec *spec, enum drop_reason reason)
{
    struct frame frame;

    harness_setup(state);
    put_own_gateway(*state);
    send_out(*state, &frame, spec);
    assert_drop(*state, reason);
}

static void expect_translated(void **state, const struct packet_spec *spec)
{
    struct packet_spec sent = *spec;
    struct harness *harness = *state;
    struct frame frame, expected;

    harness_setup(state);
    put_own_gateway(harness);
    send_out(harness, &frame, spec);
    sent.source = EGRESS_IP6;
    frame_build(&expected, mac_router, mac_uplink, &sent);
    assert_pass(harness, &expected, COUNT_TRANSLATED_OUT);
}

static void test_extension_headers_are_walked(void **state)
{
    static const uint8_t all[] = {
        DESTINATION, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, /* hop by hop, two units */
        ROUTING,     0, 1, 4,  0, 0, 0, 0,                         /* destination options */
        FRAGMENT,    0, 4, 0,  0, 0, 0, 0,                         /* routing, all done */
        DESTINATION, 0, 0, 0,  9, 9, 9, 9,                         /* a fragment alone */
        IPPROTO_UDP, 0, 1, 4,  0, 0, 0, 0,                         /* destination options */
    };
    struct packet_spec spec = udp_out;

    spec.extension = HOP_BY_HOP;
    spec.extensions = all;
    spec.extensions_length = sizeof(all);
    expect_translated(state, &spec);
}

static void test_every_protocol_behind_an_extension(void **state)
{
    static const int protocols[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMPV6};
    uint8_t options[] = {0, 0, 1, 4, 0, 0, 0, 0};
    struct packet_spec spec = udp_out;

    spec.extension = DESTINATION;
    spec.extensions = options;
    spec.extensions_length = sizeof(options);
    spec.icmp_type = 128;
    spec.payload = 0; /* nothing follows the header */
    for (size_t i = 0; i < 3; i++) {
        spec.protocol = options[0] = protocols[i];
        expect_translated(state, &spec);
    }
}

static void test_walk_has_an_end(void **state)
{
    uint8_t many[7 * 8] = {}, big[264] = {IPPROTO_UDP, 32};
    struct packet_spec spec = udp_out;

    for (size_t i = 0; i < 7; i++)
        many[i * 8] = i < 6 ? DESTINATION : IPPROTO_UDP;
    spec.extension = DESTINATION;
    spec.extensions = many;
    spec.extensions_length = sizeof(many);
    expect_drop(state, &spec, DROP_PROTOCOL);
    spec.extensions = many + 8; /* one less */
    spec.extensions_length = sizeof(many) - 8;
    expect_translated(state, &spec);
    spec.extensions = big;
    spec.extensions_length = sizeof(big);
    expect_drop(state, &spec, DROP_PROTOCOL);
    big[1] = 31;
    spec.extensions_length = 256;
    expect_translated(state, &spec);
}

static void test_extension_beyond_the_packet(void **state)
{
    uint8_t options[] = {IPPROTO_UDP, 7, 0, 0, 0, 0, 0, 0};
    struct packet_spec spec = udp_out;

    spec.extension = DESTINATION;
    spec.extensions = options;
    spec.extensions_length = sizeof(options);
    expect_drop(state, &spec, DROP_PROTOCOL); /* 64 bytes of 56 */
    options[1] = 6;                           /* then nothing is left for the ports */
    expect_drop(state, &spec, DROP_MALFORMED);
}

/* The destination in the header is not the one that the packet has in the end. */
static void test_source_routes_are_not_translated(void **state)
{
    static const uint8_t routing[24] = {IPPROTO_UDP, 2, 4, 1};
    struct packet_spec spec = udp_out;

    spec.extension = ROUTING;
    spec.extensions = routing;
    spec.extensions_length = sizeof(routing);
    expect_drop(state, &spec, DROP_PROTOCOL);
}

static void test_fragments(void **state)
{
    static const uint8_t first[] = {IPPROTO_UDP, 0, 0, 1, 0, 0, 0, 1};
    static const uint8_t later[] = {IPPROTO_UDP, 0, 0, 8, 0, 0, 0, 1};
    struct packet_spec spec = udp_out;
    struct harness *harness = *state;
    uint32_t labels[2];

    spec.extension = FRAGMENT;
    spec.extensions_length = 8;
    for (int i = 0; i < 2; i++) {
        struct frame frame;

        spec.extensions = i ? later : first;
        harness_setup(state);
        put_worker(harness);
        send_out(harness, &frame, &spec);
        assert_tunnel(harness, VERDICT_PASS, &frame, mac_gateway, mac_uplink, NODE_OWN6,
                      NODE_OTHER6);
        labels[i] = frame_flow_label(&harness->out, FRAME_ETHERNET);
    }
    assert_int_equal(labels[0], labels[1]); /* they take one path */
}

/* What nobody but its neighbours may see is left alone, whoever sends it. */
static void test_what_stays_on_its_link(void **state)
{
    static const char *const addresses[] = {"fe80::1", "febf::1", "ff02::1",
                                            "ff0e::7", "::1",     "::"};
    struct packet_spec spec = udp_out;
    struct harness *harness = *state;
    struct frame frame;

    put_worker(harness);
    harness->ingress_ifindex = harness->up1;
    for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        spec = udp_out;
        spec.destination = addresses[i];
        expect_pass(harness, &spec);
        spec = udp_out;
        spec.source = addresses[i];
        expect_pass(harness, &spec);
        frame_build(&frame, mac_uplink, mac_router, &spec);
        harness_ingress(harness, &frame);
        assert_pass(harness, &frame, COUNT_NOTHING);
    }
    spec = udp_out;
    spec.destination = "fec0::1"; /* was site-local once, is forwarded */
    send_out(harness, &frame, &spec);
    assert_int_equal(get_counter(harness, COUNT_ENCAPSULATED).packets, 1);
}

static void test_neighbour_discovery(void **state)
{
    struct packet_spec spec = udp_out;
    struct harness *harness = *state;
    struct frame frame;

    put_worker(harness);
    spec.protocol = IPPROTO_ICMPV6;
    spec.hop_limit = 255;
    for (spec.icmp_type = 133; spec.icmp_type <= 137; spec.icmp_type++)
        expect_pass(harness, &spec);
    /* Once forwarded, it is none any more, and a pod's packet like others. */
    spec.hop_limit = 254;
    spec.icmp_type = 135;
    send_out(harness, &frame, &spec);
    assert_tunnel(harness, VERDICT_PASS, &frame, mac_gateway, mac_uplink, NODE_OWN6, NODE_OTHER6);
}

/* Such addresses stand for IPv4 in the tables: a pod must not get around its policy by them. */
static void test_mapped_addresses(void **state)
{
    struct packet_spec spec = udp_out;
    struct harness *harness = *state;

    put_worker(harness);
    put_endpoint(harness, POD, NODE_OWN, TEST_PROFILE, ENDPOINT_LOCAL);
    spec.destination = "::ffff:192.0.2.10";
    expect_pass(harness, &spec); /* the node's own business */
    harness->ingress_ifindex = harness->up1;
    for (int i = 0; i < 2; i++) {
        struct frame frame;

        send_out(harness, &frame, &spec);
        assert_int_equal(harness->verdict, TC_ACT_SHOT);
        assert_int_equal(get_counter(harness, DROP_MALFORMED).packets, i + 1);
        spec = udp_out;
        spec.source = "::ffff:10.244.1.2";
    }
}

static void test_broken_headers_pass(void **state)
{
    struct harness *harness = *state;
    struct frame frame;

    put_worker(harness);
    for (int i = 0; i < 2; i++) {
        frame_build(&frame, mac_router, mac_uplink, &udp_out);
        if (i == 0)
            frame.data[FRAME_ETHERNET] = 0x40;
        else
            frame_set_u16(&frame, FRAME_ETHERNET + 4, 49); /* one byte more than there is */
        harness_egress(harness, &frame);
        assert_pass(harness, &frame, COUNT_NOTHING);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_extension_headers_are_walked),
        TEST(test_every_protocol_behind_an_extension),
        TEST(test_walk_has_an_end),
        TEST(test_extension_beyond_the_packet),
        TEST(test_source_routes_are_not_translated),
        TEST(test_fragments),
        TEST(test_what_stays_on_its_link),
        TEST(test_neighbour_discovery),
        TEST(test_mapped_addresses),
        TEST(test_broken_headers_pass),
    };

    return cmocka_run_group_tests(tests, harness_network, NULL);
}

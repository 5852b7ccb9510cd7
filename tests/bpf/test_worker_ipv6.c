// SPDX-License-Identifier: Apache-2.0
/* A worker with IPv6: packets into the tunnel and answers from it, in every mix of families. */

#include "roles.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

/* What is inside the tunnel and what is around it. */
struct families {
    const char *pod, *server, *prefix, *own, *gateway;
    unsigned int length;
    int icmp;
};

static const struct families v6_in_v6 = {POD6,        SERVER6, "2001:db8:7::", NODE_OWN6,
                                         NODE_OTHER6, 48,      IPPROTO_ICMPV6};
static const struct families v6_in_v4 = {POD6,       SERVER6, "2001:db8:7::", NODE_OWN,
                                         NODE_OTHER, 48,      IPPROTO_ICMPV6};
static const struct families v4_in_v6 = {POD,         SERVER, "192.0.2.0", NODE_OWN6,
                                         NODE_OTHER6, 24,     IPPROTO_ICMP};
static const struct families *const mixes[] = {&v6_in_v6, &v6_in_v4, &v4_in_v6};

static struct packet_spec udp_out(const struct families *families)
{
    return (struct packet_spec){
        .source = families->pod,
        .destination = families->server,
        .protocol = IPPROTO_UDP,
        .source_port = 40000,
        .destination_port = 53,
        .traffic_class = 0xb9,
        .flow_label = 0xabcde,
        .payload = 31,
    };
}

/* A pod of this node whose way out leads to `gateway`. */
static void put_worker(struct harness *harness, const struct families *families,
                       const char *gateway)
{
    put_endpoint(harness, families->pod, families->own, TEST_PROFILE, ENDPOINT_LOCAL);
    put_route(harness, TEST_PROFILE, families->prefix, families->length, ROUTE_GATEWAY);
    put_route(harness, PROFILE_COVERED, families->prefix, families->length, ROUTE_COVERED);
    put_gateway(harness, 1, gateway, NULL, 0);
    put_node(harness, families->gateway, NODE_GATEWAY);
}

static void send_out(struct harness *harness, struct frame *frame, const struct packet_spec *spec)
{
    frame_build(frame, mac_router, mac_uplink, spec);
    harness_egress(harness, frame);
}

static void expect_tunnel(struct harness *harness, const struct packet_spec *spec,
                          const struct families *families)
{
    struct frame frame;

    send_out(harness, &frame, spec);
    assert_tunnel(harness, VERDICT_PASS, &frame, mac_gateway, mac_uplink, families->own,
                  families->gateway);
}

static void expect_drop(struct harness *harness, const struct packet_spec *spec,
                        enum drop_reason reason)
{
    struct frame frame;

    send_out(harness, &frame, spec);
    assert_drop(harness, reason);
}

static void expect_pass(struct harness *harness, const struct packet_spec *spec)
{
    struct frame frame;

    send_out(harness, &frame, spec);
    assert_pass(harness, &frame, COUNT_NOTHING);
}

static void test_every_protocol_is_encapsulated(void **state)
{
    for (size_t i = 0; i < 3; i++) {
        struct packet_spec spec = udp_out(mixes[i]);
        const int protocols[] = {IPPROTO_UDP, IPPROTO_TCP, mixes[i]->icmp, IPPROTO_SCTP,
                                 IPPROTO_ESP};

        for (size_t j = 0; j < sizeof(protocols) / sizeof(protocols[0]); j++) {
            harness_setup(state);
            put_worker(*state, mixes[i], mixes[i]->gateway);
            spec.protocol = protocols[j];
            spec.icmp_type = spec.protocol == IPPROTO_ICMPV6 ? 128 : 8;
            expect_tunnel(*state, &spec, mixes[i]);
            assert_counted(*state, COUNT_ENCAPSULATED);
        }
    }
}

/* The outer flow label, like the source port, is one a flow, and no flow's is that of another. */
static void test_flows_have_labels(void **state)
{
    struct packet_spec spec = udp_out(&v6_in_v6);
    struct harness *harness = *state;
    uint32_t first, differing = 0;
    struct frame frame;

    put_worker(harness, &v6_in_v6, NODE_OTHER6);
    send_out(harness, &frame, &spec);
    first = frame_flow_label(&harness->out, FRAME_ETHERNET);
    send_out(harness, &frame, &spec);
    assert_int_equal(frame_flow_label(&harness->out, FRAME_ETHERNET), first);
    for (int i = 0; i < 32; i++) {
        spec.source_port++;
        send_out(harness, &frame, &spec);
        differing += frame_flow_label(&harness->out, FRAME_ETHERNET) != first;
    }
    assert_in_range(differing, 30, 32);
}

static void test_next_hops(void **state)
{
    struct packet_spec spec = udp_out(&v6_in_v6);
    struct harness *harness = *state;
    struct frame frame;

    put_worker(harness, &v6_in_v6, NODE_UNSEEN6);
    send_out(harness, &frame, &spec);
    assert_tunnel(harness, TC_ACT_REDIRECT, &frame, mac_zero, mac_zero, NODE_OWN6, NODE_UNSEEN6);
    put_gateway(harness, 1, NODE_ELSEWHERE6, NULL, 0);
    spec.source_port++; /* a flow that has begun keeps its gateway */
    send_out(harness, &frame, &spec);
    assert_tunnel(harness, TC_ACT_REDIRECT, &frame, mac_second_gateway, mac_second, NODE_OWN6,
                  NODE_ELSEWHERE6);
    put_gateway(harness, 1, "2001:db8:9::1", NULL, 0); /* by a link-local router */
    spec.source_port++;
    send_out(harness, &frame, &spec);
    assert_tunnel(harness, VERDICT_PASS, &frame, mac_router, mac_uplink, NODE_OWN6,
                  "2001:db8:9::1");
}

static void test_no_forwarding_on_loopback(void **state)
{
    struct packet_spec spec = udp_out(&v6_in_v6);
    struct harness *harness = *state;
    struct frame frame;

    put_worker(harness, &v6_in_v6, NODE_OTHER6);
    assert_int_equal(system("sysctl -qw net.ipv6.conf.lo.forwarding=0"), 0);
    send_out(harness, &frame, &spec);
    assert_int_equal(system("sysctl -qw net.ipv6.conf.lo.forwarding=1"), 0);
    assert_tunnel(harness, TC_ACT_REDIRECT, &frame, mac_zero, mac_zero, NODE_OWN6, NODE_OTHER6);
}

static void test_no_way_to_the_gateway(void **state)
{
    struct packet_spec spec = udp_out(&v6_in_v6);

    put_worker(*state, &v6_in_v6, "2001:db8:bad::1");
    expect_drop(*state, &spec, DROP_NO_ROUTE);
    harness_setup(state);
    put_worker(*state, &v6_in_v6, NODE_OTHER6);
    put_settings(*state, NODE_OWN, NULL, 0); /* no address of the gateway's family */
    expect_drop(*state, &spec, DROP_NO_TABLE);
}

static void test_largest_packet(void **state)
{
    for (size_t i = 0; i < 3; i++) {
        struct packet_spec spec = udp_out(mixes[i]);
        size_t headers = (mixes[i] == &v4_in_v6 ? 20 : 40) + 8;
        size_t room = 1500 - frame_overhead(mixes[i]->own);
        struct frame frame;

        harness_setup(state);
        put_worker(*state, mixes[i], mixes[i]->gateway);
        spec.payload = room - headers;
        spec.fragment = mixes[i] == &v4_in_v6 ? DO_NOT_FRAGMENT : 0;
        expect_tunnel(*state, &spec, mixes[i]);
        harness_setup(state);
        put_worker(*state, mixes[i], mixes[i]->gateway);
        spec.payload++;
        send_out(*state, &frame, &spec);
        assert_int_equal(((struct harness *)*state)->verdict, TC_ACT_REDIRECT); /* to the pod */
        assert_counted(*state, DROP_TOO_BIG);
    }
}

/* TCP's headers are longer with IPv6 inside, the tunnel's with IPv6 around. */
static void test_segment_size_is_lowered(void **state)
{
    static const uint16_t limits[] = {1500 - 70 - 60, 1500 - 50 - 60, 1500 - 70 - 40};

    for (size_t i = 0; i < 3; i++) {
        uint8_t options[] = {2, 4, 0x23, 0x28}; /* 9000 */
        struct packet_spec spec = udp_out(mixes[i]);
        struct harness *harness = *state;
        struct frame frame;

        spec.protocol = IPPROTO_TCP;
        spec.tcp_flags = SYN;
        spec.options = options;
        spec.options_length = sizeof(options);
        put_worker(harness, mixes[i], mixes[i]->gateway);
        send_out(harness, &frame, &spec);
        options[2] = limits[i] >> 8;
        options[3] = limits[i] & 255;
        frame_build(&frame, mac_router, mac_uplink, &spec);
        assert_tunnel(harness, VERDICT_PASS, &frame, mac_gateway, mac_uplink, mixes[i]->own,
                      mixes[i]->gateway);
    }
}

static void test_what_leaves_directly(void **state)
{
    struct packet_spec spec = udp_out(&v6_in_v6);

    put_worker(*state, &v6_in_v6, NODE_OTHER6);
    put_route(*state, TEST_PROFILE, "::", 0, ROUTE_GATEWAY);
    spec.destination = NODE_OTHER6; /* in the cluster */
    expect_pass(*state, &spec);
    spec.destination = "fd00:10:244:9::9";
    expect_pass(*state, &spec);
    put_route(*state, TEST_PROFILE, "2001:db8:8::", 48, ROUTE_EXCLUDED);
    spec.destination = "2001:db8:8::8";
    expect_pass(*state, &spec);
    spec.destination = "2001:db8:9::8";
    expect_tunnel(*state, &spec, &v6_in_v6);
}

/* A policy for all of IPv4 says nothing about IPv6, and the reverse. */
static void test_families_have_routes_of_their_own(void **state)
{
    struct packet_spec spec = udp_out(&v6_in_v6);

    put_worker(*state, &v4_in_v6, NODE_OTHER6);
    put_endpoint(*state, POD6, NODE_OWN6, TEST_PROFILE, ENDPOINT_LOCAL);
    put_route(*state, TEST_PROFILE, "0.0.0.0", 0, ROUTE_GATEWAY);
    expect_pass(*state, &spec);
    put_route(*state, TEST_PROFILE, "::", 0, ROUTE_NO_GATEWAY);
    spec.source_port++; /* a flow that has begun goes on */
    worker_expect_refused(*state, &spec, DROP_NO_GATEWAY);
    harness_setup(state);
    put_worker(*state, &v6_in_v6, NODE_OTHER6);
    put_route(*state, TEST_PROFILE, "::", 0, ROUTE_GATEWAY);
    put_endpoint(*state, POD, NODE_OWN, TEST_PROFILE, ENDPOINT_LOCAL);
    spec.source = POD;
    spec.destination = SERVER;
    expect_pass(*state, &spec);
}

static void test_unknown_endpoint(void **state)
{
    struct packet_spec spec = udp_out(&v6_in_v6);
    struct harness *harness = *state;

    put_worker(harness, &v6_in_v6, NODE_OTHER6);
    put_settings(harness, NULL, NODE_OWN6, SETTINGS_POD_RANGES_KNOWN);
    put_route(harness, PROFILE_POD_RANGES, "fd00:10:244::", 48, ROUTE_POD_RANGE);
    spec.source = "fd00:10:244:1::99";
    expect_pass(harness, &spec); /* the node itself */
    harness->ingress_ifindex = harness->up1;
    spec.source = "2001:db8:4::4";
    expect_pass(harness, &spec); /* no pod's */
    spec.source = "fd00:10:244:1::99";
    expect_drop(harness, &spec, DROP_UNKNOWN_ENDPOINT);
}

static void put_inbound(struct harness *harness, const struct packet_spec *spec)
{
    int icmp = spec->protocol == IPPROTO_ICMPV6; /* the identifier is the other end's */
    struct nat_key key =
        flow_key(spec->protocol, spec->source, icmp ? 0 : spec->source_port, spec->destination,
                 icmp ? spec->source_port : spec->destination_port);
    struct flow flow = {.flags = FLOW_INBOUND, .endpoint = TEST_HASH, .last_seen = ticks_now()};

    put_flow(harness, &key, &flow);
}

static void test_answers_of_inbound_flows(void **state)
{
    struct packet_spec spec = udp_out(&v6_in_v6);

    put_worker(*state, &v6_in_v6, NODE_OTHER6);
    put_inbound(*state, &spec);
    expect_pass(*state, &spec);
    spec.protocol = IPPROTO_ICMPV6;
    spec.destination_port = 0;
    put_inbound(*state, &spec);
    spec.icmp_type = 129;
    expect_pass(*state, &spec);
    spec.icmp_type = 128;
    expect_tunnel(*state, &spec, &v6_in_v6);
}

static int inbound_noted(struct harness *harness, const struct packet_spec *spec)
{
    int icmp = spec->protocol == IPPROTO_ICMPV6;
    struct nat_key key =
        flow_key(spec->protocol, spec->destination, icmp ? 0 : spec->destination_port, spec->source,
                 spec->source_port);
    struct frame frame;
    struct flow flow;

    frame_build(&frame, mac_uplink, mac_router, spec);
    harness_ingress(harness, &frame);
    assert_pass(harness, &frame, COUNT_NOTHING);
    return !get_flow(harness, &key, &flow) && flow.flags == FLOW_INBOUND;
}

static void test_inbound_flows_are_noted(void **state)
{
    struct packet_spec spec = udp_out(&v6_in_v6);

    put_worker(*state, &v6_in_v6, NODE_OTHER6);
    spec.source = SERVER6;
    spec.destination = POD6;
    assert_true(inbound_noted(*state, &spec));
    spec.protocol = IPPROTO_TCP;
    spec.tcp_flags = ACK;
    assert_false(inbound_noted(*state, &spec));
    spec.tcp_flags = SYN;
    assert_true(inbound_noted(*state, &spec));
    spec.protocol = IPPROTO_ICMPV6;
    spec.icmp_type = 129;
    assert_false(inbound_noted(*state, &spec));
    spec.icmp_type = 128;
    assert_true(inbound_noted(*state, &spec));
}

/* An answer from the tunnel, in a frame; what comes of it is `expected`. */
static void build_answer(const struct families *families, const struct packet_spec *spec,
                         struct frame *frame, struct frame *expected)
{
    frame_build(expected, mac_uplink, mac_gateway, spec);
    *frame = *expected;
    frame_encapsulate(frame, mac_uplink, mac_gateway, families->gateway, families->own, 5, 60000,
                      TEST_VNI);
    frame_answer(frame);
}

static struct packet_spec udp_in(const struct families *families)
{
    struct packet_spec spec = udp_out(families);

    spec.source = families->server;
    spec.destination = families->pod;
    spec.source_port = 53;
    spec.destination_port = 40000;
    return spec;
}

static void deliver(void **state, int old_decap)
{
    struct datapath_config config = harness_config();
    struct harness *harness = *state;
    struct frame frame, expected;

    config.old_decap = old_decap;
    for (size_t i = 0; i < 3; i++) {
        struct packet_spec spec = udp_in(mixes[i]);

        for (spec.payload = 0; spec.payload < 3; spec.payload++) { /* the shortest ones, too */
            harness_reload(harness, &config, FEW_MAPPINGS);
            put_worker(harness, mixes[i], mixes[i]->gateway);
            build_answer(mixes[i], &spec, &frame, &expected);
            harness_ingress(harness, &frame);
            assert_pass(harness, &expected, COUNT_DECAPSULATED);
        }
    }
}

static void test_answers_are_delivered(void **state)
{
    deliver(state, 0);
}

static void test_answers_are_delivered_by_older_kernels(void **state)
{
    deliver(state, 1);
}

static void test_congestion_mark_is_handed_on(void **state)
{
    struct harness *harness = *state;
    struct frame frame, expected;

    for (size_t i = 0; i < 3; i++) {
        struct packet_spec spec = udp_in(mixes[i]);
        size_t ip = FRAME_ETHERNET;

        put_worker(harness, mixes[i], mixes[i]->gateway);
        spec.traffic_class = 0x5a; /* ECT(0) */
        build_answer(mixes[i], &spec, &frame, &expected);
        if (frame.data[ip] >> 4 == 6) {
            frame.data[ip + 1] |= 0x30;
        } else {
            frame.data[ip + 1] |= 3;
            frame_fix_ip_checksum(&frame, ip);
        }
        harness_ingress(harness, &frame);
        spec.traffic_class = 0x5b;
        build_answer(mixes[i], &spec, &frame, &expected);
        assert_int_equal(harness->verdict, VERDICT_PASS);
        assert_frame(&harness->out, &expected);
    }
}

/* The host meets the answer to what its CNI had made of the packet. */
static void test_masquerade_is_restored(void **state)
{
    static const int protocols[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMPV6};
    struct flow flow = {
        .masquerade = address_of(NODE_OWN6),
        .masquerade_port_be = htons(2222),
        .flags = FLOW_MASQUERADED,
    };
    struct datapath_config config = harness_config();
    struct harness *harness = *state;
    struct frame frame, expected;

    config.conntrack = 1;
    harness_reload(harness, &config, FEW_MAPPINGS);
    put_worker(harness, &v6_in_v6, NODE_OTHER6);
    for (size_t i = 0; i < 3; i++) {
        struct packet_spec spec = udp_in(&v6_in_v6);
        int icmp = protocols[i] == IPPROTO_ICMPV6;
        struct nat_key key = flow_key(protocols[i], POD6, 40000, SERVER6, icmp ? 0 : 53);

        put_flow(harness, &key, &flow);
        spec.protocol = protocols[i];
        spec.tcp_flags = ACK;
        spec.icmp_type = 129;
        if (icmp)
            spec.source_port = 40000;
        build_answer(&v6_in_v6, &spec, &frame, &expected);
        harness_ingress(harness, &frame);
        spec.destination = NODE_OWN6;
        spec.destination_port = 2222;
        if (icmp)
            spec.source_port = 2222;
        build_answer(&v6_in_v6, &spec, &frame, &expected);
        assert_int_equal(harness->verdict, VERDICT_PASS);
        assert_frame(&harness->out, &expected);
    }
}

static void test_answers_that_are_refused(void **state)
{
    struct packet_spec spec = udp_in(&v6_in_v6);
    struct harness *harness = *state;
    struct frame frame, expected;

    put_worker(harness, &v6_in_v6, NODE_OTHER6);
    put_node(harness, NODE_OTHER6, 0); /* no gateway any more */
    build_answer(&v6_in_v6, &spec, &frame, &expected);
    harness_ingress(harness, &frame);
    assert_drop(harness, DROP_UNKNOWN_NODE);
    harness_setup(state);
    put_worker(harness, &v6_in_v6, NODE_OTHER6);
    spec.destination = POD_OTHER6;
    build_answer(&v6_in_v6, &spec, &frame, &expected);
    harness_ingress(harness, &frame);
    assert_drop(harness, DROP_UNKNOWN_ENDPOINT);
}

static void test_tunnels_of_others_pass(void **state)
{
    struct packet_spec spec = udp_in(&v6_in_v6);
    struct harness *harness = *state;
    struct frame frame, expected;
    size_t vxlan = FRAME_ETHERNET + 48;

    put_worker(harness, &v6_in_v6, NODE_OTHER6);
    for (int i = 0; i < 4; i++) {
        build_answer(&v6_in_v6, &spec, &frame, &expected);
        if (i == 0)
            frame.data[vxlan + 6]++; /* a CNI's VNI at the same port */
        else if (i == 1)
            frame.data[vxlan] = 0;
        else if (i == 2)
            frame.data[FRAME_ETHERNET + 39]++; /* for another address of this node */
        else
            frame_set_u16(&frame, FRAME_ETHERNET + 4, 8 + 6); /* ends in the VXLAN header */
        if (i == 3)
            frame.length = FRAME_ETHERNET + 48 + 6;
        harness_ingress(harness, &frame);
        assert_pass(harness, &frame, COUNT_NOTHING);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_every_protocol_is_encapsulated),
        TEST(test_flows_have_labels),
        TEST(test_next_hops),
        TEST(test_no_forwarding_on_loopback),
        TEST(test_no_way_to_the_gateway),
        TEST(test_largest_packet),
        TEST(test_segment_size_is_lowered),
        TEST(test_what_leaves_directly),
        TEST(test_families_have_routes_of_their_own),
        TEST(test_unknown_endpoint),
        TEST(test_answers_of_inbound_flows),
        TEST(test_inbound_flows_are_noted),
        TEST(test_answers_are_delivered),
        TEST(test_answers_are_delivered_by_older_kernels),
        TEST(test_congestion_mark_is_handed_on),
        TEST(test_masquerade_is_restored),
        TEST(test_answers_that_are_refused),
        TEST(test_tunnels_of_others_pass),
    };

    return cmocka_run_group_tests(tests, harness_network, NULL);
}

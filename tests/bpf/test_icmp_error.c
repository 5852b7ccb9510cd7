// SPDX-License-Identifier: Apache-2.0
/* A gateway: ICMP errors about translated packets, from outside and from the pod. */

#include "families.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <string.h>

#define ROUTER  "198.51.100.1"
#define ROUTER6 "2001:db8:9::1"

static const struct families *const both[] = {&families_v4, &families_v6};

static int is_v6(const struct families *families)
{
    return families->icmp == IPPROTO_ICMPV6;
}

static size_t header_of(const struct families *families)
{
    return is_v6(families) ? 40 : 20;
}

/* An ICMP error from there. */
static struct packet_spec error_spec(const struct families *families, const char *source,
                                     const char *destination, uint8_t type)
{
    return (struct packet_spec){
        .source = source,
        .destination = destination,
        .protocol = families->icmp,
        .icmp_type = type,
        .hop_limit = 60,
        .traffic_class = 0xc0,
    };
}

static const char *router_of(const struct families *families)
{
    return is_v6(families) ? ROUTER6 : ROUTER;
}

/* The pod's packet as it left, and as the pod knows it. */
struct sent {
    struct frame outside, pod;
    uint16_t port;
};

static void send_packet(struct harness *harness, const struct families *families,
                        const struct packet_spec *out, struct sent *sent)
{
    struct packet_spec outside = *out;

    families_receive(harness, families, out);
    assert_int_equal(harness->verdict, TC_ACT_REDIRECT);
    sent->port = out->source_port ? families_port(harness, out) : 0;
    frame_build(&sent->pod, mac_router, mac_uplink, out);
    outside.source = families->egress;
    outside.source_port = sent->port;
    frame_build(&sent->outside, mac_router, mac_uplink, &outside);
}

/* An error of that type about the first bytes of the packet is turned back to the pod. */
static void expect_turned(struct harness *harness, const struct families *families,
                          const struct sent *sent, uint8_t type, uint32_t word, size_t quoted)
{
    struct packet_spec spec = error_spec(families, router_of(families), families->egress, type);
    struct frame frame, expected;

    frame_build_error(&frame, mac_uplink, mac_router, &spec, word, &sent->outside, quoted);
    harness_ingress(harness, &frame);
    spec.destination = families->pod;
    spec.hop_limit--;
    frame_build_error(&expected, mac_uplink, mac_router, &spec, word, &sent->pod, quoted);
    assert_tunnel(harness, TC_ACT_REDIRECT, &expected, mac_gateway, mac_uplink, families->own,
                  families->worker);
}

static void expect_every_error(struct harness *harness, const struct families *families,
                               const struct sent *sent)
{
    static const uint8_t types[2][4] = {{3, 11, 12, 3}, {1, 2, 3, 4}};
    size_t header = header_of(families), all = sent->pod.length - FRAME_ETHERNET;
    const size_t lengths[] = {all, header + 8, header + 20, header + 12};

    for (size_t i = 0; i < 4; i++) {
        for (size_t j = 0; j < 4; j++) {
            /* The MTU, which stays: it is about the way behind the gateway. */
            uint32_t word = i == (is_v6(families) ? 1 : 0) ? 1300 : 0;

            expect_turned(harness, families, sent, types[is_v6(families)][i], word, lengths[j]);
        }
    }
}

static void test_errors_from_outside(void **state)
{
    for (size_t i = 0; i < 2; i++) {
        const int protocols[] = {IPPROTO_TCP,     IPPROTO_UDP,  both[i]->icmp,
                                 IPPROTO_UDPLITE, IPPROTO_DCCP, IPPROTO_SCTP};

        for (size_t j = 0; j < 12; j++) {
            struct packet_spec out = families_udp_out(both[i]);
            struct sent sent;

            harness_setup(state);
            families_put(*state, both[i]);
            out.protocol = protocols[j / 2];
            out.tcp_flags = ACK;
            out.icmp_type = is_v6(both[i]) ? 128 : 8;
            out.source_port = out.protocol == IPPROTO_SCTP ? 0 : j % 2 ? 40000 : 20000;
            send_packet(*state, both[i], &out, &sent);
            assert_int_equal(sent.port != out.source_port, out.source_port == 40000);
            expect_every_error(*state, both[i], &sent);
        }
    }
}

static void test_udp_without_checksum(void **state)
{
    struct packet_spec out = families_udp_out(&families_v4);
    struct sent sent;

    families_put(*state, &families_v4);
    out.no_checksum = 1;
    out.source_port = 40000;
    send_packet(*state, &families_v4, &out, &sent);
    expect_turned(*state, &families_v4, &sent, 11, 0, 28);
}

static void test_options_in_the_quote(void **state)
{
    static const uint8_t options[12] = {1, 1, 1, 1, 7, 7, 4};
    static const uint8_t headers[] = {60, 0, 1, 4, 0, 0, 0, 0, IPPROTO_UDP, 0, 1, 4, 0, 0, 0, 0};

    for (size_t i = 0; i < 2; i++) {
        struct packet_spec out = families_udp_out(both[i]);
        struct sent sent;

        harness_setup(state);
        families_put(*state, both[i]);
        out.source_port = 40000;
        out.ip_options = options;
        out.ip_options_length = i ? 0 : sizeof(options);
        out.extensions = headers;
        out.extensions_length = i ? sizeof(headers) : 0;
        send_packet(*state, both[i], &out, &sent);
        expect_turned(*state, both[i], &sent, i ? 1 : 3, 0, i ? 64 : 40);
        expect_turned(*state, both[i], &sent, i ? 1 : 3, 0, sent.pod.length - FRAME_ETHERNET);
    }
}

/* RFC 4884: what follows the quote is no part of it, so no checksum is to be changed there. */
static void test_objects_behind_the_quote(void **state)
{
    for (size_t i = 0; i < 2; i++) {
        struct packet_spec out = families_udp_out(both[i]);
        size_t quoted = i ? 48 : 28, unit = i ? 8 : 4;
        uint32_t word = i ? quoted / unit << 24 : quoted / unit << 16;
        struct sent sent;

        harness_setup(state);
        families_put(*state, both[i]);
        out.protocol = IPPROTO_TCP;
        out.source_port = 40000;
        send_packet(*state, both[i], &out, &sent);
        /* Where the checksum would be, both have an object by now. */
        memset(sent.outside.data + FRAME_ETHERNET + quoted, 0x5a, 12);
        memset(sent.pod.data + FRAME_ETHERNET + quoted, 0x5a, 12);
        expect_turned(*state, both[i], &sent, i ? 3 : 11, word, quoted + 12);
    }
}

static void expect_untouched(struct harness *harness, const struct frame *frame)
{
    uint64_t turned = get_counter(harness, COUNT_TRANSLATED_IN).packets;

    harness_ingress(harness, frame);
    assert_int_equal(harness->verdict, VERDICT_PASS);
    assert_frame(&harness->out, frame);
    assert_int_equal(get_counter(harness, COUNT_TRANSLATED_IN).packets, turned);
}

/* Errors about the node's own packets, and made-up ones, are not for a pod. */
static void test_errors_about_no_mapping_pass(void **state)
{
    for (size_t i = 0; i < 2; i++) {
        struct packet_spec out = families_udp_out(both[i]), spec;
        size_t quoted = header_of(both[i]) + 8;
        struct frame frame, about;
        struct sent sent;

        harness_setup(state);
        families_put(*state, both[i]);
        send_packet(*state, both[i], &out, &sent);
        spec = error_spec(both[i], router_of(both[i]), both[i]->egress, i ? 1 : 3);
        out.source = both[i]->egress;
        out.source_port = 20001;
        frame_build(&about, mac_router, mac_uplink, &out);
        frame_build_error(&frame, mac_uplink, mac_router, &spec, 0, &about, quoted);
        expect_untouched(*state, &frame);
        out.source_port = 20000;
        out.destination = i ? "2001:db8:7::11" : "192.0.2.11";
        frame_build(&about, mac_router, mac_uplink, &out);
        frame_build_error(&frame, mac_uplink, mac_router, &spec, 0, &about, quoted);
        expect_untouched(*state, &frame);
        /* The mapping's packet, but the error goes to somebody else. */
        spec.destination = i ? NODE_OWN6 : NODE_OWN;
        frame_build_error(&frame, mac_uplink, mac_router, &spec, 0, &sent.outside, quoted);
        expect_untouched(*state, &frame);
        /* A redirect, or what IPv6 has no meaning for. */
        spec = error_spec(both[i], router_of(both[i]), both[i]->egress, 5);
        frame_build_error(&frame, mac_uplink, mac_router, &spec, 0, &sent.outside, quoted);
        expect_untouched(*state, &frame);
    }
}

/* Nobody may complain about an answer to a ping but who got it. */
static void test_error_about_a_reply_passes(void **state)
{
    struct packet_spec out = families_udp_out(&families_v4), spec;
    struct frame frame;
    struct sent sent;

    families_put(*state, &families_v4);
    out.protocol = IPPROTO_ICMP;
    out.icmp_type = 8;
    send_packet(*state, &families_v4, &out, &sent);
    sent.outside.data[FRAME_ETHERNET + 20] = 0;
    spec = error_spec(&families_v4, ROUTER, EGRESS_IP, 3);
    frame_build_error(&frame, mac_uplink, mac_router, &spec, 0, &sent.outside, 28);
    expect_untouched(*state, &frame);
}

static void expect_drop(struct harness *harness, const struct frame *frame, enum drop_reason reason)
{
    uint64_t dropped = get_counter(harness, reason).packets;

    harness_ingress(harness, frame);
    assert_int_equal(harness->verdict, TC_ACT_SHOT);
    assert_int_equal(get_counter(harness, reason).packets, dropped + 1);
}

static void test_quotes_that_lie(void **state)
{
    for (size_t i = 0; i < 2; i++) {
        struct packet_spec out = families_udp_out(both[i]), spec;
        size_t header = header_of(both[i]), icmp = FRAME_ETHERNET + header, quote = icmp + 8;
        struct frame good, bad;
        struct sent sent;

        harness_setup(state);
        families_put(*state, both[i]);
        send_packet(*state, both[i], &out, &sent);
        spec = error_spec(both[i], router_of(both[i]), both[i]->egress, i ? 1 : 3);
        frame_build_error(&good, mac_uplink, mac_router, &spec, 0, &sent.outside, header + 8);
        bad = good;
        bad.data[quote] = i ? 0x40 : 0x60; /* of the other version */
        expect_drop(*state, &bad, DROP_MALFORMED);
        bad = good;
        if (i)
            bad.data[quote + 6] = 60; /* as an extension header it is longer than the rest */
        else
            bad.data[quote] = 0x44;
        bad.data[quote + header + 1] = 200;
        expect_drop(*state, &bad, DROP_MALFORMED);
        bad = good;
        frame_set_u16(&bad, quote + (i ? 4 : 2), i ? 7 : 27); /* too short for the ports */
        expect_drop(*state, &bad, DROP_MALFORMED);
        frame_build_error(&bad, mac_uplink, mac_router, &spec, 0, &sent.outside, header + 7);
        expect_drop(*state, &bad, DROP_MALFORMED);
        frame_build_error(&bad, mac_uplink, mac_router, &spec, 0, &sent.outside, header - 1);
        expect_drop(*state, &bad, DROP_MALFORMED);
        frame_build_error(&bad, mac_uplink, mac_router, &spec, i ? 0x07000000 : 0x000a0000,
                          &sent.outside, header + 8); /* longer than there is */
        expect_drop(*state, &bad, DROP_MALFORMED);
        if (i == 0) {
            bad = good;
            bad.data[quote] = 0x4f; /* options behind the end */
            expect_drop(*state, &bad, DROP_MALFORMED);
        }
        harness_ingress(*state, &good);
        assert_int_equal(((struct harness *)*state)->verdict, TC_ACT_REDIRECT);
    }
}

static void test_error_with_hop_limit_used_up(void **state)
{
    struct packet_spec out = families_udp_out(&families_v4), spec;
    struct frame frame;
    struct sent sent;

    families_put(*state, &families_v4);
    send_packet(*state, &families_v4, &out, &sent);
    spec = error_spec(&families_v4, ROUTER, EGRESS_IP, 3);
    spec.hop_limit = 1;
    frame_build_error(&frame, mac_uplink, mac_router, &spec, 0, &sent.outside, 28);
    expect_drop(*state, &frame, DROP_HOP_LIMIT);
}

/* A mapping does not live longer for errors, nor does one about nothing make any. */
static void test_errors_leave_mappings_alone(void **state)
{
    struct nat_key back = flow_key(IPPROTO_UDP, EGRESS_IP, 20000, SERVER, 53);
    struct packet_spec out = families_udp_out(&families_v4);
    struct harness *harness = *state;
    struct nat_reverse before, after;
    struct sent sent;

    families_put(harness, &families_v4);
    send_packet(harness, &families_v4, &out, &sent);
    assert_int_equal(get_reverse(harness, &back, &before), 0);
    before.use.last_seen -= 5;
    assert_int_equal(bpf_map_update_elem(bpf_map__fd(harness->skeleton->maps.nat_reverse), &back,
                                         &before, BPF_ANY),
                     0);
    expect_turned(harness, &families_v4, &sent, 3, 0, 28);
    assert_int_equal(get_reverse(harness, &back, &after), 0);
    assert_memory_equal(&before, &after, sizeof(before));
}

/* What came to the pod, as the pod and as the server knows it. */
static void build_answer(const struct families *families, const struct packet_spec *out,
                         const struct sent *sent, struct frame *pod, struct frame *outside)
{
    struct packet_spec in = families_answer_to(families, out, sent->port);

    frame_build(outside, mac_uplink, mac_router, &in);
    in.destination = families->pod;
    in.destination_port = out->source_port;
    if (in.protocol == families->icmp)
        in.source_port = out->source_port;
    frame_build(pod, mac_uplink, mac_router, &in);
}

static void expect_outward(struct harness *harness, const struct families *families,
                           const struct frame *pod, const struct frame *outside, size_t quoted)
{
    struct packet_spec spec =
        error_spec(families, families->pod, families->server, is_v6(families) ? 1 : 3);
    struct frame frame, expected;

    frame_build_error(&frame, mac_router, mac_uplink, &spec, 0, pod, quoted);
    families_receive_frame(harness, families, &frame);
    spec.source = families->egress;
    spec.hop_limit--;
    frame_build_error(&expected, mac_router, mac_uplink, &spec, 0, outside, quoted);
    assert_int_equal(harness->verdict, TC_ACT_REDIRECT);
    assert_int_equal(harness->mark_out, DATAPATH_MARK);
    assert_frame(&harness->out, &expected);
}

static void test_errors_from_the_pod(void **state)
{
    for (size_t i = 0; i < 2; i++) {
        const int protocols[] = {IPPROTO_TCP, IPPROTO_UDP, both[i]->icmp};

        for (size_t j = 0; j < 6; j++) {
            struct packet_spec out = families_udp_out(both[i]);
            struct frame pod, outside;
            struct sent sent;

            harness_setup(state);
            families_put(*state, both[i]);
            out.protocol = protocols[j / 2];
            out.tcp_flags = ACK;
            out.icmp_type = is_v6(both[i]) ? 128 : 8;
            out.source_port = j % 2 ? 40000 : 20000;
            send_packet(*state, both[i], &out, &sent);
            build_answer(both[i], &out, &sent, &pod, &outside);
            expect_outward(*state, both[i], &pod, &outside, header_of(both[i]) + 8);
            expect_outward(*state, both[i], &pod, &outside, pod.length - FRAME_ETHERNET);
        }
    }
}

/* A pod can complain to who has sent it something, and to nobody else. */
static void test_errors_that_a_pod_makes_up(void **state)
{
    struct packet_spec out = families_udp_out(&families_v4), spec;
    struct frame pod, outside, frame;
    struct harness *harness = *state;
    struct sent sent;

    families_put(harness, &families_v4);
    send_packet(harness, &families_v4, &out, &sent);
    build_answer(&families_v4, &out, &sent, &pod, &outside);
    for (int i = 0; i < 4; i++) {
        struct frame about = pod;

        spec = error_spec(&families_v4, POD_OTHER, i == 0 ? "192.0.2.11" : SERVER, 3);
        if (i == 1)
            about.data[FRAME_ETHERNET + 19]++; /* about another pod's packet */
        if (i == 2)
            frame_set_u16(&about, FRAME_ETHERNET + 20, 54); /* about another flow */
        if (i == 3)
            frame_set_u16(&about, FRAME_ETHERNET + 6, 1); /* about a later fragment */
        frame_build_error(&frame, mac_router, mac_uplink, &spec, 0, &about, 28);
        families_receive_frame(harness, &families_v4, &frame);
        assert_int_equal(harness->verdict, TC_ACT_SHOT);
        assert_int_equal(get_counter(harness, DROP_NO_MAPPING).packets, i + 1);
    }
    frame_build_error(&frame, mac_router, mac_uplink, &spec, 0, &pod, 27);
    families_receive_frame(harness, &families_v4, &frame);
    assert_int_equal(get_counter(harness, DROP_MALFORMED).packets, 1);
    assert_int_equal(map_entries(harness->skeleton->maps.nat_forward), 1);
}

/* A pod on the gateway itself: its errors, and those to it, also where a CNI masquerades. */
static void local_pod(void **state, int masqueraded)
{
    struct nat_key key = flow_key(IPPROTO_UDP, POD, 20000, SERVER, 53);
    struct flow flow = {
        .masquerade = address_of(NODE_OWN),
        .masquerade_port_be = htons(1055),
        .flags = FLOW_MASQUERADED,
    };
    struct packet_spec out = families_udp_out(&families_v4), outside, in, spec;
    struct datapath_config config = harness_config();
    struct harness *harness = *state;
    struct frame frame, expected, about;

    config.conntrack = masqueraded;
    harness_reload(harness, &config, FEW_MAPPINGS);
    families_put(harness, &families_v4);
    put_endpoint(harness, POD, NODE_OWN, TEST_PROFILE, ENDPOINT_LOCAL);
    out.source = POD;
    frame_build(&frame, mac_router, mac_uplink, &out);
    harness_egress(harness, &frame);
    assert_int_equal(harness->verdict, VERDICT_PASS);
    if (masqueraded)
        assert_int_equal(
            bpf_map_update_elem(bpf_map__fd(harness->skeleton->maps.flows), &key, &flow, BPF_ANY),
            0);
    outside = out;
    outside.source = EGRESS_IP;
    frame_build(&about, mac_router, mac_uplink, &outside);
    spec = error_spec(&families_v4, ROUTER, EGRESS_IP, 11);
    frame_build_error(&frame, mac_uplink, mac_router, &spec, 0, &about, 40);
    harness_ingress(harness, &frame);
    out.source = spec.destination = masqueraded ? NODE_OWN : POD;
    out.source_port = masqueraded ? 1055 : 20000;
    frame_build(&about, mac_router, mac_uplink, &out);
    frame_build_error(&expected, mac_uplink, mac_router, &spec, 0, &about, 40);
    assert_int_equal(harness->verdict, VERDICT_PASS);
    assert_frame(&harness->out, &expected);
    assert_int_equal(get_counter(harness, COUNT_TRANSLATED_IN).packets, 1);
    if (masqueraded)
        return;
    in = families_answer_to(&families_v4, &out, 20000);
    in.destination = POD;
    frame_build(&about, mac_uplink, mac_router, &in);
    spec = error_spec(&families_v4, POD, SERVER, 3);
    frame_build_error(&frame, mac_router, mac_uplink, &spec, 0, &about, 40);
    harness_egress(harness, &frame);
    in.destination = spec.source = EGRESS_IP;
    frame_build(&about, mac_uplink, mac_router, &in);
    frame_build_error(&expected, mac_router, mac_uplink, &spec, 0, &about, 40);
    assert_int_equal(harness->verdict, VERDICT_PASS);
    assert_frame(&harness->out, &expected);
}

static void test_local_pod(void **state)
{
    local_pod(state, 0);
}

static void test_local_pod_behind_a_masquerade(void **state)
{
    local_pod(state, 1);
}

/* A worker: an error from the tunnel meets the host as one about what its CNI had sent. */
static void test_worker_with_a_masquerade(void **state)
{
    static const char *const nodes[] = {NODE_OWN, NODE_OWN6};
    struct datapath_config config = harness_config();
    struct harness *harness = *state;

    config.conntrack = 1;
    for (size_t i = 0; i < 2; i++) {
        struct families families = *both[i];
        struct packet_spec out = families_udp_out(&families), spec;
        struct frame frame, expected, about;
        struct nat_key key = flow_key(IPPROTO_UDP, families.pod, 20000, families.server, 53);
        struct flow flow = {
            .masquerade = address_of(nodes[i]),
            .masquerade_port_be = htons(1055),
            .flags = FLOW_MASQUERADED,
        };
        size_t quoted = header_of(&families) + 20;

        harness_reload(harness, &config, FEW_MAPPINGS);
        put_endpoint(harness, families.pod, nodes[i], TEST_PROFILE, ENDPOINT_LOCAL);
        put_node(harness, families.worker, NODE_GATEWAY);
        assert_int_equal(
            bpf_map_update_elem(bpf_map__fd(harness->skeleton->maps.flows), &key, &flow, BPF_ANY),
            0);
        frame_build(&about, mac_router, mac_uplink, &out);
        spec = error_spec(&families, router_of(&families), families.pod, i ? 1 : 3);
        frame_build_error(&frame, mac_uplink, mac_gateway, &spec, 0, &about, quoted);
        families_receive_frame(harness, &families, &frame);
        out.source = spec.destination = nodes[i];
        out.source_port = 1055;
        frame_build(&about, mac_router, mac_uplink, &out);
        frame_build_error(&expected, mac_uplink, mac_gateway, &spec, 0, &about, quoted);
        assert_pass(harness, &expected, COUNT_DECAPSULATED);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_errors_from_outside),
        TEST(test_udp_without_checksum),
        TEST(test_options_in_the_quote),
        TEST(test_objects_behind_the_quote),
        TEST(test_errors_about_no_mapping_pass),
        TEST(test_error_about_a_reply_passes),
        TEST(test_quotes_that_lie),
        TEST(test_error_with_hop_limit_used_up),
        TEST(test_errors_leave_mappings_alone),
        TEST(test_errors_from_the_pod),
        TEST(test_errors_that_a_pod_makes_up),
        TEST(test_local_pod),
        TEST(test_local_pod_behind_a_masquerade),
        TEST(test_worker_with_a_masquerade),
    };

    return cmocka_run_group_tests(tests, harness_network, NULL);
}

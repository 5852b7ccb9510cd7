// SPDX-License-Identifier: Apache-2.0
/* Fragments through a gateway, and to a pod behind a CNI that masquerades. */

#include "families.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <string.h>

static const struct families *const both[] = {&families_v4, &families_v6};

static int is_v6(const struct families *families)
{
    return families->icmp == IPPROTO_ICMPV6;
}

/* Makes a fragment the last one, at that place. */
static void make_last(struct frame *piece, uint16_t start)
{
    if (piece->data[FRAME_ETHERNET] >> 4 == 6) {
        frame_set_u16(piece, FRAME_ETHERNET + 42, start);
    } else {
        frame_set_u16(piece, FRAME_ETHERNET + 6, start / 8);
        frame_fix_ip_checksum(piece, FRAME_ETHERNET);
    }
}

/* A packet of the pod, what becomes of it outside, its answer, and what becomes of that. */
struct exchange {
    const struct families *families;
    struct frame out, sent, in, answered;
};

static struct packet_spec spec_out(const struct families *families, int protocol, uint16_t port)
{
    struct packet_spec out = families_udp_out(families);

    out.protocol = protocol;
    out.tcp_flags = ACK;
    out.icmp_type = is_v6(families) ? 128 : 8;
    out.source_port = protocol == IPPROTO_SCTP ? 0 : port;
    out.payload = 3001;
    return out;
}

/* Opens the mapping with a whole packet, so that its port is known. */
static void exchange_begin(struct harness *harness, const struct families *families, int protocol,
                           uint16_t port, struct exchange *exchange)
{
    struct packet_spec out = spec_out(families, protocol, port), spec = out;
    uint16_t egress_port;

    exchange->families = families;
    spec.payload = 40;
    families_put(harness, families);
    families_receive(harness, families, &spec);
    assert_int_equal(harness->verdict, TC_ACT_REDIRECT);
    egress_port = out.source_port ? families_port(harness, &out) : 0;
    frame_build(&exchange->out, mac_router, mac_uplink, &out);
    spec = out;
    spec.source = families->egress;
    spec.source_port = egress_port;
    spec.hop_limit--;
    frame_build(&exchange->sent, mac_router, mac_uplink, &spec);
    spec = families_answer_to(families, &out, egress_port);
    frame_build(&exchange->in, mac_uplink, mac_router, &spec);
    spec.destination = families->pod;
    spec.destination_port = out.source_port;
    if (protocol == families->icmp)
        spec.source_port = out.source_port;
    spec.hop_limit--;
    frame_build(&exchange->answered, mac_uplink, mac_router, &spec);
}

static void expect_sent(struct harness *harness, const struct exchange *exchange, size_t start,
                        size_t length)
{
    struct frame piece, expected;

    frame_cut(&piece, &exchange->out, start, length);
    families_receive_frame(harness, exchange->families, &piece);
    frame_cut(&expected, &exchange->sent, start, length);
    assert_int_equal(harness->verdict, TC_ACT_REDIRECT);
    assert_frame(&harness->out, &expected);
}

static void expect_answered(struct harness *harness, const struct exchange *exchange, size_t start,
                            size_t length)
{
    struct frame piece, expected;

    frame_cut(&piece, &exchange->in, start, length);
    harness_ingress(harness, &piece);
    frame_cut(&expected, &exchange->answered, start, length);
    assert_tunnel(harness, TC_ACT_REDIRECT, &expected, mac_gateway, mac_uplink,
                  exchange->families->own, exchange->families->worker);
}

static size_t payload_of(const struct frame *whole)
{
    return whole->length - FRAME_ETHERNET - (whole->data[FRAME_ETHERNET] >> 4 == 6 ? 40 : 20);
}

static void expect_piece_drop(struct harness *harness, const struct families *families,
                              const struct frame *piece, enum drop_reason reason)
{
    uint64_t dropped = get_counter(harness, reason).packets;

    families_receive_frame(harness, families, piece);
    assert_int_equal(harness->verdict, TC_ACT_SHOT);
    assert_int_equal(get_counter(harness, reason).packets, dropped + 1);
}

static void expect_drop(struct harness *harness, const struct exchange *exchange, size_t start,
                        size_t length, enum drop_reason reason)
{
    struct frame piece;

    frame_cut(&piece, &exchange->out, start, length);
    expect_piece_drop(harness, exchange->families, &piece, reason);
}

/* Every order but those in which the first one is not the first. */
static const size_t starts[][3] = {{0, 1200, 2400}, {0, 2400, 1200}};

static void test_there_and_back(void **state)
{
    struct exchange exchange;

    for (size_t i = 0; i < 2; i++) {
        const int protocols[] = {IPPROTO_TCP, IPPROTO_UDP, both[i]->icmp, IPPROTO_SCTP};

        for (size_t j = 0; j < 16; j++) {
            harness_setup(state);
            exchange_begin(*state, both[i], protocols[j / 4], j & 1 ? 40000 : 20000, &exchange);
            for (size_t k = 0; k < 3; k++) {
                size_t start = starts[j / 2 % 2][k], rest = payload_of(&exchange.out) - start;

                expect_sent(*state, &exchange, start, rest < 1200 ? rest : 1200);
            }
            for (size_t k = 0; k < 3; k++) {
                size_t start = starts[j / 2 % 2][k], rest = payload_of(&exchange.in) - start;

                expect_answered(*state, &exchange, start, rest < 1200 ? rest : 1200);
            }
        }
    }
}

/* A packet that is complete is forgotten, and its number may come again at once. */
static void test_numbers_are_used_again(void **state)
{
    struct exchange exchange;

    exchange_begin(*state, &families_v4, IPPROTO_UDP, 20000, &exchange);
    for (int i = 0; i < 3; i++) {
        expect_sent(*state, &exchange, 0, 1400);
        expect_sent(*state, &exchange, 2800, 209);
        expect_sent(*state, &exchange, 1400, 1400);
        expect_drop(*state, &exchange, 1400, 1400, DROP_FRAGMENT_EARLY);
    }
}

/* The first one opens a mapping as any packet does. */
static void test_first_fragment_opens(void **state)
{
    struct nat_key key = flow_key(IPPROTO_UDP, POD_OTHER, 20000, SERVER, 53);
    struct harness *harness = *state;
    struct nat_forward forward;
    struct exchange exchange;

    exchange_begin(harness, &families_v4, IPPROTO_UDP, 20000, &exchange);
    assert_int_equal(bpf_map_delete_elem(bpf_map__fd(harness->skeleton->maps.nat_forward), &key),
                     0);
    expect_sent(harness, &exchange, 0, 1400);
    assert_int_equal(get_forward(harness, &key, &forward), 0);
    expect_sent(harness, &exchange, 1400, 1400);
}

static void test_later_before_the_first(void **state)
{
    struct exchange exchange;

    for (size_t i = 0; i < 2; i++) {
        struct harness *harness = *state;
        struct frame piece;

        harness_setup(state);
        exchange_begin(harness, both[i], IPPROTO_UDP, 20000, &exchange);
        expect_drop(harness, &exchange, 1600, 800, DROP_FRAGMENT_EARLY);
        frame_cut(&piece, &exchange.in, 1600, 800);
        harness_ingress(harness, &piece); /* perhaps the node's own: never the pod's */
        assert_int_equal(harness->verdict, VERDICT_PASS);
        assert_frame(&harness->out, &piece);
        assert_int_equal(map_entries(harness->skeleton->maps.nat_forward), 1);
    }
}

static void test_overlapping_ones_are_refused(void **state)
{
    struct exchange exchange;

    for (size_t i = 0; i < 2; i++) {
        struct harness *harness = *state;
        struct frame piece;

        harness_setup(state);
        exchange_begin(harness, both[i], IPPROTO_UDP, 20000, &exchange);
        expect_sent(harness, &exchange, 0, 800);
        expect_drop(harness, &exchange, 0, 800, DROP_FRAGMENT); /* again */
        expect_drop(harness, &exchange, 8, 8, DROP_FRAGMENT);
        expect_drop(harness, &exchange, 792, 800, DROP_FRAGMENT);
        expect_sent(harness, &exchange, 1600, 800);
        expect_drop(harness, &exchange, 1592, 16, DROP_FRAGMENT);
        expect_drop(harness, &exchange, 2392, 16, DROP_FRAGMENT);
        expect_drop(harness, &exchange, 800, 1600, DROP_FRAGMENT);
        expect_sent(harness, &exchange, 800, 800);
        /* A last one that ends before others do, and one behind the last. */
        frame_cut(&piece, &exchange.out, 2384, 8);
        make_last(&piece, 1200);
        expect_piece_drop(harness, both[i], &piece, DROP_FRAGMENT);
        expect_sent(harness, &exchange, 2408, 601);
        expect_drop(harness, &exchange, 2408, 601, DROP_FRAGMENT);
        expect_sent(harness, &exchange, 2400, 8);
        /* The same from outside, by a fragment that is there again. */
        expect_answered(harness, &exchange, 0, 800);
        frame_cut(&piece, &exchange.in, 792, 800);
        harness_ingress(harness, &piece);
        assert_int_equal(harness->verdict, TC_ACT_SHOT);
        frame_cut(&piece, &exchange.in, 0, 800);
        harness_ingress(harness, &piece);
        assert_int_equal(harness->verdict, TC_ACT_SHOT);
    }
}

static void test_what_lies_behind_the_last(void **state)
{
    struct harness *harness = *state;
    struct exchange exchange;
    struct frame piece;

    exchange_begin(harness, &families_v4, IPPROTO_UDP, 20000, &exchange);
    expect_sent(harness, &exchange, 0, 800);
    frame_cut(&piece, &exchange.out, 1600, 800);
    make_last(&piece, 1600);
    families_receive_frame(harness, &families_v4, &piece);
    assert_int_equal(harness->verdict, TC_ACT_REDIRECT);
    expect_drop(harness, &exchange, 2400, 609, DROP_FRAGMENT);
}

static void test_too_many_holes(void **state)
{
    struct exchange exchange;

    exchange_begin(*state, &families_v4, IPPROTO_UDP, 20000, &exchange);
    for (size_t i = 0; i < 8; i++)
        expect_sent(*state, &exchange, i * 16, 8);
    expect_drop(*state, &exchange, 8 * 16, 8, DROP_FRAGMENT);
    expect_sent(*state, &exchange, 8, 8);
    expect_sent(*state, &exchange, 8 * 16, 8);
}

static void test_tiny_first_fragments(void **state)
{
    struct exchange exchange;

    for (size_t i = 0; i < 2; i++) {
        struct harness *harness = *state;

        harness_setup(state);
        exchange_begin(harness, both[i], IPPROTO_TCP, 20000, &exchange);
        expect_drop(harness, &exchange, 0, 8, DROP_FRAGMENT);
        expect_drop(harness, &exchange, 0, 16, DROP_FRAGMENT);
        exchange.out.data[FRAME_ETHERNET + (i ? 40 : 20) + 12] = 0x80; /* a header of 32 bytes */
        expect_drop(harness, &exchange, 0, 24, DROP_FRAGMENT);
        exchange.out.data[FRAME_ETHERNET + (i ? 40 : 20) + 12] = 0x50;
        expect_sent(harness, &exchange, 0, 24);
        expect_drop(harness, &exchange, 8, 16, DROP_FRAGMENT); /* its flags once more */
    }
}

static void test_malformed_ones(void **state)
{
    struct exchange exchange;

    for (size_t i = 0; i < 2; i++) {
        struct harness *harness = *state;
        struct frame piece;

        harness_setup(state);
        exchange_begin(harness, both[i], IPPROTO_UDP, 20000, &exchange);
        expect_drop(harness, &exchange, 0, 801, DROP_MALFORMED);
        expect_sent(harness, &exchange, 0, 800);
        expect_drop(harness, &exchange, 800, 801, DROP_MALFORMED);
        expect_drop(harness, &exchange, 800, 0, DROP_MALFORMED);
        frame_cut(&piece, &exchange.out, 1600, 1409);
        make_last(&piece, 0xfff8); /* ends behind 65,535 */
        expect_piece_drop(harness, both[i], &piece, DROP_MALFORMED);
    }
}

static void test_packets_do_not_mix(void **state)
{
    struct exchange exchange;
    struct frame piece;

    exchange_begin(*state, &families_v4, IPPROTO_UDP, 20000, &exchange);
    expect_sent(*state, &exchange, 0, 800);
    for (int i = 0; i < 3; i++) {
        frame_cut(&piece, &exchange.out, 800, 800);
        piece.data[FRAME_ETHERNET + (int[]){5, 9, 19}[i]] ^= 1; /* number, protocol, destination */
        frame_fix_ip_checksum(&piece, FRAME_ETHERNET);
        families_receive_frame(*state, &families_v4, &piece);
        assert_int_equal(get_counter(*state, DROP_FRAGMENT_EARLY).packets, i + 1);
    }
    expect_sent(*state, &exchange, 800, 800);
}

static void test_they_are_forgotten(void **state)
{
    struct harness *harness = *state;
    int fd = bpf_map__fd(harness->skeleton->maps.fragments);
    uint8_t key[64], value[128];
    struct exchange exchange;
    uint32_t ticks;

    exchange_begin(harness, &families_v4, IPPROTO_UDP, 20000, &exchange);
    assert_true(bpf_map__value_size(harness->skeleton->maps.fragments) <= sizeof(value));
    expect_sent(harness, &exchange, 0, 800);
    assert_int_equal(bpf_map_get_next_key(fd, NULL, key), 0);
    assert_int_equal(bpf_map_lookup_elem(fd, key, value), 0);
    memcpy(&ticks, value, sizeof(ticks));
    ticks -= 57; /* 15.3 s */
    memcpy(value, &ticks, sizeof(ticks));
    assert_int_equal(bpf_map_update_elem(fd, key, value, BPF_ANY), 0);
    expect_drop(harness, &exchange, 800, 800, DROP_FRAGMENT_EARLY);
    expect_sent(harness, &exchange, 0, 800); /* a new packet with the old number */
    expect_sent(harness, &exchange, 800, 800);
}

/* IPv6 has the protocol in every fragment header, and only that in the first one counts. */
static void test_protocol_is_that_of_the_first(void **state)
{
    struct exchange exchange;
    struct frame piece, expected;

    exchange_begin(*state, &families_v6, IPPROTO_UDP, 40000, &exchange);
    expect_sent(*state, &exchange, 0, 800);
    frame_cut(&piece, &exchange.out, 800, 800);
    frame_cut(&expected, &exchange.sent, 800, 800);
    piece.data[FRAME_ETHERNET + 40] = expected.data[FRAME_ETHERNET + 40] = 60;
    families_receive_frame(*state, &families_v6, &piece);
    assert_frame(&((struct harness *)*state)->out, &expected);
}

/* Whoever puts the packet together looks behind the first header only when it has all of it. */
static void test_fragment_of_a_fragment(void **state)
{
    static const uint8_t headers[] = {44, 0, 0, 1, 0, 0, 0, 1, IPPROTO_UDP, 0, 0, 1, 0, 0, 0, 2};
    struct packet_spec out = families_udp_out(&families_v6);

    families_put(*state, &families_v6);
    out.extension = 44;
    out.extensions = headers;
    out.extensions_length = sizeof(headers);
    out.payload = 40;
    families_receive(*state, &families_v6, &out);
    assert_int_equal(((struct harness *)*state)->verdict, TC_ACT_SHOT);
    assert_counted(*state, DROP_FRAGMENT);
}

/* A pod on the gateway itself, both ways. */
static void test_local_pod(void **state)
{
    struct families local = families_v4;
    struct harness *harness = *state;
    struct exchange exchange;
    struct frame piece, expected;

    local.pod = POD;
    exchange_begin(harness, &families_v4, IPPROTO_UDP, 30000, &exchange);
    put_endpoint(harness, POD, NODE_OWN, TEST_PROFILE, ENDPOINT_LOCAL);
    for (size_t i = 0; i < 3; i++) {
        struct packet_spec out = spec_out(&local, IPPROTO_UDP, 20000), sent = out;
        struct frame whole, outside;

        frame_build(&whole, mac_router, mac_uplink, &out);
        sent.source = EGRESS_IP;
        frame_build(&outside, mac_router, mac_uplink, &sent);
        frame_cut(&piece, &whole, starts[0][i], i < 2 ? 1200 : 609);
        frame_cut(&expected, &outside, starts[0][i], i < 2 ? 1200 : 609);
        harness_egress(harness, &piece);
        assert_int_equal(harness->verdict, VERDICT_PASS);
        assert_frame(&harness->out, &expected);
    }
    for (size_t i = 0; i < 3; i++) {
        struct packet_spec out = spec_out(&local, IPPROTO_UDP, 20000), in;
        struct frame whole, inside;

        in = families_answer_to(&local, &out, 20000);
        frame_build(&whole, mac_uplink, mac_router, &in);
        in.destination = POD;
        frame_build(&inside, mac_uplink, mac_router, &in);
        frame_cut(&piece, &whole, starts[1][i], i != 1 ? 1200 : 609);
        frame_cut(&expected, &inside, starts[1][i], i != 1 ? 1200 : 609);
        harness_ingress(harness, &piece);
        assert_int_equal(harness->verdict, VERDICT_PASS);
        assert_frame(&harness->out, &expected);
    }
}

/* A worker: all fragments of an answer meet the host with the address that its CNI had put in. */
static void test_worker_with_a_masquerade(void **state)
{
    struct nat_key key = flow_key(IPPROTO_UDP, POD, 20000, SERVER, 53);
    struct flow flow = {
        .masquerade = address_of(NODE_OWN),
        .masquerade_port_be = htons(1055),
        .flags = FLOW_MASQUERADED,
    };
    struct datapath_config config = harness_config();
    struct families families = families_v4;
    struct harness *harness = *state;
    struct packet_spec out, in;
    struct frame whole, inside, piece, expected;

    config.conntrack = 1;
    harness_reload(harness, &config, FEW_MAPPINGS);
    families.pod = POD;
    put_endpoint(harness, POD, NODE_OWN, TEST_PROFILE, ENDPOINT_LOCAL);
    put_node(harness, NODE_OTHER, NODE_GATEWAY);
    assert_int_equal(
        bpf_map_update_elem(bpf_map__fd(harness->skeleton->maps.flows), &key, &flow, BPF_ANY), 0);
    out = spec_out(&families, IPPROTO_UDP, 20000);
    in = families_answer_to(&families, &out, 20000);
    in.destination = POD;
    frame_build(&whole, mac_uplink, mac_gateway, &in);
    in.destination = NODE_OWN;
    in.destination_port = 1055;
    frame_build(&inside, mac_uplink, mac_gateway, &in);
    for (size_t i = 0; i < 3; i++) {
        frame_cut(&piece, &whole, starts[1][i], i != 1 ? 1200 : 609);
        frame_cut(&expected, &inside, starts[1][i], i != 1 ? 1200 : 609);
        families_receive_frame(harness, &families, &piece);
        assert_int_equal(harness->verdict, VERDICT_PASS);
        assert_frame(&harness->out, &expected);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_there_and_back),
        TEST(test_numbers_are_used_again),
        TEST(test_first_fragment_opens),
        TEST(test_later_before_the_first),
        TEST(test_overlapping_ones_are_refused),
        TEST(test_what_lies_behind_the_last),
        TEST(test_too_many_holes),
        TEST(test_tiny_first_fragments),
        TEST(test_malformed_ones),
        TEST(test_packets_do_not_mix),
        TEST(test_they_are_forgotten),
        TEST(test_protocol_is_that_of_the_first),
        TEST(test_fragment_of_a_fragment),
        TEST(test_local_pod),
        TEST(test_worker_with_a_masquerade),
    };

    return cmocka_run_group_tests(tests, harness_network, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/* A gateway: protocols other than TCP, UDP and ping, congestion marks, and options. */

#include "families.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <string.h>

static const struct families *const both[] = {&families_v4, &families_v6};

static void put_fresh(void **state, const struct families *families)
{
    harness_setup(state);
    families_put(*state, families);
}

static void there_and_back(struct harness *harness, const struct families *families,
                           const struct packet_spec *out, uint16_t port)
{
    struct packet_spec in = families_answer_to(families, out, port);

    in.source = out->destination;
    families_receive(harness, families, out);
    families_assert_sent(harness, families, out, port);
    families_answer(harness, &in);
    families_assert_answered(harness, families, &in, out->source_port);
}

/* Nothing behind the IP header changes: what would be ports there is payload. */
static void test_by_address(void **state)
{
    static const int protocols[] = {IPPROTO_SCTP, IPPROTO_GRE, IPPROTO_ESP, IPPROTO_IGMP,
                                    IPPROTO_IPIP, 253,         255};

    for (size_t i = 0; i < 2; i++) {
        struct packet_spec out = families_udp_out(both[i]);

        out.source_port = out.destination_port = 0;
        for (size_t j = 0; j < sizeof(protocols) / sizeof(protocols[0]); j++) {
            put_fresh(state, both[i]);
            out.protocol = protocols[j];
            there_and_back(*state, both[i], &out, 0);
            there_and_back(*state, both[i], &out, 0);
        }
    }
}

static void test_two_pods_are_ambiguous(void **state)
{
    struct packet_spec out = families_udp_out(&families_v4), other;
    struct families second = families_v4;
    struct harness *harness = *state;

    second.pod = "10.244.2.8";
    families_put(harness, &families_v4);
    put_endpoint(harness, "10.244.2.8", NODE_OTHER, TEST_PROFILE, 0);
    out.protocol = IPPROTO_SCTP;
    out.source_port = out.destination_port = 0;
    families_receive(harness, &families_v4, &out);
    other = out;
    other.source = "10.244.2.8";
    families_receive(harness, &families_v4, &other);
    assert_int_equal(harness->verdict, TC_ACT_SHOT);
    assert_int_equal(get_counter(harness, DROP_AMBIGUOUS).packets, 1);
    /* Another remote address, or another protocol, tells them apart. */
    other.destination = "192.0.2.11";
    there_and_back(harness, &second, &other, 0);
    other.destination = SERVER;
    other.protocol = IPPROTO_GRE;
    there_and_back(harness, &second, &other, 0);
    there_and_back(harness, &families_v4, &out, 0);
}

static void test_answers_of_nobody_pass(void **state)
{
    struct packet_spec out = families_udp_out(&families_v4), in;
    struct frame frame;

    families_put(*state, &families_v4);
    out.protocol = IPPROTO_GRE;
    in = families_answer_to(&families_v4, &out, 0);
    frame_build(&frame, mac_uplink, mac_router, &in);
    harness_ingress(*state, &frame);
    assert_pass(*state, &frame, COUNT_NOTHING);
}

/* Their ports and checksums lie where those of UDP do. */
static void test_like_udp(void **state)
{
    static const int protocols[] = {IPPROTO_UDPLITE, IPPROTO_DCCP};

    for (size_t i = 0; i < 4; i++) {
        const struct families *families = both[i / 2];
        struct packet_spec out = families_udp_out(families);
        struct packet_spec in;
        uint16_t port;

        put_fresh(state, families);
        out.protocol = protocols[i % 2];
        there_and_back(*state, families, &out, 20000);
        out.source_port = 40000; /* the host's range: replaced */
        families_receive(*state, families, &out);
        port = families_port(*state, &out);
        assert_int_not_equal(port, 40000);
        families_assert_sent(*state, families, &out, port);
        in = families_answer_to(families, &out, port);
        families_answer(*state, &in);
        families_assert_answered(*state, families, &in, 40000);
    }
}

/* Of UDP-Lite 0 is no checksum that could be left out, of DCCP it is one like others. */
static void test_checksum_of_zero(void **state)
{
    static const int protocols[] = {IPPROTO_UDPLITE, IPPROTO_DCCP};
    size_t check = FRAME_ETHERNET + 26, payload = FRAME_ETHERNET + 28;

    for (size_t i = 0; i < 2; i++) {
        struct packet_spec out = families_udp_out(&families_v4), sent = out;
        struct frame frame, expected;
        uint32_t word;

        put_fresh(state, &families_v4);
        out.protocol = sent.protocol = protocols[i];
        sent.source = EGRESS_IP;
        sent.hop_limit--;
        frame_build(&expected, mac_router, mac_uplink, &sent);
        frame_build(&frame, mac_router, mac_uplink, &out);
        /* What the translated one's sum is goes from it into the payload of both. */
        word = frame_u16(&expected, payload) + frame_u16(&expected, check);
        word = (word & 0xffff) + (word >> 16);
        frame_set_u16(&frame, payload, word);
        frame_set_u16(&expected, payload, word);
        word = (uint16_t)~frame_u16(&frame, check) + (uint32_t)frame_u16(&expected, check);
        frame_set_u16(&frame, check, ~((word & 0xffff) + (word >> 16)));
        frame_set_u16(&expected, check, protocols[i] == IPPROTO_UDPLITE ? 0xffff : 0);
        families_receive_frame(*state, &families_v4, &frame);
        assert_frame(&((struct harness *)*state)->out, &expected);
    }
}

static void test_timestamp_is_a_query(void **state)
{
    struct packet_spec out = families_udp_out(&families_v4), in;

    families_put(*state, &families_v4);
    out.protocol = IPPROTO_ICMP;
    out.icmp_type = 13;
    out.payload = 12;
    families_receive(*state, &families_v4, &out);
    families_assert_sent(*state, &families_v4, &out, 20000);
    in = families_answer_to(&families_v4, &out, 20000);
    in.icmp_type = 14;
    families_answer(*state, &in);
    families_assert_answered(*state, &families_v4, &in, 20000);
}

static void test_what_covers_its_addresses_is_dropped(void **state)
{
    static const int protocols[] = {IPPROTO_AH, 139, 135, 140, 89, IPPROTO_PIM};

    for (size_t i = 0; i < 2; i++) {
        struct packet_spec out = families_udp_out(both[i]);

        for (size_t j = 0; j < sizeof(protocols) / sizeof(protocols[0]); j++) {
            int dropped = i || j < 2; /* the others have a pseudo header in IPv6 alone */

            put_fresh(state, both[i]);
            out.protocol = protocols[j];
            families_receive(*state, both[i], &out);
            assert_counted(*state, dropped ? DROP_PROTOCOL : COUNT_TRANSLATED_OUT);
        }
    }
}

/* RFC 6040, figure 4: what comes out for each pair; -1 is a drop. Not-ECT, ECT(1), ECT(0), CE. */
static void test_every_congestion_mark(void **state)
{
    static const int combined[4][4] = {{0, 0, 0, -1}, {1, 1, 1, 3}, {2, 1, 2, 3}, {3, 3, 3, 3}};

    for (int i = 0; i < 32; i++) {
        const struct families *families = both[i / 16];
        int inner = i / 4 % 4, outer = i % 4, result = combined[inner][outer];
        struct packet_spec out = families_udp_out(families);
        struct frame frame;

        put_fresh(state, families);
        out.traffic_class = 0xb8 | inner;
        frame_build(&frame, mac_router, mac_uplink, &out);
        frame_encapsulate(&frame, mac_uplink, mac_gateway, families->worker, families->own, 77,
                          50000, TEST_VNI);
        if (families == &families_v4) {
            frame.data[FRAME_ETHERNET + 1] = 0xb8 | outer;
            frame_fix_ip_checksum(&frame, FRAME_ETHERNET);
        } else {
            frame.data[FRAME_ETHERNET + 1] =
                (frame.data[FRAME_ETHERNET + 1] & 15) | 0x80 | outer << 4;
        }
        harness_ingress(*state, &frame);
        if (result < 0) {
            assert_drop(*state, DROP_CONGESTION);
            continue;
        }
        out.traffic_class = 0xb8 | result;
        families_assert_sent(*state, families, &out, 20000);
    }
}

static void test_options_survive(void **state)
{
    /* Record route, stream identifier, router alert; padding. */
    static const uint8_t options[] = {7, 7, 4, 0, 0, 0, 0, 136, 4, 1, 2, 148, 4, 0, 0, 0};
    static const uint8_t headers[] = {60, 0, 1, 4, 0, 0, 0, 0, IPPROTO_UDP, 1,  0x1e, 12,
                                      1,  2, 3, 4, 5, 6, 7, 8, 9,           10, 11,   12};
    struct packet_spec out = families_udp_out(&families_v4), in;
    uint8_t longest[40];

    out.ip_options = options;
    out.ip_options_length = sizeof(options);
    families_put(*state, &families_v4);
    there_and_back(*state, &families_v4, &out, 20000);
    memset(longest, 1, sizeof(longest));
    out.ip_options = longest;
    out.ip_options_length = sizeof(longest);
    there_and_back(*state, &families_v4, &out, 20000);
    put_fresh(state, &families_v6);
    out = families_udp_out(&families_v6);
    out.extension = 0;
    out.extensions = headers;
    out.extensions_length = sizeof(headers);
    families_receive(*state, &families_v6, &out);
    families_assert_sent(*state, &families_v6, &out, 20000);
    in = families_answer_to(&families_v6, &out, 20000);
    families_answer(*state, &in);
    families_assert_answered(*state, &families_v6, &in, 20000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_by_address),
        TEST(test_two_pods_are_ambiguous),
        TEST(test_answers_of_nobody_pass),
        TEST(test_like_udp),
        TEST(test_checksum_of_zero),
        TEST(test_timestamp_is_a_query),
        TEST(test_what_covers_its_addresses_is_dropped),
        TEST(test_every_congestion_mark),
        TEST(test_options_survive),
    };

    return cmocka_run_group_tests(tests, harness_network, NULL);
}

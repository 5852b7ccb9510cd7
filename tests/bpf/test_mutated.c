// SPDX-License-Identifier: Apache-2.0
/*
 * Packets with a few bytes changed at random, through both programs. Whatever they are: nothing
 * leaves with a pod's address, what passes unmarked is as it came, a translation changes nothing
 * but address, port, hop limit, congestion mark and checksums, and those are right where they were.
 * EGRESSGW_MUTATIONS: their number, a million with SOAK=1; EGRESSGW_SEED: where the sequence
 * begins.
 */

#include "families.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <stdlib.h>
#include <string.h>

#define CORPUS_MOST 64

static struct frame corpus[CORPUS_MOST];
static size_t corpus_size;
static uint64_t random_state;

static uint32_t random_below(uint32_t limit)
{
    random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(random_state >> 33) % limit;
}

static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text ? strtoull(text, NULL, 10) : otherwise;
}

static struct frame *corpus_add(const struct packet_spec *spec)
{
    struct frame *frame = &corpus[corpus_size++];

    assert_true(corpus_size <= CORPUS_MOST);
    frame_build(frame, mac_uplink, mac_router, spec);
    return frame;
}

/* Packets of the pod in the tunnel, what comes back, and errors about both, of one family. */
static void corpus_make(const struct families *families)
{
    const int protocols[] = {IPPROTO_TCP, IPPROTO_UDP, families->icmp, IPPROTO_SCTP,
                             IPPROTO_UDPLITE};
    int v6 = families->icmp == IPPROTO_ICMPV6;

    corpus_size = 0;
    for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++) {
        struct packet_spec out = families_udp_out(families), in, error;
        struct frame about;

        out.protocol = protocols[i];
        out.tcp_flags = i % 2 ? SYN : ACK;
        out.icmp_type = v6 ? 128 : 8;
        frame_encapsulate(corpus_add(&out), mac_uplink, mac_gateway, families->worker,
                          families->own, 77, 50000, TEST_VNI);
        in = families_answer_to(families, &out, 20000);
        corpus_add(&in);
        if (!v6) {
            out.fragment = 0x2000;
            out.payload = 32;
            frame_encapsulate(corpus_add(&out), mac_uplink, mac_gateway, families->worker,
                              families->own, 77, 50000, TEST_VNI);
            in.fragment = 4;
            corpus_add(&in);
            out.fragment = 0;
        }
        out.source = families->egress;
        frame_build(&about, mac_router, mac_uplink, &out);
        error = (struct packet_spec){
            .source = v6 ? "2001:db8:9::1" : "198.51.100.1",
            .destination = families->egress,
            .protocol = families->icmp,
            .icmp_type = v6 ? 1 : 3,
        };
        frame_build_error(&corpus[corpus_size++], mac_uplink, mac_router, &error, 0, &about,
                          v6 ? 56 : 36);
    }
}

static void mutate(struct frame *frame)
{
    uint32_t changes = 1 + random_below(4);

    while (changes--) {
        uint32_t reach = frame->length < 160 ? frame->length : 160;
        uint32_t offset = 12 + random_below(reach - 12);

        switch (random_below(4)) {
        case 0:
            frame->data[offset] ^= 1 << random_below(8);
            break;
        case 1:
            frame->data[offset] = random_below(256);
            break;
        case 2:
            frame->data[offset] = random_below(2) ? 0 : 0xff;
            break;
        case 3:
            /* The kernel runs no program on less than an IP header. */
            frame->length = FRAME_ETHERNET + 40 + random_below(frame->length - 53);
            break;
        }
    }
}

/* The packet inside the tunnel, where the frame is one of it; else the frame's own. */
static size_t packet_offset(const struct frame *frame)
{
    size_t ip = FRAME_ETHERNET, header = frame->data[ip] >> 4 == 6 ? 40 : 20;
    size_t udp = ip + header;
    int is_udp = frame->data[ip + (header == 40 ? 6 : 9)] == IPPROTO_UDP;

    if (frame->length > udp + 30 && is_udp && frame_u16(frame, udp + 2) == 4789)
        return udp + 30;
    return ip;
}

static int is_address(const struct frame *frame, size_t offset, const char *text)
{
    struct ip_addr address = address_of(text);

    return strchr(text, ':') ? !memcmp(frame->data + offset, &address, 16)
                             : !memcmp(frame->data + offset, &address.words_be[3], 4);
}

/* A frame that leaves by itself has an egress IP, one in the tunnel this node's address. */
static void assert_source(const struct frame *out, const char *const *allowed, size_t count)
{
    size_t source = FRAME_ETHERNET + (out->data[FRAME_ETHERNET] >> 4 == 6 ? 8 : 12);

    for (size_t i = 0; i < count; i++) {
        if ((strchr(allowed[i], ':') != NULL) == (source == FRAME_ETHERNET + 8) &&
            is_address(out, source, allowed[i]))
            return;
    }
    fail_msg("a packet leaves with another source");
}

static int header_sum_is_right(const struct frame *frame, size_t ip)
{
    size_t header = (frame->data[ip] & 15) * 4;

    return frame->data[ip] >> 4 != 4 ||
           (header >= 20 && checksum_of(frame->data + ip, header, 0) == 0);
}

/* Whether the checksum of layer 4 is right; -1 where the packet has none that is all in it. */
static int payload_sum_is_right(const struct frame *frame, size_t ip)
{
    int v6 = frame->data[ip] >> 4 == 6;
    size_t header = v6 ? 40 : (frame->data[ip] & 15) * 4, l4 = ip + header;
    size_t length = frame_u16(frame, ip + (v6 ? 4 : 2)) - (v6 ? 0 : header);
    uint8_t protocol = frame->data[ip + (v6 ? 6 : 9)];
    uint32_t sum = protocol == IPPROTO_ICMP ? 0 : protocol + length;

    if ((!v6 && frame_u16(frame, ip + 6) & 0x3fff) || l4 + length > frame->length || length < 8 ||
        (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP && protocol != IPPROTO_UDPLITE &&
         protocol != (v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP)))
        return -1;
    if (protocol == IPPROTO_UDP && !frame_u16(frame, l4 + 6))
        return -1;
    for (size_t i = v6 ? 8 : 12; protocol != IPPROTO_ICMP && i < (v6 ? 40 : 20); i += 2)
        sum += frame_u16(frame, ip + i);
    return checksum_of(frame->data + l4, length, sum) == 0;
}

/* A translation keeps the rest of the header, and what was right is right afterwards. */
static void assert_kept(const struct frame *in, size_t before, const struct frame *out,
                        size_t after)
{
    assert_int_equal(in->length - before, out->length - after);
    if (in->data[before] >> 4 == 4) {
        assert_memory_equal(in->data + before + 2, out->data + after + 2, 6); /* length .. offset */
        assert_int_equal(in->data[before + 9], out->data[after + 9]);
        assert_int_equal(in->data[before + 1] >> 2, out->data[after + 1] >> 2);
    } else {
        assert_memory_equal(in->data + before + 2, out->data + after + 2, 5); /* label .. next */
    }
    if (header_sum_is_right(in, before))
        assert_true(header_sum_is_right(out, after));
    if (payload_sum_is_right(in, before) == 1)
        assert_int_equal(payload_sum_is_right(out, after), 1);
}

/* An ICMP error of the node's own, which goes back to the pod. */
static int is_refusal(const struct frame *frame, size_t ip)
{
    int v6 = frame->data[ip] >> 4 == 6;
    size_t icmp = ip + (v6 ? 40 : (frame->data[ip] & 15) * 4);
    uint8_t type = frame->data[icmp];

    if (frame->data[ip + (v6 ? 6 : 9)] != (v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP) ||
        !(is_address(frame, ip + (v6 ? 8 : 12), v6 ? NODE_OWN6 : NODE_OWN)))
        return 0;
    return v6 ? type >= 1 && type <= 4 : type == 3 || type == 11;
}

/* Returns whether the packet went on as another one. */
static int check(struct harness *harness, const struct frame *in, int egress)
{
    static const char *const allowed[] = {EGRESS_IP, EGRESS_IP6, NODE_OWN, NODE_OWN6};
    const struct frame *out = &harness->out;

    if (harness->verdict == TC_ACT_SHOT)
        return 0;
    if (harness->verdict == VERDICT_PASS && harness->mark_out != DATAPATH_MARK) {
        if (egress)
            assert_frame(out, in);
        return 0;
    }
    assert_true(harness->verdict == TC_ACT_REDIRECT || harness->verdict == VERDICT_PASS);
    assert_source(out, allowed, 4);
    if (is_refusal(out, packet_offset(out)))
        return 0;
    assert_kept(in, packet_offset(in), out, packet_offset(out));
    return 1;
}

static void run_mutated(void **state, const struct families *families)
{
    uint64_t count = number_from("EGRESSGW_MUTATIONS", getenv("SOAK") ? 1000000 : 20000) / 2;
    uint64_t translated = 0;
    struct harness *harness = *state;

    random_state = number_from("EGRESSGW_SEED", 1);
    corpus_make(families);
    families_put(harness, families);
    put_route(harness, PROFILE_COVERED, families->prefix, families->length, ROUTE_COVERED);
    for (size_t i = 0; i < corpus_size; i++)
        harness_ingress(harness, &corpus[i]);
    for (uint64_t i = 0; i < count; i++) {
        struct frame frame = corpus[random_below(corpus_size)];
        int egress = random_below(8) == 0;

        mutate(&frame);
        harness->ingress_ifindex = egress ? harness->up1 : 0;
        if (egress)
            harness_egress(harness, &frame);
        else
            harness_ingress(harness, &frame);
        translated += check(harness, &frame, egress);
    }
    assert_true(translated > count / 10);
}

static void test_mutated_packets(void **state)
{
    run_mutated(state, &families_v4);
}

static void test_mutated_packets_of_ipv6(void **state)
{
    run_mutated(state, &families_v6);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_mutated_packets),
        TEST(test_mutated_packets_of_ipv6),
    };

    return cmocka_run_group_tests(tests, harness_network, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/* How long a mapping lives: idle ones are dead before anything collects them, TCP by its state. */

#include "roles.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>

#define POD_THIRD "10.244.2.8"

enum { POD_START = 5000, SERVER_START = 90000 };

static const struct packet_spec answer = {
    .source = SERVER,
    .destination = EGRESS_IP,
    .protocol = IPPROTO_UDP,
    .source_port = 53,
    .destination_port = 20000,
};

static struct nat_key claim_of(const struct packet_spec *spec)
{
    return flow_key(spec->protocol, EGRESS_IP, spec->source_port, spec->destination,
                    spec->destination_port);
}

static struct nat_reverse reverse_of(struct harness *harness, const struct packet_spec *spec)
{
    struct nat_key key = claim_of(spec);
    struct nat_reverse reverse = {};

    assert_int_equal(get_reverse(harness, &key, &reverse), 0);
    return reverse;
}

/* Lets both directions of a mapping look as if their last packets had gone by that long ago. */
static void make_idle(struct harness *harness, const struct packet_spec *spec, uint32_t seconds)
{
    struct nat_forward forward = forward_of(harness, spec);
    struct nat_reverse reverse = reverse_of(harness, spec);
    struct nat_key flow = flow_of(spec), claim = claim_of(spec);

    forward.use.last_seen = reverse.use.last_seen = ticks_now() - nat_ticks(seconds);
    forward.created = forward.use.last_seen;
    assert_int_equal(bpf_map_update_elem(bpf_map__fd(harness->skeleton->maps.nat_forward), &flow,
                                         &forward, BPF_EXIST),
                     0);
    assert_int_equal(bpf_map_update_elem(bpf_map__fd(harness->skeleton->maps.nat_reverse), &claim,
                                         &reverse, BPF_EXIST),
                     0);
}

static int receive_answer(struct harness *harness, const struct packet_spec *spec)
{
    struct frame frame;

    frame_build(&frame, mac_uplink, mac_router, spec);
    harness_ingress(harness, &frame);
    return harness->verdict;
}

static int mappings(struct harness *harness)
{
    int count = map_entries(harness->skeleton->maps.nat_forward);

    assert_int_equal(map_entries(harness->skeleton->maps.nat_reverse), count);
    return count;
}

static void test_idle_mapping_takes_no_answers(void **state)
{
    struct harness *harness = *state;

    gateway_put(harness);
    gateway_receive(harness, &gateway_udp_out);
    make_idle(harness, &gateway_udp_out, 29);
    assert_int_equal(receive_answer(harness, &answer), TC_ACT_REDIRECT);
    make_idle(harness, &gateway_udp_out, 299); /* answered by now */
    assert_int_equal(receive_answer(harness, &answer), TC_ACT_REDIRECT);
    make_idle(harness, &gateway_udp_out, 301);
    assert_int_equal(receive_answer(harness, &answer), VERDICT_PASS);
    assert_int_equal(get_counter(harness, COUNT_TRANSLATED_IN).packets, 2);
}

/* The pod goes on after a long time: a new mapping, which has not been answered. */
static void test_idle_mapping_begins_anew(void **state)
{
    uint32_t before = ticks_now();
    struct harness *harness = *state;

    gateway_put(harness);
    gateway_receive(harness, &gateway_udp_out);
    receive_answer(harness, &answer);
    make_idle(harness, &gateway_udp_out, 301);
    gateway_receive(harness, &gateway_udp_out);
    assert_int_equal(harness->verdict, TC_ACT_REDIRECT);
    assert_in_range(forward_of(harness, &gateway_udp_out).created, before, ticks_now());
    assert_int_equal(forward_of(harness, &gateway_udp_out).use.packets, 1);
    assert_int_equal(reverse_of(harness, &gateway_udp_out).use.seen, 0);
    assert_int_equal(mappings(harness), 1);
}

static void test_port_of_a_dead_mapping_is_taken_over(void **state)
{
    struct packet_spec other = gateway_udp_out;
    struct harness *harness = *state;
    struct nat_forward forward;
    struct nat_key flow;

    other.source = POD_THIRD;
    gateway_put(harness);
    put_endpoint(harness, POD_THIRD, NODE_OTHER, TEST_PROFILE, 0);
    gateway_receive(harness, &gateway_udp_out);
    make_idle(harness, &gateway_udp_out, 29);
    gateway_receive(harness, &other);
    assert_int_not_equal(ntohs(forward_of(harness, &other).egress_port_be), 20000);
    make_idle(harness, &gateway_udp_out, 31);
    flow = flow_of(&other);
    assert_int_equal(bpf_map_delete_elem(bpf_map__fd(harness->skeleton->maps.nat_forward), &flow),
                     0);
    gateway_receive(harness, &other);
    assert_int_equal(ntohs(forward_of(harness, &other).egress_port_be), 20000);
    flow = flow_of(&gateway_udp_out);
    assert_int_not_equal(get_forward(harness, &flow, &forward), 0);
}

/* A pod that was deleted leaves nothing to the next one with its address. */
static void test_another_pod_inherits_nothing(void **state)
{
    struct harness *harness = *state;

    gateway_put(harness);
    gateway_receive(harness, &gateway_udp_out);
    receive_answer(harness, &answer);
    put_endpoint_hash(harness, POD_OTHER, NODE_OTHER, TEST_PROFILE, 0, 9);
    make_idle(harness, &gateway_udp_out, 1);
    assert_int_equal(receive_answer(harness, &answer), VERDICT_PASS);
    gateway_receive(harness, &gateway_udp_out);
    assert_int_equal(harness->verdict, TC_ACT_REDIRECT);
    assert_int_equal(forward_of(harness, &gateway_udp_out).endpoint, 9);
    assert_int_equal(forward_of(harness, &gateway_udp_out).use.packets, 1);
    assert_int_equal(reverse_of(harness, &gateway_udp_out).use.seen, 0);
    assert_int_equal(mappings(harness), 1);
}

/* Its first packet has a mapping of its own, however short ago the other one was used. */
static void test_another_pod_begins_at_once(void **state)
{
    struct harness *harness = *state;

    gateway_put(harness);
    gateway_receive(harness, &gateway_udp_out);
    receive_answer(harness, &answer);
    put_endpoint_hash(harness, POD_OTHER, NODE_OTHER, TEST_PROFILE, 0, 9);
    gateway_receive(harness, &gateway_udp_out);
    assert_int_equal(harness->verdict, TC_ACT_REDIRECT);
    assert_int_equal(forward_of(harness, &gateway_udp_out).endpoint, 9);
    assert_int_equal(forward_of(harness, &gateway_udp_out).use.packets, 1);
    assert_int_equal(reverse_of(harness, &gateway_udp_out).use.seen, 0);
}

/* The mappings of a pod that is gone are dead before anybody has collected them. */
static void test_a_pod_that_is_gone_is_not_answered(void **state)
{
    struct harness *harness = *state;
    struct ip_addr pod = address_of(POD_OTHER);

    gateway_put(harness);
    gateway_receive(harness, &gateway_udp_out);
    assert_int_equal(bpf_map_delete_elem(bpf_map__fd(harness->skeleton->maps.endpoints), &pod), 0);
    make_idle(harness, &gateway_udp_out, 1);
    assert_int_equal(receive_answer(harness, &answer), VERDICT_PASS);
    assert_int_equal(mappings(harness), 1);
}

static const struct packet_spec tcp_out = {
    .source = POD_OTHER,
    .destination = SERVER,
    .protocol = IPPROTO_TCP,
    .source_port = 20000,
    .destination_port = 443,
};

static void pod_sends(struct harness *harness, uint8_t flags, uint32_t sequence, uint32_t ack)
{
    struct packet_spec spec = tcp_out;

    spec.tcp_flags = flags;
    spec.tcp_sequence = sequence;
    spec.tcp_ack = ack;
    gateway_receive(harness, &spec);
    assert_int_equal(harness->verdict, TC_ACT_REDIRECT);
}

static void server_sends(struct harness *harness, uint8_t flags, uint32_t sequence, uint32_t ack)
{
    struct packet_spec spec = answer;

    spec.protocol = IPPROTO_TCP;
    spec.source_port = 443;
    spec.tcp_flags = flags;
    spec.tcp_sequence = sequence;
    spec.tcp_ack = ack;
    assert_int_equal(receive_answer(harness, &spec), TC_ACT_REDIRECT);
}

static void expect_state(struct harness *harness, enum nat_state state)
{
    assert_int_equal(nat_state_of(IPPROTO_TCP, forward_of(harness, &tcp_out).use.seen,
                                  reverse_of(harness, &tcp_out).use.seen),
                     state);
}

static void establish(struct harness *harness)
{
    pod_sends(harness, SYN, POD_START, 0);
    expect_state(harness, NAT_NEW);
    server_sends(harness, SYN | ACK, SERVER_START, POD_START + 1);
    expect_state(harness, NAT_OPENING);
    pod_sends(harness, ACK, POD_START + 1, SERVER_START + 1);
    expect_state(harness, NAT_ESTABLISHED);
}

/* The frames of these tests announce 0x7000 bytes, without a scale. */
static void test_reset_outside_of_the_window_closes_nothing(void **state)
{
    struct harness *harness = *state;

    gateway_put(harness);
    establish(harness);
    server_sends(harness, RST, SERVER_START + 1 + 0x7000, 0);
    expect_state(harness, NAT_ESTABLISHED);
    server_sends(harness, RST, SERVER_START, 0);
    expect_state(harness, NAT_ESTABLISHED);
    pod_sends(harness, ACK, POD_START + 1, SERVER_START + 0x7001); /* the window moves on */
    server_sends(harness, RST, SERVER_START + 1, 0);
    expect_state(harness, NAT_ESTABLISHED);
    server_sends(harness, RST, SERVER_START + 0x7001, 0);
    expect_state(harness, NAT_CLOSED);
    make_idle(harness, &tcp_out, 11);
    assert_int_equal(receive_answer(harness, &answer), VERDICT_PASS);
}

static void test_window_scale_is_read(void **state)
{
    static const uint8_t options[] = {2, 4, 5, 180, 1, 3, 3, 2};
    struct packet_spec spec = tcp_out;
    struct harness *harness = *state;

    spec.tcp_flags = SYN;
    spec.tcp_sequence = POD_START;
    spec.options = options;
    spec.options_length = sizeof(options);
    gateway_put(harness);
    gateway_receive(harness, &spec);
    assert_int_equal(forward_of(harness, &tcp_out).use.scale, 2);
    server_sends(harness, SYN | ACK, SERVER_START, POD_START + 1);
    pod_sends(harness, ACK, POD_START + 1, SERVER_START + 1);
    server_sends(harness, RST, SERVER_START + 1 + 4 * 0x7000, 0);
    expect_state(harness, NAT_ESTABLISHED);
    server_sends(harness, RST, SERVER_START + 4 * 0x7000, 0);
    expect_state(harness, NAT_CLOSED);
}

static void test_syn_opens_a_closed_mapping_anew(void **state)
{
    struct harness *harness = *state;

    gateway_put(harness);
    establish(harness);
    pod_sends(harness, FIN | ACK, POD_START + 1, SERVER_START + 1);
    expect_state(harness, NAT_CLOSING);
    server_sends(harness, FIN | ACK, SERVER_START + 1, POD_START + 2);
    expect_state(harness, NAT_CLOSED);
    pod_sends(harness, ACK, POD_START + 2, SERVER_START + 2);
    expect_state(harness, NAT_CLOSED);
    pod_sends(harness, SYN, POD_START + 100000, 0);
    expect_state(harness, NAT_NEW);
    assert_int_equal(forward_of(harness, &tcp_out).use.packets, 1);
    assert_int_equal(mappings(harness), 1);
}

static void test_simultaneous_open(void **state)
{
    struct harness *harness = *state;

    gateway_put(harness);
    pod_sends(harness, SYN, POD_START, 0);
    server_sends(harness, SYN, SERVER_START, 0);
    expect_state(harness, NAT_OPENING);
    pod_sends(harness, SYN | ACK, POD_START, SERVER_START + 1);
    server_sends(harness, SYN | ACK, SERVER_START, POD_START + 1);
    pod_sends(harness, ACK, POD_START + 1, SERVER_START + 1);
    expect_state(harness, NAT_ESTABLISHED);
}

static void test_each_state_has_its_timeout(void **state)
{
    struct harness *harness = *state;

    gateway_put(harness);
    pod_sends(harness, SYN, POD_START, 0);
    make_idle(harness, &tcp_out, 239);
    server_sends(harness, SYN | ACK, SERVER_START, POD_START + 1);
    pod_sends(harness, ACK, POD_START + 1, SERVER_START + 1);
    make_idle(harness, &tcp_out, 7439);
    server_sends(harness, FIN | ACK, SERVER_START + 1, POD_START + 1);
    make_idle(harness, &tcp_out, 239);
    pod_sends(harness, FIN | ACK, POD_START + 1, SERVER_START + 2);
    make_idle(harness, &tcp_out, 9);
    server_sends(harness, ACK, SERVER_START + 2, POD_START + 2);
    assert_int_equal(forward_of(harness, &tcp_out).use.packets, 3);
    make_idle(harness, &tcp_out, 10);
    pod_sends(harness, ACK, POD_START + 2, SERVER_START + 2);
    assert_int_equal(forward_of(harness, &tcp_out).use.packets, 1); /* another mapping */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_idle_mapping_takes_no_answers),
        TEST(test_idle_mapping_begins_anew),
        TEST(test_port_of_a_dead_mapping_is_taken_over),
        TEST(test_another_pod_inherits_nothing),
        TEST(test_another_pod_begins_at_once),
        TEST(test_a_pod_that_is_gone_is_not_answered),
        TEST(test_reset_outside_of_the_window_closes_nothing),
        TEST(test_window_scale_is_read),
        TEST(test_syn_opens_a_closed_mapping_anew),
        TEST(test_simultaneous_open),
        TEST(test_each_state_has_its_timeout),
    };

    return cmocka_run_group_tests(tests, harness_network, NULL);
}

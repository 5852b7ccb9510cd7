// SPDX-License-Identifier: Apache-2.0
/* What a worker remembers of a flow: its way stays what it was whatever becomes of the tables. */

#include "roles.h"

#include <bpf/bpf.h>
#include <netinet/in.h>
#include <string.h>

static const struct packet_spec tcp_out = {
    .source = POD,
    .destination = SERVER,
    .protocol = IPPROTO_TCP,
    .source_port = 40000,
    .destination_port = 443,
    .payload = 11,
};

static struct packet_spec tcp(uint8_t flags)
{
    struct packet_spec spec = tcp_out;

    spec.tcp_flags = flags;
    return spec;
}

static void send_packet(struct harness *harness, const struct packet_spec *spec)
{
    struct frame frame;

    worker_build(&frame, spec);
    harness_egress(harness, &frame);
}

static void expect_direct(struct harness *harness, const struct packet_spec *spec)
{
    struct frame frame;

    worker_build(&frame, spec);
    harness_egress(harness, &frame);
    assert_int_equal(harness->verdict, VERDICT_PASS);
    assert_frame(&harness->out, &frame);
    assert_int_equal(harness->mark_out, 0);
}

static void expect_gateway(struct harness *harness, const struct packet_spec *spec,
                           const char *gateway)
{
    int elsewhere = strcmp(gateway, NODE_ELSEWHERE) == 0;
    struct frame frame;

    worker_build(&frame, spec);
    harness_egress(harness, &frame);
    assert_tunnel(harness, elsewhere ? TC_ACT_REDIRECT : VERDICT_PASS, &frame,
                  elsewhere ? mac_second_gateway : mac_gateway, elsewhere ? mac_second : mac_uplink,
                  NODE_OWN, gateway);
}

static void expect_drop(struct harness *harness, const struct packet_spec *spec,
                        enum drop_reason reason)
{
    uint64_t before = get_counter(harness, reason).packets;

    send_packet(harness, spec);
    assert_int_equal(harness->verdict, TC_ACT_SHOT);
    assert_int_equal(get_counter(harness, reason).packets, before + 1);
}

/* The flow was last seen that many ticks ago, so that it is looked at once more. */
static void age(struct harness *harness, const struct packet_spec *spec, uint32_t ticks)
{
    struct nat_key key = flow_of(spec);
    struct flow flow;

    assert_int_equal(get_flow(harness, &key, &flow), 0);
    flow.last_seen = ticks_now() - ticks;
    put_flow(harness, &key, &flow);
}

static void put_worker(struct harness *harness)
{
    worker_put(harness, NODE_OTHER);
    put_node(harness, NODE_OTHER, NODE_GATEWAY);
    put_node(harness, NODE_ELSEWHERE, NODE_GATEWAY);
}

static void test_redirected_flow_is_remembered(void **state)
{
    struct nat_key key = flow_of(&worker_udp_out);
    struct ip_addr node = address_of(NODE_OTHER);
    struct harness *harness = *state;
    struct flow flow;

    put_worker(harness);
    expect_gateway(harness, &worker_udp_out, NODE_OTHER);
    assert_int_equal(get_flow(harness, &key, &flow), 0);
    assert_int_equal(flow.flags, FLOW_REDIRECTED);
    assert_int_equal(flow.endpoint, TEST_HASH);
    assert_int_equal(flow.policy, 7);
    assert_memory_equal(&flow.gateway, &node, sizeof(node));
    assert_in_range(flow.last_seen, ticks_now() - 10, ticks_now());
    assert_int_equal(map_entries(harness->skeleton->maps.flows), 1);
    /* Its packets are the policy's all the same. */
    expect_gateway(harness, &worker_udp_out, NODE_OTHER);
    assert_int_equal(get_counter(harness, COUNT_ENCAPSULATED).packets, 2);
}

/* Whatever the policy says by now: another gateway, excluded, no gateway, nothing. */
static void test_redirected_flow_keeps_its_gateway(void **state)
{
    static const enum route_action actions[] = {ROUTE_EXCLUDED, ROUTE_NO_GATEWAY};
    struct packet_spec syn = tcp(SYN), ack = tcp(ACK), udp = worker_udp_out;
    struct harness *harness = *state;

    put_worker(harness);
    expect_gateway(harness, &syn, NODE_OTHER);
    expect_gateway(harness, &udp, NODE_OTHER);
    put_gateway(harness, 1, NODE_ELSEWHERE, NULL, 0);
    age(harness, &ack, 4);
    age(harness, &udp, 4);
    expect_gateway(harness, &ack, NODE_OTHER);
    expect_gateway(harness, &udp, NODE_OTHER);
    udp.source_port++;
    expect_gateway(harness, &udp, NODE_ELSEWHERE);
    udp.source_port--;
    for (int i = 0; i < 2; i++) {
        put_route(harness, TEST_PROFILE, "192.0.2.0", 24, actions[i]);
        age(harness, &ack, 4);
        expect_gateway(harness, &ack, NODE_OTHER);
        expect_gateway(harness, &udp, NODE_OTHER);
    }
    put_endpoint(harness, POD, NODE_OWN, PROFILE_NONE, ENDPOINT_LOCAL);
    put_node(harness, NODE_OTHER, 0); /* no group has it any more */
    age(harness, &ack, 4);
    age(harness, &udp, 4);
    expect_gateway(harness, &ack, NODE_OTHER);
    expect_gateway(harness, &udp, NODE_OTHER);
}

static void test_new_connection_decides_anew(void **state)
{
    struct packet_spec syn = tcp(SYN), ack = tcp(ACK);
    struct harness *harness = *state;

    put_worker(harness);
    expect_gateway(harness, &syn, NODE_OTHER);
    put_gateway(harness, 1, NODE_ELSEWHERE, NULL, 0);
    expect_gateway(harness, &syn, NODE_ELSEWHERE);
    expect_gateway(harness, &ack, NODE_ELSEWHERE);
    put_route(harness, TEST_PROFILE, "192.0.2.0", 24, ROUTE_EXCLUDED);
    expect_gateway(harness, &ack, NODE_ELSEWHERE);
    expect_direct(harness, &syn);
    expect_direct(harness, &ack);
}

static void test_gateway_node_that_is_gone(void **state)
{
    struct packet_spec syn = tcp(SYN), ack = tcp(ACK);
    struct ip_addr node = address_of(NODE_OTHER);
    struct harness *harness = *state;

    put_worker(harness);
    expect_gateway(harness, &syn, NODE_OTHER);
    put_gateway(harness, 1, NODE_ELSEWHERE, NULL, 0);
    assert_int_equal(bpf_map_delete_elem(bpf_map__fd(harness->skeleton->maps.nodes), &node), 0);
    age(harness, &ack, 1);
    expect_gateway(harness, &ack, NODE_ELSEWHERE);
}

/* Datagrams find another gateway, a connection would not survive it. */
static void test_gateway_node_that_is_not_ready(void **state)
{
    struct packet_spec syn = tcp(SYN), ack = tcp(ACK);
    struct harness *harness = *state;

    put_worker(harness);
    expect_gateway(harness, &syn, NODE_OTHER);
    expect_gateway(harness, &worker_udp_out, NODE_OTHER);
    put_gateway(harness, 1, NODE_ELSEWHERE, NULL, 0);
    put_node(harness, NODE_OTHER, NODE_NOT_READY);
    age(harness, &ack, 1);
    age(harness, &worker_udp_out, 1);
    expect_gateway(harness, &ack, NODE_OTHER);
    expect_gateway(harness, &worker_udp_out, NODE_ELSEWHERE);
}

static void test_direct_flow_stays_direct(void **state)
{
    struct packet_spec syn = tcp(SYN), ack = tcp(ACK), udp = worker_udp_out;
    struct harness *harness = *state;
    struct nat_key key = flow_of(&syn);
    struct flow flow;

    put_worker(harness);
    put_endpoint(harness, POD, NODE_OWN, PROFILE_NONE, ENDPOINT_LOCAL);
    expect_direct(harness, &syn);
    expect_direct(harness, &udp);
    assert_int_equal(get_flow(harness, &key, &flow), 0);
    assert_int_equal(flow.flags, FLOW_DIRECT);
    put_endpoint(harness, POD, NODE_OWN, TEST_PROFILE, ENDPOINT_LOCAL);
    age(harness, &ack, 100000);
    age(harness, &udp, 100);
    expect_direct(harness, &ack);
    expect_direct(harness, &udp);
    age(harness, &udp, 1000); /* over four minutes: a new flow */
    expect_gateway(harness, &udp, NODE_OTHER);
    expect_gateway(harness, &syn, NODE_OTHER);
    expect_gateway(harness, &ack, NODE_OTHER);
}

static void test_another_pod_inherits_nothing(void **state)
{
    struct packet_spec ack = tcp(ACK);
    struct nat_key key = flow_of(&ack);
    struct harness *harness = *state;
    struct flow flow = {.flags = FLOW_DIRECT, .endpoint = TEST_HASH + 1};

    put_worker(harness);
    flow.last_seen = ticks_now() - 1;
    put_flow(harness, &key, &flow);
    expect_gateway(harness, &ack, NODE_OTHER);
    flow.flags = FLOW_INBOUND;
    put_flow(harness, &key, &flow);
    expect_gateway(harness, &ack, NODE_OTHER);
    flow.flags = FLOW_REDIRECTED;
    flow.gateway = address_of(NODE_OTHER);
    put_flow(harness, &key, &flow);
    put_gateway(harness, 1, NODE_ELSEWHERE, NULL, 0);
    expect_gateway(harness, &ack, NODE_ELSEWHERE);
}

/* A pod that is no endpoint any more may only finish what it answers. */
static void test_pod_that_is_gone(void **state)
{
    struct packet_spec ack = tcp(ACK);
    struct nat_key key = flow_of(&ack);
    struct harness *harness = *state;
    struct flow flow = {.flags = FLOW_DIRECT, .endpoint = TEST_HASH};

    put_worker(harness);
    put_endpoint(harness, POD, NODE_OTHER, TEST_PROFILE, 0);
    harness->ingress_ifindex = harness->up1;
    flow.last_seen = ticks_now() - 1;
    put_flow(harness, &key, &flow);
    expect_drop(harness, &ack, DROP_UNKNOWN_ENDPOINT);
    flow.flags = FLOW_INBOUND;
    put_flow(harness, &key, &flow);
    expect_direct(harness, &ack);
}

static void test_dropped_flow_is_redirected_later(void **state)
{
    struct packet_spec spec = worker_udp_out;
    struct harness *harness = *state;

    put_worker(harness);
    harness->ingress_ifindex = harness->up1;
    spec.source = "10.244.1.99";
    expect_drop(harness, &spec, DROP_UNKNOWN_ENDPOINT);
    put_route(harness, TEST_PROFILE, SERVER, 32, ROUTE_NO_GATEWAY);
    put_endpoint(harness, spec.source, NODE_OWN, TEST_PROFILE, ENDPOINT_LOCAL);
    send_packet(harness, &spec);
    assert_int_equal(get_counter(harness, DROP_NO_GATEWAY).packets, 1);
    put_route(harness, TEST_PROFILE, SERVER, 32, ROUTE_GATEWAY);
    expect_gateway(harness, &spec, NODE_OTHER);
}

/* A packet from outside does not turn a flow round that the pod has opened. */
static void test_outbound_flow_is_not_turned(void **state)
{
    struct packet_spec in = worker_udp_out, syn = tcp(SYN);
    struct harness *harness = *state;
    struct frame frame;

    put_worker(harness);
    in.source = SERVER;
    in.destination = POD;
    in.source_port = worker_udp_out.destination_port;
    in.destination_port = worker_udp_out.source_port;
    expect_gateway(harness, &worker_udp_out, NODE_OTHER);
    frame_build(&frame, mac_uplink, mac_router, &in);
    harness_ingress(harness, &frame);
    expect_gateway(harness, &worker_udp_out, NODE_OTHER);
    age(harness, &worker_udp_out, 1000); /* but one that has ended */
    harness_ingress(harness, &frame);
    expect_direct(harness, &worker_udp_out);

    expect_gateway(harness, &syn, NODE_OTHER);
    in.protocol = IPPROTO_TCP;
    in.tcp_flags = SYN;
    in.source_port = syn.destination_port;
    frame_build(&frame, mac_uplink, mac_router, &in);
    harness_ingress(harness, &frame);
    syn.tcp_flags = ACK;
    expect_gateway(harness, &syn, NODE_OTHER);
}

/* Who pings the pod with the identifier of the pod's own ping gets his answer. */
static void test_both_ends_ping_with_one_identifier(void **state)
{
    struct packet_spec request = worker_udp_out, reply = worker_udp_out, in = worker_udp_out;
    struct harness *harness = *state;
    struct frame frame;

    put_worker(harness);
    request.protocol = reply.protocol = in.protocol = IPPROTO_ICMP;
    request.icmp_type = in.icmp_type = 8;
    in.source = SERVER;
    in.destination = POD;
    expect_gateway(harness, &request, NODE_OTHER);
    expect_gateway(harness, &reply, NODE_OTHER); /* nobody has asked */
    frame_build(&frame, mac_uplink, mac_router, &in);
    harness_ingress(harness, &frame);
    expect_direct(harness, &reply);
    expect_gateway(harness, &request, NODE_OTHER);
    expect_direct(harness, &reply);
}

static void test_what_is_not_remembered(void **state)
{
    struct packet_spec spec = worker_udp_out;
    struct harness *harness = *state;

    put_worker(harness);
    spec.destination = "10.0.0.77"; /* datagrams in the cluster */
    expect_direct(harness, &spec);
    spec.destination = SERVER;
    spec.protocol = IPPROTO_ICMP;
    spec.icmp_type = 3; /* an error belongs to the flow that it is about */
    expect_gateway(harness, &spec, NODE_OTHER);
    spec = worker_udp_out;
    spec.fragment = 126; /* the middle of a datagram whose beginning was not seen */
    expect_gateway(harness, &spec, NODE_OTHER);
    assert_int_equal(map_entries(harness->skeleton->maps.flows), 0);
    spec = tcp(SYN);
    spec.destination = "10.0.0.77";
    expect_direct(harness, &spec);
    assert_int_equal(map_entries(harness->skeleton->maps.flows), 1);
}

/* The first fragment takes its flow's way, and those behind it follow. */
static void test_fragments_follow_the_first(void **state)
{
    struct packet_spec whole = worker_udp_out, first = worker_udp_out, later = worker_udp_out;
    struct harness *harness = *state;

    first.fragment = 0x2000;
    first.payload = 1000;
    later.fragment = 126;
    put_worker(harness);
    expect_gateway(harness, &whole, NODE_OTHER);
    put_gateway(harness, 1, NODE_ELSEWHERE, NULL, 0);
    expect_gateway(harness, &first, NODE_OTHER);
    expect_gateway(harness, &later, NODE_OTHER);
    first.source_port++;
    expect_gateway(harness, &first, NODE_ELSEWHERE);
    expect_gateway(harness, &later, NODE_ELSEWHERE);
    put_route(harness, TEST_PROFILE, SERVER, 32, ROUTE_EXCLUDED);
    first.source_port++;
    expect_direct(harness, &first);
    expect_direct(harness, &later);
}

/* Once a flow's gateway is no group's any more, its answers still come from there alone. */
static void receive_answer(struct harness *harness, const char *node)
{
    struct packet_spec in = worker_udp_out;
    struct frame frame;

    in.source = SERVER;
    in.destination = POD;
    in.source_port = worker_udp_out.destination_port;
    in.destination_port = worker_udp_out.source_port;
    frame_build(&frame, mac_uplink, mac_router, &in);
    frame_encapsulate(&frame, mac_uplink, mac_gateway, node, NODE_OWN, 5, 60000, TEST_VNI);
    frame_answer(&frame);
    harness_ingress(harness, &frame);
}

static void expect_answer(struct harness *harness, const char *node, int verdict)
{
    receive_answer(harness, node);
    assert_int_equal(harness->verdict, verdict);
}

static void test_answers_of_a_gateway_that_was(void **state)
{
    struct harness *harness = *state;

    put_worker(harness);
    expect_gateway(harness, &worker_udp_out, NODE_OTHER);
    put_node(harness, NODE_OTHER, 0);
    put_node(harness, NODE_ELSEWHERE, 0);
    expect_answer(harness, NODE_OTHER, VERDICT_PASS);
    age(harness, &worker_udp_out, 1);
    expect_answer(harness, NODE_OTHER, VERDICT_PASS);
    assert_int_equal(get_counter(harness, COUNT_DECAPSULATED).packets, 2);
    expect_answer(harness, NODE_ELSEWHERE, TC_ACT_SHOT);
    assert_int_equal(get_counter(harness, DROP_UNKNOWN_NODE).packets, 1);
}

/* An answer to what the pod has just sent needs no second look at the node, one that comes later
 * does. From another node that is no gateway it is none. */
static void test_answers_that_are_awaited(void **state)
{
    struct harness *harness = *state;
    struct ip_addr node = address_of(NODE_OTHER);
    uint32_t before;

    put_worker(harness);
    expect_gateway(harness, &worker_udp_out, NODE_OTHER);
    assert_int_equal(bpf_map_delete_elem(bpf_map__fd(harness->skeleton->maps.nodes), &node), 0);
    do { /* again where the clock moved on between us and the program */
        before = ticks_now();
        age(harness, &worker_udp_out, 0);
        receive_answer(harness, NODE_OTHER);
    } while (ticks_now() != before);
    assert_int_equal(harness->verdict, VERDICT_PASS);
    expect_answer(harness, NODE_ELSEWHERE, VERDICT_PASS); /* a gateway, but not of this flow */
    put_node(harness, NODE_ELSEWHERE, 0);
    expect_answer(harness, NODE_ELSEWHERE, TC_ACT_SHOT);
    age(harness, &worker_udp_out, 1);
    expect_answer(harness, NODE_OTHER, TC_ACT_SHOT);
    assert_in_range(get_counter(harness, DROP_UNKNOWN_NODE).packets, 2, 100);
}

/* A flow goes on by its gateway, also where its other end has become one of the cluster; what comes
 * from such an address by another is none of it. */
static void test_answers_of_what_has_become_an_endpoint(void **state)
{
    struct harness *harness = *state;

    put_worker(harness);
    expect_gateway(harness, &worker_udp_out, NODE_OTHER);
    put_endpoint(harness, SERVER, NODE_ELSEWHERE, PROFILE_NONE, 0);
    put_node(harness, NODE_ELSEWHERE, NODE_GATEWAY);
    age(harness, &worker_udp_out, 0);
    expect_answer(harness, NODE_OTHER, VERDICT_PASS);
    age(harness, &worker_udp_out, 1);
    expect_answer(harness, NODE_OTHER, VERDICT_PASS);
    expect_answer(harness, NODE_ELSEWHERE, TC_ACT_SHOT);
    assert_int_equal(get_counter(harness, DROP_WRONG_NODE).packets, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_redirected_flow_is_remembered),
        TEST(test_redirected_flow_keeps_its_gateway),
        TEST(test_new_connection_decides_anew),
        TEST(test_gateway_node_that_is_gone),
        TEST(test_gateway_node_that_is_not_ready),
        TEST(test_direct_flow_stays_direct),
        TEST(test_another_pod_inherits_nothing),
        TEST(test_pod_that_is_gone),
        TEST(test_dropped_flow_is_redirected_later),
        TEST(test_outbound_flow_is_not_turned),
        TEST(test_what_is_not_remembered),
        TEST(test_fragments_follow_the_first),
        TEST(test_answers_of_a_gateway_that_was),
        TEST(test_answers_that_are_awaited),
        TEST(test_answers_of_what_has_become_an_endpoint),
        TEST(test_both_ends_ping_with_one_identifier),
    };

    return cmocka_run_group_tests(tests, harness_network, NULL);
}

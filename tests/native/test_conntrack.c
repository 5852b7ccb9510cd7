/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets with an entry of the host's connection tracking, which a test run in the kernel cannot
 * give them: answers of connections from outside, and what a CNI has masqueraded.
 */
#include "tests/bpf/roles.h"

#include <netinet/in.h>
#include <string.h>

#include "native.h"

/* The members are all that counts here. */
#define preserve_access_index annotate("kernel")
#include "bpf/kernel.h"

enum {
    RELATED = 1,
    ORIGINAL = 2,
    REPLY = 3,
    RELATED_REPLY = 4,
    MASQUERADED = 1 << 4,
    OTHER_STATUS = 1 << 3
};

static struct nf_conn connection;

static const struct packet_spec from_pod = {
    .source = POD,
    .destination = SERVER,
    .protocol = IPPROTO_UDP,
    .source_port = 20001,
    .destination_port = 53,
    .payload = 20,
};

static const struct packet_spec from_pod6 = {
    .source = POD6,
    .destination = SERVER6,
    .protocol = IPPROTO_UDP,
    .source_port = 20001,
    .destination_port = 53,
    .payload = 20,
};

static void conntrack_set(const struct packet_spec *spec, unsigned direction, unsigned long status)
{
    struct nf_conntrack_man *source = &connection.tuplehash[0].tuple.src;
    struct ip_addr address = address_of(spec->source);

    memset(&connection, 0, sizeof(connection));
    connection.status = status;
    source->u.all = htons(spec->source_port);
    source->l3num = ip_addr_is_v4(&address) ? AF_INET : AF_INET6;
    if (ip_addr_is_v4(&address))
        source->u3.ip6[0] = address.words_be[3];
    else
        memcpy(source->u3.ip6, &address, sizeof(address));
    native_kernel.nfct = (unsigned long)&connection | direction;
}

static void setup(struct harness *harness, const struct packet_spec *spec)
{
    struct datapath_config config = harness_config();

    config.conntrack = 1;
    native_kernel.nfct = 0;
    harness_reload(harness, &config, 65536);
    harness->ingress_ifindex = (uint32_t)harness->up1;
    worker_put(harness, NODE_OTHER);
    put_endpoint(harness, spec->source, NODE_OWN, TEST_PROFILE, ENDPOINT_LOCAL);
    put_route(harness, TEST_PROFILE, "2001:db8:7::", 48, ROUTE_GATEWAY);
}

static void expect_pass(struct harness *harness, const struct packet_spec *spec)
{
    struct frame frame;

    worker_build(&frame, spec);
    harness_egress(harness, &frame);
    assert_pass(harness, &frame, COUNT_NOTHING);
}

static void expect_tunnel(struct harness *harness, const struct packet_spec *sent,
                          const struct packet_spec *inner)
{
    struct frame frame, expected;

    worker_build(&frame, sent);
    worker_build(&expected, inner);
    harness_egress(harness, &frame);
    assert_tunnel(harness, VERDICT_PASS, &expected, mac_gateway, mac_uplink, NODE_OWN, NODE_OTHER);
}

/* Of a connection that came from outside: back the way it came. */
static void test_replies_pass(void **state)
{
    for (unsigned direction = REPLY; direction <= RELATED_REPLY; direction++) {
        setup(*state, &from_pod);
        conntrack_set(&from_pod, direction, OTHER_STATUS);
        expect_pass(*state, &from_pod);
    }
}

static void test_originals_go_through_the_gateway(void **state)
{
    setup(*state, &from_pod);
    conntrack_set(&from_pod, ORIGINAL, OTHER_STATUS);
    expect_tunnel(*state, &from_pod, &from_pod);
    /* A direction without a connection says nothing. */
    setup(*state, &from_pod);
    native_kernel.nfct = REPLY;
    expect_tunnel(*state, &from_pod, &from_pod);
}

/* The pod's address and port come back before the packet goes into the tunnel. */
static void test_masqueraded_are_turned_back(void **state)
{
    struct packet_spec sent = from_pod, sent6 = from_pod6;

    sent.source = NODE_OWN;
    sent.source_port = 45000;
    setup(*state, &from_pod);
    conntrack_set(&from_pod, ORIGINAL, MASQUERADED);
    expect_tunnel(*state, &sent, &from_pod);
    sent6.source = NODE_OWN6;
    sent6.source_port = 45000;
    setup(*state, &from_pod6);
    conntrack_set(&from_pod6, ORIGINAL, MASQUERADED);
    expect_tunnel(*state, &sent6, &from_pod6);
}

/* An error about what the host has sent: its conntrack knows no other packet. */
static void test_the_host_is_told_of_its_own_packet(void **state)
{
    struct harness *harness = *state;
    struct packet_spec sent = from_pod;
    struct frame frame;

    sent.source = NODE_OWN;
    sent.source_port = 45000;
    setup(harness, &from_pod);
    put_route(harness, TEST_PROFILE, SERVER, 32, ROUTE_NO_GATEWAY);
    conntrack_set(&from_pod, ORIGINAL, MASQUERADED);
    worker_build(&frame, &sent);
    harness_egress(harness, &frame);
    assert_int_equal(harness->verdict, TC_ACT_REDIRECT);
    assert_counted(harness, DROP_NO_GATEWAY);
    assert_int_equal(harness->out.length, frame.length + 28);
    assert_memory_equal(harness->out.data + FRAME_ETHERNET + 16, frame.data + FRAME_ETHERNET + 12,
                        4);
    assert_memory_equal(harness->out.data + FRAME_ETHERNET + 28, frame.data + FRAME_ETHERNET,
                        frame.length - FRAME_ETHERNET);
}

static struct packet_spec masqueraded(uint16_t port)
{
    struct packet_spec sent = from_pod;

    sent.source = NODE_OWN;
    sent.source_port = port;
    return sent;
}

/* The other end's view of a packet. */
static struct packet_spec turned(const struct packet_spec *spec)
{
    struct packet_spec back = *spec;

    back.source = spec->destination;
    back.destination = spec->source;
    back.source_port = spec->destination_port;
    back.destination_port = spec->source_port;
    return back;
}

/* An ICMP error from one address to another about a packet. */
static void error_build(struct frame *frame, const char *source, const char *destination,
                        const struct packet_spec *about)
{
    const struct packet_spec error = {
        .source = source,
        .destination = destination,
        .protocol = IPPROTO_ICMP,
        .icmp_type = 3,
    };
    struct frame quoted;

    frame_build(&quoted, mac_router, mac_uplink, about);
    frame_build_error(frame, mac_router, mac_uplink, &error, 0, &quoted, 28 + about->payload);
}

/* The gateway gives the worker what a frame holds, for a pod of this node. */
static void receive(struct harness *harness, const struct frame *inner)
{
    struct frame frame = *inner;

    put_node(harness, NODE_OTHER, NODE_GATEWAY);
    frame_encapsulate(&frame, mac_uplink, mac_gateway, NODE_OTHER, NODE_OWN, 77, 50000, TEST_VNI);
    frame_answer(&frame);
    harness_ingress(harness, &frame);
    assert_int_equal(harness->verdict, VERDICT_PASS);
}

/* What a router says about the pod's packet is about the host's, once it is here. */
static void test_errors_are_about_what_the_host_has_sent(void **state)
{
    struct packet_spec sent = masqueraded(45000);
    struct harness *harness = *state;
    struct frame error, expected;

    setup(harness, &from_pod);
    conntrack_set(&from_pod, ORIGINAL, MASQUERADED);
    expect_tunnel(harness, &sent, &from_pod);
    error_build(&error, "198.51.100.1", POD, &from_pod);
    error_build(&expected, "198.51.100.1", NODE_OWN, &sent);
    memcpy(expected.data, mac_uplink, sizeof(mac_uplink));
    memcpy(expected.data + 6, mac_gateway, sizeof(mac_gateway));
    receive(harness, &error);
    assert_frame(&harness->out, &expected);
}

/* One of a flow that no CNI has masqueraded stays as it is. */
static void test_other_errors_stay(void **state)
{
    struct harness *harness = *state;
    struct frame error;

    setup(harness, &from_pod);
    error_build(&error, "198.51.100.1", POD, &from_pod);
    receive(harness, &error);
    memcpy(error.data, mac_uplink, sizeof(mac_uplink));
    memcpy(error.data + 6, mac_gateway, sizeof(mac_gateway));
    assert_frame(&harness->out, &error);
}

/* The pod's own errors are about what it has received. */
static void test_errors_of_a_pod_are_turned_back(void **state)
{
    struct packet_spec sent = masqueraded(45000), received = turned(&sent);
    struct packet_spec original = turned(&from_pod);
    struct harness *harness = *state;
    struct frame error, expected;

    setup(harness, &from_pod);
    conntrack_set(&from_pod, RELATED, MASQUERADED);
    error_build(&error, NODE_OWN, SERVER, &received);
    error_build(&expected, POD, SERVER, &original);
    harness_egress(harness, &error);
    assert_tunnel(harness, VERDICT_PASS, &expected, mac_gateway, mac_uplink, NODE_OWN, NODE_OTHER);
}

/* A CNI may give a flow another port while it lasts; answers go to the one that it has. */
static void test_the_port_of_a_flow_may_change(void **state)
{
    struct packet_spec answer = turned(&from_pod), delivered;
    struct harness *harness = *state;
    struct frame frame, expected;

    setup(harness, &from_pod);
    conntrack_set(&from_pod, ORIGINAL, MASQUERADED);
    for (uint16_t port = 45000; port <= 45001; port++) {
        struct packet_spec sent = masqueraded(port);

        worker_build(&frame, &sent);
        harness_egress(harness, &frame);
        harness_egress(harness, &frame); /* the flow is known */
        frame_build(&frame, mac_uplink, mac_gateway, &answer);
        receive(harness, &frame);
        delivered = turned(&sent);
        frame_build(&expected, mac_uplink, mac_gateway, &delivered);
        assert_frame(&harness->out, &expected);
    }
}

/* What the node sends itself, and what was not masqueraded, is not a pod's. */
static void test_others_pass(void **state)
{
    struct harness *harness = *state;
    struct packet_spec sent = from_pod;

    sent.source = NODE_OWN;
    setup(harness, &from_pod);
    harness->ingress_ifindex = 0; /* not forwarded */
    conntrack_set(&from_pod, ORIGINAL, OTHER_STATUS);
    expect_pass(*state, &sent);
    conntrack_set(&from_pod, REPLY, MASQUERADED);
    expect_pass(*state, &sent);
    native_kernel.nfct = 0;
    expect_pass(*state, &sent);
}

/* A structure that cannot be read is as none. */
static void test_unreadable_is_none(void **state)
{
    struct packet_spec sent = from_pod;

    sent.source = NODE_OWN;
    for (uint32_t call = 1; call <= 5; call++) {
        struct frame frame;
        struct harness *harness = *state;

        setup(harness, &from_pod);
        conntrack_set(&from_pod, ORIGINAL, MASQUERADED);
        native_kernel.calls = 0;
        native_kernel.failing_call = call;
        worker_build(&frame, &sent);
        harness_egress(harness, &frame);
        native_kernel.failing_call = 0;
        assert_int_not_equal(harness->verdict, TC_ACT_REDIRECT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_replies_pass, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_originals_go_through_the_gateway, harness_setup,
                                        harness_teardown),
        cmocka_unit_test_setup_teardown(test_masqueraded_are_turned_back, harness_setup,
                                        harness_teardown),
        cmocka_unit_test_setup_teardown(test_the_host_is_told_of_its_own_packet, harness_setup,
                                        harness_teardown),
        cmocka_unit_test_setup_teardown(test_errors_are_about_what_the_host_has_sent, harness_setup,
                                        harness_teardown),
        cmocka_unit_test_setup_teardown(test_other_errors_stay, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_errors_of_a_pod_are_turned_back, harness_setup,
                                        harness_teardown),
        cmocka_unit_test_setup_teardown(test_the_port_of_a_flow_may_change, harness_setup,
                                        harness_teardown),
        cmocka_unit_test_setup_teardown(test_others_pass, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_unreadable_is_none, harness_setup, harness_teardown),
    };

    return cmocka_run_group_tests(tests, harness_network, NULL);
}

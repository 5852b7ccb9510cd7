// SPDX-License-Identifier: Apache-2.0
#include "roles.h"

#include <netinet/in.h>

const struct packet_spec worker_udp_out = {
    .source = POD,
    .destination = SERVER,
    .protocol = IPPROTO_UDP,
    .source_port = 40000,
    .destination_port = 53,
    .traffic_class = 0xb9,
    .payload = 31,
};

void worker_put(struct harness *harness, const char *gateway)
{
    put_endpoint(harness, POD, NODE_OWN, TEST_PROFILE, ENDPOINT_LOCAL);
    put_route(harness, TEST_PROFILE, "192.0.2.0", 24, ROUTE_GATEWAY);
    put_route(harness, PROFILE_COVERED, "192.0.2.0", 24, ROUTE_COVERED);
    put_gateway(harness, 1, gateway, NULL, 0);
}

void worker_build(struct frame *frame, const struct packet_spec *spec)
{
    frame_build(frame, mac_router, mac_uplink, spec);
}

void worker_expect_tunnel(struct harness *harness, const struct packet_spec *spec)
{
    struct frame frame;

    worker_build(&frame, spec);
    harness_egress(harness, &frame);
    assert_tunnel(harness, VERDICT_PASS, &frame, mac_gateway, mac_uplink, NODE_OWN, NODE_OTHER);
    assert_counted(harness, COUNT_ENCAPSULATED);
}

void worker_expect_drop(struct harness *harness, const struct packet_spec *spec,
                        enum drop_reason reason)
{
    struct frame frame;

    worker_build(&frame, spec);
    harness_egress(harness, &frame);
    assert_drop(harness, reason);
    assert_int_equal(get_counter(harness, reason).bytes, frame.length);
}

void worker_expect_refused(struct harness *harness, const struct packet_spec *spec,
                           enum drop_reason reason)
{
    struct frame frame;

    worker_build(&frame, spec);
    harness_egress(harness, &frame);
    assert_int_equal(harness->verdict, TC_ACT_REDIRECT);
    assert_counted(harness, reason);
    assert_int_equal(get_counter(harness, reason).bytes, frame.length);
    assert_memory_equal(harness->out.data, mac_uplink, sizeof(mac_uplink));
}

const struct packet_spec gateway_udp_out = {
    .source = POD_OTHER,
    .destination = SERVER,
    .protocol = IPPROTO_UDP,
    .source_port = 20000,
    .destination_port = 53,
    .hop_limit = 61,
    .traffic_class = 0x28,
    .payload = 31,
};

void gateway_put(struct harness *harness)
{
    put_endpoint(harness, POD_OTHER, NODE_OTHER, TEST_PROFILE, 0);
    put_route(harness, TEST_PROFILE, "192.0.2.0", 24, ROUTE_GATEWAY);
    put_gateway(harness, 1, NODE_OWN, EGRESS_IP, GATEWAY_LOCAL);
    put_node(harness, NODE_OTHER, 0);
    put_node(harness, NODE_OWN, NODE_SELF | NODE_GATEWAY);
}

void gateway_build(struct frame *frame, const struct packet_spec *spec, const char *node)
{
    frame_build(frame, mac_router, mac_uplink, spec);
    frame_encapsulate(frame, mac_uplink, mac_gateway, node, NODE_OWN, 77, 50000, TEST_VNI);
}

void gateway_receive(struct harness *harness, const struct packet_spec *spec)
{
    struct frame frame;

    gateway_build(&frame, spec, NODE_OTHER);
    harness_ingress(harness, &frame);
}

int gateway_let_out(const struct harness *harness)
{
    return harness->verdict == TC_ACT_REDIRECT &&
           frame_u16(&harness->out, FRAME_ETHERNET + 22) != 4789;
}

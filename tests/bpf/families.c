// SPDX-License-Identifier: Apache-2.0
#include "families.h"

#include <arpa/inet.h>

const struct families families_v4 = {POD_OTHER, SERVER,     "192.0.2.0", EGRESS_IP,
                                     NODE_OWN,  NODE_OTHER, 24,          IPPROTO_ICMP};
const struct families families_v6 = {POD_OTHER6,  SERVER6, "2001:db8:7::", EGRESS_IP6, NODE_OWN6,
                                     NODE_OTHER6, 48,      IPPROTO_ICMPV6};

void families_put(struct harness *harness, const struct families *families)
{
    put_endpoint(harness, families->pod, families->worker, TEST_PROFILE, 0);
    put_route(harness, TEST_PROFILE, families->prefix, families->length, ROUTE_GATEWAY);
    put_gateway(harness, 1, families->own, families->egress, GATEWAY_LOCAL);
    put_node(harness, families->worker, 0);
    put_node(harness, families->own, NODE_SELF | NODE_GATEWAY);
}

struct packet_spec families_udp_out(const struct families *families)
{
    return (struct packet_spec){
        .source = families->pod,
        .destination = families->server,
        .protocol = IPPROTO_UDP,
        .source_port = 20000,
        .destination_port = 53,
        .hop_limit = 61,
        .traffic_class = 0x28,
        .flow_label = 0x54321,
        .payload = 31,
    };
}

void families_receive_frame(struct harness *harness, const struct families *families,
                            const struct frame *packet)
{
    struct frame frame = *packet;

    frame_encapsulate(&frame, mac_uplink, mac_gateway, families->worker, families->own, 77, 50000,
                      TEST_VNI);
    harness_ingress(harness, &frame);
}

void families_receive(struct harness *harness, const struct families *families,
                      const struct packet_spec *spec)
{
    struct frame frame;

    frame_build(&frame, mac_router, mac_uplink, spec);
    families_receive_frame(harness, families, &frame);
}

void families_answer(struct harness *harness, const struct packet_spec *spec)
{
    struct frame frame;

    frame_build(&frame, mac_uplink, mac_router, spec);
    harness_ingress(harness, &frame);
}

void families_assert_sent(struct harness *harness, const struct families *families,
                          const struct packet_spec *spec, uint16_t port)
{
    struct packet_spec sent = *spec;
    struct frame expected;

    sent.source = families->egress;
    sent.source_port = port;
    sent.hop_limit--;
    frame_build(&expected, mac_router, mac_uplink, &sent);
    assert_int_equal(harness->verdict, TC_ACT_REDIRECT);
    assert_int_equal(harness->mark_out, DATAPATH_MARK);
    assert_frame(&harness->out, &expected);
}

uint16_t families_port(struct harness *harness, const struct packet_spec *spec)
{
    int icmp = spec->protocol == IPPROTO_ICMP || spec->protocol == IPPROTO_ICMPV6;
    struct nat_key key = flow_key(spec->protocol, spec->source, spec->source_port,
                                  spec->destination, icmp ? 0 : spec->destination_port);
    struct nat_forward forward;

    assert_int_equal(get_forward(harness, &key, &forward), 0);
    return ntohs(forward.egress_port_be);
}

struct packet_spec families_answer_to(const struct families *families,
                                      const struct packet_spec *out, uint16_t port)
{
    struct packet_spec in = *out;

    in.source = families->server;
    in.destination = families->egress;
    in.source_port = out->destination_port;
    in.destination_port = port;
    in.hop_limit = 57;
    in.traffic_class = 0;
    if (out->protocol == families->icmp) {
        in.source_port = port;
        in.icmp_type = families->icmp == IPPROTO_ICMP ? 0 : 129;
    }
    return in;
}

void families_assert_answered(struct harness *harness, const struct families *families,
                              const struct packet_spec *in, uint16_t port)
{
    struct packet_spec sent = *in;
    struct frame expected;

    sent.destination = families->pod;
    sent.destination_port = port;
    if (sent.protocol == families->icmp)
        sent.source_port = port;
    sent.hop_limit--;
    frame_build(&expected, mac_uplink, mac_router, &sent);
    assert_tunnel(harness, TC_ACT_REDIRECT, &expected, mac_gateway, mac_uplink, families->own,
                  families->worker);
}

// SPDX-License-Identifier: Apache-2.0
/* ICMP errors of our own: their bytes, to whom they go, and when there is none. */

#include "families.h"

#include <netinet/in.h>

#define QUOTE 128

static struct packet_spec udp_out(int v6, size_t payload)
{
    return (struct packet_spec){
        .source = v6 ? POD6 : POD,
        .destination = v6 ? SERVER6 : SERVER,
        .protocol = IPPROTO_UDP,
        .source_port = 40000,
        .destination_port = 53,
        .fragment = v6 ? 0 : DO_NOT_FRAGMENT,
        .payload = payload,
    };
}

static void put_worker(struct harness *harness)
{
    worker_put(harness, NODE_OTHER);
    put_endpoint(harness, POD6, NODE_OWN, TEST_PROFILE, ENDPOINT_LOCAL);
    put_route(harness, TEST_PROFILE, "::", 0, ROUTE_GATEWAY);
}

/*
 * At `offset` of the frame that came out there is an error from `source` to `destination` about the
 * packet of `about`, and nothing behind it.
 */
static void assert_error(const struct harness *harness, size_t offset, const char *source,
                         const char *destination, uint8_t type, uint8_t code, uint32_t mtu,
                         const struct frame *about)
{
    const uint8_t *ip = harness->out.data + offset;
    struct ip_addr from = address_of(source), to = address_of(destination);
    int v6 = !ip_addr_is_v4(&from);
    size_t header = v6 ? 40 : 20, quoted = about->length - FRAME_ETHERNET;
    const uint8_t *icmp = ip + header;
    uint32_t pseudo = 0;

    if (quoted > QUOTE)
        quoted = QUOTE;
    assert_int_equal(harness->out.length, offset + header + 8 + quoted);
    assert_int_equal(ip[0] >> 4, v6 ? 6 : 4);
    assert_int_equal(v6 ? ip[4] << 8 | ip[5] : ip[2] << 8 | ip[3], (v6 ? 0 : header) + 8 + quoted);
    assert_int_equal(ip[v6 ? 6 : 9], v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
    assert_int_equal(ip[v6 ? 7 : 8], 64);
    assert_memory_equal(ip + (v6 ? 8 : 12), from.bytes + (v6 ? 0 : 12), v6 ? 16 : 4);
    assert_memory_equal(ip + (v6 ? 24 : 16), to.bytes + (v6 ? 0 : 12), v6 ? 16 : 4);
    if (v6) {
        for (int i = 0; i < 32; i += 2)
            pseudo += ip[8 + i] << 8 | ip[9 + i];
        pseudo += 8 + quoted + IPPROTO_ICMPV6;
    } else {
        assert_int_equal(checksum_of(ip, header, 0), 0);
    }
    assert_int_equal(checksum_of(icmp, 8 + quoted, pseudo), 0);
    assert_int_equal(icmp[0], type);
    assert_int_equal(icmp[1], code);
    assert_int_equal((uint32_t)icmp[4] << 24 | icmp[5] << 16 | icmp[6] << 8 | icmp[7], mtu);
    assert_memory_equal(icmp + 8, about->data + FRAME_ETHERNET, quoted);
}

/* The error comes in at the uplink, from where the packet was to go. */
static void expect_told(struct harness *harness, int v6, size_t payload)
{
    struct packet_spec spec = udp_out(v6, payload);
    struct frame frame;

    worker_build(&frame, &spec);
    harness_egress(harness, &frame);
    assert_int_equal(harness->verdict, TC_ACT_REDIRECT);
    assert_int_equal(harness->mark_out, DATAPATH_MARK);
    assert_memory_equal(harness->out.data, mac_uplink, 6);
    assert_memory_equal(harness->out.data + 6, mac_router, 6);
    assert_error(harness, FRAME_ETHERNET, spec.destination, spec.source, v6 ? 2 : 3, v6 ? 0 : 4,
                 1450, &frame);
}

static void test_too_big_for_the_tunnel(void **state)
{
    struct harness *harness = *state;

    put_worker(harness);
    expect_told(harness, 0, 1451 - 28);
    expect_told(harness, 1, 1451 - 48);
    expect_told(harness, 0, 1600);
    assert_int_equal(get_counter(harness, DROP_TOO_BIG).packets, 3);
}

static void test_large_segments(void **state)
{
    struct packet_spec spec = udp_out(0, 2900);
    struct harness *harness = *state;
    struct frame frame;

    put_worker(harness);
    spec.protocol = IPPROTO_TCP;
    spec.tcp_flags = ACK;
    harness->gso_size = 1411;
    worker_build(&frame, &spec);
    harness_egress(harness, &frame);
    assert_int_equal(harness->verdict, TC_ACT_REDIRECT);
    assert_error(harness, FRAME_ETHERNET, SERVER, POD, 3, 4, 1450, &frame);
}

static void expect_silence(struct harness *harness, const struct packet_spec *spec)
{
    struct frame frame;

    worker_build(&frame, spec);
    harness_egress(harness, &frame);
    assert_int_equal(harness->verdict, TC_ACT_SHOT);
}

static void test_no_error_about_these(void **state)
{
    struct packet_spec spec = udp_out(0, 1600);

    put_worker(*state);
    spec.fragment = DO_NOT_FRAGMENT | 126;
    expect_silence(*state, &spec);
    spec.fragment = DO_NOT_FRAGMENT;
    spec.protocol = IPPROTO_ICMP;
    spec.icmp_type = 3;
    expect_silence(*state, &spec);
    assert_int_equal(get_counter(*state, DROP_TOO_BIG).packets, 2);
}

static void test_errors_are_few(void **state)
{
    struct packet_spec spec = udp_out(0, 1600);
    struct harness *harness = *state;
    struct frame frame;
    int told = 0;

    put_worker(harness);
    worker_build(&frame, &spec);
    for (int i = 0; i < 10000; i++) {
        harness_egress(harness, &frame);
        told += harness->verdict == TC_ACT_REDIRECT;
    }
    assert_in_range(told, 8, 5000);
    assert_int_equal(get_counter(harness, DROP_TOO_BIG).packets, 10000);
}

/* What traceroute asks for: the gateway's own address, by way of the pod's node. */
static void test_hop_limit_at_the_gateway(void **state)
{
    struct packet_spec spec = gateway_udp_out;
    struct harness *harness = *state;
    struct frame frame;

    gateway_put(harness);
    spec.hop_limit = 1;
    frame_build(&frame, mac_router, mac_uplink, &spec);
    gateway_receive(harness, &spec);
    assert_int_equal(harness->verdict, TC_ACT_REDIRECT);
    assert_int_equal(get_counter(harness, DROP_HOP_LIMIT).packets, 1);
    assert_int_equal(get_counter(harness, COUNT_REFUSED).packets, 1);
    assert_memory_equal(harness->out.data, mac_gateway, 6);
    assert_int_equal(frame_u16(&harness->out, FRAME_ETHERNET + 22), 4789);
    assert_error(harness, FRAME_ETHERNET + FRAME_TUNNEL, NODE_OWN, POD_OTHER, 11, 0, 0, &frame);
    assert_int_equal(map_entries(harness->skeleton->maps.nat_forward), 0);
}

/* The server is told, from the egress IP, what fits on the way from the gateway to the pod. */
static void expect_server_told(struct harness *harness, const struct families *families)
{
    struct packet_spec out = families_udp_out(families), in;
    int v6 = families == &families_v6;
    struct frame frame;

    families_put(harness, families);
    families_receive(harness, families, &out);
    in = families_answer_to(families, &out, families_port(harness, &out));
    in.payload = v6 ? 1431 - 48 : 1451 - 28;
    in.fragment = v6 ? 0 : DO_NOT_FRAGMENT;
    frame_build(&frame, mac_uplink, mac_router, &in);
    harness_ingress(harness, &frame);
    assert_int_equal(harness->verdict, TC_ACT_REDIRECT);
    assert_int_equal(harness->mark_out, DATAPATH_MARK);
    assert_memory_equal(harness->out.data, mac_router, 6);
    assert_memory_equal(harness->out.data + 6, mac_uplink, 6);
    assert_error(harness, FRAME_ETHERNET, families->egress, families->server, v6 ? 2 : 3,
                 v6 ? 0 : 4, v6 ? 1430 : 1450, &frame);
}

static void test_answer_too_big_for_the_tunnel(void **state)
{
    expect_server_told(*state, &families_v4);
    expect_server_told(*state, &families_v6);
    assert_int_equal(get_counter(*state, DROP_TOO_BIG).packets, 2);
    assert_int_equal(get_counter(*state, COUNT_REFUSED).packets, 2);
}

/* The pod of another node is told that there is no mapping for its packet; the counter goes up. */
static void expect_refused(struct harness *harness, const struct packet_spec *spec,
                           enum drop_reason reason)
{
    struct ip_addr pod = address_of(spec->source);
    int v6 = !ip_addr_is_v4(&pod);
    uint64_t before = get_counter(harness, reason).packets;
    struct frame frame;

    frame_build(&frame, mac_router, mac_uplink, spec);
    gateway_receive(harness, spec);
    assert_int_equal(get_counter(harness, reason).packets, before + 1);
    assert_int_equal(harness->verdict, TC_ACT_REDIRECT);
    assert_memory_equal(harness->out.data, mac_gateway, 6);
    assert_int_equal(frame_u16(&harness->out, FRAME_ETHERNET + 22), 4789);
    assert_error(harness, FRAME_ETHERNET + FRAME_TUNNEL, v6 ? NODE_OWN6 : NODE_OWN, spec->source,
                 v6 ? 1 : 3, v6 ? 1 : 13, 0, &frame);
}

static void expect_refused_quietly(struct harness *harness, const struct packet_spec *spec,
                                   enum drop_reason reason)
{
    uint64_t before = get_counter(harness, reason).packets;

    gateway_receive(harness, spec);
    assert_int_equal(get_counter(harness, reason).packets, before + 1);
    assert_int_equal(harness->verdict, TC_ACT_SHOT);
}

static void test_no_port_is_told(void **state)
{
    struct datapath_config config = harness_config();
    struct packet_spec spec = gateway_udp_out;
    struct harness *harness = *state;

    config.ephemeral_first = 1;
    config.ephemeral_last = 65535;
    harness_reload(harness, &config, FEW_MAPPINGS);
    gateway_put(harness);
    expect_refused(harness, &spec, DROP_NO_PORT);
    spec.protocol = IPPROTO_ICMP;
    spec.icmp_type = 8;
    expect_refused(harness, &spec, DROP_NO_PORT);
    spec.protocol = IPPROTO_TCP;
    spec.tcp_flags = SYN;
    expect_refused(harness, &spec, DROP_NO_PORT);
    spec.tcp_flags = RST;
    expect_refused_quietly(harness, &spec, DROP_NO_PORT);
    spec.tcp_flags = SYN;
    put_endpoint(harness, POD_OTHER6, NODE_OTHER, TEST_PROFILE, 0);
    put_route(harness, TEST_PROFILE, "2001:db8:7::", 64, ROUTE_GATEWAY);
    put_gateway(harness, 1, NODE_OWN, EGRESS_IP6, GATEWAY_LOCAL);
    spec.source = POD_OTHER6;
    spec.destination = SERVER6;
    expect_refused(harness, &spec, DROP_NO_PORT);
}

static void test_no_room_is_told(void **state)
{
    struct datapath_config config = harness_config();
    struct packet_spec spec = gateway_udp_out;
    struct harness *harness = *state;

    harness_reload(harness, &config, 1);
    gateway_put(harness);
    gateway_receive(harness, &spec);
    spec.source_port++;
    expect_refused(harness, &spec, DROP_NAT_FULL);
    config.nat_per_endpoint = 1;
    harness_reload(harness, &config, FEW_MAPPINGS);
    gateway_put(harness);
    gateway_receive(harness, &spec);
    spec.source_port++;
    expect_refused(harness, &spec, DROP_NAT_QUOTA);
    for (int i = 0; i < 100; i++) /* others are let out all the while */
        gateway_receive(harness, &spec);
    assert_in_range(get_counter(harness, COUNT_REFUSED).packets, 1, 60);
    spec.source_port--;
    gateway_receive(harness, &spec);
    assert_true(gateway_let_out(harness));
}

/* A pod on the gateway itself has its error from where the packet was to go. */
static void test_local_pod_is_told(void **state)
{
    struct datapath_config config = harness_config();
    struct packet_spec spec = udp_out(0, 50);
    struct harness *harness = *state;
    struct frame frame;

    config.ephemeral_first = 1;
    config.ephemeral_last = 65535;
    harness_reload(harness, &config, FEW_MAPPINGS);
    put_worker(harness);
    put_gateway(harness, 1, NODE_OWN, EGRESS_IP, GATEWAY_LOCAL);
    worker_build(&frame, &spec);
    harness_egress(harness, &frame);
    assert_int_equal(harness->verdict, TC_ACT_REDIRECT);
    assert_error(harness, FRAME_ETHERNET, SERVER, POD, 3, 13, 0, &frame);
    assert_int_equal(get_counter(harness, DROP_NO_PORT).packets, 1);
}

/* No node is the gateway, and waiting changes nothing: the pod is told, and by each kind of packet
 * that may be told. */
static void test_no_gateway_is_told(void **state)
{
    struct harness *harness = *state;
    struct packet_spec spec;
    struct frame frame;

    put_worker(harness);
    put_route(harness, TEST_PROFILE, SERVER, 32, ROUTE_NO_GATEWAY);
    put_route(harness, TEST_PROFILE, SERVER6, 128, ROUTE_NO_GATEWAY);
    for (int v6 = 0; v6 < 2; v6++) {
        spec = udp_out(v6, 50);
        for (int i = 0; i < 2; i++) {
            worker_build(&frame, &spec);
            harness_egress(harness, &frame);
            assert_int_equal(harness->verdict, TC_ACT_REDIRECT);
            assert_error(harness, FRAME_ETHERNET, spec.destination, spec.source, v6 ? 1 : 3,
                         v6 ? 1 : 13, 0, &frame);
            spec.protocol = IPPROTO_TCP;
            spec.tcp_flags = SYN;
        }
        spec.tcp_flags = RST;
        expect_silence(harness, &spec);
        spec.protocol = v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
        spec.icmp_type = 3;
        expect_silence(harness, &spec);
    }
    assert_int_equal(get_counter(harness, DROP_NO_GATEWAY).packets, 8);
}

/* What may be right in a moment is not told: connections are tried again. */
static void test_a_start_is_silent(void **state)
{
    struct packet_spec spec = udp_out(0, 50);
    struct harness *harness = *state;

    put_worker(harness);
    harness->ingress_ifindex = harness->up1;
    spec.source = "10.244.1.99"; /* a pod that nobody knows yet */
    expect_silence(harness, &spec);
    assert_int_equal(get_counter(harness, DROP_UNKNOWN_ENDPOINT).packets, 1);
    put_settings(harness, NULL, NULL, 0); /* tables that are not complete */
    spec.source = POD;
    expect_silence(harness, &spec);
    assert_int_equal(get_counter(harness, DROP_NO_TABLE).packets, 1);
}

static void expect_forged(struct harness *harness, const char *source, const char *destination)
{
    struct packet_spec spec = udp_out(0, 50);
    struct frame frame;

    frame_build(&frame, mac_router, mac_uplink, &spec);
    frame_encapsulate(&frame, mac_router, mac_uplink, source, destination, 7, 50000, TEST_VNI);
    harness_egress(harness, &frame);
}

/* Nobody behind this node may speak the tunnel's protocol, by whatever address it leaves. */
static void test_forged_tunnel(void **state)
{
    struct harness *harness = *state;

    put_worker(harness);
    expect_forged(harness, POD, NODE_OTHER); /* a pod that is known */
    assert_drop(harness, DROP_FORGED_TUNNEL);
    harness->ingress_ifindex = harness->up1;
    expect_forged(harness, "10.244.1.99", NODE_OTHER); /* one that is not yet */
    expect_forged(harness, NODE_OWN, NODE_OTHER);      /* masqueraded */
    assert_int_equal(get_counter(harness, DROP_FORGED_TUNNEL).packets, 3);
    harness->ingress_ifindex = 0;
    expect_forged(harness, NODE_OWN, NODE_OTHER); /* the node itself */
    assert_int_equal(harness->verdict, VERDICT_PASS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_too_big_for_the_tunnel),
        TEST(test_large_segments),
        TEST(test_no_error_about_these),
        TEST(test_errors_are_few),
        TEST(test_hop_limit_at_the_gateway),
        TEST(test_forged_tunnel),
        TEST(test_answer_too_big_for_the_tunnel),
        TEST(test_no_port_is_told),
        TEST(test_no_room_is_told),
        TEST(test_local_pod_is_told),
        TEST(test_no_gateway_is_told),
        TEST(test_a_start_is_silent),
    };

    return cmocka_run_group_tests(tests, harness_network, NULL);
}

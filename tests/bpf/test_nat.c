// SPDX-License-Identifier: Apache-2.0
/* The gateway's mappings: which port a flow gets, and what becomes of it. */

#include "roles.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define EGRESS_NEW "10.0.0.101"

static const struct packet_spec tcp_out = {
    .source = POD_OTHER,
    .destination = SERVER,
    .protocol = IPPROTO_TCP,
    .source_port = 20000,
    .destination_port = 443,
    .tcp_flags = SYN,
};

static void put_gateway_role(struct harness *harness)
{
    put_endpoint(harness, POD_OTHER, NODE_OTHER, TEST_PROFILE, 0);
    put_endpoint(harness, "10.244.2.8", NODE_OTHER, TEST_PROFILE, 0);
    put_route(harness, TEST_PROFILE, "192.0.2.0", 24, ROUTE_GATEWAY);
    put_gateway(harness, 1, NODE_OWN, EGRESS_IP, GATEWAY_LOCAL);
}

/* Gives the program a packet from the tunnel; returns the verdict, or TC_ACT_SHOT where the pod is
 * told that it was dropped. */
static int receive_from(struct harness *harness, const struct packet_spec *spec, const char *node)
{
    struct frame frame;

    frame_build(&frame, mac_router, mac_uplink, spec);
    frame_encapsulate(&frame, mac_uplink, mac_gateway, node, NODE_OWN, 77, 50000, TEST_VNI);
    harness_ingress(harness, &frame);
    return gateway_let_out(harness) ? harness->verdict : TC_ACT_SHOT;
}

static int receive(struct harness *harness, const struct packet_spec *spec)
{
    return receive_from(harness, spec, NODE_OTHER);
}

/* The claim that belongs to a flow's mapping. */
static struct nat_key claim_key(struct harness *harness, const struct packet_spec *spec)
{
    struct nat_forward forward = forward_of(harness, spec);
    struct nat_key key = flow_of(spec);

    key.local = forward.egress;
    key.local_port_be = forward.egress_port_be;
    return key;
}

static uint16_t port_of(struct harness *harness, const struct packet_spec *spec)
{
    return ntohs(forward_of(harness, spec).egress_port_be);
}

static void set_forward(struct harness *harness, const struct packet_spec *spec,
                        const struct nat_forward *forward)
{
    struct nat_key key = flow_of(spec);

    assert_int_equal(bpf_map_update_elem(bpf_map__fd(harness->skeleton->maps.nat_forward), &key,
                                         forward, BPF_EXIST),
                     0);
}

/* Lets the mapping look as if its last packet had gone by long ago. */
static void make_old(struct harness *harness, const struct packet_spec *spec)
{
    struct nat_forward forward = forward_of(harness, spec);

    forward.use.last_seen -= 100;
    set_forward(harness, spec, &forward);
}

static void test_ports_are_shared_between_destinations_only(void **state)
{
    struct packet_spec other = tcp_out;
    struct harness *harness = *state;

    put_gateway_role(harness);
    assert_int_equal(receive(harness, &tcp_out), TC_ACT_REDIRECT);
    assert_int_equal(port_of(harness, &tcp_out), 20000);
    other.source = "10.244.2.8";
    assert_int_equal(receive(harness, &other), TC_ACT_REDIRECT);
    assert_int_not_equal(port_of(harness, &other), 20000);
    other.destination_port = 444;
    assert_int_equal(receive(harness, &other), TC_ACT_REDIRECT);
    assert_int_equal(port_of(harness, &other), 20000);
    other.destination = "192.0.2.11";
    assert_int_equal(receive(harness, &other), TC_ACT_REDIRECT);
    assert_int_equal(port_of(harness, &other), 20000);
    assert_int_equal(map_entries(harness->skeleton->maps.nat_reverse), 4);
}

static void test_privileged_ports_are_replaced(void **state)
{
    static const uint16_t ports[] = {1, 1023, 32768, 60999};
    static const uint16_t kept[] = {1024, 32767, 61000, 65535};
    struct packet_spec spec = tcp_out;

    put_gateway_role(*state);
    for (size_t i = 0; i < 4; i++) {
        spec.source_port = ports[i];
        assert_int_equal(receive(*state, &spec), TC_ACT_REDIRECT);
        assert_int_not_equal(port_of(*state, &spec), ports[i]);
        spec.source_port = kept[i];
        assert_int_equal(receive(*state, &spec), TC_ACT_REDIRECT);
        assert_int_equal(port_of(*state, &spec), kept[i]);
    }
}

/* A port on which the node has a socket is no mapping's, while it has. */
static void test_ports_of_sockets_are_the_nodes(void **state)
{
    static const struct {
        int protocol, type, listens;
    } cases[] = {{IPPROTO_UDP, SOCK_DGRAM, 0}, {IPPROTO_TCP, SOCK_STREAM, 1}};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(20000)};
    struct harness *harness = *state;
    struct packet_spec spec = tcp_out;

    put_gateway_role(harness);
    put_gateway(harness, 1, NODE_OWN, NODE_OWN, GATEWAY_LOCAL);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int fd = socket(AF_INET, cases[i].type | SOCK_CLOEXEC, 0);

        assert_true(fd >= 0);
        assert_int_equal(bind(fd, (const void *)&address, sizeof(address)), 0);
        assert_int_equal(cases[i].listens ? listen(fd, 1) : 0, 0);
        spec.protocol = cases[i].protocol;
        spec.destination_port = 443;
        assert_int_equal(receive(harness, &spec), TC_ACT_REDIRECT);
        assert_int_not_equal(port_of(harness, &spec), 20000);
        close(fd);
        spec.destination_port = 444;
        assert_int_equal(receive(harness, &spec), TC_ACT_REDIRECT);
        assert_int_equal(port_of(harness, &spec), 20000);
    }
}

/* With a small range left, every port in it is found, and none outside of it. */
static void test_ports_run_out(void **state)
{
    struct datapath_config config = harness_config();
    struct packet_spec spec = tcp_out;
    struct harness *harness = *state;
    int sent = 0;

    config.ephemeral_first = 1026;
    config.ephemeral_last = 65533; /* leaves 1024, 1025, 65534, 65535 */
    harness_reload(harness, &config, FEW_MAPPINGS);
    put_gateway_role(harness);
    for (spec.source_port = 5000; spec.source_port < 5020; spec.source_port++) {
        uint16_t port;

        if (receive(harness, &spec) != TC_ACT_REDIRECT)
            continue;
        port = port_of(harness, &spec);
        assert_true(port == 1024 || port == 1025 || port == 65534 || port == 65535);
        sent++;
    }
    assert_int_equal(sent, 4);
    assert_int_equal(get_counter(harness, DROP_NO_PORT).packets, 16);
    assert_int_equal(map_entries(harness->skeleton->maps.nat_forward), 4);
    assert_int_equal(map_entries(harness->skeleton->maps.nat_reverse), 4);
}

static void test_no_port_at_all(void **state)
{
    struct datapath_config config = harness_config();
    struct harness *harness = *state;

    config.ephemeral_first = 1;
    config.ephemeral_last = 65535;
    harness_reload(harness, &config, FEW_MAPPINGS);
    put_gateway_role(harness);
    assert_int_equal(receive(harness, &tcp_out), TC_ACT_SHOT);
    assert_int_equal(get_counter(harness, DROP_NO_PORT).packets, 1);
}

static void test_table_full(void **state)
{
    struct datapath_config config = harness_config();
    struct packet_spec spec = tcp_out;
    struct harness *harness = *state;

    harness_reload(harness, &config, 2);
    put_gateway_role(harness);
    for (spec.source_port = 5000; spec.source_port < 5004; spec.source_port++)
        receive(harness, &spec);
    assert_int_equal(get_counter(harness, DROP_NAT_FULL).packets, 2);
    assert_int_equal(map_entries(harness->skeleton->maps.nat_forward), 2);
    assert_int_equal(map_entries(harness->skeleton->maps.nat_reverse), 2);
    spec.source_port = 5000; /* those that are in go on */
    assert_int_equal(receive(harness, &spec), TC_ACT_REDIRECT);
}

/* The second table fills up first: the claim in the first one is given back. */
static void test_claim_is_given_back(void **state)
{
    struct nat_key key = flow_key(IPPROTO_UDP, "10.244.2.9", 1, SERVER, 2);
    struct datapath_config config = harness_config();
    struct nat_forward forward = {};
    struct harness *harness = *state;

    harness_reload(harness, &config, 1);
    put_gateway_role(harness);
    assert_int_equal(bpf_map_update_elem(bpf_map__fd(harness->skeleton->maps.nat_forward), &key,
                                         &forward, BPF_ANY),
                     0);
    assert_int_equal(receive(harness, &tcp_out), TC_ACT_SHOT);
    assert_int_equal(get_counter(harness, DROP_NAT_FULL).packets, 1);
    assert_int_equal(map_entries(harness->skeleton->maps.nat_reverse), 0);
}

static uint8_t seen_of(struct harness *harness, const struct packet_spec *spec)
{
    return forward_of(harness, spec).use.seen & ~NAT_SEEN_SCALE;
}

static void test_tcp_flags_are_noted(void **state)
{
    struct packet_spec spec = tcp_out;
    struct harness *harness = *state;

    put_gateway_role(harness);
    receive(harness, &spec);
    assert_int_equal(seen_of(harness, &spec), NAT_SEEN_SYN);
    spec.tcp_flags = ACK;
    receive(harness, &spec);
    assert_int_equal(seen_of(harness, &spec), NAT_SEEN_SYN | NAT_SEEN_DATA | NAT_SEEN_ACK);
    spec.tcp_flags = FIN | ACK;
    receive(harness, &spec);
    assert_int_equal(seen_of(harness, &spec),
                     NAT_SEEN_SYN | NAT_SEEN_DATA | NAT_SEEN_ACK | NAT_SEEN_FIN);
    spec.tcp_flags = RST;
    receive(harness, &spec);
    assert_true(seen_of(harness, &spec) & NAT_SEEN_RST);
    spec.tcp_flags = SYN; /* a new connection on the same ports */
    receive(harness, &spec);
    assert_int_equal(seen_of(harness, &spec), NAT_SEEN_SYN);
    assert_int_equal(map_entries(harness->skeleton->maps.nat_forward), 1);
}

static void test_use_is_brought_up_to_date(void **state)
{
    struct packet_spec spec = tcp_out;
    struct harness *harness = *state;
    uint32_t before = ticks_now();

    put_gateway_role(harness);
    receive(harness, &spec);
    make_old(harness, &spec);
    spec.tcp_flags = ACK;
    receive(harness, &spec);
    assert_in_range(forward_of(harness, &spec).use.last_seen, before, ticks_now());
}

/* Open connections keep the address that they have; new ones get the policy's. */
static void test_egress_ip_of_the_policy_changes(void **state)
{
    struct packet_spec spec = tcp_out;
    struct harness *harness = *state;
    struct ip_addr old = address_of(NODE_OWN), fresh = address_of(EGRESS_NEW);
    struct nat_forward forward;

    put_gateway_role(harness);
    put_gateway(harness, 1, NODE_OWN, NODE_OWN, GATEWAY_LOCAL);
    receive(harness, &spec);
    put_gateway(harness, 1, NODE_OWN, EGRESS_NEW, GATEWAY_LOCAL);
    make_old(harness, &spec);
    spec.tcp_flags = ACK;
    assert_int_equal(receive(harness, &spec), TC_ACT_REDIRECT);
    forward = forward_of(harness, &spec);
    assert_memory_equal(&forward.egress, &old, sizeof(old));
    spec.tcp_flags = SYN;
    assert_int_equal(receive(harness, &spec), TC_ACT_REDIRECT);
    forward = forward_of(harness, &spec);
    assert_memory_equal(&forward.egress, &fresh, sizeof(fresh));
    assert_int_equal(forward.use.seen, NAT_SEEN_SYN | NAT_SEEN_SCALE);
    assert_int_equal(map_entries(harness->skeleton->maps.nat_forward), 1);
    assert_int_equal(map_entries(harness->skeleton->maps.nat_reverse), 1);
}

/* A flow that was let out goes on when the routes lead elsewhere; a new one does not. The egress IP
 * is an address of the node here. */
static void test_route_goes_away(void **state)
{
    struct packet_spec spec = tcp_out;
    struct harness *harness = *state;

    put_gateway_role(harness);
    put_gateway(harness, 1, NODE_OWN, NODE_OWN, GATEWAY_LOCAL);
    receive(harness, &spec);
    put_gateway(harness, 1, NODE_OTHER, NULL, 0);
    make_old(harness, &spec);
    spec.tcp_flags = ACK;
    assert_int_equal(receive(harness, &spec), TC_ACT_REDIRECT);
    spec.tcp_flags = SYN;
    assert_int_equal(receive(harness, &spec), TC_ACT_SHOT);
    spec.tcp_flags = ACK;
    spec.source_port++;
    assert_int_equal(receive(harness, &spec), TC_ACT_SHOT);
    assert_int_equal(get_counter(harness, DROP_NOT_GATEWAY).packets, 2);
}

/* With the address gone from the node, its flows end: TCP by a drop, others in a new mapping. */
static void test_egress_ip_goes_away(void **state)
{
    struct packet_spec spec = tcp_out;
    struct harness *harness = *state;
    struct ip_addr fresh = address_of(EGRESS_NEW);
    struct nat_forward forward;

    put_gateway_role(harness);
    put_gateway(harness, 1, NODE_OWN, "198.51.100.9", GATEWAY_LOCAL);
    receive(harness, &spec);
    put_gateway(harness, 1, NODE_OWN, EGRESS_NEW, GATEWAY_LOCAL);
    make_old(harness, &spec);
    for (int i = 0; i < 3; i++) { /* whatever has been dropped a moment ago */
        spec.tcp_flags = (uint8_t[]){ACK, RST, FIN | ACK}[i];
        assert_int_equal(receive(harness, &spec), TC_ACT_SHOT);
        assert_int_equal(get_counter(harness, DROP_NO_EGRESS_IP).packets, i + 1);
    }
    spec.protocol = IPPROTO_UDP;
    put_gateway(harness, 1, NODE_OWN, "198.51.100.9", GATEWAY_LOCAL);
    assert_int_equal(receive(harness, &spec), TC_ACT_REDIRECT);
    put_gateway(harness, 1, NODE_OWN, EGRESS_NEW, GATEWAY_LOCAL);
    make_old(harness, &spec);
    assert_int_equal(receive(harness, &spec), TC_ACT_REDIRECT);
    forward = forward_of(harness, &spec);
    assert_memory_equal(&forward.egress, &fresh, sizeof(fresh));
}

/* What a pod has is what was made for it less what the collector has seen end. */
static void test_quota(void **state)
{
    struct datapath_config config = harness_config();
    struct packet_spec spec = tcp_out, other = tcp_out;
    struct harness *harness = *state;
    struct ip_addr pod = address_of(POD_OTHER);
    uint32_t ended = 1;

    config.nat_per_endpoint = 3;
    harness_reload(harness, &config, FEW_MAPPINGS);
    put_gateway_role(harness);
    for (spec.source_port = 20000; spec.source_port < 20005; spec.source_port++)
        assert_int_equal(receive(harness, &spec),
                         spec.source_port < 20003 ? TC_ACT_REDIRECT : TC_ACT_SHOT);
    assert_int_equal(get_counter(harness, DROP_NAT_QUOTA).packets, 2);
    spec.source_port = 20000; /* what it has goes on, also with a new connection */
    assert_int_equal(receive(harness, &spec), TC_ACT_REDIRECT);
    other.source = "10.244.2.8";
    assert_int_equal(receive(harness, &other), TC_ACT_REDIRECT);
    assert_int_equal(
        bpf_map_update_elem(bpf_map__fd(harness->skeleton->maps.nat_ended), &pod, &ended, BPF_ANY),
        0);
    spec.source_port = 20003;
    assert_int_equal(receive(harness, &spec), TC_ACT_REDIRECT);
    spec.source_port = 20004;
    assert_int_equal(receive(harness, &spec), TC_ACT_SHOT);
}

static void test_pod_moves_to_another_node(void **state)
{
    struct packet_spec spec = tcp_out;
    struct harness *harness = *state;
    struct ip_addr node = address_of("10.0.0.3");
    struct nat_reverse reverse;
    struct nat_key claim;

    put_gateway_role(harness);
    receive(harness, &spec);
    put_endpoint(harness, POD_OTHER, "10.0.0.3", TEST_PROFILE, 0);
    make_old(harness, &spec);
    spec.tcp_flags = ACK;
    assert_int_equal(receive_from(harness, &spec, "10.0.0.3"), TC_ACT_REDIRECT);
    claim = claim_key(harness, &spec);
    assert_int_equal(get_reverse(harness, &claim, &reverse), 0);
    assert_memory_equal(&reverse.node, &node, sizeof(node));
}

/* A connection's first packet, and its next one, now or `late`. Its claim is `theirs` meanwhile, or
 * nobody's. `claim` gets its key. */
static void lose_claim(struct harness *harness, struct packet_spec *spec,
                       const struct nat_reverse *theirs, int late, struct nat_key *claim)
{
    int claims = bpf_map__fd(harness->skeleton->maps.nat_reverse);

    receive(harness, spec);
    *claim = claim_key(harness, spec);
    if (theirs)
        assert_int_equal(bpf_map_update_elem(claims, claim, theirs, BPF_EXIST), 0);
    else
        assert_int_equal(bpf_map_delete_elem(claims, claim), 0);
    if (late)
        make_old(harness, spec);
    spec->tcp_flags = ACK;
    assert_int_equal(receive(harness, spec), TC_ACT_REDIRECT);
}

static void test_lost_claim_is_made_again(void **state)
{
    struct harness *harness = *state;
    struct nat_reverse reverse;
    struct nat_key claim;

    put_gateway_role(harness);
    for (int late = 0; late < 2; late++) {
        struct packet_spec spec = tcp_out;

        spec.source_port = 20000 + late;
        lose_claim(harness, &spec, NULL, late, &claim);
        assert_int_equal(port_of(harness, &spec), spec.source_port);
        assert_int_equal(get_reverse(harness, &claim, &reverse), 0);
    }
}

/* Somebody else got the port in the meantime: the flow gets another, the claim stays theirs. */
static void test_lost_claim_is_taken(void **state)
{
    struct harness *harness = *state;
    struct nat_reverse reverse,
        theirs = {.pod = address_of("10.244.2.8"), .pod_port_be = 1, .use.last_seen = ticks_now()};
    struct nat_key claim;

    put_gateway_role(harness);
    for (int late = 0; late < 2; late++) {
        struct packet_spec spec = tcp_out;

        spec.source_port = 20000 + late;
        lose_claim(harness, &spec, &theirs, late, &claim);
        assert_int_not_equal(port_of(harness, &spec), spec.source_port);
        assert_int_equal(get_reverse(harness, &claim, &reverse), 0);
        assert_memory_equal(&reverse.pod, &theirs.pod, sizeof(theirs.pod));
        assert_int_equal(map_entries(harness->skeleton->maps.nat_reverse), 2 * late + 2);
    }
}

/* The forward half of a mapping is gone: the flow finds its own claim, it does not take a second.
 */
static void test_claim_without_mapping_is_found(void **state)
{
    struct packet_spec spec = tcp_out;
    struct harness *harness = *state;

    put_gateway_role(harness);
    for (int i = 0; i < 2; i++) {
        struct nat_key key = flow_of(&spec);
        uint16_t port;

        receive(harness, &spec);
        port = port_of(harness, &spec);
        assert_int_equal(
            bpf_map_delete_elem(bpf_map__fd(harness->skeleton->maps.nat_forward), &key), 0);
        assert_int_equal(receive(harness, &spec), TC_ACT_REDIRECT);
        assert_int_equal(port_of(harness, &spec), port);
        assert_int_equal(map_entries(harness->skeleton->maps.nat_reverse), i + 1);
        spec.source_port = 50000; /* the second time by way of a replaced port */
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_ports_are_shared_between_destinations_only),
        TEST(test_privileged_ports_are_replaced),
        TEST(test_ports_of_sockets_are_the_nodes),
        TEST(test_ports_run_out),
        TEST(test_no_port_at_all),
        TEST(test_table_full),
        TEST(test_claim_is_given_back),
        TEST(test_tcp_flags_are_noted),
        TEST(test_use_is_brought_up_to_date),
        TEST(test_egress_ip_of_the_policy_changes),
        TEST(test_route_goes_away),
        TEST(test_egress_ip_goes_away),
        TEST(test_quota),
        TEST(test_pod_moves_to_another_node),
        TEST(test_lost_claim_is_made_again),
        TEST(test_lost_claim_is_taken),
        TEST(test_claim_without_mapping_is_found),
    };

    return cmocka_run_group_tests(tests, harness_network, NULL);
}

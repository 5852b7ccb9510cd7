// SPDX-License-Identifier: Apache-2.0
/* A destination towards which an egress IP has hardly a port left, or none. */

#include "roles.h"

#include <bpf/bpf.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define MAPPINGS  70000
#define PORTS_ALL (65536 - 1024)
#define POD_PORTS 60000 /* source ports that each pod uses, from 1024 on */

/* Frames of flows to one destination, by pods that differ in their address and port. */
struct crowd {
    struct harness *harness;
    struct frame frame; /* of the next flow */
    uint32_t flows;     /* that were opened */
    uint8_t used[65536];
};

static void crowd_put(struct crowd *crowd, struct harness *harness, uint32_t flags)
{
    memset(crowd, 0, sizeof(*crowd));
    crowd->harness = harness;
    put_route(harness, TEST_PROFILE, "192.0.2.0", 24, ROUTE_GATEWAY);
    put_gateway(harness, 1, NODE_OWN, EGRESS_IP, GATEWAY_LOCAL | flags);
    put_endpoint(harness, "10.244.2.1", NODE_OTHER, TEST_PROFILE, 0);
    put_endpoint(harness, "10.244.2.2", NODE_OTHER, TEST_PROFILE, 0);
}

static struct packet_spec crowd_flow(uint32_t number)
{
    struct packet_spec spec = gateway_udp_out;

    spec.source = number < POD_PORTS ? "10.244.2.1" : "10.244.2.2";
    spec.source_port = 1024 + number % POD_PORTS;
    return spec;
}

/* Opens the next flow. Returns its port, or 0 where it got none. */
static uint16_t crowd_open(struct crowd *crowd)
{
    struct packet_spec spec = crowd_flow(crowd->flows++);

    gateway_receive(crowd->harness, &spec);
    if (!gateway_let_out(crowd->harness))
        return 0;
    return frame_u16(&crowd->harness->out, FRAME_ETHERNET + 20);
}

/* Opens that many flows, each of which gets a port that no other has. */
static void crowd_grow(struct crowd *crowd, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint16_t port = crowd_open(crowd);

        if (port < 1024 || crowd->used[port]++)
            fail_msg("flow %u of %u got port %u", i, count, port);
    }
}

/* Takes a flow's mapping out of the tables, as the collector does. */
static uint16_t crowd_collect(struct crowd *crowd, uint32_t number)
{
    struct packet_spec spec = crowd_flow(number);
    struct nat_forward forward = forward_of(crowd->harness, &spec);
    struct nat_key key = flow_of(&spec);

    assert_int_equal(
        bpf_map_delete_elem(bpf_map__fd(crowd->harness->skeleton->maps.nat_forward), &key), 0);
    key.local = forward.egress;
    key.local_port_be = forward.egress_port_be;
    assert_int_equal(
        bpf_map_delete_elem(bpf_map__fd(crowd->harness->skeleton->maps.nat_reverse), &key), 0);
    crowd->used[ntohs(forward.egress_port_be)] = 0;
    return ntohs(forward.egress_port_be);
}

/* Lets both halves of a mapping look as if nothing had gone by for long. */
static void crowd_age(struct crowd *crowd, uint32_t number)
{
    struct packet_spec spec = crowd_flow(number);
    struct nat_forward forward = forward_of(crowd->harness, &spec);
    struct nat_key flow = flow_of(&spec), claim = flow;
    struct nat_reverse reverse;

    claim.local = forward.egress;
    claim.local_port_be = forward.egress_port_be;
    assert_int_equal(get_reverse(crowd->harness, &claim, &reverse), 0);
    forward.use.last_seen -= 10000;
    reverse.use.last_seen -= 10000;
    assert_int_equal(bpf_map_update_elem(bpf_map__fd(crowd->harness->skeleton->maps.nat_forward),
                                         &flow, &forward, BPF_EXIST),
                     0);
    assert_int_equal(bpf_map_update_elem(bpf_map__fd(crowd->harness->skeleton->maps.nat_reverse),
                                         &claim, &reverse, BPF_EXIST),
                     0);
    crowd->used[ntohs(forward.egress_port_be)] = 0;
}

/* The rounds of reading that have been begin as if they were long over. */
static void let_read_again(struct harness *harness)
{
    const struct bpf_map *map = harness->skeleton->maps.nat_spaces;
    size_t size = bpf_map__value_size(map);
    uint8_t *space = malloc(size);
    uint32_t round = ticks_now() - 100;

    assert_non_null(space);
    for (uint32_t i = 0; i < bpf_map__max_entries(map); i++) {
        assert_int_equal(bpf_map_lookup_elem(bpf_map__fd(map), &i, space), 0);
        memcpy(space + size - sizeof(round), &round, sizeof(round));
        assert_int_equal(bpf_map_update_elem(bpf_map__fd(map), &i, space, BPF_ANY), 0);
    }
    free(space);
}

/*
 * All ports of a dedicated egress IP, each of them once; and then those that come back. An emulated
 * machine would take minutes for them; there the smaller range of the next case does.
 */
static void test_every_port_of_a_dedicated_egress_ip(void **state)
{
    static struct crowd crowd;
    struct datapath_config config = harness_config();
    struct harness *harness = *state;

    if (getenv("LAB_SLOWNESS"))
        return;
    harness_reload(harness, &config, MAPPINGS);
    crowd_put(&crowd, harness, GATEWAY_DEDICATED);
    crowd_grow(&crowd, 64000);
    crowd_grow(&crowd, PORTS_ALL - 64000);
    assert_int_equal(get_counter(harness, DROP_NO_PORT).packets, 0);
    assert_int_equal(crowd_open(&crowd), 0);
    assert_int_equal(get_counter(harness, DROP_NO_PORT).packets, 1);
    for (uint32_t number = 0; number < 64000; number += 1000)
        crowd_collect(&crowd, number);
    let_read_again(harness);
    crowd_grow(&crowd, 64);
    for (uint32_t number = 500; number < 64000; number += 1000)
        crowd_age(&crowd, number);
    let_read_again(harness);
    crowd_grow(&crowd, 64);
    assert_int_equal(crowd_open(&crowd), 0);
}

/* The node's own address leaves out the node's ephemeral ports, also when few others are left. */
static void test_ports_of_a_shared_egress_ip(void **state)
{
    static struct crowd crowd;
    struct datapath_config config = harness_config();
    struct harness *harness = *state;
    uint32_t ports;

    config.ephemeral_first = 3000;
    config.ephemeral_last = 64000;
    ports = PORTS_ALL - (config.ephemeral_last - config.ephemeral_first + 1);
    harness_reload(harness, &config, MAPPINGS);
    crowd_put(&crowd, harness, 0);
    crowd_grow(&crowd, ports);
    assert_int_equal(crowd_open(&crowd), 0);
    for (uint32_t port = config.ephemeral_first; port <= config.ephemeral_last; port++)
        assert_int_equal(crowd.used[port], 0);
    crowd_collect(&crowd, 700);
    let_read_again(harness);
    crowd_grow(&crowd, 1);
    assert_int_equal(crowd_open(&crowd), 0);
}

/* All places for crowded destinations are others', last used that many ticks ago. */
static void let_others_crowd(struct harness *harness, uint32_t ago)
{
    const struct bpf_map *map = harness->skeleton->maps.nat_space_sets;
    struct {
        uint64_t tags[4];
        uint32_t used[4];
    } set;

    assert_int_equal(bpf_map__value_size(map), sizeof(set));
    for (uint32_t i = 0; i < bpf_map__max_entries(map); i++) {
        for (size_t way = 0; way < 4; way++) {
            set.tags[way] = 1 + way;
            set.used[way] = ticks_now() - ago;
        }
        assert_int_equal(bpf_map_update_elem(bpf_map__fd(map), &i, &set, BPF_ANY), 0);
    }
}

/*
 * More destinations are crowded than there are places for: ports are guessed, which finds most of
 * them, and none twice. A place whose destination is quiet by now is taken over.
 */
static void test_more_crowded_destinations_than_places(void **state)
{
    static struct crowd crowd;
    struct datapath_config config = harness_config();
    struct harness *harness = *state;
    uint32_t ports, found = 0;

    config.ephemeral_first = 1500;
    config.ephemeral_last = 65300;
    ports = PORTS_ALL - (config.ephemeral_last - config.ephemeral_first + 1);
    harness_reload(harness, &config, MAPPINGS);
    crowd_put(&crowd, harness, 0);
    let_others_crowd(harness, 0);
    for (uint32_t i = 0; i < ports; i++) {
        uint16_t port = crowd_open(&crowd);

        found += port != 0;
        assert_true(!port || !crowd.used[port]++);
    }
    assert_in_range(found, ports * 9 / 10, ports);
    let_others_crowd(harness, 38); /* 10.2 s */
    crowd_grow(&crowd, ports - found);
    assert_int_equal(crowd_open(&crowd), 0);
}

/* Answers come in on any port of a dedicated egress IP. */
static void test_answer_in_the_ephemeral_range(void **state)
{
    struct packet_spec out = gateway_udp_out, in = gateway_udp_out;
    struct harness *harness = *state;
    struct frame frame;

    gateway_put(harness);
    put_gateway(harness, 1, NODE_OWN, EGRESS_IP, GATEWAY_LOCAL | GATEWAY_DEDICATED);
    out.source_port = 40000;
    gateway_receive(harness, &out);
    assert_int_equal(harness->verdict, TC_ACT_REDIRECT);
    assert_int_equal(frame_u16(&harness->out, FRAME_ETHERNET + 20), 40000);
    in.source = out.destination;
    in.source_port = out.destination_port;
    in.destination = EGRESS_IP;
    in.destination_port = 40000;
    frame_build(&frame, mac_uplink, mac_router, &in);
    harness_ingress(harness, &frame);
    assert_int_equal(get_counter(harness, COUNT_TRANSLATED_IN).packets, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_every_port_of_a_dedicated_egress_ip),
        TEST(test_ports_of_a_shared_egress_ip),
        TEST(test_more_crowded_destinations_than_places),
        TEST(test_answer_in_the_ephemeral_range),
    };

    return cmocka_run_group_tests(tests, harness_network, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/* What the programs leave for those who watch: the log of drops, and counters of policies. */

#include "roles.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <stdlib.h>
#include <string.h>

enum { POLICY = 7, POLICY_NOT_COUNTED = POLICIES_COUNTED + 7 };

/* The route of the roles, with the policy that owns it. */
static void put_policy(struct harness *harness, uint32_t policy, enum route_action action)
{
    struct route_key key = {.prefix_length = ROUTE_SCOPE_BITS + 24,
                            .scope_be = htonl(TEST_PROFILE)};
    struct route value = {.group = TEST_GROUP, .slots = 2, .action = action, .policy = policy};

    memcpy(key.address, address_of("192.0.2.0").bytes + 12, 4);
    if (action != ROUTE_GATEWAY)
        value.group = value.slots = 0;
    assert_int_equal(
        bpf_map_update_elem(bpf_map__fd(harness->skeleton->maps.routes), &key, &value, BPF_ANY), 0);
}

/* All processors' values of a per-CPU element; to be freed. */
static void *values_of(const struct bpf_map *map, uint32_t key)
{
    void *values = calloc(libbpf_num_possible_cpus(), bpf_map__value_size(map) + 8);

    assert_non_null(values);
    assert_int_equal(bpf_map_lookup_elem(bpf_map__fd(map), &key, values), 0);
    return values;
}

static struct counter policy_counter(struct harness *harness, uint32_t policy)
{
    struct counter *values = values_of(harness->skeleton->maps.policy_counters, policy), total = {};

    for (int i = 0; i < libbpf_num_possible_cpus(); i++) {
        total.packets += values[i].packets;
        total.bytes += values[i].bytes;
    }
    free(values);
    return total;
}

/* The youngest record that any processor wrote. */
static struct drop_record last_record(struct harness *harness)
{
    struct drop_record last = {};

    for (uint32_t slot = 0; slot < DROP_LOG_SIZE; slot++) {
        struct drop_record *values = values_of(harness->skeleton->maps.drop_log, slot);

        for (int i = 0; i < libbpf_num_possible_cpus(); i++) {
            if (values[i].sequence && values[i].time >= last.time)
                last = values[i];
        }
        free(values);
    }
    return last;
}

static void drop_totals(struct harness *harness, uint32_t reason, uint64_t *written,
                        uint64_t *suppressed)
{
    struct drop_state *values = values_of(harness->skeleton->maps.drop_state, 0);

    *written = *suppressed = 0;
    for (int i = 0; i < libbpf_num_possible_cpus(); i++) {
        *written += values[i].written;
        *suppressed += values[i].limits[reason].suppressed;
    }
    free(values);
}

static void assert_address(const struct ip_addr *address, const char *text)
{
    struct ip_addr expected = address_of(text);

    assert_memory_equal(address, &expected, sizeof(expected));
}

static void test_a_drop_is_written_down(void **state)
{
    struct harness *harness = *state;
    struct drop_record record;

    worker_put(harness, NODE_OTHER);
    put_policy(harness, POLICY, ROUTE_NO_GATEWAY);
    worker_expect_refused(harness, &worker_udp_out, DROP_NO_GATEWAY);
    record = last_record(harness);
    assert_int_equal(record.sequence, 1);
    assert_int_equal(record.reason, DROP_NO_GATEWAY);
    assert_int_equal(record.policy, POLICY);
    assert_int_equal(record.protocol, IPPROTO_UDP);
    assert_int_equal(record.ifindex, harness->up0);
    assert_int_equal(record.length, 20 + 8 + 31);
    assert_int_equal(record.flags, DROP_RECORD_EGRESS);
    assert_address(&record.source, POD);
    assert_address(&record.destination, SERVER);
    assert_int_equal(ntohs(record.source_port_be), 40000);
    assert_int_equal(ntohs(record.destination_port_be), 53);
    assert_true(record.time >> DATAPATH_TICK_SHIFT <= ticks_now());
    assert_true((record.time >> DATAPATH_TICK_SHIFT) + 240 > ticks_now());
}

/* Of a packet that came from outside, source and destination are the other way round inside. */
static void test_a_drop_on_the_way_in(void **state)
{
    struct packet_spec in = {.source = SERVER,
                             .destination = EGRESS_IP,
                             .protocol = IPPROTO_UDP,
                             .source_port = 53,
                             .destination_port = 20000,
                             .payload = 31,
                             .hop_limit = 1};
    struct harness *harness = *state;
    struct drop_record record;
    struct frame frame;

    gateway_put(harness);
    put_policy(harness, POLICY, ROUTE_GATEWAY);
    gateway_receive(harness, &gateway_udp_out);
    frame_build(&frame, mac_uplink, mac_router, &in);
    harness_ingress(harness, &frame);
    assert_int_equal(harness->verdict, TC_ACT_SHOT);
    record = last_record(harness);
    assert_int_equal(record.reason, DROP_HOP_LIMIT);
    assert_int_equal(record.policy, POLICY);
    assert_int_equal(record.flags, 0);
    assert_address(&record.source, SERVER);
    assert_address(&record.destination, EGRESS_IP);
    assert_int_equal(ntohs(record.source_port_be), 53);
    assert_int_equal(ntohs(record.destination_port_be), 20000);
}

static void test_a_drop_from_the_tunnel(void **state)
{
    struct packet_spec spec = gateway_udp_out;
    struct harness *harness = *state;
    struct drop_record record;

    gateway_put(harness);
    spec.hop_limit = 1;
    gateway_receive(harness, &spec);
    assert_int_equal(get_counter(harness, DROP_HOP_LIMIT).packets, 1);
    record = last_record(harness);
    assert_int_equal(record.flags, DROP_RECORD_TUNNEL);
    assert_address(&record.source, POD_OTHER);
    assert_address(&record.destination, SERVER);
}

/* However many there are, a reason has a bounded number of records, and the others are counted. */
static void test_drops_are_limited(void **state)
{
    enum { DROPS = 2000 };
    uint64_t before, after, written, suppressed;
    struct harness *harness = *state;
    struct frame frame;

    worker_put(harness, NODE_OTHER);
    put_policy(harness, POLICY, ROUTE_NO_GATEWAY);
    worker_build(&frame, &worker_udp_out);
    before = ticks_now();
    for (int i = 0; i < DROPS; i++)
        harness_egress(harness, &frame);
    after = ticks_now();
    drop_totals(harness, DROP_NO_GATEWAY, &written, &suppressed);
    assert_int_equal(written + suppressed, DROPS);
    assert_int_equal(get_counter(harness, DROP_NO_GATEWAY).packets, DROPS);
    assert_true(written >= DROP_LOG_BURST);
    assert_true(written <=
                (after - before + 1) * DROP_LOG_BURST * (uint64_t)libbpf_num_possible_cpus());
}

static void test_another_reason_has_its_own_records(void **state)
{
    struct harness *harness = *state;
    uint64_t written, suppressed;
    struct frame frame;

    worker_put(harness, NODE_OTHER);
    put_policy(harness, POLICY, ROUTE_NO_GATEWAY);
    worker_build(&frame, &worker_udp_out);
    for (int i = 0; i < 100; i++)
        harness_egress(harness, &frame);
    put_policy(harness, POLICY, ROUTE_GATEWAY);
    put_settings(harness, NULL, NULL, 0);
    harness_egress(harness, &frame);
    assert_int_equal(last_record(harness).reason, DROP_NO_TABLE);
    drop_totals(harness, DROP_NO_TABLE, &written, &suppressed);
    assert_int_equal(suppressed, 0);
}

static void test_the_log_goes_round(void **state)
{
    struct harness *harness = *state;
    struct drop_state *states = values_of(harness->skeleton->maps.drop_state, 0);
    const uint32_t zero = 0;

    for (int i = 0; i < libbpf_num_possible_cpus(); i++)
        states[i].written = 10 * DROP_LOG_SIZE - 1;
    assert_int_equal(bpf_map_update_elem(bpf_map__fd(harness->skeleton->maps.drop_state), &zero,
                                         states, BPF_ANY),
                     0);
    free(states);
    worker_put(harness, NODE_OTHER);
    put_policy(harness, POLICY, ROUTE_NO_GATEWAY);
    worker_expect_refused(harness, &worker_udp_out, DROP_NO_GATEWAY);
    assert_int_equal(last_record(harness).sequence, 10 * DROP_LOG_SIZE);
}

static void assert_policy(struct harness *harness, uint32_t policy, uint64_t packets,
                          uint64_t bytes)
{
    struct counter counter = policy_counter(harness, policy);

    assert_int_equal(counter.packets, packets);
    assert_int_equal(counter.bytes, bytes);
}

static void test_a_worker_counts_the_policy(void **state)
{
    worker_put(*state, NODE_OTHER);
    put_policy(*state, POLICY, ROUTE_GATEWAY);
    worker_expect_tunnel(*state, &worker_udp_out);
    assert_policy(*state, POLICY, 1, 20 + 8 + 31);
    assert_policy(*state, 0, 0, 0);
}

/* The same for the first packet of a tick, for those that find the mapping in use, and answers. */
static void test_a_gateway_counts_the_policy_both_ways(void **state)
{
    const struct packet_spec in = {.source = SERVER,
                                   .destination = EGRESS_IP,
                                   .protocol = IPPROTO_UDP,
                                   .source_port = 53,
                                   .destination_port = 20000,
                                   .payload = 100};
    struct frame frame;

    gateway_put(*state);
    put_policy(*state, POLICY, ROUTE_GATEWAY);
    gateway_receive(*state, &gateway_udp_out);
    assert_policy(*state, POLICY, 1, 59);
    gateway_receive(*state, &gateway_udp_out);
    gateway_receive(*state, &gateway_udp_out);
    assert_policy(*state, POLICY, 3, 3 * 59);
    frame_build(&frame, mac_uplink, mac_router, &in);
    harness_ingress(*state, &frame);
    assert_policy(*state, POLICY, 4, 3 * 59 + 128);
}

static void test_policies_beyond_the_counters_share_one(void **state)
{
    worker_put(*state, NODE_OTHER);
    put_policy(*state, POLICY_NOT_COUNTED, ROUTE_GATEWAY);
    worker_expect_tunnel(*state, &worker_udp_out);
    assert_policy(*state, 0, 1, 59);
    assert_policy(*state, POLICY, 0, 0);
}

/* Which egress IP had no port for a packet. */
static void test_an_egress_ip_without_a_port(void **state)
{
    struct datapath_config config = harness_config();
    struct ip_addr egress = address_of(EGRESS_IP);
    struct harness *harness = *state;
    struct counter counter;

    config.ephemeral_first = 1;
    config.ephemeral_last = 65535;
    harness_reload(harness, &config, FEW_MAPPINGS);
    gateway_put(harness);
    for (int i = 0; i < 3; i++)
        gateway_receive(harness, &gateway_udp_out);
    assert_int_equal(get_counter(harness, DROP_NO_PORT).packets, 3);
    assert_int_equal(
        bpf_map_lookup_elem(bpf_map__fd(harness->skeleton->maps.egress_refused), &egress, &counter),
        0);
    assert_int_equal(counter.packets, 3);
    assert_int_equal(counter.bytes, 3 * 59);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_drop_is_written_down),
        TEST(test_a_drop_on_the_way_in),
        TEST(test_a_drop_from_the_tunnel),
        TEST(test_drops_are_limited),
        TEST(test_another_reason_has_its_own_records),
        TEST(test_the_log_goes_round),
        TEST(test_a_worker_counts_the_policy),
        TEST(test_a_gateway_counts_the_policy_both_ways),
        TEST(test_policies_beyond_the_counters_share_one),
        TEST(test_an_egress_ip_without_a_port),
    };

    return cmocka_run_group_tests(tests, harness_network, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * What a packet of a flow that was seen in this tick writes where all processors look: nothing, or
 * its own direction of its own mapping. So no two processors write to one cache line.
 */

#include "roles.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

enum { MAPS_MOST = 32, KEY_LONGEST = 64, VALUE_LONGEST = 16384, TRIES = 20 };

struct state {
    const char *name;
    uint64_t sum; /* of all keys and values */
};

static uint64_t sum_of(uint64_t sum, const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        sum = (sum ^ bytes[i]) * 0x100000001b3ULL;
    return sum;
}

static uint64_t map_sum(const struct bpf_map *map)
{
    uint8_t key[KEY_LONGEST], value[VALUE_LONGEST];
    size_t key_size = bpf_map__key_size(map), value_size = bpf_map__value_size(map);
    int fd = bpf_map__fd(map);
    uint64_t sum = 0;

    assert_in_range(key_size, 1, KEY_LONGEST);
    assert_in_range(value_size, 1, VALUE_LONGEST);
    for (void *last = NULL; bpf_map_get_next_key(fd, last, key) == 0; last = key) {
        assert_int_equal(bpf_map_lookup_elem(fd, key, value), 0);
        /* A sum of sums: the order in a table is nobody's business. */
        sum += sum_of(sum_of(0xcbf29ce484222325ULL, key, key_size), value, value_size);
    }
    return sum;
}

/* The maps that all processors share; `policies` never changes here and is large. */
static size_t shared_state(struct harness *harness, struct state *states)
{
    struct bpf_map *map;
    size_t count = 0;

    bpf_object__for_each_map(map, harness->skeleton->obj)
    {
        enum bpf_map_type type = bpf_map__type(map);

        if (bpf_map__is_internal(map) || type == BPF_MAP_TYPE_PERCPU_ARRAY)
            continue;
        assert_true(type == BPF_MAP_TYPE_HASH || type == BPF_MAP_TYPE_LRU_HASH ||
                    type == BPF_MAP_TYPE_LPM_TRIE || type == BPF_MAP_TYPE_ARRAY);
        assert_true(count < MAPS_MOST);
        states[count++] = (struct state){bpf_map__name(map), map_sum(map)};
    }
    return count;
}

/* Runs the frame until twice in one tick, and asserts which map the second time changed: "" none.
 */
static void assert_writes(struct harness *harness,
                          void (*program)(struct harness *harness, const struct frame *frame),
                          const struct frame *frame, const char *expected)
{
    struct state before[MAPS_MOST], after[MAPS_MOST];
    char changed[256] = "";
    uint32_t tick = 0;
    size_t count = 0;
    int tries = 0;

    do {
        assert_true(tries++ < TRIES);
        tick = ticks_now();
        program(harness, frame);
        count = shared_state(harness, before);
        program(harness, frame);
        assert_int_equal(shared_state(harness, after), count);
    } while (ticks_now() != tick);
    for (size_t i = 0; i < count; i++) {
        if (before[i].sum != after[i].sum)
            snprintf(changed + strlen(changed), sizeof(changed) - strlen(changed), "%s%s",
                     *changed ? " " : "", before[i].name);
    }
    assert_string_equal(changed, expected);
}

static void test_worker_writes_nothing(void **state)
{
    static const struct packet_spec back = {
        .source = SERVER,
        .destination = POD,
        .protocol = IPPROTO_UDP,
        .source_port = 53,
        .destination_port = 40000,
        .payload = 9,
    };
    struct packet_spec out = worker_udp_out;
    struct harness *harness = *state;
    struct frame frame;

    worker_put(harness, NODE_OTHER);
    put_node(harness, NODE_OTHER, NODE_GATEWAY);
    for (int i = 0; i < 2; i++) {
        out.protocol = i ? IPPROTO_TCP : IPPROTO_UDP;
        out.tcp_flags = i ? ACK : 0;
        worker_build(&frame, &out);
        assert_writes(harness, harness_egress, &frame, "");
        assert_int_equal(harness->verdict, VERDICT_PASS);
        assert_int_equal(harness->mark_out, DATAPATH_MARK);
    }
    gateway_build(&frame, &back, NODE_OTHER);
    assert_writes(harness, harness_ingress, &frame, "");
    assert_int_equal(harness->verdict, VERDICT_PASS);
    assert_true(get_counter(harness, COUNT_DECAPSULATED).packets > 1);
}

static void test_direct_and_dropped_packets_write_nothing(void **state)
{
    struct packet_spec out = worker_udp_out;
    struct harness *harness = *state;
    struct frame frame;

    worker_put(harness, NODE_OTHER);
    out.destination = "198.51.100.7";
    worker_build(&frame, &out);
    assert_writes(harness, harness_egress, &frame, "");
    assert_int_equal(harness->verdict, VERDICT_PASS);
    harness->ingress_ifindex = 9;
    out.destination = SERVER;
    out.source = "10.244.1.77";
    worker_build(&frame, &out);
    assert_writes(harness, harness_egress, &frame, "");
    assert_int_equal(harness->verdict, TC_ACT_SHOT);
}

static void test_gateway_writes_to_its_direction(void **state)
{
    struct packet_spec out = gateway_udp_out, back = {
                                                  .source = SERVER,
                                                  .destination = EGRESS_IP,
                                                  .source_port = 53,
                                                  .destination_port = 20000,
                                                  .payload = 9,
                                              };
    struct harness *harness = *state;
    struct frame frame;

    gateway_put(harness);
    for (int i = 0; i < 2; i++) {
        out.protocol = back.protocol = i ? IPPROTO_TCP : IPPROTO_UDP;
        out.tcp_flags = back.tcp_flags = i ? SYN : 0;
        gateway_receive(harness, &out);
        out.tcp_flags = back.tcp_flags = i ? ACK : 0;
        frame_build(&frame, mac_uplink, mac_router, &back);
        harness_ingress(harness, &frame);
        assert_writes(harness, harness_ingress, &frame, "nat_reverse");
        gateway_build(&frame, &out, NODE_OTHER);
        assert_writes(harness, harness_ingress, &frame, "nat_forward");
        assert_int_equal(harness->verdict, TC_ACT_REDIRECT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_worker_writes_nothing, harness_setup,
                                        harness_teardown),
        cmocka_unit_test_setup_teardown(test_direct_and_dropped_packets_write_nothing,
                                        harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_gateway_writes_to_its_direction, harness_setup,
                                        harness_teardown),
    };

    return cmocka_run_group_tests(tests, harness_network, NULL);
}

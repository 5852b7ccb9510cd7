// SPDX-License-Identifier: Apache-2.0
#include "harness.h"
#include "map_clear.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

static struct harness the_harness;

static const char *const network_commands[] = {
    "ip link set lo up",
    "ip link add up0 address 02:00:00:00:00:10 type veth peer name peer0",
    "ip link add up1 address 02:00:00:00:01:10 type veth peer name peer1",
    "ip addr add 10.0.0.1/24 dev up0",
    "ip addr add 10.0.1.1/24 dev up1",
    "ip link set up0 up",
    "ip link set up1 up",
    "ip link set peer0 up",
    "ip link set peer1 up",
    "ip route add default via 10.0.0.254",
    "ip neigh replace 10.0.0.2 lladdr 02:00:00:00:00:02 nud permanent dev up0",
    "ip neigh replace 10.0.0.254 lladdr 02:00:00:00:00:fe nud permanent dev up0",
    "ip neigh replace 10.0.1.2 lladdr 02:00:00:00:01:02 nud permanent dev up1",
    "ip route add unreachable 203.0.113.0/24",
    "sysctl -qw net.ipv4.ip_forward=1",
    "ip addr add fd00::1/64 dev up0 nodad",
    "ip addr add fd00:1::1/64 dev up1 nodad",
    "ip route add default via fe80::fe dev up0",
    "ip neigh replace fd00::2 lladdr 02:00:00:00:00:02 nud permanent dev up0",
    "ip neigh replace fe80::fe lladdr 02:00:00:00:00:fe nud permanent dev up0",
    "ip neigh replace fd00:1::2 lladdr 02:00:00:00:01:02 nud permanent dev up1",
    "ip route add unreachable 2001:db8:bad::/48",
    "sysctl -qw net.ipv6.conf.all.forwarding=1",
};

/* What the programs keep for each processor is then in one place. */
static int processor_keep(void)
{
    cpu_set_t processors;
    int current = sched_getcpu();

    if (current < 0)
        return -1;
    CPU_ZERO(&processors);
    CPU_SET(current, &processors);
    return sched_setaffinity(0, sizeof(processors), &processors);
}

int harness_network(void **state)
{
    if (processor_keep()) {
        perror("sched_setaffinity");
        return -1;
    }
    if (unshare(CLONE_NEWNET)) {
        perror("unshare");
        return -1;
    }
    for (size_t i = 0; i < sizeof(network_commands) / sizeof(network_commands[0]); i++) {
        if (system(network_commands[i])) {
            fprintf(stderr, "failed: %s\n", network_commands[i]);
            return -1;
        }
    }
    the_harness.up0 = if_nametoindex("up0");
    the_harness.up1 = if_nametoindex("up1");
    *state = &the_harness;
    return 0;
}

struct datapath_config harness_config(void)
{
    return (struct datapath_config){
        .tunnel_port_be = htons(4789),
        .ephemeral_first = 32768,
        .ephemeral_last = 60999,
        .tunnel_vni = TEST_VNI,
        .mark = DATAPATH_MARK,
        .unknown_endpoints_drop = 1,
        .conntrack = 0,
        .nat_per_endpoint = 65536,
        .nat_timeouts =
            {
                [NAT_TCP_ESTABLISHED] = nat_ticks(7440),
                [NAT_TCP_TRANSITORY] = nat_ticks(240),
                [NAT_TCP_CLOSED] = nat_ticks(10),
                [NAT_UDP_ANSWERED] = nat_ticks(300),
                [NAT_UDP_UNANSWERED] = nat_ticks(30),
                [NAT_ICMP] = nat_ticks(60),
                [NAT_OTHER] = nat_ticks(600),
            },
    };
}

static void put(const struct bpf_map *map, const void *key, const void *value)
{
    assert_int_equal(bpf_map_update_elem(bpf_map__fd(map), key, value, BPF_ANY), 0);
}

/* Loads the object, in the place of the one before. */
static void harness_load(struct harness *harness, const struct datapath_config *config,
                         uint32_t mappings)
{
    struct egressgw_bpf *skeleton = egressgw_bpf__open();
    struct programs programs;

    assert_non_null(skeleton);
    skeleton->rodata->config = *config;
    bpf_map__set_max_entries(skeleton->maps.endpoints, 64);
    bpf_map__set_max_entries(skeleton->maps.routes, 64);
    bpf_map__set_max_entries(skeleton->maps.flows, 1024);
    bpf_map__set_max_entries(skeleton->maps.nat_forward, mappings);
    bpf_map__set_max_entries(skeleton->maps.nat_reverse, mappings);
    assert_int_equal(kept_load(skeleton, mappings, &programs), 0);
    egressgw_bpf__destroy(harness->skeleton);
    harness->skeleton = skeleton;
    harness->programs = programs;
    harness->config = *config;
    harness->mappings = mappings;
}

void harness_reload(struct harness *harness, const struct datapath_config *config,
                    uint32_t mappings)
{
    if (!harness->skeleton || harness->mappings != mappings ||
        memcmp(&harness->config, config, sizeof(*config)))
        harness_load(harness, config, mappings);
    maps_clear(harness->skeleton->obj);
    put_next_hops(harness, ticks_now() + (1 << 30)); /* none is due unless a test says so */
    put_settings(harness, NODE_OWN, NODE_OWN6, 0);
    put_route(harness, PROFILE_CLUSTER, "10.0.0.0", 16, ROUTE_CLUSTER);
    put_route(harness, PROFILE_CLUSTER, "10.244.0.0", 16, ROUTE_CLUSTER);
    put_route(harness, PROFILE_CLUSTER, "fd00::", 64, ROUTE_CLUSTER);
    put_route(harness, PROFILE_CLUSTER, "fd00:10:244::", 48, ROUTE_CLUSTER);
}

void put_next_hops(struct harness *harness, uint32_t ticks)
{
    uint32_t values[512]; /* more processors than a machine of the tests has */

    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        values[i] = ticks;
    for (uint32_t index = 0; index < bpf_map__max_entries(harness->skeleton->maps.next_hops);
         index++)
        put(harness->skeleton->maps.next_hops, &index, values);
}

int change_ways(struct harness *harness, void (*change)(struct way *way))
{
    const struct bpf_map *map = harness->skeleton->maps.ways;
    size_t of_set = bpf_map__value_size(map) / sizeof(struct way);
    size_t count = of_set * (size_t)libbpf_num_possible_cpus();
    struct way *ways = calloc(count, sizeof(*ways));
    int found = 0;

    assert_non_null(ways);
    for (uint32_t index = 0; index < bpf_map__max_entries(map); index++) {
        int before = found;

        assert_int_equal(bpf_map_lookup_elem(bpf_map__fd(map), &index, ways), 0);
        for (size_t i = 0; i < count; i++) {
            if (ways[i].ifindex == 0)
                continue;
            change(&ways[i]);
            found++;
        }
        if (found > before)
            put(map, &index, ways);
    }
    free(ways);
    return found;
}

int harness_setup(void **state)
{
    struct harness *harness = &the_harness;
    struct datapath_config config = harness_config();

    harness_reload(harness, &config, 65536);
    *state = harness;
    return 0;
}

int harness_teardown(void **state)
{
    struct harness *harness = *state;

    harness->mark = harness->ingress_ifindex = harness->gso_size = 0;
    return 0;
}

static void harness_run(struct harness *harness, int program_fd, const struct frame *frame)
{
    struct __sk_buff in = {
        .mark = harness->mark,
        .ingress_ifindex = harness->ingress_ifindex,
        .ifindex = harness->up0,
        .gso_size = harness->gso_size,
    };
    struct __sk_buff out = {};
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame->data, .data_size_in = frame->length,
                .data_out = harness->out.data, .data_size_out = FRAME_SIZE, .ctx_in = &in,
                .ctx_size_in = sizeof(in), .ctx_out = &out, .ctx_size_out = sizeof(out),
                .repeat = 1);

    assert_int_equal(bpf_prog_test_run_opts(program_fd, &options), 0);
    harness->verdict = options.retval;
    harness->out.length = options.data_size_out;
    harness->mark_out = out.mark;
    harness->duration = options.duration;
}

void harness_egress(struct harness *harness, const struct frame *frame)
{
    harness->at_ingress = 0;
    harness_run(harness, harness->programs.egress, frame);
}

void harness_ingress(struct harness *harness, const struct frame *frame)
{
    harness->at_ingress = 1;
    harness_run(harness, harness->programs.ingress, frame);
}

struct ip_addr address_of(const char *text)
{
    struct ip_addr address = {};
    __be32 v4_be;

    if (!text || inet_pton(AF_INET6, text, &address) == 1)
        return address;
    assert_int_equal(inet_pton(AF_INET, text, &v4_be), 1);
    return ip_addr_from_v4(v4_be);
}

void put_endpoint(struct harness *harness, const char *pod, const char *node, uint32_t profile,
                  uint32_t flags)
{
    put_endpoint_hash(harness, pod, node, profile, flags, TEST_HASH);
}

void put_endpoint_hash(struct harness *harness, const char *pod, const char *node, uint32_t profile,
                       uint32_t flags, uint32_t hash)
{
    struct ip_addr key = address_of(pod);
    struct endpoint value = {
        .node = address_of(node),
        .profile = profile,
        .hash = hash,
        .flags = flags,
    };

    put(harness->skeleton->maps.endpoints, &key, &value);
}

void put_route(struct harness *harness, uint32_t profile, const char *network, unsigned int length,
               enum route_action action)
{
    struct ip_addr address = address_of(network);
    struct route_key key = {
        .prefix_length = ROUTE_SCOPE_BITS + length,
        .scope_be = htonl(ip_addr_is_v4(&address) ? profile : profile | ROUTE_SCOPE_IPV6),
    };
    struct route value = {.policy = 7, .action = action};

    if (action == ROUTE_GATEWAY) {
        value.group = TEST_GROUP;
        value.slots = 2;
    }
    if (ip_addr_is_v4(&address))
        memcpy(key.address, &address.words_be[3], 4);
    else
        memcpy(key.address, &address, 16);
    put(harness->skeleton->maps.routes, &key, &value);
}

void put_gateway(struct harness *harness, uint32_t slot, const char *node, const char *egress,
                 uint32_t flags)
{
    struct gateway_key key = {.group = TEST_GROUP, .slot = slot};
    struct gateway value = {
        .node = address_of(node),
        .egress = address_of(egress),
        .ifindex = flags & GATEWAY_LOCAL ? harness->up0 : 0,
        .flags = flags,
    };

    put(harness->skeleton->maps.gateways, &key, &value);
}

void put_node(struct harness *harness, const char *node, uint32_t flags)
{
    struct ip_addr key = address_of(node);
    struct node_entry value = {.flags = flags};

    put(harness->skeleton->maps.nodes, &key, &value);
}

void put_settings(struct harness *harness, const char *node_v4, const char *node_v6, uint32_t flags)
{
    struct settings value = {
        .node_v4 = address_of(node_v4),
        .node_v6 = address_of(node_v6),
        .flags = flags,
    };
    __u32 zero = 0;

    put(harness->skeleton->maps.settings, &zero, &value);
}

struct nat_key flow_key(int protocol, const char *local, uint16_t local_port, const char *remote,
                        uint16_t remote_port)
{
    return (struct nat_key){
        .local = address_of(local),
        .remote = address_of(remote),
        .local_port_be = htons(local_port),
        .remote_port_be = htons(remote_port),
        .protocol = protocol,
    };
}

struct nat_key flow_of(const struct packet_spec *spec)
{
    return flow_key(spec->protocol, spec->source, spec->source_port, spec->destination,
                    spec->destination_port);
}

struct nat_forward forward_of(struct harness *harness, const struct packet_spec *spec)
{
    struct nat_key key = flow_of(spec);
    struct nat_forward forward = {};

    assert_int_equal(get_forward(harness, &key, &forward), 0);
    return forward;
}

int get_forward(struct harness *harness, const struct nat_key *key, struct nat_forward *value)
{
    return bpf_map_lookup_elem(bpf_map__fd(harness->skeleton->maps.nat_forward), key, value);
}

int get_reverse(struct harness *harness, const struct nat_key *key, struct nat_reverse *value)
{
    return bpf_map_lookup_elem(bpf_map__fd(harness->skeleton->maps.nat_reverse), key, value);
}

int get_flow(struct harness *harness, const struct nat_key *key, struct flow *value)
{
    return bpf_map_lookup_elem(bpf_map__fd(harness->skeleton->maps.flows), key, value);
}

void put_flow(struct harness *harness, const struct nat_key *key, const struct flow *value)
{
    put(harness->skeleton->maps.flows, key, value);
}

int map_entries(const struct bpf_map *map)
{
    struct nat_key key;
    int count = 0, fd = bpf_map__fd(map);

    assert_int_equal(bpf_map__key_size(map), sizeof(key));
    for (void *last = NULL; bpf_map_get_next_key(fd, last, &key) == 0; last = &key)
        count++;
    return count;
}

struct counter get_counter(struct harness *harness, uint32_t index)
{
    int processors = libbpf_num_possible_cpus();
    struct counter *values = calloc(processors, sizeof(*values)), total = {};

    assert_non_null(values);
    assert_int_equal(
        bpf_map_lookup_elem(bpf_map__fd(harness->skeleton->maps.counters), &index, values), 0);
    for (int i = 0; i < processors; i++) {
        total.packets += values[i].packets;
        total.bytes += values[i].bytes;
    }
    free(values);
    return total;
}

uint32_t ticks_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return ((uint64_t)now.tv_sec * 1000000000 + now.tv_nsec) >> DATAPATH_TICK_SHIFT;
}

void assert_frame(const struct frame *frame, const struct frame *expected)
{
    for (size_t i = 0; i < frame->length && i < expected->length; i++) {
        if (frame->data[i] != expected->data[i])
            fail_msg("byte %zu is 0x%02x, expected 0x%02x", i, frame->data[i], expected->data[i]);
    }
    assert_int_equal(frame->length, expected->length);
}

void assert_counted(struct harness *harness, uint32_t index)
{
    for (uint32_t i = 0; i < COUNTERS; i++) {
        struct counter counter = get_counter(harness, i);

        if (counter.packets != (i == index) || (i == index && counter.bytes == 0))
            fail_msg("counter %u is %llu packets, %llu bytes; expected to be counted: %d", i,
                     counter.packets, counter.bytes, (int)index);
    }
}

void assert_pass(struct harness *harness, const struct frame *frame, uint32_t counted)
{
    assert_int_equal(harness->verdict, VERDICT_PASS);
    assert_frame(&harness->out, frame);
    assert_counted(harness, counted);
}

void assert_drop(struct harness *harness, enum drop_reason reason)
{
    assert_int_equal(harness->verdict, TC_ACT_SHOT);
    assert_counted(harness, reason);
}

void assert_tunnel(struct harness *harness, int verdict, const struct frame *inner,
                   const uint8_t *destination, const uint8_t *source, const char *outer_source,
                   const char *outer_destination)
{
    const struct frame *out = &harness->out;
    struct frame expected = *inner;
    int v6 = frame_overhead(outer_source) == FRAME_TUNNEL6;
    size_t udp = FRAME_ETHERNET + (v6 ? 40 : 20);
    uint32_t id;
    uint16_t port;

    assert_int_equal(harness->verdict, verdict);
    assert_int_equal(harness->mark_out, DATAPATH_MARK);
    assert_int_equal(out->length, inner->length + frame_overhead(outer_source));
    port = frame_u16(out, udp);
    assert_in_range(port, 49152, 65535);
    id = v6 ? frame_flow_label(out, FRAME_ETHERNET) : frame_u16(out, FRAME_ETHERNET + 4);
    frame_encapsulate(&expected, destination, source, outer_source, outer_destination, id, port,
                      TEST_VNI);
    if (harness->at_ingress)
        frame_answer(&expected);
    assert_frame(out, &expected);
}

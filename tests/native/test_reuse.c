/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel uses the memory of an entry that is replaced for another one at once. A program that
 * has just looked it up then reads what is another's: here after the first look-up in a table,
 * after the second and so on; the next look-up finds the entry as it should be again.
 */
#include "tests/bpf/roles.h"

#include <netinet/in.h>
#include <string.h>

#include "common/macros.h"
#include "native.h"

enum { LOOKUPS_MOST = 20, OTHER_HASH = TEST_HASH ^ 0x5a5a };

static void become_endpoint(void *entry);
static void become_gateway(void *entry);

static const struct table {
    const char *name;
    size_t size;
    void (*become)(void *entry); /* another one's */
} tables[] = {
    {"endpoints", sizeof(struct endpoint), become_endpoint},
    {"gateways", sizeof(struct gateway), become_gateway},
};

static struct {
    const struct table *table;
    void *entry; /* whose memory is another's now, NULL: none */
    unsigned char own[sizeof(struct gateway)];
    uint32_t lookups, at;
} reuse;

_Static_assert(sizeof(struct endpoint) <= sizeof(struct gateway), "room for an entry");

/* A pod of another node, which no policy selects. */
static void become_endpoint(void *entry)
{
    struct endpoint *endpoint = entry;

    endpoint->node = address_of(NODE_ELSEWHERE);
    endpoint->profile = PROFILE_NONE;
    endpoint->hash = OTHER_HASH;
}

/* A gateway of another group. */
static void become_gateway(void *entry)
{
    struct gateway *gateway = entry;

    gateway->node = address_of(NODE_ELSEWHERE);
    gateway->egress = address_of("203.0.113.99");
}

static void give_back(void)
{
    if (reuse.entry)
        memcpy(reuse.entry, reuse.own, reuse.table->size);
    reuse.entry = NULL;
}

static void on_found(const struct native_map *map, void *value)
{
    if (strcmp(map->name, reuse.table->name) != 0)
        return;
    give_back();
    if (++reuse.lookups != reuse.at)
        return;
    reuse.entry = value;
    memcpy(reuse.own, value, reuse.table->size);
    reuse.table->become(value);
}

static void reuse_at(const struct table *table, uint32_t lookup)
{
    reuse.table = table;
    reuse.lookups = 0;
    reuse.at = lookup;
    reuse.entry = NULL;
    native_kernel.found = on_found;
}

/* Whether there were so many look-ups. */
static bool reuse_over(void)
{
    give_back();
    native_kernel.found = NULL;
    return reuse.lookups >= reuse.at;
}

static void reload(struct harness *harness)
{
    struct datapath_config config = harness_config();

    harness_reload(harness, &config, 65536);
}

/* A new flow leaves by the gateway of its own pod's policy, not as if there were none. */
static void expect_own_way(struct harness *harness, const struct table *table)
{
    uint32_t at = 0;

    do {
        reload(harness);
        harness->ingress_ifindex = (uint32_t)harness->up1; /* forwarded */
        worker_put(harness, NODE_OTHER);
        reuse_at(table, ++at);
        worker_expect_tunnel(harness, &worker_udp_out);
    } while (reuse_over());
    assert_in_range(at, 3, LOOKUPS_MOST);
}

static void test_worker(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
        expect_own_way(*state, &tables[i]);
}

/* A new flow gets the egress IP of its gateway, and keeps its port where it is looked at again. */
static void expect_own_mapping(struct harness *harness, const struct table *table)
{
    struct ip_addr egress = address_of(EGRESS_IP);
    struct frame first;
    uint32_t at = 0;

    do {
        reload(harness);
        gateway_put(harness);
        native_kernel.now = (uint64_t)ticks_now() << DATAPATH_TICK_SHIFT;
        reuse_at(table, ++at);
        gateway_receive(harness, &gateway_udp_out);
        assert_true(gateway_let_out(harness));
        assert_memory_equal(harness->out.data + FRAME_ETHERNET + 12, &egress.words_be[3], 4);
        first = harness->out;
        reuse_over();
        native_kernel.now += 1 << DATAPATH_TICK_SHIFT; /* so that it is looked at again */
        reuse_at(table, at);
        gateway_receive(harness, &gateway_udp_out);
        assert_true(gateway_let_out(harness));
        assert_int_equal(harness->out.length, first.length);
        assert_memory_equal(harness->out.data, first.data, first.length);
    } while (reuse_over());
    native_kernel.now = 0;
    assert_in_range(at, 3, LOOKUPS_MOST);
}

static void test_gateway(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
        expect_own_mapping(*state, &tables[i]);
}

/* A connection from outside is noted as the pod's that it goes to. */
static void test_inbound(void **state)
{
    struct harness *harness = *state;
    struct packet_spec syn = {.source = SERVER,
                              .destination = POD,
                              .protocol = IPPROTO_TCP,
                              .source_port = 50000,
                              .destination_port = 80,
                              .tcp_flags = SYN};
    struct nat_key key = flow_key(IPPROTO_TCP, POD, 80, SERVER, 50000);
    struct frame frame;
    struct flow flow;
    uint32_t at = 0;

    do {
        reload(harness);
        worker_put(harness, NODE_OTHER);
        frame_build(&frame, mac_uplink, mac_router, &syn);
        reuse_at(&tables[0], ++at);
        harness_ingress(harness, &frame);
        assert_int_equal(harness->verdict, VERDICT_PASS);
        assert_int_equal(get_flow(harness, &key, &flow), 0);
        assert_int_equal(flow.endpoint, TEST_HASH);
    } while (reuse_over());
    assert_in_range(at, 3, LOOKUPS_MOST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_worker, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_gateway, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_inbound, harness_setup, harness_teardown),
    };

    return cmocka_run_group_tests(tests, harness_network, NULL);
}

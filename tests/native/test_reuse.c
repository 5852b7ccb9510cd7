/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel uses the memory of an entry that is replaced for another one at once. A program that
 * has just looked it up then reads what is another pod's: here after the first look-up of the pod,
 * after the second and so on; the next look-up finds the pod's own again.
 */
#include "tests/bpf/roles.h"

#include <netinet/in.h>
#include <string.h>

#include "native.h"

enum { LOOKUPS_MOST = 20, OTHER_HASH = TEST_HASH ^ 0x5a5a };

static struct {
    struct endpoint *entry; /* whose memory is another's now, NULL: none */
    struct endpoint own;
    uint32_t lookups, at; /* of the pod; 0: never */
} reuse;

/* The other pod is on the same node, and no policy selects it. */
static void on_found(const struct native_map *map, void *value)
{
    if (strcmp(map->name, "endpoints") != 0)
        return;
    if (reuse.entry)
        *reuse.entry = reuse.own;
    reuse.entry = NULL;
    if (++reuse.lookups != reuse.at)
        return;
    reuse.entry = value;
    reuse.own = *reuse.entry;
    reuse.entry->profile = PROFILE_NONE;
    reuse.entry->hash = OTHER_HASH;
}

static void reuse_at(uint32_t lookup)
{
    reuse.lookups = 0;
    reuse.at = lookup;
    reuse.entry = NULL;
    native_kernel.found = on_found;
}

/* Whether there were so many look-ups. */
static bool reuse_over(void)
{
    if (reuse.entry)
        *reuse.entry = reuse.own;
    native_kernel.found = NULL;
    return reuse.lookups >= reuse.at;
}

static void reload(struct harness *harness)
{
    struct datapath_config config = harness_config();

    harness_reload(harness, &config, 65536);
}

/* A new flow leaves by the gateway of its own pod's policy, not as if there were none. */
static void test_worker(void **state)
{
    struct harness *harness = *state;
    uint32_t at = 0;

    do {
        reload(harness);
        harness->ingress_ifindex = (uint32_t)harness->up1; /* forwarded */
        worker_put(harness, NODE_OTHER);
        reuse_at(++at);
        worker_expect_tunnel(harness, &worker_udp_out);
    } while (reuse_over());
    assert_in_range(at, 3, LOOKUPS_MOST);
}

/* A new flow gets the egress IP, and one that is known keeps its port. */
static void test_gateway(void **state)
{
    struct harness *harness = *state;
    struct frame first;
    uint32_t at = 0;

    do {
        reload(harness);
        gateway_put(harness);
        native_kernel.now = (uint64_t)ticks_now() << DATAPATH_TICK_SHIFT;
        reuse_at(++at);
        gateway_receive(harness, &gateway_udp_out);
        assert_true(gateway_let_out(harness));
        first = harness->out;
        reuse_over();
        native_kernel.now += 1 << DATAPATH_TICK_SHIFT; /* so that it is looked at again */
        reuse_at(at);
        gateway_receive(harness, &gateway_udp_out);
        assert_true(gateway_let_out(harness));
        assert_int_equal(harness->out.length, first.length);
        assert_memory_equal(harness->out.data, first.data, first.length);
    } while (reuse_over());
    native_kernel.now = 0;
    assert_in_range(at, 3, LOOKUPS_MOST);
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
        reuse_at(++at);
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

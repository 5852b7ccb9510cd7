// SPDX-License-Identifier: Apache-2.0
/* What routers between the nodes say to fit: learnt, obeyed, and not believed from everybody. */

#include "families.h"

#include <netinet/in.h>

static struct packet_spec datagram(size_t length) /* of the IP packet */
{
    return (struct packet_spec){
        .source = POD,
        .destination = SERVER,
        .protocol = IPPROTO_UDP,
        .source_port = 40000,
        .destination_port = 53,
        .fragment = DO_NOT_FRAGMENT,
        .payload = length - 28,
    };
}

/* An error of a router about a packet of the tunnel from this node to that other one. */
static void tell(struct harness *harness, const char *own, const char *other, uint32_t mtu)
{
    struct ip_addr address = address_of(own);
    int v6 = !ip_addr_is_v4(&address);
    struct packet_spec inside = datagram(1000), error = {
                                                    .source = v6 ? "fd00::fe" : "10.0.0.254",
                                                    .destination = own,
                                                    .protocol = v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP,
                                                    .icmp_type = v6 ? 2 : 3,
                                                };
    struct frame about, frame;

    frame_build(&about, mac_router, mac_uplink, &inside);
    frame_encapsulate(&about, mac_router, mac_uplink, own, other, 7, 50000, TEST_VNI);
    frame_build_error(&frame, mac_uplink, mac_router, &error, mtu, &about, 100);
    if (!v6) {
        frame.data[FRAME_ETHERNET + 20 + 1] = 4; /* fragmentation needed */
        frame_fix_icmp_checksum(&frame);
    }
    harness_ingress(harness, &frame);
    assert_int_equal(harness->verdict, VERDICT_PASS);
}

/* The longest packet of the pod that goes into the tunnel. */
static void expect_longest(struct harness *harness, size_t length)
{
    struct packet_spec fits = datagram(length), larger = datagram(length + 1);
    struct frame frame;

    /* Other ports: another flow, whose way is not known from this very moment. */
    fits.source_port = larger.source_port = 40000 + length;
    worker_build(&frame, &fits);
    harness_egress(harness, &frame);
    assert_int_equal(get_counter(harness, COUNT_ENCAPSULATED).packets, 1);
    worker_build(&frame, &larger);
    harness_egress(harness, &frame);
    assert_int_equal(get_counter(harness, DROP_TOO_BIG).packets, 1);
}

static void put_worker(struct harness *harness, const char *gateway)
{
    worker_put(harness, gateway);
    put_node(harness, gateway, NODE_GATEWAY);
}

static void test_a_router_is_obeyed(void **state)
{
    put_worker(*state, NODE_OTHER);
    tell(*state, NODE_OWN, NODE_OTHER, 1400);
    expect_longest(*state, 1350);
}

static void test_a_router_is_obeyed_over_ipv6(void **state)
{
    put_worker(*state, NODE_OTHER6);
    tell(*state, NODE_OWN6, NODE_OTHER6, 1400);
    expect_longest(*state, 1330);
}

static void test_nobody_cuts_below_the_least_mtu_of_ipv6(void **state)
{
    put_worker(*state, NODE_OTHER);
    tell(*state, NODE_OWN, NODE_OTHER, 68);
    expect_longest(*state, 1280);
}

static void test_what_is_about_another_way_changes_nothing(void **state)
{
    put_worker(*state, NODE_OTHER);
    tell(*state, NODE_OWN, "192.0.2.77", 1400);  /* no node */
    tell(*state, "10.0.0.77", NODE_OTHER, 1400); /* not from us */
    expect_longest(*state, 1450);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_router_is_obeyed),
        TEST(test_a_router_is_obeyed_over_ipv6),
        TEST(test_nobody_cuts_below_the_least_mtu_of_ipv6),
        TEST(test_what_is_about_another_way_changes_nothing),
    };

    return cmocka_run_group_tests(tests, harness_network, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Which egress IP a gateway uses, found on the gateway itself: a table of cases. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/planner_objects.h"

struct link_case {
    const char *gateway;           /* behind the slash of scene_policy(), or "" */
    const char *egress4, *egress6; /* NULL: none */
    uint32_t ifindex4, ifindex6;
};

/* eth0 (2) holds the default routes, eth1 (3) several addresses, eth2 (4) IPv6 only, eth3 (5) is
 * down, eth4 (6) has nothing usable. */
static const struct link_case cases[] = {
    {"", "192.0.2.2", "2001:db8:2::1", 2, 4},
    {"/eth0", "192.0.2.2", "2001:db8::2", 2, 2},
    {"/eth1", "192.0.2.31", "2001:db8:1::1", 3, 3},
    {"/eth2", NULL, "2001:db8:2::1", 0, 4},
    {"/eth3", NULL, NULL, 0, 0},
    {"/eth4", NULL, NULL, 0, 0},
    {"/eth9", NULL, NULL, 0, 0},
    {"/192.0.2.2", "192.0.2.2", "2001:db8::2", 2, 2},
    {"/192.0.2.32", "192.0.2.32", "2001:db8:1::1", 3, 3},
    {"/2001:db8:1::2", "192.0.2.31", "2001:db8:1::2", 3, 3},
    {"/2001:db8:2::1", NULL, "2001:db8:2::1", 0, 4},
    {"/192.0.2.5", NULL, NULL, 0, 0},  /* on eth3, which is down */
    {"/192.0.2.6", NULL, NULL, 0, 0},  /* on eth4, not usable */
    {"/192.0.2.99", NULL, NULL, 0, 0}, /* nowhere */
};

static void add_links(struct scene *scene)
{
    struct object links[] = {
        scene_link(scene, 2, "eth0", "fe80::2 192.0.2.2 2001:db8::2"),
        scene_link(scene, 3, "eth1", "192.0.2.31 192.0.2.32 2001:db8:1::1 2001:db8:1::2"),
        scene_link(scene, 4, "eth2", "2001:db8:2::1"),
        scene_link(scene, 5, "eth3", "192.0.2.5 2001:db8:3::1"),
        scene_link(scene, 6, "eth4", "192.0.2.6 2001:db8:4::1"),
    };

    links[0].link.addresses[0].usable = false;
    links[0].link.default_route_v4 = true;
    links[2].link.default_route_v6 = true;
    links[3].link.up = false;
    links[4].link.addresses[0].usable = links[4].link.addresses[1].usable = false;
    for (size_t i = 0; i < ARRAY_SIZE(links); i++)
        scene_apply(scene, &links[i]);
}

static void add_objects(struct scene *scene, const char *gateway, const char *node_labels)
{
    char text[64];

    snprintf(text, sizeof(text), "g=1%s", gateway);
    struct object node = scene_node(scene, "self", "172.16.0.1", node_labels);
    struct object other = scene_node(scene, "other", "172.16.0.2", "");
    struct object pod = scene_pod(scene, "uid", "10.0.0.1", "");
    struct object policy = scene_policy(scene, "p", "", "0.0.0.0/0 ::/0", text);

    scene_apply(scene, &node);
    scene_apply(scene, &other);
    scene_apply(scene, &pod);
    scene_apply(scene, &policy);
}

static void expect_egress(struct scene *scene, const char *prefix, const char *egress,
                          uint32_t ifindex)
{
    const struct gateway *gateway =
        scene_gateway(scene, scene_endpoint_route(scene, "10.0.0.1", prefix), 0);
    struct ip_addr expected = egress ? scene_address(egress) : (struct ip_addr){0};
    uint32_t flags = GATEWAY_LOCAL;

    assert_memory_equal(&gateway->egress, &expected, sizeof(expected));
    assert_int_equal(gateway->ifindex, ifindex);
    /* Those of the default routes are the node's own connections' too. */
    if (egress && strcmp(egress, "192.0.2.2") != 0 && strcmp(egress, "2001:db8:2::1") != 0)
        flags |= GATEWAY_DEDICATED;
    assert_int_equal(gateway->flags, flags);
}

static void expect_case(struct scene *scene, const struct link_case *it)
{
    expect_egress(scene, "0.0.0.0/0", it->egress4, it->ifindex4);
    expect_egress(scene, "::/0", it->egress6, it->ifindex6);
}

static void test_resolution(void **state _unused_)
{
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct scene scene;

        scene_start(&scene, "10.0.0.0/8");
        add_links(&scene);
        add_objects(&scene, cases[i].gateway, "g=1");
        expect_case(&scene, &cases[i]);
        scene_stop(&scene);
    }
}

static void test_links_come_last(void **state _unused_)
{
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct scene scene;

        scene_start(&scene, "10.0.0.0/8");
        add_objects(&scene, cases[i].gateway, "g=1");
        expect_case(&scene, &(struct link_case){0});
        add_links(&scene);
        expect_case(&scene, &cases[i]);
        scene_stop(&scene);
    }
}

static void test_only_on_the_gateway(void **state _unused_)
{
    struct scene scene;

    scene_start(&scene, "10.0.0.0/8");
    add_links(&scene);
    add_objects(&scene, "/eth0", "");
    struct object gateway = scene_node(&scene, "g", "172.16.0.3", "g=1");

    scene_apply(&scene, &gateway);
    const struct gateway *entry =
        scene_gateway(&scene, scene_endpoint_route(&scene, "10.0.0.1", "0.0.0.0/0"), 0);

    assert_true(ip_addr_is_none(&entry->egress));
    assert_int_equal(entry->ifindex, 0);
    assert_int_equal(entry->flags, 0);
    assert_false(plan_needs_all_pods(scene.plan));
    scene_stop(&scene);
}

/* An address that comes, goes and comes back; each loss is said once. */
static void test_address_goes(void **state _unused_)
{
    struct scene scene;

    scene_start(&scene, "10.0.0.0/8");
    add_links(&scene);
    add_objects(&scene, "/192.0.2.32", "g=1");
    struct object link = scene_link(&scene, 3, "eth1", "192.0.2.31 2001:db8:1::1");
    struct object whole =
        scene_link(&scene, 3, "eth1", "192.0.2.31 192.0.2.32 2001:db8:1::1 2001:db8:1::2");

    struct object six = scene_pod(&scene, "six", "2001:db8:9::1", "");

    scene_apply(&scene, &six);
    expect_egress(&scene, "0.0.0.0/0", "192.0.2.32", 3);
    scene_forget_log(&scene);
    scene_apply(&scene, &link);
    expect_egress(&scene, "0.0.0.0/0", NULL, 0);
    expect_egress(&scene, "::/0", NULL, 0);
    assert_int_equal(scene_logged(&scene, "warning"), 2); /* one for each family */
    assert_int_equal(scene_logged(&scene, "field=spec.egressGateway.egressIP"), 2);
    assert_int_equal(scene_logged(&scene, "egress-ip=192.0.2.32"), 2);
    link.link.default_route_v4 = true;
    scene_apply(&scene, &link);
    plan_update(scene.plan);
    assert_int_equal(scene_logged(&scene, "warning"), 2);
    scene_apply(&scene, &whole);
    expect_egress(&scene, "0.0.0.0/0", "192.0.2.32", 3);
    assert_int_equal(scene_logged(&scene, "again"), 2);
    scene_remove(&scene, &whole);
    expect_egress(&scene, "0.0.0.0/0", NULL, 0);
    scene_stop(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resolution),
        cmocka_unit_test(test_links_come_last),
        cmocka_unit_test(test_only_on_the_gateway),
        cmocka_unit_test(test_address_goes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

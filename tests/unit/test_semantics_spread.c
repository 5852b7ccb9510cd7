/* SPDX-License-Identifier: Apache-2.0 */
/* How the endpoints of a policy are spread over its gateways, and which of them move: seen at the
 * endpoints, on several nodes that do not talk to each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/planner_objects.h"

enum { ENDPOINTS = 4096, NODES = 10 };

/* The gateway's number (of 172.16.0.N) that each endpoint has. */
struct choice {
    uint8_t gateways[ENDPOINTS];
};

static void add_nodes(struct scene *scene)
{
    char name[32], address[32], labels[32];

    for (int i = 1; i <= NODES; i++) {
        snprintf(name, sizeof(name), "node-%d", i);
        snprintf(address, sizeof(address), "172.16.0.%d", i);
        snprintf(labels, sizeof(labels), "g=%d", i);
        struct object node = scene_node(scene, name, address, labels);

        scene_apply(scene, &node);
    }
}

static void add_pods(struct scene *scene)
{
    char uid[64], address[32];

    for (unsigned i = 0; i < ENDPOINTS; i++) {
        snprintf(uid, sizeof(uid), "7d4f0c2a-%04x-4b8e-9c3d-1f6e5a9b%04x", i * 2654435761U >> 16,
                 i);
        snprintf(address, sizeof(address), "10.%u.%u.%u", i / 65536, i / 256 % 256, i % 256);
        struct object pod = scene_pod(scene, uid, address, "");

        scene_apply(scene, &pod);
    }
}

static void start(struct scene *scene)
{
    struct object self;

    scene_start(scene, "10.0.0.0/8");
    self = scene_node(scene, "self", "172.16.0.99", "");
    scene_apply(scene, &self);
    add_nodes(scene);
    add_pods(scene);
}

static void set_gateways(struct scene *scene, const char *gateways)
{
    struct object policy = scene_policy(scene, "p", "", "192.0.2.0/24", gateways);

    scene_apply(scene, &policy);
}

static void choose(struct scene *scene, struct choice *choice)
{
    char address[32];

    plan_update(scene->plan);
    for (unsigned i = 0; i < ENDPOINTS; i++) {
        const struct endpoint *endpoint;
        const struct route *route;

        snprintf(address, sizeof(address), "10.%u.%u.%u", i / 65536, i / 256 % 256, i % 256);
        endpoint = scene_endpoint(scene, address);
        route = scene_route(scene, endpoint->profile, "192.0.2.0/24");
        choice->gateways[i] =
            scene_gateway(scene, route, endpoint->hash % route->slots)->node.bytes[15];
    }
}

static unsigned count_of(const struct choice *choice, unsigned gateway)
{
    unsigned count = 0;

    for (unsigned i = 0; i < ENDPOINTS; i++)
        count += choice->gateways[i] == gateway;
    return count;
}

static unsigned count_moved(const struct choice *before, const struct choice *after)
{
    unsigned moved = 0;

    for (unsigned i = 0; i < ENDPOINTS; i++)
        moved += before->gateways[i] != after->gateways[i];
    return moved;
}

/* Within a tenth of the even share, and what chance adds with so many endpoints. */
static void expect_share(unsigned count, double share)
{
    assert_true(count > ENDPOINTS * share * 0.85);
    assert_true(count < ENDPOINTS * share * 1.15);
}

static void test_even_shares(void **state _unused_)
{
    struct scene scene;
    struct choice choice;

    start(&scene);
    set_gateways(&scene, "g=1 g=2 g=3 g=4 g=5");
    choose(&scene, &choice);
    for (unsigned i = 1; i <= 5; i++)
        expect_share(count_of(&choice, i), 1.0 / 5);
    scene_stop(&scene);
}

static void test_two_entries_on_one_node(void **state _unused_)
{
    struct scene scene;
    struct choice choice;

    start(&scene);
    set_gateways(&scene, "g=1/192.0.2.1 g=1/192.0.2.2 g=2");
    choose(&scene, &choice);
    expect_share(count_of(&choice, 1), 2.0 / 3);
    expect_share(count_of(&choice, 2), 1.0 / 3);
    set_gateways(&scene, "g=1 g=2 g=1"); /* the same entry twice counts twice */
    choose(&scene, &choice);
    expect_share(count_of(&choice, 1), 2.0 / 3);
    scene_stop(&scene);
}

static void test_added_at_the_end(void **state _unused_)
{
    struct scene scene;
    struct choice before, after;

    start(&scene);
    set_gateways(&scene, "g=1 g=2 g=3");
    choose(&scene, &before);
    set_gateways(&scene, "g=1 g=2 g=3 g=4");
    choose(&scene, &after);
    for (unsigned i = 0; i < ENDPOINTS; i++)
        assert_true(before.gateways[i] == after.gateways[i] || after.gateways[i] == 4);
    expect_share(count_moved(&before, &after), 1.0 / 4);
    set_gateways(&scene, "g=1 g=2 g=3");
    choose(&scene, &after);
    assert_int_equal(count_moved(&before, &after), 0);
    scene_stop(&scene);
}

static void set_ready(struct scene *scene, const char *name, const char *address,
                      const char *labels, bool ready)
{
    struct object node = scene_node(scene, name, address, labels);

    node.node.ready = ready;
    scene_apply(scene, &node);
}

static void expect_only_moved(const struct choice *before, const struct choice *after,
                              unsigned lost)
{
    for (unsigned i = 0; i < ENDPOINTS; i++) {
        assert_true(before->gateways[i] == after->gateways[i] || before->gateways[i] == lost);
        assert_int_not_equal(after->gateways[i], lost);
    }
}

/* Its endpoints, and theirs alone, go to the others in even shares, and come back with it. */
static void test_lost_gateway(void **state _unused_)
{
    struct scene scene;
    struct choice before, after;

    start(&scene);
    set_gateways(&scene, "g=1 g=2 g=3 g=4");
    choose(&scene, &before);
    set_ready(&scene, "node-2", "172.16.0.2", "g=2", false);
    choose(&scene, &after);
    expect_only_moved(&before, &after, 2);
    expect_share(count_of(&after, 1), 1.0 / 3);
    expect_share(count_of(&after, 3), 1.0 / 3);
    expect_share(count_of(&after, 4), 1.0 / 3);
    set_ready(&scene, "node-2", "172.16.0.2", "g=2", true);
    choose(&scene, &after);
    assert_int_equal(count_moved(&before, &after), 0);
    struct object node = scene_node(&scene, "node-2", "172.16.0.2", "g=2");

    scene_remove(&scene, &node);
    choose(&scene, &after);
    expect_only_moved(&before, &after, 2);
    scene_stop(&scene);
}

/* A node that takes another's place in an entry has exactly its endpoints. */
static void test_replaced_node(void **state _unused_)
{
    struct scene scene;
    struct choice before, after;

    start(&scene);
    set_gateways(&scene, "g=1 g=2 g=3");
    choose(&scene, &before);
    set_ready(&scene, "node-2", "172.16.0.2", "", true);
    set_ready(&scene, "node-7", "172.16.0.7", "g=2", true);
    choose(&scene, &after);
    for (unsigned i = 0; i < ENDPOINTS; i++)
        assert_int_equal(after.gateways[i], before.gateways[i] == 2 ? 7 : before.gateways[i]);
    scene_stop(&scene);
}

/* Taken out of the list, wherever it stood: its own endpoints move, and few others. */
static void test_removed_from_the_list(void **state _unused_)
{
    static const char *const shorter[] = {"g=2 g=3 g=4 g=5", "g=1 g=3 g=4 g=5", "g=1 g=2 g=4 g=5",
                                          "g=1 g=2 g=3 g=5", "g=1 g=2 g=3 g=4"};
    struct scene scene;
    struct choice before, after;

    start(&scene);
    set_gateways(&scene, "g=1 g=2 g=3 g=4 g=5");
    choose(&scene, &before);
    for (size_t i = 0; i < ARRAY_SIZE(shorter); i++) {
        set_gateways(&scene, shorter[i]);
        choose(&scene, &after);
        assert_in_range(count_moved(&before, &after), ENDPOINTS / 6, ENDPOINTS * 2 / 5);
        assert_int_equal(count_of(&after, i + 1), 0);
    }
    scene_stop(&scene);
}

/* Whatever else a node knows, and in whatever order it came, endpoints have the same gateway. */
static void test_same_on_every_node(void **state _unused_)
{
    struct scene first, second;
    struct choice one, other;

    start(&first);
    set_gateways(&first, "g=1 g=2 g=3");
    choose(&first, &one);
    scene_start(&second, "10.0.0.0/8");
    set_gateways(&second, "g=9");
    add_pods(&second);
    plan_update(second.plan);
    add_nodes(&second);
    struct object self = scene_node(&second, "self", "172.16.0.3", "g=3");

    set_gateways(&second, "g=1 g=2 g=3");
    struct object gone = scene_node(&second, "node-3", "172.16.0.3", "g=3");

    scene_remove(&second, &gone);
    scene_apply(&second, &self); /* this node is the third gateway */
    choose(&second, &other);
    assert_int_equal(count_moved(&one, &other), 0);
    scene_stop(&first);
    scene_stop(&second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_even_shares),        cmocka_unit_test(test_two_entries_on_one_node),
        cmocka_unit_test(test_added_at_the_end),   cmocka_unit_test(test_lost_gateway),
        cmocka_unit_test(test_replaced_node),      cmocka_unit_test(test_removed_from_the_list),
        cmocka_unit_test(test_same_on_every_node),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

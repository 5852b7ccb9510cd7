/* SPDX-License-Identifier: Apache-2.0 */
/* Slots of gateway groups: shares, and what moves when entries come and go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "planner/slots.h"
#include "planner/stable_hash.h"
#include "tests/unit/planner_objects.h"

struct shares {
    unsigned of[LIMIT_GATEWAYS], least, most;
};

/* What entries of a list have; any numbers do. */
static uint64_t identities[LIMIT_GATEWAYS];

static void all_in_use(bool *in_use)
{
    for (int i = 0; i < LIMIT_GATEWAYS; i++)
        in_use[i] = true;
}

static struct shares count_shares(const uint8_t *slots, size_t count, const bool *in_use)
{
    struct shares shares = {.least = GATEWAY_SLOTS};

    for (int i = 0; i < GATEWAY_SLOTS; i++) {
        assert_in_range(slots[i], 0, count - 1);
        assert_true(in_use[slots[i]]);
        shares.of[slots[i]]++;
    }
    for (size_t i = 0; i < count; i++) {
        if (!in_use[i])
            continue;
        shares.least = shares.of[i] < shares.least ? shares.of[i] : shares.least;
        shares.most = shares.of[i] > shares.most ? shares.of[i] : shares.most;
    }
    return shares;
}

static unsigned count_moved(const uint8_t *before, const uint8_t *after)
{
    unsigned moved = 0;

    for (int i = 0; i < GATEWAY_SLOTS; i++)
        moved += before[i] != after[i];
    return moved;
}

static void test_shares(void **state _unused_)
{
    bool in_use[LIMIT_GATEWAYS];
    uint8_t slots[GATEWAY_SLOTS];

    all_in_use(in_use);
    for (size_t count = 1; count <= LIMIT_GATEWAYS; count++) {
        slots_fill(count, identities, in_use, slots);
        struct shares shares = count_shares(slots, count, in_use);

        assert_in_range(shares.most - shares.least, 0, 1);
    }
}

/* An entry at the end takes its share, and nothing moves between the others. */
static void test_append(void **state _unused_)
{
    uint8_t before[GATEWAY_SLOTS], after[GATEWAY_SLOTS];
    bool in_use[LIMIT_GATEWAYS];

    all_in_use(in_use);
    for (size_t count = 1; count < LIMIT_GATEWAYS; count++) {
        slots_fill(count, identities, in_use, before);
        slots_fill(count + 1, identities, in_use, after);
        for (int i = 0; i < GATEWAY_SLOTS; i++)
            assert_true(before[i] == after[i] || after[i] == count);
        assert_int_equal(count_moved(before, after), GATEWAY_SLOTS / (count + 1));
    }
}

/* The first loss moves only the slots of the lost entry, and its return brings them back. */
static void test_first_loss(void **state _unused_)
{
    uint8_t before[GATEWAY_SLOTS], after[GATEWAY_SLOTS];
    bool in_use[LIMIT_GATEWAYS];

    for (size_t count = 2; count <= LIMIT_GATEWAYS; count++)
        for (size_t lost = 0; lost < count; lost++) {
            all_in_use(in_use);
            slots_fill(count, identities, in_use, before);
            in_use[lost] = false;
            slots_fill(count, identities, in_use, after);
            for (int i = 0; i < GATEWAY_SLOTS; i++)
                assert_true(before[i] == after[i] || before[i] == lost);
            struct shares shares = count_shares(after, count, in_use);

            assert_in_range(shares.most - shares.least, 0, 1);
        }
}

/* Further losses move little beyond what must move. */
static void test_more_losses(void **state _unused_)
{
    uint64_t random = 7, lost_slots = 0, moved_slots = 0;

    for (int round = 0; round < 300; round++) {
        uint8_t before[GATEWAY_SLOTS], after[GATEWAY_SLOTS];
        size_t count = 3 + stable_hash_mix(random++) % (LIMIT_GATEWAYS - 2), left = count;
        bool in_use[LIMIT_GATEWAYS];

        all_in_use(in_use);
        slots_fill(count, identities, in_use, before);
        while (left > 1) {
            size_t lost = stable_hash_mix(random++) % count;

            if (!in_use[lost])
                continue;
            lost_slots += count_shares(before, count, in_use).of[lost];
            in_use[lost] = false;
            left--;
            slots_fill(count, identities, in_use, after);
            struct shares shares = count_shares(after, count, in_use);

            assert_in_range(shares.most - shares.least, 0, 1);
            moved_slots += count_moved(before, after);
            memcpy(before, after, sizeof(before));
        }
    }
    assert_in_range(moved_slots, lost_slots, lost_slots * 2);
}

/* Every node must come to the same table, in every version: these sums never change. */
static void test_never_changes(void **state _unused_)
{
    static const struct {
        size_t count;
        int lost;
        uint64_t sum;
    } cases[] = {
        {1, -1, 0x51d88627df287325}, {2, -1, 0xbea2846c54be9e19},  {3, -1, 0x14eafafd10aa934c},
        {3, 1, 0xf464d1da865488d},   {64, -1, 0xdfe20e6426da6165}, {64, 17, 0x5907d49950d79b6f},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        bool in_use[LIMIT_GATEWAYS];
        uint8_t slots[GATEWAY_SLOTS];

        all_in_use(in_use);
        if (cases[i].lost >= 0)
            in_use[cases[i].lost] = false;
        slots_fill(cases[i].count, identities, in_use, slots);
        assert_int_equal(stable_hash_bytes(STABLE_HASH_START, slots, sizeof(slots)), cases[i].sum);
    }
}

static void add_gateway_nodes(struct scene *scene)
{
    struct object nodes[] = {
        scene_node(scene, "self", "172.16.0.9", ""), scene_node(scene, "g1", "172.16.0.1", "g=1"),
        scene_node(scene, "g2", "172.16.0.2", "g=2"), scene_node(scene, "g3", "172.16.0.3", "g=3")};

    for (size_t i = 0; i < ARRAY_SIZE(nodes); i++)
        scene_apply(scene, &nodes[i]);
}

static void expect_node(const struct gateway *gateway, const char *address)
{
    struct ip_addr expected = scene_address(address);

    assert_memory_equal(&gateway->node, &expected, sizeof(expected));
}

/* Equal lists share a group; one gateway has one slot; a list of two has all. */
static void test_groups_are_shared(void **state _unused_)
{
    struct scene scene;

    scene_start(&scene, "10.0.0.0/8");
    add_gateway_nodes(&scene);
    struct object pod = scene_pod(&scene, "uid", "10.0.0.1", "app=a");
    struct object one = scene_policy(&scene, "one", "", "192.0.2.0/24", "g=1");
    struct object same = scene_policy(&scene, "same", "", "198.51.100.0/24", "g=1,none");
    struct object two = scene_policy(&scene, "two", "", "203.0.113.0/24", "g=1 g=2");

    scene_apply(&scene, &pod);
    scene_apply(&scene, &one);
    scene_apply(&scene, &same);
    scene_apply(&scene, &two);
    const struct route *first = scene_endpoint_route(&scene, "10.0.0.1", "192.0.2.0/24");
    const struct route *second = scene_endpoint_route(&scene, "10.0.0.1", "198.51.100.0/24");
    const struct route *third = scene_endpoint_route(&scene, "10.0.0.1", "203.0.113.0/24");

    assert_int_equal(first->slots, 1);
    assert_int_equal(first->group, second->group);
    assert_int_not_equal(first->policy, second->policy);
    expect_node(scene_gateway(&scene, first, 0), "172.16.0.1");
    assert_int_equal(third->slots, GATEWAY_SLOTS);
    assert_int_equal(desired_count(&scene.plan->desired, TABLE_GATEWAYS), 1 + GATEWAY_SLOTS);
    assert_int_equal(scene_node_entry(&scene, "172.16.0.1")->flags, NODE_GATEWAY);
    assert_int_equal(scene_node_entry(&scene, "172.16.0.3")->flags, 0);
    assert_int_equal(scene_node_entry(&scene, "172.16.0.9")->flags, NODE_SELF);
    scene_remove(&scene, &two);
    assert_null(scene_endpoint_route(&scene, "10.0.0.1", "203.0.113.0/24"));
    assert_int_equal(desired_count(&scene.plan->desired, TABLE_GATEWAYS), 1);
    assert_int_equal(scene_node_entry(&scene, "172.16.0.2")->flags, 0);
    scene_stop(&scene);
}

/* The first Ready node by name; the first where none is Ready; entries that are not Ready are left
 * out while another one is; no node at all: dropped. */
static void test_choice(void **state _unused_)
{
    struct scene scene;

    scene_start(&scene, "10.0.0.0/8");
    add_gateway_nodes(&scene);
    struct object pod = scene_pod(&scene, "uid", "10.0.0.1", "app=a");
    struct object policy = scene_policy(&scene, "p", "", "192.0.2.0/24", "g");
    struct object g1 = scene_node(&scene, "g1", "172.16.0.1", "g=1");
    struct object g2 = scene_node(&scene, "g2", "172.16.0.2", "g=2");
    struct object g3 = scene_node(&scene, "g3", "172.16.0.3", "g=3");

    scene_apply(&scene, &pod);
    scene_apply(&scene, &policy);
#define ROUTE() scene_endpoint_route(&scene, "10.0.0.1", "192.0.2.0/24")
    expect_node(scene_gateway(&scene, ROUTE(), 0), "172.16.0.1");
    g1.node.ready = false;
    scene_apply(&scene, &g1);
    expect_node(scene_gateway(&scene, ROUTE(), 0), "172.16.0.2");
    assert_int_equal(scene_node_entry(&scene, "172.16.0.1")->flags, NODE_NOT_READY);
    assert_int_equal(scene_node_entry(&scene, "172.16.0.2")->flags, NODE_GATEWAY);
    g2.node.ready = g3.node.ready = false;
    scene_apply(&scene, &g2);
    scene_apply(&scene, &g3);
    expect_node(scene_gateway(&scene, ROUTE(), 0), "172.16.0.1");

    policy = scene_policy(&scene, "p", "", "192.0.2.0/24", "g=1 g=2");
    scene_apply(&scene, &policy);
    assert_int_equal(ROUTE()->slots, GATEWAY_SLOTS);
    g2.node.ready = true;
    scene_apply(&scene, &g2);
    assert_int_equal(ROUTE()->slots, 1);
    expect_node(scene_gateway(&scene, ROUTE(), 0), "172.16.0.2");
    g2.node.internal_count = 0;
    scene_apply(&scene, &g2);
    expect_node(scene_gateway(&scene, ROUTE(), 0), "172.16.0.1");
    scene_remove(&scene, &g1);
    assert_int_equal(ROUTE()->action, ROUTE_NO_GATEWAY);
    assert_int_equal(ROUTE()->group, 0);
    assert_int_equal(desired_count(&scene.plan->desired, TABLE_GATEWAYS), 0);
    scene_stop(&scene);
}

/* IPv4 between two nodes that have it, else IPv6; a gateway without a common family is none. */
static void test_tunnel_family(void **state _unused_)
{
    struct scene scene;

    scene_start(&scene, "10.0.0.0/8");
    struct object self = scene_node(&scene, "self", "2001:db8::9 172.16.0.9", "");
    struct object gateway = scene_node(&scene, "g1", "2001:db8::1 172.16.0.1", "g=1");
    struct object other = scene_pod(&scene, "uid", "10.0.0.1", "");
    struct object policy = scene_policy(&scene, "p", "", "192.0.2.0/24", "g=1");

    scene_apply(&scene, &self);
    scene_apply(&scene, &gateway);
    scene_apply(&scene, &other);
    scene_apply(&scene, &policy);
    expect_node(scene_gateway(&scene, ROUTE(), 0), "172.16.0.1");
    gateway = scene_node(&scene, "g1", "2001:db8::1", "g=1");
    scene_apply(&scene, &gateway);
    expect_node(scene_gateway(&scene, ROUTE(), 0), "2001:db8::1");
    gateway = scene_node(&scene, "g1", "2001:db8::1 172.16.0.1", "g=1");
    self = scene_node(&scene, "self", "2001:db8::9", "");
    scene_apply(&scene, &gateway);
    scene_apply(&scene, &self);
    expect_node(scene_gateway(&scene, ROUTE(), 0), "2001:db8::1");
    gateway = scene_node(&scene, "g1", "172.16.0.1", "g=1");
    scene_apply(&scene, &gateway);
    assert_int_equal(ROUTE()->action, ROUTE_NO_GATEWAY);
    scene_stop(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shares),        cmocka_unit_test(test_append),
        cmocka_unit_test(test_first_loss),    cmocka_unit_test(test_more_losses),
        cmocka_unit_test(test_never_changes), cmocka_unit_test(test_groups_are_shared),
        cmocka_unit_test(test_choice),        cmocka_unit_test(test_tunnel_family),
    };

    for (size_t i = 0; i < LIMIT_GATEWAYS; i++)
        identities[i] = stable_hash_mix(i + 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

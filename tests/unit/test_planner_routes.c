/* SPDX-License-Identifier: Apache-2.0 */
/* Which policy decides about a prefix, and the routes of the reserved profiles. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/planner_objects.h"

static void start(struct scene *scene)
{
    scene_start(scene, "10.0.0.0/8");
    struct object nodes[] = {scene_node(scene, "self", "172.16.0.9", ""),
                             scene_node(scene, "g1", "172.16.0.1", "g=1"),
                             scene_node(scene, "g2", "172.16.0.2", "g=2")};
    struct object pod = scene_pod(scene, "uid", "10.0.0.1", "app=a");

    for (size_t i = 0; i < ARRAY_SIZE(nodes); i++)
        scene_apply(scene, &nodes[i]);
    scene_apply(scene, &pod);
}

static struct object make_policy(struct scene *scene, const char *name, int64_t created,
                                 const char *destinations, const char *excluded)
{
    struct object object = scene_policy(scene, name, "", destinations, "g=1");

    object.policy.created = created;
    object.policy.excluded = scene_prefixes(scene, excluded, &object.policy.excluded_count);
    return object;
}

static const struct route *route_of(struct scene *scene, const char *prefix)
{
    return scene_endpoint_route(scene, "10.0.0.1", prefix);
}

static void expect_decides(struct scene *scene, const char *prefix, const char *name,
                           enum route_action action)
{
    const struct route *route = route_of(scene, prefix);

    assert_non_null(route);
    assert_int_equal(route->action, action);
    const struct plan_policy *policy = scene->plan->policy_numbers.items[route->policy - 1];

    assert_true(text_equal(strings_text(&scene->plan->strings, policy->name), text_of(name)));
}

static void test_excluded_wins_inside(void **state _unused_)
{
    struct scene scene;

    start(&scene);
    struct object policy = make_policy(&scene, "p", 1, "192.0.2.0/24 0.0.0.0/0", "192.0.2.0/24");

    scene_apply(&scene, &policy);
    expect_decides(&scene, "192.0.2.0/24", "p", ROUTE_EXCLUDED);
    expect_decides(&scene, "0.0.0.0/0", "p", ROUTE_GATEWAY);
    policy.policy.excluded_count = 0;
    scene_apply(&scene, &policy);
    expect_decides(&scene, "192.0.2.0/24", "p", ROUTE_GATEWAY);
    policy.policy.destination_count = 1;
    scene_apply(&scene, &policy);
    assert_null(route_of(&scene, "0.0.0.0/0"));
    scene_stop(&scene);
}

/* The older policy, then the smaller name; for destinations and excluded prefixes alike. */
static void test_between_policies(void **state _unused_)
{
    struct scene scene;

    start(&scene);
    struct object old = make_policy(&scene, "z-old", 1, "192.0.2.0/24", "198.51.100.0/24");
    struct object young =
        make_policy(&scene, "a-young", 2, "198.51.100.0/24 203.0.113.0/24", "192.0.2.0/24");
    struct object twin = make_policy(&scene, "b-young", 2, "203.0.113.0/24", "");

    scene_apply(&scene, &twin);
    scene_apply(&scene, &young);
    expect_decides(&scene, "203.0.113.0/24", "a-young", ROUTE_GATEWAY);
    expect_decides(&scene, "192.0.2.0/24", "a-young", ROUTE_EXCLUDED);
    scene_apply(&scene, &old);
    expect_decides(&scene, "192.0.2.0/24", "z-old", ROUTE_GATEWAY);
    expect_decides(&scene, "198.51.100.0/24", "z-old", ROUTE_EXCLUDED);
    old.policy.created = 3;
    scene_apply(&scene, &old);
    expect_decides(&scene, "192.0.2.0/24", "a-young", ROUTE_EXCLUDED);
    expect_decides(&scene, "198.51.100.0/24", "a-young", ROUTE_GATEWAY);
    scene_remove(&scene, &young);
    expect_decides(&scene, "192.0.2.0/24", "z-old", ROUTE_GATEWAY);
    expect_decides(&scene, "203.0.113.0/24", "b-young", ROUTE_GATEWAY);
    scene_stop(&scene);
}

/* The loser is named once, and again only after the conflict was over. */
static void test_conflict_is_reported(void **state _unused_)
{
    struct scene scene;

    start(&scene);
    struct object first = make_policy(&scene, "first", 1, "0.0.0.0/0 192.0.2.0/24", "");
    struct object second = make_policy(&scene, "second", 2, "0.0.0.0/0 192.0.2.0/24", "");
    struct object third = make_policy(&scene, "third", 3, "198.51.100.0/24", "");
    struct object pod = scene_pod(&scene, "uid-2", "10.0.0.2", "app=b");

    third.policy.rules[0].pods = scene_selector(&scene, "app=b");
    scene_apply(&scene, &first);
    scene_apply(&scene, &second);
    plan_update(scene.plan);
    assert_int_equal(scene_logged(&scene, "policy=second decides=first"), 1);
    scene_apply(&scene, &pod); /* another profile with the same conflict */
    scene_apply(&scene, &third);
    plan_update(scene.plan);
    assert_int_equal(scene_logged(&scene, "decides="), 1);
    scene_remove(&scene, &first);
    plan_update(scene.plan);
    assert_int_equal(scene_logged(&scene, "decides="), 1);
    scene_apply(&scene, &first);
    plan_update(scene.plan);
    assert_int_equal(scene_logged(&scene, "policy=second decides=first"), 2);
    scene_stop(&scene);
}

/* Routes only for profiles that an endpoint here has; none for PROFILE_NONE. */
static void test_routes_only_where_used(void **state _unused_)
{
    struct scene scene;

    start(&scene);
    struct object policy = make_policy(&scene, "p", 1, "192.0.2.0/24", "");
    struct object remote = scene_pod(&scene, "uid-2", "10.0.0.2", "remote=1");

    policy.policy.rules[0].pods = scene_selector(&scene, "remote=1");
    remote.pod.node = TEXT("g2");
    scene_apply(&scene, &policy);
    scene_apply(&scene, &remote);
    assert_int_equal(scene_endpoint(&scene, "10.0.0.1")->profile, PROFILE_NONE);
    assert_null(scene_endpoint(&scene, "10.0.0.2"));
    assert_int_equal(desired_count(&scene.plan->desired, TABLE_GATEWAYS), 0);
    remote.pod.node = TEXT("self");
    scene_apply(&scene, &remote);
    assert_non_null(scene_endpoint_route(&scene, "10.0.0.2", "192.0.2.0/24"));
    assert_int_equal(desired_count(&scene.plan->desired, TABLE_GATEWAYS), 1);
    scene_stop(&scene);
}

static void test_covered(void **state _unused_)
{
    struct scene scene;

    start(&scene);
    struct object one = make_policy(&scene, "one", 1, "192.0.2.0/24", "198.51.100.0/24");
    struct object two = make_policy(&scene, "two", 1, "192.0.2.0/24 ::/0", "");

    two.policy.rules[0].pods = scene_selector(&scene, "nobody=1");
    scene_apply(&scene, &one);
    scene_apply(&scene, &two);
    assert_int_equal(scene_route(&scene, PROFILE_COVERED, "192.0.2.0/24")->action, ROUTE_COVERED);
    assert_non_null(scene_route(&scene, PROFILE_COVERED, "::/0"));
    assert_null(scene_route(&scene, PROFILE_COVERED, "198.51.100.0/24"));
    scene_remove(&scene, &one);
    assert_non_null(scene_route(&scene, PROFILE_COVERED, "192.0.2.0/24"));
    scene_remove(&scene, &two);
    assert_null(scene_route(&scene, PROFILE_COVERED, "192.0.2.0/24"));
    scene_stop(&scene);
}

/* Nodes' addresses and ranges; whether the ranges tell which sources are pods. */
static void test_cluster_and_pod_ranges(void **state _unused_)
{
    struct scene scene;

    scene_start(&scene, NULL);
    struct object self = scene_node(&scene, "self", "172.16.0.9", "");
    struct object other = scene_node(&scene, "other", "172.16.0.8", "");

    assert_true(plan_needs_all_pods(scene.plan));
    self.node.others = scene_addresses(&scene, "203.0.113.9", &self.node.other_count);
    self.node.pod_cidrs = scene_prefixes(&scene, "10.1.0.0/24", &self.node.pod_cidr_count);
    scene_apply(&scene, &self);
    assert_int_equal(scene_settings(&scene)->flags, SETTINGS_POD_RANGES_KNOWN);
    assert_false(plan_needs_all_pods(scene.plan));
    assert_int_equal(scene_route(&scene, PROFILE_CLUSTER, "172.16.0.9/32")->action, ROUTE_CLUSTER);
    assert_non_null(scene_route(&scene, PROFILE_CLUSTER, "203.0.113.9/32"));
    assert_non_null(scene_route(&scene, PROFILE_CLUSTER, "10.1.0.0/24"));
    assert_int_equal(scene_route(&scene, PROFILE_POD_RANGES, "10.1.0.0/24")->action,
                     ROUTE_POD_RANGE);
    assert_null(scene_route(&scene, PROFILE_POD_RANGES, "172.16.0.9/32"));
    scene_apply(&scene, &other); /* a node that does not report its range */
    assert_int_equal(scene_settings(&scene)->flags, 0);
    assert_true(plan_needs_all_pods(scene.plan));
    other.node.ready = false; /* not yet, where it is new */
    scene_apply(&scene, &other);
    plan_update(scene.plan);
    assert_false(plan_needs_all_pods(scene.plan));
    scene_remove(&scene, &self);
    assert_null(scene_route(&scene, PROFILE_CLUSTER, "10.1.0.0/24"));
    assert_null(scene_route(&scene, PROFILE_CLUSTER, "203.0.113.9/32"));
    assert_true(plan_needs_all_pods(scene.plan));
    scene_stop(&scene);
}

static void test_settings(void **state _unused_)
{
    struct scene scene;

    scene_start(&scene, "10.0.0.0/8");
    struct object self = scene_node(&scene, "self", "2001:db8::1 172.16.0.9 172.16.0.10", "");
    struct ip_addr v4 = scene_address("172.16.0.9"), v6 = scene_address("2001:db8::1");

    assert_true(ip_addr_is_none(&scene_settings(&scene)->node_v4));
    scene_apply(&scene, &self);
    assert_memory_equal(&scene_settings(&scene)->node_v4, &v4, sizeof(v4));
    assert_memory_equal(&scene_settings(&scene)->node_v6, &v6, sizeof(v6));
    assert_int_equal(scene_node_entry(&scene, "172.16.0.10")->flags, NODE_SELF);
    scene_stop(&scene);
}

/* Two plans that get the same objects in another order choose the same numbers for profiles and
 * groups: what the kernel has from the one is right for the other. */
static void test_numbers_are_stable(void **state _unused_)
{
    struct scene scenes[2];

    for (int i = 0; i < 2; i++) {
        start(&scenes[i]);
        struct object one = make_policy(&scenes[i], "one", 1, "192.0.2.0/24", "");
        struct object two = make_policy(&scenes[i], "two", 2, "198.51.100.0/24", "");

        two.policy.gateways = scene_policy(&scenes[i], "x", "", "", "g=1 g=2").policy.gateways;
        two.policy.gateway_count = 2;
        two.policy.gateways_from_list = true;
        scene_apply(&scenes[i], i ? &two : &one);
        plan_update(scenes[i].plan);
        scene_apply(&scenes[i], i ? &one : &two);
    }
    assert_int_equal(scene_endpoint(&scenes[0], "10.0.0.1")->profile,
                     scene_endpoint(&scenes[1], "10.0.0.1")->profile);
    assert_int_equal(route_of(&scenes[0], "192.0.2.0/24")->group,
                     route_of(&scenes[1], "192.0.2.0/24")->group);
    assert_int_equal(route_of(&scenes[0], "198.51.100.0/24")->group,
                     route_of(&scenes[1], "198.51.100.0/24")->group);
    assert_int_not_equal(route_of(&scenes[0], "192.0.2.0/24")->group,
                         route_of(&scenes[0], "198.51.100.0/24")->group);
    scene_stop(&scenes[0]);
    scene_stop(&scenes[1]);
}

/* A number that was given up is not used for something else before the kernel has forgotten it. */
static void test_numbers_settle(void **state _unused_)
{
    struct scene scene;

    start(&scene);
    struct object policy = make_policy(&scene, "p", 1, "192.0.2.0/24", "");

    scene_apply(&scene, &policy);
    uint32_t profile = scene_endpoint(&scene, "10.0.0.1")->profile;

    scene_remove(&scene, &policy);
    plan_update(scene.plan);
    assert_int_equal(scene.plan->profile_numbers.count, 1);
    assert_int_equal(scene.plan->group_numbers.count, 1);
    plan_settle(scene.plan, plan_generation(scene.plan) - 1);
    assert_int_equal(scene.plan->profile_numbers.count, 1);
    scene_apply(&scene, &policy);
    assert_int_equal(scene_endpoint(&scene, "10.0.0.1")->profile, profile);
    plan_settle(scene.plan, plan_generation(scene.plan));
    assert_non_null(route_of(&scene, "192.0.2.0/24"));
    scene_remove(&scene, &policy);
    plan_update(scene.plan);
    plan_settle(scene.plan, plan_generation(scene.plan));
    assert_int_equal(scene.plan->profile_numbers.count, 0);
    assert_int_equal(scene.plan->group_numbers.count, 0);
    scene_stop(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_excluded_wins_inside),
        cmocka_unit_test(test_between_policies),
        cmocka_unit_test(test_conflict_is_reported),
        cmocka_unit_test(test_routes_only_where_used),
        cmocka_unit_test(test_covered),
        cmocka_unit_test(test_cluster_and_pod_ranges),
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_numbers_are_stable),
        cmocka_unit_test(test_numbers_settle),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What the planner says, and that it says it once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/planner_objects.h"

static void update(struct scene *scene, const struct object *object)
{
    scene_forget_log(scene);
    scene_apply(scene, object);
    plan_update(scene->plan);
}

static void test_gateway_states(void **state _unused_)
{
    struct scene scene;

    scene_start(&scene, "10.0.0.0/8");
    struct object self = scene_node(&scene, "self", "172.16.0.9", "");
    struct object a = scene_node(&scene, "a", "172.16.0.1", "g=1");
    struct object b = scene_node(&scene, "b", "172.16.0.2", "g=1");
    struct object pod = scene_pod(&scene, "uid", "10.0.0.1", "");
    struct object policy = scene_policy(&scene, "p", "", "192.0.2.0/24", "g=1");

    update(&scene, &self);
    update(&scene, &pod);
    update(&scene, &policy);
    assert_int_equal(scene_logged(&scene, "warning no node matches"), 1);
    assert_int_equal(scene_logged(&scene, "policy=p field=spec.egressGateway.nodeSelector"), 1);
    update(&scene, &a);
    assert_int_equal(scene_logged(&scene, "the gateway can be used"), 1);
    update(&scene, &b);
    assert_int_equal(scene_logged(&scene, "warning several nodes match"), 1);
    assert_int_equal(scene_logged(&scene, "node=a"), 1);
    a.node.ready = false;
    update(&scene, &a); /* another one is chosen */
    assert_int_equal(scene_logged(&scene, "node=b"), 1);
    b.node.ready = false;
    update(&scene, &b);
    assert_int_equal(scene_logged(&scene, "warning no node that matches is Ready"), 1);
    b.node.internal_count = 0;
    update(&scene, &b);
    assert_int_equal(scene.log_length, 0); /* a is the one, as before */
    a.node.internal_count = 0;
    update(&scene, &a);
    assert_int_equal(scene_logged(&scene, "has an InternalIP"), 1);
    a = scene_node(&scene, "a", "2001:db8::1", "g=1");
    update(&scene, &a);
    assert_int_equal(scene_logged(&scene, "of a family that this node has"), 1);
    scene_stop(&scene);
}

static void test_list_names_the_entry(void **state _unused_)
{
    struct scene scene;

    scene_start(&scene, "10.0.0.0/8");
    struct object self = scene_node(&scene, "self", "172.16.0.9", "g=1");
    struct object pod = scene_pod(&scene, "uid", "10.0.0.1", "");
    struct object policy = scene_policy(&scene, "p", "", "192.0.2.0/24", "g=9 g=1/eth7 g=1");

    update(&scene, &pod);
    update(&scene, &self);
    update(&scene, &policy);
    assert_int_equal(scene_logged(&scene, "field=spec.egressGateways[0].nodeSelector"), 1);
    assert_int_equal(scene_logged(&scene, "field=spec.egressGateways[1].interface"), 1);
    assert_int_equal(scene_logged(&scene, "interface=eth7"), 1);
    assert_int_equal(scene_logged(&scene, "field=spec.egressGateways[2].nodeSelector"), 1);
    assert_int_equal(scene_logged(&scene, "family=IPv4"), 2);
    assert_int_equal(scene_logged(&scene, "family=IPv6"), 0); /* no such destination */
    scene_stop(&scene);
}

/* What is already said is not said again by other events. */
static void test_steady_state_is_silent(void **state _unused_)
{
    struct scene scene;

    scene_start(&scene, "10.0.0.0/8");
    struct object self = scene_node(&scene, "self", "172.16.0.9", "g=1");
    struct object policy = scene_policy(&scene, "p", "", "192.0.2.0/24", "g=9 g=1/eth7 g");
    struct object other = scene_node(&scene, "other", "172.16.0.1", "zone=1");
    struct object link = scene_link(&scene, 1, "eth0", "198.51.100.1");
    struct object pod = scene_pod(&scene, "uid", "10.0.0.1", "");

    update(&scene, &self);
    update(&scene, &pod);
    update(&scene, &policy);
    assert_true(scene.log_length > 0);
    update(&scene, &other);
    assert_int_equal(scene.log_length, 0);
    update(&scene, &link);
    assert_int_equal(scene.log_length, 0);
    policy.policy.destinations =
        scene_prefixes(&scene, "203.0.113.0/24", &policy.policy.destination_count);
    update(&scene, &policy);
    assert_int_equal(scene.log_length, 0);
    update(&scene, &policy);
    assert_int_equal(scene.log_length, 0);
    scene_stop(&scene);
}

static void test_selects_no_pod(void **state _unused_)
{
    struct scene scene;

    scene_start(&scene, "10.0.0.0/8");
    struct object gateway = scene_node(&scene, "g", "172.16.0.1", "g=1");
    struct object policy = scene_policy(&scene, "p", "app=a", "192.0.2.0/24", "g=1");
    struct object pod = scene_pod(&scene, "uid", "10.0.0.1", "app=a");

    update(&scene, &gateway);
    update(&scene, &policy);
    assert_int_equal(scene_logged(&scene, "warning the policy selects no pod"), 1);
    update(&scene, &pod);
    assert_int_equal(scene.log_length, 0);
    pod.pod.ended = true;
    update(&scene, &pod);
    assert_int_equal(scene_logged(&scene, "info the policy selects no pod any more"), 1);
    policy = scene_policy(&scene, "p", "app=b", "192.0.2.0/24", "g=1");
    update(&scene, &policy);
    assert_int_equal(scene_logged(&scene, "warning the policy selects no pod"), 1);
    scene_stop(&scene);
}

/* Where this node's pods only are known, nothing can be said about others. */
static void test_selects_no_pod_needs_all(void **state _unused_)
{
    struct scene scene;

    scene_start(&scene, "10.0.0.0/8");
    struct object policy = scene_policy(&scene, "p", "app=a", "192.0.2.0/24", "g=1");

    plan_set_pods_complete(scene.plan, false);
    update(&scene, &policy);
    assert_int_equal(scene_logged(&scene, "selects no pod"), 0);
    plan_set_pods_complete(scene.plan, true);
    plan_update(scene.plan);
    assert_int_equal(scene_logged(&scene, "selects no pod"), 1);
    scene_stop(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gateway_states),
        cmocka_unit_test(test_list_names_the_entry),
        cmocka_unit_test(test_steady_state_is_silent),
        cmocka_unit_test(test_selects_no_pod),
        cmocka_unit_test(test_selects_no_pod_needs_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

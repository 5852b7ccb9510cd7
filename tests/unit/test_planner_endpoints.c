/* SPDX-License-Identifier: Apache-2.0 */
/* Who holds an address, whatever the order of events, and which pods have an entry on this node. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "planner/stable_hash.h"
#include "tests/unit/planner_objects.h"

static uint32_t uid_hash(const char *uid)
{
    return (uint32_t)stable_hash_mix(stable_hash_bytes(STABLE_HASH_START, uid, strlen(uid)));
}

/* `holder`: index of the pod that must have the address, or -1. */
static void expect_holder(struct scene *scene, const struct object *pods, int holder)
{
    const struct endpoint *endpoint = scene_endpoint(scene, "10.0.0.1");

    if (holder < 0) {
        assert_null(endpoint);
        return;
    }
    assert_non_null(endpoint);
    assert_int_equal(endpoint->hash, uid_hash(pods[holder].pod.uid.data));
}

enum { PODS = 3 };

static const int orders[][PODS] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                   {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};

/* Pods are numbered by who holds the address: a greater number wins. They come in one order and go
 * in another. */
static void run_orders(const int *come, const int *go, bool ended)
{
    struct scene scene;
    unsigned present = 0;

    scene_start(&scene, "10.0.0.0/8");
    struct object pods[PODS] = {scene_pod(&scene, "uid-z", "10.0.0.1", ""),
                                scene_pod(&scene, "uid-a", "10.0.0.1 10.0.0.2", ""),
                                scene_pod(&scene, "uid-b", "10.0.0.3 10.0.0.1", "")};

    pods[0].pod.created = 1;
    pods[1].pod.created = pods[2].pod.created = 2;
    for (int i = 0; i < PODS; i++) {
        scene_apply(&scene, &pods[come[i]]);
        present |= 1U << come[i];
        expect_holder(&scene, pods, 31 - __builtin_clz(present));
    }
    for (int i = 0; i < PODS; i++) {
        pods[go[i]].pod.ended = true;
        if (ended)
            scene_apply(&scene, &pods[go[i]]);
        else
            scene_remove(&scene, &pods[go[i]]);
        present &= ~(1U << go[i]);
        expect_holder(&scene, pods, present ? 31 - __builtin_clz(present) : -1);
    }
    scene_stop(&scene);
}

static void test_conflicts(void **state _unused_)
{
    for (size_t i = 0; i < ARRAY_SIZE(orders); i++)
        for (size_t j = 0; j < ARRAY_SIZE(orders); j++) {
            run_orders(orders[i], orders[j], false);
            run_orders(orders[i], orders[j], true);
        }
}

/* A StatefulSet pod that is recreated under its old name and address: the new one is another pod,
 * and the removal of the old one, which may come later, does not touch it. */
static void test_recreated_pod(void **state _unused_)
{
    struct scene scene;

    scene_start(&scene, "10.0.0.0/8");
    struct object old = scene_pod(&scene, "uid-old", "10.0.0.1", "");
    struct object new = scene_pod(&scene, "uid-new", "10.0.0.1", "");

    old.pod.name = new.pod.name = TEXT("web-0");
    new.pod.created = 10;
    scene_apply(&scene, &old);
    scene_apply(&scene, &new);
    assert_int_equal(scene_endpoint(&scene, "10.0.0.1")->hash, uid_hash("uid-new"));
    scene_remove(&scene, &old);
    assert_int_equal(scene_endpoint(&scene, "10.0.0.1")->hash, uid_hash("uid-new"));
    scene_stop(&scene);
}

static void test_addresses_change(void **state _unused_)
{
    struct scene scene;

    scene_start(&scene, "10.0.0.0/8");
    struct object pod = scene_pod(&scene, "uid", "10.0.0.1 2001:db8::1", "");

    scene_apply(&scene, &pod);
    assert_non_null(scene_endpoint(&scene, "10.0.0.1"));
    assert_non_null(scene_endpoint(&scene, "2001:db8::1"));
    pod = scene_pod(&scene, "uid", "10.0.0.2", "");
    scene_apply(&scene, &pod);
    assert_null(scene_endpoint(&scene, "10.0.0.1"));
    assert_null(scene_endpoint(&scene, "2001:db8::1"));
    assert_non_null(scene_endpoint(&scene, "10.0.0.2"));
    scene_stop(&scene);
}

static void expect_tunnel(struct scene *scene, const char *pod, const char *node)
{
    struct ip_addr expected = node ? scene_address(node) : (struct ip_addr){0};
    const struct endpoint *endpoint = scene_endpoint(scene, pod);

    assert_non_null(endpoint);
    assert_memory_equal(&endpoint->node, &expected, sizeof(expected));
}

/* Pods of other nodes: where this node is their gateway, or where no range tells what is inside the
 * cluster. */
static void test_pods_of_other_nodes(void **state _unused_)
{
    struct scene scene;

    scene_start(&scene, NULL);
    struct object self = scene_node(&scene, "self", "172.16.0.9", "");
    struct object other = scene_node(&scene, "other", "172.16.0.8", "");
    struct object selected = scene_pod(&scene, "uid-1", "10.0.0.1", "app=a");
    struct object unselected = scene_pod(&scene, "uid-2", "10.0.0.2", "");
    struct object policy = scene_policy(&scene, "p", "app=a", "192.0.2.0/24", "g=1");

    selected.pod.node = unselected.pod.node = TEXT("other");
    scene_apply(&scene, &self);
    scene_apply(&scene, &selected);
    scene_apply(&scene, &unselected);
    scene_apply(&scene, &policy);
    expect_tunnel(&scene, "10.0.0.1", NULL); /* the cluster is unknown: every pod, as its own */
    assert_int_equal(scene_endpoint(&scene, "10.0.0.1")->profile, PROFILE_NONE);
    assert_int_equal(scene_endpoint(&scene, "10.0.0.2")->flags, 0);
    scene_apply(&scene, &other);
    expect_tunnel(&scene, "10.0.0.1", "172.16.0.8");
    other.node.pod_cidrs = scene_prefixes(&scene, "10.0.0.0/24", &other.node.pod_cidr_count);
    scene_apply(&scene, &other);
    assert_non_null(scene_endpoint(&scene, "10.0.0.1")); /* this node's own pods may be anywhere */
    self.node.pod_cidrs = scene_prefixes(&scene, "10.0.1.0/24", &self.node.pod_cidr_count);
    scene_apply(&scene, &self);
    assert_null(scene_endpoint(&scene, "10.0.0.1"));
    assert_null(scene_endpoint(&scene, "10.0.0.2"));
    assert_false(plan_needs_all_pods(scene.plan));
    self.node.labels = scene_labels(&scene, "g=1");
    scene_apply(&scene, &self);
    expect_tunnel(&scene, "10.0.0.1", "172.16.0.8");
    assert_true(scene_endpoint(&scene, "10.0.0.1")->profile >= PROFILE_FIRST);
    assert_null(scene_endpoint(&scene, "10.0.0.2"));
    assert_true(plan_needs_all_pods(scene.plan));
    self.node.labels = scene_labels(&scene, "");
    scene_apply(&scene, &self);
    assert_null(scene_endpoint(&scene, "10.0.0.1"));
    scene_stop(&scene);
}

static void test_local_pods(void **state _unused_)
{
    struct scene scene;

    scene_start(&scene, "10.0.0.0/8");
    struct object pod = scene_pod(&scene, "uid", "10.0.0.1", "");
    struct object self = scene_node(&scene, "self", "172.16.0.9", "");

    scene_apply(&scene, &pod);
    expect_tunnel(&scene, "10.0.0.1", NULL);
    assert_int_equal(scene_endpoint(&scene, "10.0.0.1")->flags, ENDPOINT_LOCAL);
    assert_int_equal(scene_endpoint(&scene, "10.0.0.1")->profile, PROFILE_NONE);
    scene_apply(&scene, &self);
    expect_tunnel(&scene, "10.0.0.1", "172.16.0.9");
    scene_stop(&scene);
}

/* Where pods have other addresses than nodes report, ranges do not tell what is inside. */
static void test_addresses_outside_of_ranges(void **state _unused_)
{
    struct scene scene;

    scene_start(&scene, NULL);
    struct object self = scene_node(&scene, "self", "172.16.0.9", "");
    struct object other = scene_node(&scene, "other", "172.16.0.8", "");
    struct object inside = scene_pod(&scene, "uid-1", "10.0.1.1", "");
    struct object stray = scene_pod(&scene, "uid-2", "192.168.7.2", "");
    struct object far = scene_pod(&scene, "uid-3", "10.0.0.3", "");

    self.node.pod_cidrs = scene_prefixes(&scene, "10.0.1.0/24", &self.node.pod_cidr_count);
    other.node.pod_cidrs = scene_prefixes(&scene, "10.0.0.0/24", &other.node.pod_cidr_count);
    far.pod.node = TEXT("other");
    scene_apply(&scene, &self);
    scene_apply(&scene, &other);
    scene_apply(&scene, &inside);
    scene_apply(&scene, &far);
    plan_update(scene.plan);
    assert_int_equal(scene_settings(&scene)->flags, SETTINGS_POD_RANGES_KNOWN);
    assert_null(scene_endpoint(&scene, "10.0.0.3"));
    scene_apply(&scene, &stray);
    assert_int_equal(scene_settings(&scene)->flags, 0);
    assert_non_null(scene_endpoint(&scene, "10.0.0.3"));
    assert_true(plan_needs_all_pods(scene.plan));
    assert_int_equal(scene_logged(&scene, "field=cluster-cidrs endpoints=1 endpoint=192.168.7.2"),
                     1);
    assert_int_equal(scene_logged(&scene, "field=pod-cidrs endpoints=1 endpoint=192.168.7.2"), 1);
    scene_remove(&scene, &stray);
    assert_null(scene_endpoint(&scene, "10.0.0.3"));
    assert_false(plan_needs_all_pods(scene.plan));
    scene_apply(&scene, &stray);
    self.node.pod_cidrs =
        scene_prefixes(&scene, "10.0.1.0/24 192.168.7.0/24", &self.node.pod_cidr_count);
    scene_apply(&scene, &self);
    assert_null(scene_endpoint(&scene, "10.0.0.3"));
    assert_int_equal(scene_settings(&scene)->flags, SETTINGS_POD_RANGES_KNOWN);
    /* A node that goes takes its ranges with it before its pods are gone. */
    scene_remove(&scene, &other);
    assert_false(plan_needs_all_pods(scene.plan));
    scene_stop(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conflicts),
        cmocka_unit_test(test_recreated_pod),
        cmocka_unit_test(test_addresses_change),
        cmocka_unit_test(test_pods_of_other_nodes),
        cmocka_unit_test(test_addresses_outside_of_ranges),
        cmocka_unit_test(test_local_pods),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

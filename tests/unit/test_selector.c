/* SPDX-License-Identifier: Apache-2.0 */
/* Which pods a rule selects: a table of cases, each with the policy first and with the pod first,
 * and after its labels came later. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "planner/selector.h"
#include "tests/unit/planner_objects.h"

struct selector_case {
    const char *pods, *namespaces, *nodes; /* selectors */
    bool selects; /* a pod of namespace "shop" on node "self" with these labels: */
    const char *pod_labels, *namespace_labels, *node_labels;
};

#define NAMESPACE LABEL_NAMESPACE
#define TEAM      LABEL_NAMESPACE_PREFIX "team"
#define ACCOUNT   LABEL_SERVICE_ACCOUNT
#define CLUSTER   LABEL_CLUSTER

static const struct selector_case cases[] = {
    /* every pod */
    {"", NULL, NULL, true, "", "", ""},
    {NULL, "", NULL, true, "app=a", "", ""},
    {"", "", "", true, "", "", ""},
    /* matchLabels, In with one value */
    {"app=a", NULL, NULL, true, "app=a", "", ""},
    {"app=a", NULL, NULL, false, "app=b", "", ""},
    {"app=a", NULL, NULL, false, "", "", ""},
    {"app=a", NULL, NULL, false, "App=a", "", ""},
    {"app=a tier=x", NULL, NULL, true, "app=a tier=x other=y", "", ""},
    {"app=a tier=x", NULL, NULL, false, "app=a", "", ""},
    {"app=a tier=x", NULL, NULL, false, "app=a tier=y", "", ""},
    {"app=", NULL, NULL, true, "app=", "", ""},
    {"app=", NULL, NULL, false, "app=a", "", ""},
    {"app=", NULL, NULL, false, "", "", ""},
    {"example.com/app=a", NULL, NULL, true, "example.com/app=a", "", ""},
    {"example.com/app=a", NULL, NULL, false, "app=a", "", ""},
    /* In with several values */
    {"app=a,b", NULL, NULL, true, "app=b", "", ""},
    {"app=a,b,a", NULL, NULL, true, "app=a", "", ""},
    {"app=a,b", NULL, NULL, false, "app=c", "", ""},
    /* NotIn also matches an absent key */
    {"app!=a", NULL, NULL, true, "", "", ""},
    {"app!=a", NULL, NULL, true, "app=b", "", ""},
    {"app!=a,b", NULL, NULL, false, "app=b", "", ""},
    {"app!=", NULL, NULL, false, "app=", "", ""},
    /* Exists, DoesNotExist */
    {"app", NULL, NULL, true, "app=", "", ""},
    {"app", NULL, NULL, false, "", "", ""},
    {"!app", NULL, NULL, true, "tier=x", "", ""},
    {"!app", NULL, NULL, false, "app=x", "", ""},
    {"app=a app!=b !tier env", NULL, NULL, true, "app=a env=x", "", ""},
    {"app=a app!=a", NULL, NULL, false, "app=a", "", ""},
    /* the namespace's name */
    {NAMESPACE "=shop", NULL, NULL, true, "", "", ""},
    {NAMESPACE "=other", NULL, NULL, false, "", "", ""},
    {NAMESPACE "!=other", NULL, NULL, true, "", "", ""},
    {NAMESPACE, NULL, NULL, true, "", "", ""},
    {"!" NAMESPACE, NULL, NULL, false, "", "", ""},
    {NAMESPACE "=shop app=a", NULL, NULL, true, "app=a", "", ""},
    {NAMESPACE "=fake", NULL, NULL, false, NAMESPACE "=fake", "", ""},
    /* the namespace's labels, as pseudo-labels and by namespaceSelector */
    {TEAM "=a", NULL, NULL, true, "", "team=a", ""},
    {TEAM "=a", NULL, NULL, false, "team=a", "", ""},
    {TEAM "=a", NULL, NULL, false, TEAM "=a", "", ""},
    {TEAM "!=a", NULL, NULL, true, "", "", ""},
    {"!" TEAM, NULL, NULL, false, "", "team=a", ""},
    {NULL, "team=a", NULL, true, "", "team=a", ""},
    {NULL, "team=a", NULL, false, "team=a", "", ""},
    {NULL, "team=a,b !x", NULL, true, "x=y", "team=b", ""},
    {NULL, "!team", NULL, false, "", "team=a", ""},
    {NULL, NAMESPACE "=shop", NULL, false, "", "", ""},
    {"app=a", "team=a", NULL, true, "app=a", "team=a", ""},
    {"app=a", "team=a", NULL, false, "app=a", "team=b", ""},
    {"app=a", "team=a", NULL, false, "app=b", "team=a", ""},
    /* the service account and the cluster */
    {ACCOUNT "=robot", NULL, NULL, true, "", "", ""},
    {ACCOUNT "=other", NULL, NULL, false, "", "", ""},
    {ACCOUNT "=other", NULL, NULL, false, ACCOUNT "=other", "", ""},
    {CLUSTER "=default", NULL, NULL, true, "", "", ""},
    {CLUSTER "=other,default app=a", NULL, NULL, true, "app=a", "", ""},
    {CLUSTER "=other", NULL, NULL, false, CLUSTER "=other", "", ""},
    {CLUSTER "!=default", NULL, NULL, false, "", "", ""},
    {CLUSTER, NULL, NULL, true, "", "", ""},
    {"!" CLUSTER, NULL, NULL, false, "", "", ""},
    /* the node */
    {"", NULL, "zone=1", true, "", "", "zone=1"},
    {"", NULL, "zone=1", false, "", "", "zone=2"},
    {"", NULL, "zone=1", false, "zone=1", "zone=1", ""},
    {"", NULL, "", true, "", "", "zone=2"},
    {"", NULL, "!zone", true, "", "", ""},
    {"app=a", "team=a", "zone=1", true, "app=a", "team=a", "zone=1"},
    {"app=a", "team=a", "zone=1", false, "app=a", "team=a", "zone=2"},
    {"app=a", "team=a", "zone=1", false, "app=a", "team=b", "zone=1"},
    {"app=a", "team=a", "zone=1", false, "app=b", "team=a", "zone=1"},
};

static struct object case_pod(struct scene *scene, const char *labels)
{
    struct object pod = scene_pod(scene, "uid", "10.0.0.1", labels);

    pod.pod.namespace = TEXT("shop");
    pod.pod.service_account = TEXT("robot");
    return pod;
}

static struct object case_policy(struct scene *scene, const struct selector_case *it)
{
    struct object policy = scene_policy(scene, "p", it->pods, "0.0.0.0/0", "egress=1");

    policy.policy.rules[0].namespaces = scene_selector(scene, it->namespaces);
    policy.policy.rules[0].nodes = scene_selector(scene, it->nodes);
    return policy;
}

static bool case_is_selected(struct scene *scene)
{
    return scene_endpoint(scene, "10.0.0.1")->profile != PROFILE_NONE;
}

static void check_selected(struct scene *scene, const struct selector_case *it, bool selects)
{
    if (case_is_selected(scene) != selects)
        fail_msg("pods '%s' namespaces '%s' nodes '%s' of '%s' '%s' '%s'",
                 it->pods ? it->pods : "-", it->namespaces ? it->namespaces : "-",
                 it->nodes ? it->nodes : "-", it->pod_labels, it->namespace_labels,
                 it->node_labels);
}

static void test_policy_first(void **state _unused_)
{
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct selector_case *it = &cases[i];
        struct scene scene;

        scene_start(&scene, "10.0.0.0/8");
        struct object objects[] = {case_policy(&scene, it),
                                   scene_namespace(&scene, "shop", it->namespace_labels),
                                   scene_node(&scene, "self", "172.16.0.1", it->node_labels),
                                   case_pod(&scene, it->pod_labels)};

        for (size_t j = 0; j < ARRAY_SIZE(objects); j++) {
            scene_apply(&scene, &objects[j]);
            plan_update(scene.plan);
        }
        check_selected(&scene, it, it->selects);
        scene_stop(&scene);
    }
}

static void test_pod_first(void **state _unused_)
{
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct selector_case *it = &cases[i];
        struct scene scene;

        scene_start(&scene, "10.0.0.0/8");
        struct object objects[] = {
            case_pod(&scene, it->pod_labels), scene_namespace(&scene, "shop", it->namespace_labels),
            scene_node(&scene, "self", "172.16.0.1", it->node_labels), case_policy(&scene, it)};

        for (size_t j = 0; j < ARRAY_SIZE(objects); j++) {
            scene_apply(&scene, &objects[j]);
            plan_update(scene.plan);
        }
        check_selected(&scene, it, it->selects);
        scene_remove(&scene, &objects[3]);
        check_selected(&scene, it, false);
        scene_stop(&scene);
    }
}

/* Each kind of object gets its labels last. */
static void test_labels_last(void **state _unused_)
{
    for (size_t i = 0; i < ARRAY_SIZE(cases) * 3; i++) {
        const struct selector_case *it = &cases[i / 3];
        struct scene scene;

        scene_start(&scene, "10.0.0.0/8");
        struct object before[] = {case_pod(&scene, ""), scene_namespace(&scene, "shop", "x=y"),
                                  scene_node(&scene, "self", "172.16.0.1", "x=y"),
                                  case_policy(&scene, it)};
        struct object after[] = {case_pod(&scene, it->pod_labels),
                                 scene_namespace(&scene, "shop", it->namespace_labels),
                                 scene_node(&scene, "self", "172.16.0.1", it->node_labels)};

        for (size_t j = 0; j < ARRAY_SIZE(before); j++)
            scene_apply(&scene, &before[j]);
        for (size_t j = 0; j < ARRAY_SIZE(after); j++) {
            plan_update(scene.plan);
            scene_apply(&scene, &after[(i + j) % 3]);
        }
        check_selected(&scene, it, it->selects);
        scene_stop(&scene);
    }
}

/* Rules are ORed. */
static void test_rules(void **state _unused_)
{
    struct scene scene;

    scene_start(&scene, "10.0.0.0/8");
    struct object policy = scene_policy(&scene, "p", "app=a", "0.0.0.0/0", "egress=1");
    struct object first = scene_pod(&scene, "uid-1", "10.0.0.1", "app=a");
    struct object second = scene_pod(&scene, "uid-2", "10.0.0.2", "tier=b");
    struct object third = scene_pod(&scene, "uid-3", "10.0.0.3", "app=b tier=a");
    struct policy_rule rules[2] = {policy.policy.rules[0],
                                   {.pods = scene_selector(&scene, "tier=b")}};

    policy.policy.rules = rules;
    policy.policy.rule_count = 2;
    scene_apply(&scene, &first);
    scene_apply(&scene, &second);
    scene_apply(&scene, &third);
    scene_apply(&scene, &policy);
    assert_int_not_equal(scene_endpoint(&scene, "10.0.0.1")->profile, PROFILE_NONE);
    assert_int_equal(scene_endpoint(&scene, "10.0.0.1")->profile,
                     scene_endpoint(&scene, "10.0.0.2")->profile);
    assert_int_equal(scene_endpoint(&scene, "10.0.0.3")->profile, PROFILE_NONE);
    policy.policy.rule_count = 1;
    scene_apply(&scene, &policy);
    assert_int_equal(scene_endpoint(&scene, "10.0.0.2")->profile, PROFILE_NONE);
    scene_stop(&scene);
}

/* A pod that cannot be an endpoint has no entry, whatever selects it. */
static void test_never_endpoints(void **state _unused_)
{
    struct scene scene;

    scene_start(&scene, "10.0.0.0/8");
    struct object policy = scene_policy(&scene, "p", "", "0.0.0.0/0", "egress=1");
    struct object pod = scene_pod(&scene, "uid", "10.0.0.1", "");

    scene_apply(&scene, &policy);
    pod.pod.host_network = true;
    scene_apply(&scene, &pod);
    assert_null(scene_endpoint(&scene, "10.0.0.1"));
    pod.pod.host_network = false;
    scene_apply(&scene, &pod);
    assert_non_null(scene_endpoint(&scene, "10.0.0.1"));
    pod.pod.ended = true;
    scene_apply(&scene, &pod);
    assert_null(scene_endpoint(&scene, "10.0.0.1"));
    pod.pod.ended = false;
    pod.pod.address_count = 0;
    scene_apply(&scene, &pod);
    assert_int_equal(scene.plan->pods.count, 0);
    scene_stop(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policy_first),    cmocka_unit_test(test_pod_first),
        cmocka_unit_test(test_labels_last),     cmocka_unit_test(test_rules),
        cmocka_unit_test(test_never_endpoints),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

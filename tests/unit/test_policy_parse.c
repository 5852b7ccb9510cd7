/* SPDX-License-Identifier: Apache-2.0 */
/* Policies as the guide writes them, and what is wrong with others. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "ipc/record.h"
#include "tests/unit/parsed.h"

#define POLICY_HEAD                                                                                \
    "apiVersion: cilium.io/v2\n"                                                                   \
    "kind: CiliumEgressGatewayPolicy\n"                                                            \
    "metadata:\n"                                                                                  \
    "  name: egress-test\n"

static const char guide_fixed[] =
    POLICY_HEAD "spec:\n"
                "  selectors:\n"
                "  - podSelector: # Specify which Pods this egress policy applies to\n"
                "      matchLabels:\n"
                "        app: nginx # Specify Pods with app=nginx label\n"
                "        io.kubernetes.pod.namespace: default # Specify default namespace\n"
                "  destinationCIDRs:\n"
                "  - \"0.0.0.0/0\"\n"
                "  - \"::/0\"\n"
                "  egressGateway:\n"
                "    nodeSelector:\n"
                "      matchLabels:\n"
                "        kubernetes.io/hostname: 172.22.49.119 # egress node name\n"
                "    egressIP: 172.22.49.119\n";

#define GUIDE_GROUP_TAIL                                                                           \
    "  destinationCIDRs:\n"                                                                        \
    "  - \"0.0.0.0/0\"\n"                                                                          \
    "  - \"::/0\"\n"                                                                               \
    "  egressGateway:\n"                                                                           \
    "    nodeSelector:\n"                                                                          \
    "      matchLabels:\n"                                                                         \
    "        kubernetes.io/hostname: 172.22.49.20\n"                                               \
    "    egressIP: 172.22.49.20\n"                                                                 \
    "  egressGateways:\n"                                                                          \
    "  - nodeSelector:\n"                                                                          \
    "      matchLabels:\n"                                                                         \
    "        kubernetes.io/hostname: 172.22.49.147\n"                                              \
    "    egressIP: 172.22.49.147\n"                                                                \
    "  - nodeSelector:\n"                                                                          \
    "      matchLabels:\n"                                                                         \
    "        kubernetes.io/hostname: 172.22.49.119\n"                                              \
    "    egressIP: 172.22.49.119\n"

static const char guide_group[] =
    POLICY_HEAD "spec:\n"
                "  selectors:\n"
                "  - podSelector:\n"
                "      matchLabels:\n"
                "        app: nginx\n"
                "        io.kubernetes.pod.namespace: default\n" GUIDE_GROUP_TAIL;

static const char guide_all[] =
    POLICY_HEAD "spec:\n"
                "  selectors:\n"
                "  - podSelector: {} # Select all cluster Pods\n" GUIDE_GROUP_TAIL;

static const char guide_namespace[] = POLICY_HEAD "spec:\n"
                                                  "  selectors:\n"
                                                  "  - podSelector:\n"
                                                  "      matchLabels:\n"
                                                  "        io.kubernetes.pod.namespace: prod\n"
                                                  "  destinationCIDRs:\n"
                                                  "  - \"0.0.0.0/0\"\n"
                                                  "  - \"::/0\"\n"
                                                  "  egressGateway:\n"
                                                  "    nodeSelector:\n"
                                                  "      matchLabels:\n"
                                                  "        kubernetes.io/hostname: 172.22.49.119\n"
                                                  "    egressIP: 172.22.49.119\n";

static void assert_one_label(const struct selector *selector, const char *key, const char *value)
{
    assert_true(selector->present);
    assert_int_equal(selector->count, 1);
    parsed_assert_text(selector->requirements[0].key, key);
    assert_int_equal(selector->requirements[0].match, MATCH_IN);
    assert_int_equal(selector->requirements[0].value_count, 1);
    parsed_assert_text(selector->requirements[0].values[0], value);
}

static void test_guide_fixed(void **state)
{
    struct parsed parsed;
    const struct policy *policy = &parsed.object.policy;

    (void)state;
    parsed_good(&parsed, KIND_POLICY, guide_fixed);
    parsed_assert_text(policy->name, "egress-test");
    assert_int_equal(policy->created, 0);
    assert_int_equal(policy->rule_count, 1);
    assert_int_equal(policy->rules[0].pods.count, 2);
    assert_false(policy->rules[0].namespaces.present);
    assert_false(policy->rules[0].nodes.present);
    assert_int_equal(policy->destination_count, 2);
    parsed_assert_prefix(&policy->destinations[0], "0.0.0.0/0");
    parsed_assert_prefix(&policy->destinations[1], "::/0");
    assert_int_equal(policy->excluded_count, 0);
    assert_false(policy->gateways_from_list);
    assert_int_equal(policy->gateway_count, 1);
    assert_one_label(&policy->gateways[0].nodes, "kubernetes.io/hostname", "172.22.49.119");
    parsed_assert_address(&policy->gateways[0].egress_ip, "172.22.49.119");
    assert_int_equal(policy->gateways[0].interface.length, 0);
    parsed_clear(&parsed);
}

static void test_guide_group(void **state)
{
    struct parsed parsed;
    const struct policy *policy = &parsed.object.policy;

    (void)state;
    parsed_good(&parsed, KIND_POLICY, guide_group);
    assert_true(policy->gateways_from_list);
    assert_int_equal(policy->gateway_count, 2);
    assert_one_label(&policy->gateways[0].nodes, "kubernetes.io/hostname", "172.22.49.147");
    parsed_assert_address(&policy->gateways[1].egress_ip, "172.22.49.119");
    parsed_clear(&parsed);
}

static void test_guide_all_and_namespace(void **state)
{
    struct parsed parsed;

    (void)state;
    parsed_good(&parsed, KIND_POLICY, guide_all);
    assert_true(parsed.object.policy.rules[0].pods.present);
    assert_int_equal(parsed.object.policy.rules[0].pods.count, 0);
    parsed_clear(&parsed);
    parsed_good(&parsed, KIND_POLICY, guide_namespace);
    assert_one_label(&parsed.object.policy.rules[0].pods, "io.kubernetes.pod.namespace", "prod");
    parsed_clear(&parsed);
}

/* Written as JSON, the guide's policies mean the same, to the byte of their records. */
static void test_guide_as_json(void **state)
{
    static const char *const texts[] = {guide_fixed, guide_group, guide_all, guide_namespace};
    static struct record_buffer from_yaml, from_json;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct record record = {.type = RECORD_OBJECT};
        struct document_list documents = {0};
        struct document_error refused;
        struct object_error error;
        struct arena arena = {0};
        struct parsed parsed;

        parsed_good(&parsed, KIND_POLICY, texts[i]);
        record.object = parsed.object;
        assert_int_equal(record_pack(&record, &from_yaml), 0);
        char *json = json_dumps(parsed.documents.items[0].root, JSON_INDENT(4));
        assert_int_equal(json_tree_read(json, strlen(json), &documents, &refused), 0);
        assert_int_equal(
            object_parse(KIND_POLICY, documents.items[0].root, &arena, &record.object, &error), 0);
        assert_int_equal(record_pack(&record, &from_json), 0);
        assert_int_equal(from_json.length, from_yaml.length);
        assert_memory_equal(from_json.data, from_yaml.data, from_yaml.length);
        free(json);
        arena_clear(&arena);
        document_list_clear(&documents);
        parsed_clear(&parsed);
    }
}

static void test_policy_in_full(void **state)
{
    static const char text[] =
        "metadata: {name: full, uid: 0b1f, creationTimestamp: '2025-01-31T12:00:00Z'}\n"
        "status: {conditions: []}\n"
        "spec:\n"
        "  selectors:\n"
        "  - namespaceSelector: {matchExpressions: [{key: env, operator: NotIn, values: [a, b]}]}\n"
        "    nodeSelector: {matchLabels: {zone: z1}}\n"
        "  - podSelector:\n"
        "      matchLabels: {app: web}\n"
        "      matchExpressions:\n"
        "      - {key: x, operator: Exists}\n"
        "      - {key: y, operator: DoesNotExist, values: []}\n"
        "      - {key: z, operator: In, values: ['1']}\n"
        "  destinationCIDRs: [10.1.2.3/8, 'fd00::1/64']\n"
        "  excludedCIDRs: [10.0.0.0/16]\n"
        "  egressGateway: {nodeSelector: {}, interface: eth1}\n"
        "  egressGateways: []\n";
    struct parsed parsed;
    const struct policy *policy = &parsed.object.policy;
    const struct selector *pods;

    (void)state;
    parsed_good(&parsed, KIND_POLICY, text);
    parsed_assert_text(policy->uid, "0b1f");
    assert_int_equal(policy->created, 1738324800);
    assert_int_equal(policy->rule_count, 2);
    assert_int_equal(policy->rules[0].namespaces.requirements[0].match, MATCH_NOT_IN);
    assert_int_equal(policy->rules[0].namespaces.requirements[0].value_count, 2);
    assert_one_label(&policy->rules[0].nodes, "zone", "z1");
    pods = &policy->rules[1].pods;
    assert_int_equal(pods->count, 4);
    assert_int_equal(pods->requirements[1].match, MATCH_EXISTS);
    assert_int_equal(pods->requirements[2].match, MATCH_DOES_NOT_EXIST);
    assert_int_equal(pods->requirements[2].value_count, 0);
    parsed_assert_text(pods->requirements[3].values[0], "1");
    parsed_assert_prefix(&policy->destinations[0], "10.0.0.0/8");
    parsed_assert_prefix(&policy->destinations[1], "fd00::/64");
    parsed_assert_prefix(&policy->excluded[0], "10.0.0.0/16");
    assert_false(policy->gateways_from_list);
    parsed_assert_text(policy->gateways[0].interface, "eth1");
    assert_true(policy->gateways[0].nodes.present);
    parsed_clear(&parsed);
}

#define RULES   "selectors: [{podSelector: {}}], "
#define TARGETS "destinationCIDRs: [0.0.0.0/0], "
#define GATEWAY "egressGateway: {nodeSelector: {}}"

static const struct {
    const char *text;
    const char *field;
    const char *reason; /* a part of it */
} wrong_policies[] = {
    {"spec: {" RULES TARGETS GATEWAY "}", "metadata.name", "required"},
    {"metadata: {name: 7}\nspec: {" RULES TARGETS GATEWAY "}", "metadata.name", "string"},
    {"metadata: [x]\nspec: {" RULES TARGETS GATEWAY "}", "metadata", "object"},
    {"metadata: {name: x}\nspec: {" TARGETS GATEWAY "}", "spec.selectors", "required"},
    {"metadata: {name: x}\nspec: {selectors: {}, " TARGETS GATEWAY "}", "spec.selectors", "list"},
    {"metadata: {name: x}\nspec: {" RULES GATEWAY "}", "spec.destinationCIDRs", "required"},
    {"metadata: {name: x}\nspec: {" RULES TARGETS "}", "spec.egressGateway", "required"},
    {"metadata: {name: x}\nspec: {" RULES TARGETS "egressGateway: {}}",
     "spec.egressGateway.nodeSelector", "required"},
    {"metadata: {name: x}\nspec: {" RULES TARGETS GATEWAY ", egressGateways: [{interface: e}]}",
     "spec.egressGateways[0].nodeSelector", "required"},
    {"metadata: {name: x}\nspec: {" RULES TARGETS GATEWAY ", destinationCIDR: [10.0.0.0/8]}",
     "spec.destinationCIDR", "no such field"},
    {"metadata: {name: x}\nspec: {" RULES TARGETS
     "egressGateway: {nodeSelector: {}, egressIp: 10.0.0.1}}",
     "spec.egressGateway.egressIp", "no such field"},
    {"metadata: {name: x}\nspec: {selectors: [{podSelectors: {}}], " TARGETS GATEWAY "}",
     "spec.selectors[0].podSelectors", "no such field"},
    {"metadata: {name: x}\nspec: {selectors: [{podSelector: {app: x}}], " TARGETS GATEWAY "}",
     "spec.selectors[0].podSelector.app", "no such field"},
    {"metadata: {name: x}\nspec: {selectors: [{podSelector: {matchLabels: {a.b/c: "
     "true}}}], " TARGETS GATEWAY "}",
     "spec.selectors[0].podSelector.matchLabels[a.b/c]", "string"},
    {"metadata: {name: x}\nspec: {selectors: [{podSelector: {matchExpressions: [{key: a, operator: "
     "Like}]}}], " TARGETS GATEWAY "}",
     "spec.selectors[0].podSelector.matchExpressions[0].operator", "DoesNotExist"},
    {"metadata: {name: x}\nspec: {selectors: [{podSelector: {matchExpressions: [{operator: "
     "Exists}]}}], " TARGETS GATEWAY "}",
     "spec.selectors[0].podSelector.matchExpressions[0].key", "required"},
    {"metadata: {name: x}\nspec: {" RULES "destinationCIDRs: [10.0.0.0/8, 10.0.0.1], " GATEWAY "}",
     "spec.destinationCIDRs[1]", "CIDR"},
    {"metadata: {name: x}\nspec: {" RULES TARGETS GATEWAY ", excludedCIDRs: [10.0.0.0/33]}",
     "spec.excludedCIDRs[0]", "CIDR"},
    {"metadata: {name: x}\nspec: {" RULES TARGETS
     "egressGateway: {nodeSelector: {}, egressIP: 10.0.0.256}}",
     "spec.egressGateway.egressIP", "address"},
    {"metadata: {name: x, creationTimestamp: '2025-01-31T12:00:00+ 5:30'}\nspec: {" RULES TARGETS
         GATEWAY "}",
     "metadata.creationTimestamp", "time"},
    {"metadata: {name: x, creationTimestamp: yesterday}\nspec: {" RULES TARGETS GATEWAY "}",
     "metadata.creationTimestamp", "time"},
    /* what object_check() refuses */
    {"metadata: {name: x}\nspec: {" RULES TARGETS
     "egressGateway: {nodeSelector: {}, interface: eth0, egressIP: 10.0.0.1}}",
     "spec.egressGateway", ""},
    {"metadata: {name: x}\nspec: {selectors: [{nodeSelector: {}}], " TARGETS GATEWAY "}",
     "spec.selectors[0]", ""},
    {"metadata: {name: x}\nspec: {selectors: [{podSelector: {matchExpressions: [{key: a, operator: "
     "In}]}}], " TARGETS GATEWAY "}",
     "spec.selectors[0].podSelector", "In"},
};

static void test_policy_wrong(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(wrong_policies); i++) {
        struct parsed parsed;

        parsed_try(&parsed, KIND_POLICY, wrong_policies[i].text);
        if (parsed.result != -EINVAL ||
            strncmp(parsed.error.field, wrong_policies[i].field, strlen(wrong_policies[i].field)) !=
                0 ||
            !strstr(parsed.error.reason, wrong_policies[i].reason))
            fail_msg("%s\ngave %d, %s: %s", wrong_policies[i].text, parsed.result,
                     parsed.error.field, parsed.error.reason);
        parsed_clear(&parsed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_guide_fixed),
        cmocka_unit_test(test_guide_group),
        cmocka_unit_test(test_guide_all_and_namespace),
        cmocka_unit_test(test_guide_as_json),
        cmocka_unit_test(test_policy_in_full),
        cmocka_unit_test(test_policy_wrong),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

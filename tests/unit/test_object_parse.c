/* SPDX-License-Identifier: Apache-2.0 */
/* Pods, nodes and namespaces as kubectl writes them, and what is wrong with others. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/parsed.h"

static void test_pod(void **state)
{
    static const char text[] =
        "metadata:\n"
        "  name: nginx-1\n"
        "  namespace: prod\n"
        "  uid: 7d0c63ab-7f0a-4a52-9a54-0a7f0f7bd0a1\n"
        "  deletionTimestamp: '2025-02-01T00:00:00Z'\n"
        "  creationTimestamp: '2025-01-31T13:00:00.5+01:00'\n"
        "  labels: {b: '2', a: '1'}\n"
        "spec: {nodeName: worker-1, serviceAccountName: web, containers: [{name: c}]}\n"
        "status:\n"
        "  phase: Running\n"
        "  podIP: 10.0.0.9\n"
        "  podIPs: [{ip: 10.0.0.9}, {ip: 'fd00::9'}]\n";
    struct parsed parsed;
    const struct pod *pod = &parsed.object.pod;

    (void)state;
    parsed_good(&parsed, KIND_POD, text);
    parsed_assert_text(pod->uid, "7d0c63ab-7f0a-4a52-9a54-0a7f0f7bd0a1");
    parsed_assert_text(pod->namespace, "prod");
    parsed_assert_text(pod->name, "nginx-1");
    parsed_assert_text(pod->node, "worker-1");
    parsed_assert_text(pod->service_account, "web");
    assert_int_equal(pod->created, 1738324800);
    assert_false(pod->host_network);
    assert_false(pod->ended);
    assert_int_equal(pod->address_count, 2);
    parsed_assert_address(&pod->addresses[1], "fd00::9");
    assert_int_equal(pod->labels.count, 2);
    parsed_assert_text(pod->labels.items[0].key, "a");
    parsed_clear(&parsed);
}

static void test_pod_by_hand(void **state)
{
    char name[254], text[400];
    struct parsed parsed, other;

    (void)state;
    parsed_good(&parsed, KIND_POD,
                "metadata: {name: p, creationTimestamp: null}\n"
                "spec: {hostNetwork: true}\n"
                "status: {podIP: 10.0.0.1, podIPs: [], phase: Failed}\n");
    parsed_assert_text(parsed.object.pod.uid, "default/p");
    parsed_assert_text(parsed.object.pod.namespace, "default");
    assert_true(parsed.object.pod.host_network);
    assert_true(parsed.object.pod.ended);
    assert_int_equal(parsed.object.pod.created, 0);
    parsed_assert_address(&parsed.object.pod.addresses[0], "10.0.0.1");
    parsed_clear(&parsed);

    /* Long names still give different identities of the length that is allowed. */
    memset(name, 'a', 253);
    name[253] = '\0';
    snprintf(text, sizeof(text), "metadata: {name: %s}", name);
    parsed_good(&parsed, KIND_POD, text);
    name[252] = 'b';
    snprintf(text, sizeof(text), "metadata: {name: %s}", name);
    parsed_good(&other, KIND_POD, text);
    assert_int_equal(parsed.object.pod.uid.length, LIMIT_UID);
    assert_false(text_equal(parsed.object.pod.uid, other.object.pod.uid));
    parsed_clear(&parsed);
    parsed_clear(&other);
}

static void test_node_and_namespace(void **state)
{
    static const char text[] =
        "metadata: {name: n1, labels: {kubernetes.io/hostname: n1}}\n"
        "spec: {podCIDR: 10.244.1.0/24, podCIDRs: [10.244.1.0/24, 'fd00:1::/64']}\n"
        "status:\n"
        "  conditions: [{type: MemoryPressure, status: 'False'}, {type: Ready, status: 'True'}]\n"
        "  addresses:\n"
        "  - {type: Hostname, address: n1}\n"
        "  - {type: InternalIP, address: 192.168.0.1}\n"
        "  - {type: ExternalIP, address: 203.0.113.1}\n"
        "  - {type: ExternalDNS, address: n1.example.com}\n"
        "  - {type: InternalIP, address: 'fd00::1'}\n";
    struct parsed parsed;
    const struct node *node = &parsed.object.node;

    (void)state;
    parsed_good(&parsed, KIND_NODE, text);
    assert_true(node->ready);
    assert_int_equal(node->internal_count, 2);
    parsed_assert_address(&node->internal[0], "192.168.0.1");
    parsed_assert_address(&node->internal[1], "fd00::1");
    assert_int_equal(node->other_count, 1);
    parsed_assert_address(&node->others[0], "203.0.113.1");
    assert_int_equal(node->pod_cidr_count, 2);
    parsed_clear(&parsed);

    parsed_good(&parsed, KIND_NODE,
                "metadata: {name: n2}\nspec: {podCIDR: 10.244.2.0/24}\n"
                "status: {conditions: [{type: Ready, status: Unknown}]}\n");
    assert_false(node->ready);
    parsed_assert_prefix(&node->pod_cidrs[0], "10.244.2.0/24");
    parsed_clear(&parsed);

    parsed_good(&parsed, KIND_NAMESPACE, "metadata: {name: prod, labels: {env: prod}}");
    parsed_assert_text(parsed.object.namespace.labels.items[0].value, "prod");
    parsed_clear(&parsed);
}

static void test_others_wrong(void **state)
{
    static const struct {
        enum object_kind kind;
        const char *text;
        const char *field;
    } wrong[] = {
        {KIND_POD, "metadata: {namespace: x}", "metadata.name"},
        {KIND_POD, "metadata: {name: x, labels: {a: 1}}", "metadata.labels.a"},
        {KIND_POD, "metadata: {name: x}\nspec: {hostNetwork: 'yes'}", "spec.hostNetwork"},
        {KIND_POD, "metadata: {name: x}\nstatus: {podIPs: [{ip: 10.0.0.1}, {ip: 10.0.0}]}",
         "status.podIPs[1].ip"},
        {KIND_POD, "metadata: {name: x}\nstatus: {podIPs: 10.0.0.1}", "status.podIPs"},
        {KIND_NODE, "metadata: {name: x}\nstatus: {addresses: [{type: InternalIP}]}",
         "status.addresses[0].address"},
        {KIND_NODE, "metadata: {name: x}\nspec: {podCIDR: 10.0.0.0}", "spec.podCIDR"},
        {KIND_NODE, "metadata: {name: x}\nspec: {podCIDRs: [a]}", "spec.podCIDRs[0]"},
        {KIND_NAMESPACE, "metadata: {}", "metadata.name"},
        {KIND_NAMESPACE, "[]", ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        struct parsed parsed;

        parsed_try(&parsed, wrong[i].kind, wrong[i].text);
        if (parsed.result != -EINVAL || strcmp(parsed.error.field, wrong[i].field) != 0)
            fail_msg("%s\ngave %d, %s: %s", wrong[i].text, parsed.result, parsed.error.field,
                     parsed.error.reason);
        parsed_clear(&parsed);
    }
}

static void test_kind_and_identity(void **state)
{
    struct document_list documents = {0};
    struct document_error refused;
    struct object_identity identity;
    struct object_error error;
    struct arena arena = {0};
    enum object_kind kind;
    static const char text[] = "metadata: {name: x}\nspec: broken\n---\nmetadata: {}\n";

    (void)state;
    assert_int_equal(object_kind_named("cilium.io/v2", "CiliumEgressGatewayPolicy", &kind), 0);
    assert_int_equal(kind, KIND_POLICY);
    assert_int_equal(object_kind_named("cilium.io/v1", "CiliumEgressGatewayPolicy", &kind),
                     -ENOENT);
    assert_int_equal(object_kind_named("apps/v1", "Pod", &kind), -ENOENT);

    assert_int_equal(yaml_tree_read(text, strlen(text), &documents, &refused), 0);
    assert_int_equal(
        object_parse_identity(KIND_POLICY, documents.items[0].root, &arena, &identity, &error), 0);
    assert_int_equal(identity.kind, KIND_POLICY);
    parsed_assert_text(identity.name, "x");
    assert_int_equal(
        object_parse_identity(KIND_POD, documents.items[0].root, &arena, &identity, &error), 0);
    parsed_assert_text(identity.name, "default/x");
    assert_int_equal(
        object_parse_identity(KIND_NODE, documents.items[1].root, &arena, &identity, &error),
        -EINVAL);
    assert_string_equal(error.field, "metadata.name");
    arena_clear(&arena);
    document_list_clear(&documents);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pod),
        cmocka_unit_test(test_pod_by_hand),
        cmocka_unit_test(test_node_and_namespace),
        cmocka_unit_test(test_others_wrong),
        cmocka_unit_test(test_kind_and_identity),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

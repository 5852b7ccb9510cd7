/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ipc/names.h"
#include "ipc/objects.h"

/* One valid object of each kind, with everything it points to. */
struct fixture {
    struct object object;
    struct policy *policy;
    struct pod *pod;
    struct namespace *namespace;
    struct node *node;
    struct link *link;
    struct text values[2];
    struct requirement requirements[2];
    struct policy_rule rules[2];
    struct ip_prefix destinations[2], excluded[1];
    struct policy_gateway gateways[2];
    struct label labels[3];
    struct ip_addr addresses[2];
    struct link_address link_addresses[2];
};

static struct ip_addr address(const char *text)
{
    struct ip_addr result;

    assert_int_equal(address_parse(text_of(text), &result), 0);
    return result;
}

static struct ip_prefix prefix(const char *text)
{
    struct ip_prefix result;

    assert_int_equal(prefix_parse(text_of(text), &result), 0);
    return result;
}

static void fixture_policy(struct fixture *f)
{
    f->values[0] = TEXT("a");
    f->values[1] = TEXT("");
    f->requirements[0] = (struct requirement){TEXT("example.com/app"), MATCH_IN, f->values, 2};
    f->requirements[1] = (struct requirement){.key = TEXT("x"), .match = MATCH_DOES_NOT_EXIST};
    f->rules[0].pods = (struct selector){true, f->requirements, 2};
    f->rules[1].namespaces.present = true;
    f->rules[1].nodes = (struct selector){true, f->requirements, 1};
    f->destinations[0] = prefix("0.0.0.0/0");
    f->destinations[1] = prefix("::/0");
    f->excluded[0] = prefix("10.1.0.0/16");
    f->gateways[0] =
        (struct policy_gateway){.nodes = {true, f->requirements, 1}, .interface = TEXT("eth0")};
    f->gateways[1] = (struct policy_gateway){.nodes.present = true};
    f->gateways[1].egress_ip = address("192.0.2.1");
    *f->policy = (struct policy){
        .name = TEXT("egress-test"),
        .rules = f->rules,
        .rule_count = 2,
        .destinations = f->destinations,
        .destination_count = 2,
        .excluded = f->excluded,
        .excluded_count = 1,
        .gateways = f->gateways,
        .gateway_count = 2,
        .gateways_from_list = true,
    };
}

static void fixture_others(struct fixture *f, enum object_kind kind)
{
    struct labels labels = {f->labels, 3};

    f->labels[0] = (struct label){TEXT("c"), TEXT("3")};
    f->labels[1] = (struct label){TEXT("a"), TEXT("")};
    f->labels[2] = (struct label){TEXT("example.com/b"), TEXT("A_b.c")};
    f->addresses[0] = address("10.0.0.1");
    f->addresses[1] = address("2001:db8::1");
    f->link_addresses[0].address = address("127.0.0.1");
    f->link_addresses[1].address = address("fe80::1");
    if (kind == KIND_POD)
        *f->pod = (struct pod){TEXT("default"), TEXT("web-0"), TEXT("1f-2"),
                               TEXT("n1"),      TEXT("sa"),    0,
                               labels,          f->addresses,  2,
                               false,           false};
    if (kind == KIND_NAMESPACE)
        *f->namespace = (struct namespace){TEXT("default"), TEXT("uid"), labels};
    if (kind == KIND_NODE)
        *f->node =
            (struct node){TEXT("n1.example"), TEXT(""), labels, f->addresses, 2, f->addresses, 1,
                          f->destinations,    1,        true};
    if (kind == KIND_LINK)
        *f->link = (struct link){1, TEXT("lo"), true, f->link_addresses, 2, false, false};
}

static void fixture_fill(struct fixture *f, enum object_kind kind)
{
    *f = (struct fixture){.object.kind = kind};
    f->policy = &f->object.policy;
    f->pod = &f->object.pod;
    f->namespace = &f->object.namespace;
    f->node = &f->object.node;
    f->link = &f->object.link;
    f->destinations[0] = prefix("10.0.0.0/8");
    if (kind == KIND_POLICY)
        fixture_policy(f);
    else
        fixture_others(f, kind);
}

static char long_text[400];

static struct text repeated(char c, size_t length)
{
    assert_true(length < sizeof(long_text));
    memset(long_text, c, length);
    return (struct text){long_text, length};
}

/* X(name, kind, what makes the object wrong, field, part of the reason) */
#define WRONG(X)                                                                                   \
    X(no_name, KIND_POLICY, f->policy->name = TEXT(""), "metadata.name", "missing")                \
    X(upper, KIND_POLICY, f->policy->name = TEXT("Egress"), "metadata.name", "lower-case")         \
    X(long_name, KIND_POLICY, f->policy->name = repeated('a', 254), "metadata.name", "253")        \
    X(uid, KIND_POLICY, f->policy->uid = TEXT("a b"), "metadata.uid", "printable")                 \
    X(rules, KIND_POLICY, f->policy->rule_count = 257, "spec.selectors", "at most 256")            \
    X(no_pods, KIND_POLICY, f->rules[0].pods = (struct selector){0}, "spec.selectors[0]",          \
      "podSelector or a namespaceSelector")                                                        \
    X(only_nodes, KIND_POLICY, f->rules[1].namespaces.present = false, "spec.selectors[1]",        \
      "podSelector or a namespaceSelector")                                                        \
    X(pod_name, KIND_POLICY, f->requirements[1].key = TEXT("io.kubernetes.pod.name"),              \
      "spec.selectors[0].podSelector", "not offered")                                              \
    X(source, KIND_POLICY, f->requirements[1].key = TEXT("k8s:app"),                               \
      "spec.selectors[0].podSelector", "no \"k8s:\" before it")                                    \
    X(empty_key, KIND_POLICY, f->requirements[1].key = TEXT(""), "spec.selectors[0].podSelector",  \
      "label key")                                                                                 \
    X(pseudo, KIND_POLICY, f->requirements[1].key = TEXT("io.cilium.k8s.namespace.labels.-"),      \
      "spec.selectors[0].podSelector", "label key")                                                \
    X(long_key, KIND_POLICY, f->requirements[1].key = repeated('a', 64),                           \
      "spec.selectors[0].podSelector", "63")                                                       \
    X(in_empty, KIND_POLICY, f->requirements[0].value_count = 0, "spec.selectors[0].podSelector",  \
      "at least one")                                                                              \
    X(values, KIND_POLICY, f->requirements[0].value_count = 1025, "spec.selectors[0].podSelector", \
      "at most 1024")                                                                              \
    X(exists, KIND_POLICY, f->requirements[1].value_count = 1;                                     \
      f->requirements[1].values = f->values, "spec.selectors[0].podSelector", "take none")         \
    X(operator, KIND_POLICY, f->requirements[1].match = 4, "spec.selectors[0].podSelector",        \
      "use In, NotIn, Exists or DoesNotExist")                                                     \
    X(value, KIND_POLICY, f->values[1] = TEXT("a b"), "spec.selectors[0].podSelector",             \
      "label value")                                                                               \
    X(long_value, KIND_POLICY, f->values[1] = repeated('a', 64), "spec.selectors[0].podSelector",  \
      "63")                                                                                        \
    X(node_key, KIND_POLICY, f->rules[0].pods.count = 0;                                           \
      f->requirements[0].key = TEXT("/a"), "spec.selectors[1].nodeSelector", "label key")          \
    X(namespace_key, KIND_POLICY, f->rules[1].namespaces = f->rules[0].pods;                       \
      f->rules[0] = f->rules[1];                                                                   \
      f->requirements[0].key = TEXT("a/"), "spec.selectors[0].namespaceSelector", "label key")     \
    X(requirements, KIND_POLICY, f->rules[0].pods.count = 257, "spec.selectors[0].podSelector",    \
      "at most 256")                                                                               \
    X(no_destination, KIND_POLICY, f->policy->destination_count = 0, "spec.destinationCIDRs",      \
      "missing")                                                                                   \
    X(destinations, KIND_POLICY, f->policy->destination_count = 2049, "spec.destinationCIDRs",     \
      "at most 2048")                                                                              \
    X(host_bits, KIND_POLICY, f->destinations[1].address.bytes[15] = 1,                            \
      "spec.destinationCIDRs[1]", "10.0.0.0/8")                                                    \
    X(length, KIND_POLICY, f->destinations[0].length = 33, "spec.destinationCIDRs[0]", "no CIDR")  \
    X(excluded, KIND_POLICY, f->excluded[0].length = 8, "spec.excludedCIDRs[0]", "no CIDR")        \
    X(no_gateway, KIND_POLICY, f->policy->gateway_count = 0, "spec.egressGateways", "missing")     \
    X(no_gateway_2, KIND_POLICY, f->policy->gateway_count = 0;                                     \
      f->policy->gateways_from_list = false, "spec.egressGateway", "missing")                      \
    X(gateways, KIND_POLICY, f->policy->gateway_count = 65, "spec.egressGateways", "at most 64")   \
    X(not_a_list, KIND_POLICY, f->policy->gateways_from_list = false, "spec.egressGateway",        \
      "egressGateways")                                                                            \
    X(no_nodes, KIND_POLICY, f->gateways[1].nodes.present = false,                                 \
      "spec.egressGateways[1].nodeSelector", "missing")                                            \
    X(no_nodes_2, KIND_POLICY, f->gateways[0].nodes.present = false; f->policy->gateway_count = 1; \
      f->policy->gateways_from_list = false, "spec.egressGateway.nodeSelector", "missing")         \
    X(both, KIND_POLICY, f->gateways[1].interface = TEXT("eth0"), "spec.egressGateways[1]",        \
      "at most one")                                                                               \
    X(interface, KIND_POLICY, f->gateways[0].interface = repeated('e', 16),                        \
      "spec.egressGateways[0].interface", "1 to 15")                                               \
    X(multicast, KIND_POLICY, f->gateways[1].egress_ip = address("224.0.0.1"),                     \
      "spec.egressGateways[1].egressIP", "multicast")                                              \
    X(pod_no_uid, KIND_POD, f->pod->uid = TEXT(""), "metadata.uid", "identified by its UID")       \
    X(pod_uid, KIND_POD, f->pod->uid = repeated('a', 129), "metadata.uid", "128")                  \
    X(pod_namespace, KIND_POD, f->pod->namespace = TEXT("a.b"), "metadata.namespace", "1 to 63")   \
    X(pod_names, KIND_POD, f->pod->name = TEXT("a..b"), "metadata.name", "no name")                \
    X(pod_node, KIND_POD, f->pod->node = TEXT("-n"), "spec.nodeName", "no name")                   \
    X(pod_account, KIND_POD, f->pod->service_account = TEXT("s_a"), "spec.serviceAccountName",     \
      "no name")                                                                                   \
    X(pod_addresses, KIND_POD, f->pod->address_count = 17, "status.podIPs", "at most 16")          \
    X(pod_address, KIND_POD, f->addresses[1] = address("::1"), "status.podIPs", "loopback")        \
    X(label_key, KIND_POD, f->labels[0].key = TEXT("a/b/c"), "metadata.labels", "label key")       \
    X(label_value, KIND_POD, f->labels[0].value = TEXT(".a"), "metadata.labels", "label value")    \
    X(label_twice, KIND_POD, f->labels[0].key = TEXT("a"), "metadata.labels", "twice")             \
    X(labels, KIND_NAMESPACE, f->labels[2] = f->labels[0], "metadata.labels", "twice")             \
    X(namespace, KIND_NAMESPACE, f->namespace->name = repeated('a', 64), "metadata.name", "63")    \
    X(namespace_uid, KIND_NAMESPACE, f->namespace->uid = TEXT("\x7f"), "metadata.uid", "UID")      \
    X(node_name, KIND_NODE, f->node->name = TEXT(""), "metadata.name", "missing")                  \
    X(node_internal, KIND_NODE, f->addresses[1] = (struct ip_addr){0}, "status.addresses",         \
      "unspecified")                                                                               \
    X(node_addresses, KIND_NODE, f->node->other_count = 257, "status.addresses", "at most 256")    \
    X(node_cidr, KIND_NODE, f->destinations[0].length = 2, "spec.podCIDRs[0]", "no CIDR")          \
    X(node_label, KIND_NODE, f->labels[1].key = TEXT(""), "metadata.labels", "label key")          \
    X(ifindex, KIND_LINK, f->link->ifindex = 0, "ifindex", "1 or more")                            \
    X(link_name, KIND_LINK, f->link->name = TEXT("a/b"), "name", "1 to 15")                        \
    X(link_address, KIND_LINK, f->link_addresses[1].address = (struct ip_addr){0}, "addresses[1]", \
      "missing")                                                                                   \
    X(link_addresses, KIND_LINK, f->link->address_count = 1025, "addresses", "at most 1024")       \
    X(kind, KIND_LINK, f->object.kind = KINDS, "kind", "no kind")

#define DEFINE(name, kind, change, field, reason)                                                  \
    static void wrong_##name(struct fixture *f)                                                    \
    {                                                                                              \
        change;                                                                                    \
    }
WRONG(DEFINE)

static const struct {
    const char *name;
    enum object_kind kind;
    void (*change)(struct fixture *f);
    const char *field;
    const char *reason;
} wrongs[] = {
#define ROW(name, kind, change, field, reason) {#name, kind, wrong_##name, field, reason},
    WRONG(ROW)};

static void test_valid(void **state _unused_)
{
    for (int kind = 0; kind < KINDS; kind++) {
        struct fixture f;
        struct object_error error;

        fixture_fill(&f, (enum object_kind)kind);
        if (object_check(&f.object, &error) < 0)
            fail_msg("%s: %s %s", object_kind_name((enum object_kind)kind), error.field,
                     error.reason);
    }
}

static void test_wrong(void **state _unused_)
{
    for (size_t i = 0; i < ARRAY_SIZE(wrongs); i++) {
        struct fixture f;
        struct object_error error = {0};

        fixture_fill(&f, wrongs[i].kind);
        wrongs[i].change(&f);
        if (object_check(&f.object, &error) != -EINVAL)
            fail_msg("%s is accepted", wrongs[i].name);
        if (strcmp(error.field, wrongs[i].field) != 0 || !strstr(error.reason, wrongs[i].reason))
            fail_msg("%s: field=%s reason=%s", wrongs[i].name, error.field, error.reason);
        assert_true(strlen(error.reason) + 1 < sizeof(error.reason)); /* not cut off */
    }
}

static void test_values_are_named(void **state _unused_)
{
    struct fixture f;
    struct object_error error;

    fixture_fill(&f, KIND_POLICY);
    f.destinations[1] = (struct ip_prefix){address("192.0.2.1"), 24};
    assert_int_equal(object_check(&f.object, &error), -EINVAL);
    assert_string_equal(error.value, "192.0.2.1/24");
    fixture_fill(&f, KIND_POD);
    f.labels[1].key = repeated('x', 390);
    assert_int_equal(object_check(&f.object, &error), -EINVAL);
    assert_int_equal(strlen(error.value), sizeof(error.value) - 1);
}

static void test_labels_are_sorted(void **state _unused_)
{
    struct fixture f;
    struct object_error error;

    fixture_fill(&f, KIND_NODE);
    assert_int_equal(object_check(&f.object, &error), 0);
    assert_true(text_equal(f.labels[0].key, TEXT("a")));
    assert_true(text_equal(f.labels[1].key, TEXT("c")));
    assert_true(text_equal(f.labels[1].value, TEXT("3")));
    assert_true(text_equal(f.labels[2].key, TEXT("example.com/b")));
}

/* What is allowed beside the obvious. */
static void test_edges(void **state _unused_)
{
    struct fixture f;
    struct object_error error;

    fixture_fill(&f, KIND_POLICY);
    f.policy->rule_count = 0; /* selects nothing */
    f.policy->excluded_count = 0;
    f.policy->gateway_count = 1;
    f.policy->gateways_from_list = false;
    assert_int_equal(object_check(&f.object, &error), 0);
    fixture_fill(&f, KIND_POLICY);
    f.requirements[1].key =
        TEXT("io.cilium.k8s.namespace.labels.a23456789012345678901234567890123456789012");
    assert_int_equal(object_check(&f.object, &error), 0);
    f.requirements[1].key = TEXT("io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name");
    assert_int_equal(object_check(&f.object, &error), 0);
    fixture_fill(&f, KIND_POD);
    f.pod->node = f.pod->service_account = TEXT("");
    f.pod->address_count = 0;
    f.pod->labels.count = 0;
    assert_int_equal(object_check(&f.object, &error), 0);
}

static void test_identity(void **state _unused_)
{
    static const char *const names[KINDS] = {"egress-test", "1f-2", "default", "n1.example", ""};

    for (int kind = 0; kind < KINDS; kind++) {
        struct fixture f;
        struct object_identity identity;

        fixture_fill(&f, (enum object_kind)kind);
        identity = object_identity(&f.object);
        assert_int_equal(identity.kind, kind);
        assert_true(text_equal(identity.name, text_of(names[kind])));
        assert_int_equal(identity.ifindex, kind == KIND_LINK ? 1 : 0);
    }
    assert_string_equal(object_kind_name(KIND_POLICY), "policy");
    assert_string_equal(object_kind_name(KIND_LINK), "link");
    assert_string_equal(object_kind_name(KINDS), "unknown");
}

static void test_label_keys(void **state _unused_)
{
    static const char *const good[] = {"a", "A1", "a_b", "a.b", "a-b", "x.io/a", "1/1"};
    static const char *const bad[] = {"",  "-a",  "a-",    "a b", "/a",  "a/",
                                      "é", "A/a", "a/b/c", "a,b", "_/a", "a./b"};

    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        assert_true(names_is_label_key(text_of(good[i])));
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_false(names_is_label_key(text_of(bad[i])));
    memset(long_text, 'a', 317);
    long_text[253] = '/';
    assert_true(names_is_label_key((struct text){long_text, 317}));
    assert_false(names_is_label_key((struct text){long_text, 318}));
}

static void test_interfaces(void **state _unused_)
{
    static const char *const good[] = {"lo", "eth0.100", "br-1", "a@b", "123456789012345"};
    static const char *const bad[] = {"",    ".",   "..",   "a/b",
                                      "a:1", "a b", "a\tb", "1234567890123456"};

    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        assert_true(names_is_interface(text_of(good[i])));
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_false(names_is_interface(text_of(bad[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid),
        cmocka_unit_test(test_wrong),
        cmocka_unit_test(test_values_are_named),
        cmocka_unit_test(test_labels_are_sorted),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_identity),
        cmocka_unit_test(test_label_keys),
        cmocka_unit_test(test_interfaces),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

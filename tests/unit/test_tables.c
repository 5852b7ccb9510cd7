/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "record_samples.h"

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

static struct table_entry route_entry(uint32_t profile, uint8_t action)
{
    struct ip_prefix destination = prefix("192.0.2.0/24");
    struct table_entry entry = {.table = TABLE_ROUTES};

    entry.key.route = route_key_make(profile, &destination);
    entry.value.route.action = action;
    return entry;
}

static void test_shapes(void **state _unused_)
{
    assert_string_equal(table_shapes[TABLE_SETTINGS].name, "settings");
    assert_string_equal(table_shapes[TABLE_ROUTES].name, "routes");
    assert_int_equal(table_shapes[TABLE_SETTINGS].key_size, 4);
    assert_int_equal(table_shapes[TABLE_NODES].value_size, 4);
    assert_int_equal(table_shapes[TABLE_GATEWAYS].key_size, 8);
    assert_int_equal(table_shapes[TABLE_ROUTES].key_size, 24);
    assert_int_equal(table_shapes[TABLE_ENDPOINTS].key_size, 16);
    for (int table = 0; table < TABLES; table++) {
        assert_true(table_shapes[table].key_size <= sizeof(union table_key));
        assert_true(table_shapes[table].value_size <= sizeof(union table_value));
    }
}

static void test_steps(void **state _unused_)
{
    static const struct {
        enum table table;
        uint32_t profile;
        unsigned step;
    } cases[] = {
        {TABLE_SETTINGS, 0, 0},
        {TABLE_NODES, 0, 1},
        {TABLE_GATEWAYS, 0, 2},
        {TABLE_ROUTES, PROFILE_CLUSTER, 3},
        {TABLE_ROUTES, PROFILE_FIRST, 4},
        {TABLE_ROUTES, PROFILE_LIMIT - 1, 4},
        {TABLE_ENDPOINTS, 0, 5},
        {TABLE_ROUTES, PROFILE_COVERED, 6},
        {TABLE_ROUTES, PROFILE_POD_RANGES, 6},
        {TABLE_POLICIES, 0, 7},
    };
    struct ip_prefix all = prefix("::/0");

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct table_entry entry = {.table = cases[i].table};

        if (entry.table == TABLE_ROUTES)
            entry.key.route = route_key_make(cases[i].profile, &all);
        assert_int_equal(table_entry_step(&entry), cases[i].step);
        assert_true(table_entry_step(&entry) < TABLE_STEPS);
    }
}

static void test_route_key_layout(void **state _unused_)
{
    static const uint8_t v4[16] = {192, 0, 2};
    static const uint8_t v6[16] = {0x20, 0x01, 0x0d, 0xb8};
    struct ip_prefix prefix_v4 = prefix("192.0.2.0/24"), prefix_v6 = prefix("2001:db8::/32");
    struct route_key key = route_key_make(7, &prefix_v4);

    assert_int_equal(key.prefix_length, 56);
    assert_int_equal(ntohl(key.scope_be), 7);
    assert_memory_equal(key.address, v4, 16);
    key = route_key_make(7, &prefix_v6);
    assert_int_equal(key.prefix_length, 64);
    assert_int_equal(ntohl(key.scope_be), 7 | ROUTE_SCOPE_IPV6);
    assert_memory_equal(key.address, v6, 16);
}

static void test_route_keys_come_back(void **state _unused_)
{
    static const char *const addresses[] = {"255.255.255.255",
                                            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"};

    for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
        struct ip_addr full = address(addresses[i]);

        for (unsigned length = 0; length <= address_bits(&full); length++) {
            struct ip_prefix in = {address_mask(&full, length), (uint8_t)length}, out;
            struct route_key key = route_key_make(PROFILE_LIMIT - 1, &in);
            uint32_t profile;

            assert_int_equal(route_key_read(&key, &profile, &out), 0);
            assert_int_equal(profile, PROFILE_LIMIT - 1);
            assert_true(prefix_equal(&in, &out));
        }
    }
}

static void test_wrong_route_keys(void **state _unused_)
{
    struct ip_prefix v4 = prefix("192.0.2.0/24"), v6 = prefix("2001:db8::/32");
    struct route_key keys[7], mapped = {.prefix_length = 160};
    struct ip_prefix out = v4;
    uint32_t profile = 99;

    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        keys[i] = route_key_make(5, i < 5 ? &v4 : &v6);
    keys[0].prefix_length = 31;
    keys[1].prefix_length = 65;
    keys[2].address[3] = 1;  /* behind the prefix */
    keys[3].address[15] = 1; /* behind an IPv4 address */
    keys[4].prefix_length = 0;
    keys[5].prefix_length = 161;
    keys[6].address[4] = 1;
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        assert_int_equal(route_key_read(&keys[i], &profile, &out), -EINVAL);
    mapped.scope_be = htonl(5 | ROUTE_SCOPE_IPV6);
    mapped.address[10] = mapped.address[11] = 0xff;
    assert_int_equal(route_key_read(&mapped, &profile, &out), -EINVAL);
    assert_int_equal(profile, 99);
    assert_true(prefix_equal(&out, &v4));
}

static void test_samples_are_valid(void **state _unused_)
{
    uint64_t seed = 21;

    for (int round = 0; round < 2000; round++) {
        struct table_entry entry = sample_entry(&seed, (enum table)(round % TABLES));
        const char *why = "";

        if (table_entry_check(&entry, &why) < 0)
            fail_msg("%s", why);
    }
}

static struct table_entry valid_entry(enum table table)
{
    struct table_entry entry = {.table = table};

    if (table == TABLE_NODES || table == TABLE_ENDPOINTS)
        entry.key.address = address("10.0.0.1");
    if (table == TABLE_GATEWAYS) {
        entry.value.gateway.node = address("10.0.0.1");
        entry.value.gateway.egress = address("192.0.2.1");
        entry.value.gateway.ifindex = 2;
        entry.value.gateway.flags = GATEWAY_LOCAL;
    }
    if (table == TABLE_ENDPOINTS) {
        entry.value.endpoint.node = address("10.0.0.2");
        entry.value.endpoint.profile = PROFILE_NONE;
    }
    if (table == TABLE_POLICIES) {
        entry.key.policy = 1;
        strcpy(entry.value.policy.text, "egress-test");
    }
    if (table == TABLE_ROUTES) {
        entry = route_entry(PROFILE_FIRST, ROUTE_GATEWAY);
        entry.value.route.slots = GATEWAY_SLOTS;
        entry.value.route.policy = 1;
    }
    return entry;
}

/* X(name, table, what makes the entry wrong, whether it stays wrong when it is removed) */
#define WRONG(X)                                                                                   \
    X(key, TABLE_SETTINGS, e->key.zero = 1, true)                                                  \
    X(node_v4, TABLE_SETTINGS, v->settings.node_v4 = address("2001:db8::1"), true)                 \
    X(node_v6, TABLE_SETTINGS, v->settings.node_v6 = address("10.0.0.1"), true)                    \
    X(loopback, TABLE_SETTINGS, v->settings.node_v4 = address("127.0.0.1"), true)                  \
    X(settings_flags, TABLE_SETTINGS, v->settings.flags = 2, true)                                 \
    X(settings_reserved, TABLE_SETTINGS, v->settings.reserved = 1, true)                           \
    X(settings_removed, TABLE_SETTINGS, e->remove = true, true)                                    \
    X(node_key, TABLE_NODES, e->key.address = address("224.0.0.1"), true)                          \
    X(node_flags, TABLE_NODES, v->node.flags = 8, false)                                           \
    X(slot, TABLE_GATEWAYS, e->key.gateway.slot = GATEWAY_SLOTS, true)                             \
    X(gateway_node, TABLE_GATEWAYS, v->gateway.node = (struct ip_addr){0}, false)                  \
    X(gateway_flags, TABLE_GATEWAYS, v->gateway.flags = 4 | GATEWAY_LOCAL, false)                  \
    X(dedicated, TABLE_GATEWAYS,                                                                   \
      (v->gateway.flags |= GATEWAY_DEDICATED, v->gateway.egress = (struct ip_addr){0},             \
       v->gateway.ifindex = 0),                                                                    \
      false)                                                                                       \
    X(not_local, TABLE_GATEWAYS, v->gateway.flags = 0, false)                                      \
    X(egress, TABLE_GATEWAYS, v->gateway.egress = address("255.255.255.255"), false)               \
    X(no_egress, TABLE_GATEWAYS, v->gateway.egress = (struct ip_addr){0}, false)                   \
    X(no_ifindex, TABLE_GATEWAYS, v->gateway.ifindex = 0, false)                                   \
    X(ifindex, TABLE_GATEWAYS, v->gateway.ifindex = 1U << 31, false)                               \
    X(route_key, TABLE_ROUTES, e->key.route.address[3] = 1, true)                                  \
    X(profile_none, TABLE_ROUTES, e->key.route.scope_be = htonl(PROFILE_NONE), true)               \
    X(profile_limit, TABLE_ROUTES, e->key.route.scope_be = htonl(PROFILE_LIMIT), true)             \
    X(action_0, TABLE_ROUTES, v->route.action = 0, false)                                          \
    X(action_7, TABLE_ROUTES, v->route.action = 7, false)                                          \
    X(action_cluster, TABLE_ROUTES, v->route.action = ROUTE_CLUSTER, false)                        \
    X(no_slots, TABLE_ROUTES, v->route.slots = 0, false)                                           \
    X(slots, TABLE_ROUTES, v->route.slots = GATEWAY_SLOTS + 1, false)                              \
    X(excluded, TABLE_ROUTES, v->route.action = ROUTE_EXCLUDED, false)                             \
    X(group, TABLE_ROUTES, v->route.action = ROUTE_NO_GATEWAY; v->route.slots = 0;                 \
      v->route.group = 1, false)                                                                   \
    X(owned, TABLE_ROUTES, *e = route_entry(PROFILE_CLUSTER, ROUTE_CLUSTER);                       \
      v->route.policy = 1, false)                                                                  \
    X(wrong_action, TABLE_ROUTES, *e = route_entry(PROFILE_COVERED, ROUTE_CLUSTER), false)         \
    X(range_action, TABLE_ROUTES, *e = route_entry(PROFILE_POD_RANGES, ROUTE_COVERED), false)      \
    X(route_reserved, TABLE_ROUTES, v->route.reserved = 1, false)                                  \
    X(endpoint_key, TABLE_ENDPOINTS, e->key.address = (struct ip_addr){0}, true)                   \
    X(endpoint_node, TABLE_ENDPOINTS, v->endpoint.node = address("127.0.0.1"), false)              \
    X(endpoint_profile, TABLE_ENDPOINTS, v->endpoint.profile = PROFILE_POD_RANGES, false)          \
    X(endpoint_limit, TABLE_ENDPOINTS, v->endpoint.profile = PROFILE_LIMIT, false)                 \
    X(endpoint_flags, TABLE_ENDPOINTS, v->endpoint.flags = 2, false)                               \
    X(endpoint_reserved, TABLE_ENDPOINTS, v->endpoint.reserved = 1, false)                         \
    X(policy_0, TABLE_POLICIES, e->key.policy = 0, true)                                           \
    X(policy_limit, TABLE_POLICIES, e->key.policy = POLICIES_COUNTED, true)                        \
    X(policy_empty, TABLE_POLICIES, v->policy = (struct policy_name){0}, false)                    \
    X(policy_quote, TABLE_POLICIES, v->policy.text[3] = '"', false)                                \
    X(policy_behind, TABLE_POLICIES, v->policy.text[POLICY_NAME_SIZE - 1] = 'a', false)            \
    X(policy_endless, TABLE_POLICIES, memset(v->policy.text, 'a', POLICY_NAME_SIZE), false)        \
    X(table, TABLE_NODES, e->table = TABLES, true)

#define DEFINE(name, table, change, removed)                                                       \
    static void wrong_##name(struct table_entry *e _unused_, union table_value *v _unused_)        \
    {                                                                                              \
        change;                                                                                    \
    }
WRONG(DEFINE)

static const struct {
    const char *name;
    enum table table;
    void (*change)(struct table_entry *entry, union table_value *value);
    bool removed;
} wrongs[] = {
#define ROW(name, table, change, removed) {#name, table, wrong_##name, removed},
    WRONG(ROW)};

static void test_wrong_entries(void **state _unused_)
{
    for (size_t i = 0; i < ARRAY_SIZE(wrongs); i++) {
        struct table_entry entry = valid_entry(wrongs[i].table);
        const char *why = NULL;

        assert_int_equal(table_entry_check(&entry, &why), 0);
        wrongs[i].change(&entry, &entry.value);
        if (table_entry_check(&entry, &why) != -EINVAL)
            fail_msg("%s is accepted", wrongs[i].name);
        assert_non_null(why);
        entry.remove = true;
        if (table_entry_check(&entry, &why) != (wrongs[i].removed ? -EINVAL : 0))
            fail_msg("%s, removed: wrong answer", wrongs[i].name);
    }
}

static void test_right_entries(void **state _unused_)
{
    struct table_entry entries[] = {
        route_entry(PROFILE_CLUSTER, ROUTE_CLUSTER),
        route_entry(PROFILE_COVERED, ROUTE_COVERED),
        route_entry(PROFILE_POD_RANGES, ROUTE_POD_RANGE),
        route_entry(PROFILE_FIRST, ROUTE_EXCLUDED),
        route_entry(PROFILE_FIRST, ROUTE_NO_GATEWAY),
        valid_entry(TABLE_ENDPOINTS),
        valid_entry(TABLE_GATEWAYS),
        valid_entry(TABLE_GATEWAYS),
    };
    const char *why = "";

    entries[5].value.endpoint.node = (struct ip_addr){0}; /* not known yet */
    entries[6].value.gateway.egress = (struct ip_addr){0};
    entries[6].value.gateway.ifindex = 0;
    entries[7].value.gateway = (struct gateway){.node = address("10.0.0.1")};
    for (size_t i = 0; i < ARRAY_SIZE(entries); i++)
        assert_int_equal(table_entry_check(&entries[i], &why), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),           cmocka_unit_test(test_steps),
        cmocka_unit_test(test_route_key_layout), cmocka_unit_test(test_route_keys_come_back),
        cmocka_unit_test(test_wrong_route_keys), cmocka_unit_test(test_samples_are_valid),
        cmocka_unit_test(test_wrong_entries),    cmocka_unit_test(test_right_entries),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

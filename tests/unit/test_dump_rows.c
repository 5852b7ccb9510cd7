/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ipc/tables.h"
#include "loader/dump.h"

struct tables {
    struct entries endpoints, routes, gateways;
};

static struct ip_addr address(const char *text)
{
    struct ip_addr result;

    assert_int_equal(address_parse(text_of(text), &result), 0);
    return result;
}

static void add_endpoint(struct tables *tables, const char *source, uint32_t profile, uint32_t hash)
{
    struct ip_addr key = address(source);
    struct endpoint value = {.profile = profile, .hash = hash};

    assert_int_equal(entries_put(&tables->endpoints, &key, &value, ENTRY_SET), 0);
}

static void add_route(struct tables *tables, uint32_t profile, const char *text, uint8_t action,
                      uint32_t group, uint16_t slots)
{
    struct route value = {.action = action, .group = group, .slots = slots};
    struct ip_prefix prefix;
    struct route_key key;

    assert_int_equal(prefix_parse(text_of(text), &prefix), 0);
    key = route_key_make(profile, &prefix);
    assert_int_equal(entries_put(&tables->routes, &key, &value, ENTRY_SET), 0);
}

static void add_gateway(struct tables *tables, uint32_t group, uint32_t slot, const char *node,
                        const char *egress, uint32_t flags)
{
    struct gateway_key key = {group, slot};
    struct gateway value = {.node = address(node), .flags = flags};

    if (egress)
        value.egress = address(egress);
    assert_int_equal(entries_put(&tables->gateways, &key, &value, ENTRY_SET), 0);
}

static void tables_fill(struct tables *tables, bool v6)
{
    tables->endpoints = ENTRIES(sizeof(struct ip_addr), sizeof(struct endpoint));
    tables->routes = ENTRIES(sizeof(struct route_key), sizeof(struct route));
    tables->gateways = ENTRIES(sizeof(struct gateway_key), sizeof(struct gateway));
    add_endpoint(tables, "172.22.48.10", PROFILE_FIRST + 1, 3);
    add_endpoint(tables, "172.22.48.4", PROFILE_FIRST, 7);
    add_endpoint(tables, "172.22.48.11", PROFILE_FIRST + 1, 4);
    add_endpoint(tables, "172.22.48.99", PROFILE_NONE, 0);
    add_route(tables, PROFILE_CLUSTER, "172.16.0.0/12", ROUTE_CLUSTER, 0, 0);
    add_route(tables, PROFILE_COVERED, "0.0.0.0/0", ROUTE_COVERED, 0, 0);
    add_route(tables, PROFILE_FIRST, "0.0.0.0/0", ROUTE_GATEWAY, 5, 1);
    add_route(tables, PROFILE_FIRST + 1, "10.0.0.0/8", ROUTE_EXCLUDED, 0, 0);
    add_route(tables, PROFILE_FIRST + 1, "0.0.0.0/0", ROUTE_GATEWAY, 6, 2);
    add_route(tables, PROFILE_FIRST + 1, "10.0.0.0/16", ROUTE_NO_GATEWAY, 0, 0);
    add_gateway(tables, 5, 0, "172.22.49.119", "172.22.49.119", GATEWAY_LOCAL);
    add_gateway(tables, 6, 0, "172.22.49.119", NULL, GATEWAY_LOCAL);
    add_gateway(tables, 6, 1, "172.22.49.147", NULL, 0);
    if (!v6)
        return;
    add_endpoint(tables, "2001:db8:1111:2222::1", PROFILE_FIRST, 0);
    add_route(tables, PROFILE_FIRST, "2001:db8::/32", ROUTE_GATEWAY, 6, 2);
}

static void expect_dump(bool v6, bool empty, enum show_format format, const char *wanted)
{
    struct tables tables;
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);

    assert_non_null(out);
    tables_fill(&tables, v6);
    if (empty)
        entries_release(&tables.endpoints);
    assert_int_equal(dump_print(&tables.endpoints, &tables.routes, &tables.gateways, format, out),
                     0);
    fclose(out);
    assert_string_equal(text, wanted);
    free(text);
    entries_release(&tables.endpoints);
    entries_release(&tables.routes);
    entries_release(&tables.gateways);
}

static void test_text(void **state)
{
    (void)state;
    expect_dump(false, false, SHOW_TEXT,
                "Source IP       Destination CIDR    Egress IP        Gateway IP\n"
                "172.22.48.4     0.0.0.0/0           172.22.49.119    172.22.49.119\n"
                "172.22.48.10    0.0.0.0/0           0.0.0.0          172.22.49.147\n"
                "172.22.48.10    10.0.0.0/8          0.0.0.0          Excluded CIDR\n"
                "172.22.48.10    10.0.0.0/16         0.0.0.0          Not Found\n"
                "172.22.48.11    0.0.0.0/0           0.0.0.0          172.22.49.119\n"
                "172.22.48.11    10.0.0.0/8          0.0.0.0          Excluded CIDR\n"
                "172.22.48.11    10.0.0.0/16         0.0.0.0          Not Found\n");
}

static void test_wider_columns(void **state)
{
    (void)state;
    expect_dump(true, false, SHOW_TEXT,
                "Source IP             Destination CIDR    Egress IP        Gateway IP\n"
                "172.22.48.4           0.0.0.0/0           172.22.49.119    172.22.49.119\n"
                "172.22.48.10          0.0.0.0/0           0.0.0.0          172.22.49.147\n"
                "172.22.48.10          10.0.0.0/8          0.0.0.0          Excluded CIDR\n"
                "172.22.48.10          10.0.0.0/16         0.0.0.0          Not Found\n"
                "172.22.48.11          0.0.0.0/0           0.0.0.0          172.22.49.119\n"
                "172.22.48.11          10.0.0.0/8          0.0.0.0          Excluded CIDR\n"
                "172.22.48.11          10.0.0.0/16         0.0.0.0          Not Found\n"
                "2001:db8:1111:2222::1 2001:db8::/32       ::               172.22.49.119\n");
}

static void test_json(void **state)
{
    (void)state;
    expect_dump(false, true, SHOW_JSON, "[]\n");
    expect_dump(false, false, SHOW_JSON,
                "[\n"
                "  {\"SourceIP\": \"172.22.48.4\", \"DestCIDR\": \"0.0.0.0/0\", "
                "\"EgressIP\": \"172.22.49.119\", \"GatewayIP\": \"172.22.49.119\"},\n"
                "  {\"SourceIP\": \"172.22.48.10\", \"DestCIDR\": \"0.0.0.0/0\", "
                "\"EgressIP\": \"0.0.0.0\", \"GatewayIP\": \"172.22.49.147\"},\n"
                "  {\"SourceIP\": \"172.22.48.10\", \"DestCIDR\": \"10.0.0.0/8\", "
                "\"EgressIP\": \"0.0.0.0\", \"GatewayIP\": \"Excluded CIDR\"},\n"
                "  {\"SourceIP\": \"172.22.48.10\", \"DestCIDR\": \"10.0.0.0/16\", "
                "\"EgressIP\": \"0.0.0.0\", \"GatewayIP\": \"Not Found\"},\n"
                "  {\"SourceIP\": \"172.22.48.11\", \"DestCIDR\": \"0.0.0.0/0\", "
                "\"EgressIP\": \"0.0.0.0\", \"GatewayIP\": \"172.22.49.119\"},\n"
                "  {\"SourceIP\": \"172.22.48.11\", \"DestCIDR\": \"10.0.0.0/8\", "
                "\"EgressIP\": \"0.0.0.0\", \"GatewayIP\": \"Excluded CIDR\"},\n"
                "  {\"SourceIP\": \"172.22.48.11\", \"DestCIDR\": \"10.0.0.0/16\", "
                "\"EgressIP\": \"0.0.0.0\", \"GatewayIP\": \"Not Found\"}\n"
                "]\n");
}

static void test_nothing(void **state)
{
    (void)state;
    expect_dump(false, true, SHOW_TEXT,
                "Source IP       Destination CIDR    Egress IP        Gateway IP\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_wider_columns),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

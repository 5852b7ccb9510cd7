/* SPDX-License-Identifier: Apache-2.0 */
#include <egressgw/nat_state.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/address.h"
#include "loader/dump_nat.h"

enum { NOW = 5000000 };

static struct entries forward, reverse, policies;

static struct ip_addr address_of(const char *text)
{
    struct ip_addr address;

    assert_int_equal(address_parse((struct text){text, strlen(text)}, &address), 0);
    return address;
}

static void mapping_put(uint8_t protocol, const char *pod, uint16_t pod_port, const char *remote,
                        uint16_t remote_port, const char *egress, uint16_t egress_port,
                        uint8_t answers)
{
    struct nat_key key = {.local = address_of(pod),
                          .remote = address_of(remote),
                          .local_port_be = htons(pod_port),
                          .remote_port_be = htons(remote_port),
                          .protocol = protocol};
    struct nat_forward mapping = {
        .egress = address_of(egress),
        .egress_port_be = htons(egress_port),
        .policy = protocol == IPPROTO_TCP ? 7 : 8,
        .created = NOW - nat_ticks(100),
        .use = {
            .last_seen = NOW - nat_ticks(20), .seen = NAT_SEEN_DATA, .packets = 3, .bytes = 300}};
    struct nat_reverse claim = {
        .pod = key.local,
        .pod_port_be = key.local_port_be,
        .use = {.last_seen = NOW - nat_ticks(10), .seen = answers, .packets = 2, .bytes = 1000}};

    assert_int_equal(entries_put(&forward, &key, &mapping, ENTRY_SET), 0);
    key.local = mapping.egress;
    key.local_port_be = mapping.egress_port_be;
    assert_int_equal(entries_put(&reverse, &key, &claim, ENTRY_SET), 0);
}

static int setup(void **state)
{
    const struct policy_name name = {"mall"};
    const uint32_t number = 7;

    (void)state;
    forward = ENTRIES(sizeof(struct nat_key), sizeof(struct nat_forward));
    reverse = ENTRIES(sizeof(struct nat_key), sizeof(struct nat_reverse));
    policies = ENTRIES(sizeof(uint32_t), sizeof(struct policy_name));
    return entries_put(&policies, &number, &name, ENTRY_SET);
}

static int teardown(void **state)
{
    (void)state;
    entries_release(&forward);
    entries_release(&reverse);
    entries_release(&policies);
    return 0;
}

static char *print(enum show_format format)
{
    struct dump_nat dump = {&forward, &reverse, &policies, {0}, NOW};
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);

    for (unsigned timeout = 0; timeout < NAT_TIMEOUTS; timeout++)
        dump.timeouts[timeout] = nat_ticks(60);
    dump.timeouts[NAT_ICMP] = nat_ticks(5);
    assert_non_null(out);
    assert_int_equal(dump_nat_print(&dump, format, out), 0);
    fclose(out);
    return text;
}

static void mappings_put(void)
{
    mapping_put(IPPROTO_UDP, "fd00::2", 5, "2001:db8::1", 53, "2001:db8:9::9", 1024, 0);
    mapping_put(IPPROTO_ICMP, "10.0.0.2", 77, "192.0.2.1", 0, "198.51.100.1", 77, NAT_SEEN_DATA);
    mapping_put(IPPROTO_TCP, "10.0.0.2", 4000, "192.0.2.1", 443, "198.51.100.1", 4000,
                NAT_SEEN_DATA);
}

/* The rows in the order of pods, each with its state in words. */
static void test_text(void **state)
{
    static const char *const rows[] = {
        "10.0.0.2:77 192.0.2.1 198.51.100.1:77 icmp expired 99 9 5 1300 8",
        "10.0.0.2:4000 192.0.2.1:443 198.51.100.1:4000 tcp established 99 9 5 1300 mall",
        "[fd00::2]:5 [2001:db8::1]:53 [2001:db8:9::9]:1024 udp unanswered 99 9 5 1300 8",
    };
    size_t count = 0;
    char *text, *place, *line;

    (void)state;
    mappings_put();
    text = print(SHOW_TEXT);
    strtok_r(text, "\n", &place); /* titles */
    while ((line = strtok_r(NULL, "\n", &place))) {
        char packed[256] = "";
        char *word, *inner;

        for (word = strtok_r(line, " ", &inner); word; word = strtok_r(NULL, " ", &inner)) {
            strcat(packed, packed[0] ? " " : "");
            strcat(packed, word);
        }
        assert_true(count < ARRAY_SIZE(rows));
        assert_string_equal(packed, rows[count++]);
    }
    assert_int_equal(count, ARRAY_SIZE(rows));
    free(text);
}

static void test_json(void **state)
{
    char *text;

    (void)state;
    text = print(SHOW_JSON);
    assert_string_equal(text, "[]\n");
    free(text);
    mapping_put(IPPROTO_TCP, "10.0.0.2", 4000, "192.0.2.1", 443, "198.51.100.1", 4001, 0);
    text = print(SHOW_JSON);
    assert_string_equal(
        text, "[\n {\"PodIP\": \"10.0.0.2\", \"PodPort\": 4000, \"RemoteIP\": \"192.0.2.1\", "
              "\"RemotePort\": 443, \"EgressIP\": \"198.51.100.1\", \"EgressPort\": 4001, "
              "\"Protocol\": \"tcp\", \"State\": \"new\", \"AgeSeconds\": 99, \"IdleSeconds\": 9, "
              "\"PacketsOut\": 3, \"BytesOut\": 300, \"PacketsIn\": 2, \"BytesIn\": 1000, "
              "\"Policy\": \"mall\"}\n]\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_text, setup, teardown),
        cmocka_unit_test_setup_teardown(test_json, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What --counters prints, and how ports in use are counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <jansson.h>

#include "common/address.h"
#include "ipc/reasons.h"
#include "loader/counters.h"

static struct nat_key key_of(const char *egress, uint16_t port, const char *remote,
                             uint8_t protocol)
{
    struct nat_key key = {.local_port_be = htons(port), .protocol = protocol};

    assert_int_equal(address_parse(text_of(egress), &key.local), 0);
    assert_int_equal(address_parse(text_of(remote), &key.remote), 0);
    return key;
}

static void use(struct egress_uses *uses, const char *egress, uint16_t port, const char *remote,
                uint8_t protocol)
{
    struct nat_key key = key_of(egress, port, remote, protocol);

    assert_int_equal(egress_uses_add(uses, &key), 0);
}

static void ports_serve_several_connections(void **state)
{
    struct egress_uses uses = {0};

    (void)state;
    use(&uses, "10.0.0.2", 1024, "192.0.2.1", IPPROTO_TCP);
    use(&uses, "10.0.0.2", 1024, "192.0.2.2", IPPROTO_TCP);
    use(&uses, "10.0.0.2", 65535, "192.0.2.2", IPPROTO_TCP);
    use(&uses, "10.0.0.2", 1024, "192.0.2.1", IPPROTO_UDP);
    use(&uses, "10.0.0.1", 0, "192.0.2.1", IPPROTO_TCP);
    egress_uses_sort(&uses);
    assert_int_equal(uses.count, 3);
    assert_int_equal(uses.items[0].ports, 1);
    assert_int_equal(uses.items[1].ports, 2);
    assert_int_equal(uses.items[1].connections, 3);
    assert_int_equal(uses.items[2].protocol, IPPROTO_UDP);
    assert_int_equal(uses.items[2].connections, 1);
    egress_uses_clear(&uses);
}

static void many_egress_addresses(void **state)
{
    struct egress_uses uses = {0};

    (void)state;
    for (unsigned i = 0; i < 200; i++) {
        char text[ADDRESS_TEXT_SIZE];

        snprintf(text, sizeof(text), "2001:db8::%x", i);
        use(&uses, text, 5000, "2001:db8:1::1", IPPROTO_UDP);
    }
    assert_int_equal(uses.count, 200);
    egress_uses_clear(&uses);
}

/* Policies and addresses of both families; nothing else was dropped than `no_gateway`. */
static void counters_fill(struct counters *counters)
{
    counters->totals[DROP_NO_GATEWAY] = (struct counter){118, 11564};
    counters->totals[COUNT_ENCAPSULATED] = (struct counter){UINT64_MAX, UINT64_MAX};
    counters->policies = calloc(2, sizeof(counters->policies[0]));
    counters->policy_count = 2;
    strcpy(counters->policies[0].name, "egress-test");
    counters->policies[0].total = (struct counter){7, 700};
    strcpy(counters->policies[1].name, "mall.example");
    counters->refusals = calloc(1, sizeof(counters->refusals[0]));
    counters->refusal_count = 1;
    counters->refusals[0].total = (struct counter){9, 900};
    assert_int_equal(address_parse(TEXT("10.0.0.2"), &counters->refusals[0].egress), 0);
    use(&counters->uses, "10.0.0.2", 1024, "192.0.2.1", IPPROTO_TCP);
    use(&counters->uses, "2001:db8::7", 1, "2001:db8:1::1", 200);
}

static char *print(const struct counters *counters, enum show_format format)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    assert_non_null(out);
    assert_int_equal(counters_print(counters, format, out), 0);
    fclose(out);
    return text;
}

static void text_shows_what_was_counted(void **state)
{
    struct counters counters = {0};
    char *text;

    (void)state;
    counters_fill(&counters);
    text = print(&counters, SHOW_TEXT);
    assert_non_null(strstr(text, "\nCarried "));
    assert_non_null(strstr(text, reason_of_drop(DROP_NO_GATEWAY)->remedy));
    assert_null(strstr(text, "hop_limit"));
    assert_non_null(strstr(text, "no_gateway                          118              11564  a "));
    assert_non_null(strstr(text, "\negress-test                           7                700"));
    assert_non_null(strstr(text, "\nmall.example "));
    assert_non_null(strstr(text, "18446744073709551615"));
    assert_non_null(strstr(text, "\n10.0.0.2 "));
    assert_non_null(strstr(text, "\n10.0.0.2                                              9\n"));
    assert_non_null(strstr(text, "\n2001:db8::7                              200 "));
    free(text);
    counters_clear(&counters);
    text = print(&counters, SHOW_TEXT);
    assert_non_null(strstr(text, "\nnothing\n"));
    free(text);
}

static long long number(json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);

    assert_true(json_is_integer(value));
    return json_integer_value(value);
}

static void json_holds_everything(void **state)
{
    struct counters counters = {0};
    json_t *root, *item;
    char *text;

    (void)state;
    counters_fill(&counters);
    counters.totals[COUNT_ENCAPSULATED] = (struct counter){5, 6};
    text = print(&counters, SHOW_JSON);
    root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(root);
    assert_int_equal(json_array_size(json_object_get(root, "drops")), DROP_LIMIT);
    item = json_array_get(json_object_get(root, "drops"), DROP_NO_GATEWAY);
    assert_string_equal(json_string_value(json_object_get(item, "reason")), "no_gateway");
    assert_int_equal(number(item, "packets"), 118);
    item = json_array_get(json_object_get(root, "carried"), 0);
    assert_int_equal(number(item, "bytes"), 6);
    item = json_array_get(json_object_get(root, "policies"), 0);
    assert_string_equal(json_string_value(json_object_get(item, "policy")), "egress-test");
    assert_int_equal(number(item, "bytes"), 700);
    item = json_array_get(json_object_get(root, "egressIPs"), 1);
    assert_string_equal(json_string_value(json_object_get(item, "egressIP")), "2001:db8::7");
    assert_string_equal(json_string_value(json_object_get(item, "protocol")), "200");
    item = json_array_get(json_object_get(root, "withoutPort"), 0);
    assert_int_equal(number(item, "packets"), 9);
    json_decref(root);
    free(text);
    counters_clear(&counters);
    text = print(&counters, SHOW_JSON);
    root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    assert_int_equal(json_array_size(json_object_get(root, "policies")), 0);
    json_decref(root);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ports_serve_several_connections),
        cmocka_unit_test(many_egress_addresses),
        cmocka_unit_test(text_shows_what_was_counted),
        cmocka_unit_test(json_holds_everything),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* How --drops prints a record. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <jansson.h>
#include <time.h>

#include "common/address.h"
#include "loader/drops.h"

static struct drop_record record_of(const char *source, const char *destination, uint8_t protocol)
{
    struct drop_record record = {
        .source_port_be = htons(40000),
        .destination_port_be = htons(53),
        .length = 59,
        .policy = 7,
        .reason = DROP_NO_GATEWAY,
        .protocol = protocol,
        .flags = DROP_RECORD_EGRESS,
    };

    assert_int_equal(address_parse(text_of(source), &record.source), 0);
    assert_int_equal(address_parse(text_of(destination), &record.destination), 0);
    return record;
}

static char *print(const struct drop_record *record, const char *policy, enum show_format format)
{
    struct drop_line line = {record, 1700000000123000000ULL, policy, "eth0"};
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    assert_non_null(out);
    drops_print(&line, format, out);
    fclose(out);
    return text;
}

static void assert_text(const struct drop_record *record, const char *policy, const char *expected)
{
    char *text = print(record, policy, SHOW_TEXT);

    assert_string_equal(text, expected);
    free(text);
}

static void text_names_both_ends(void **state)
{
    struct drop_record record = record_of("10.244.1.2", "192.0.2.10", IPPROTO_UDP);

    (void)state;
    assert_text(&record, "egress-test",
                "22:13:20.123 no_gateway       udp 10.244.1.2:40000 -> 192.0.2.10:53 "
                "policy=egress-test interface=eth0 hook=egress length=59\n");
    record = record_of("fd00::1", "2001:db8::2", IPPROTO_TCP);
    record.flags = DROP_RECORD_TUNNEL;
    record.reason = DROP_HOP_LIMIT;
    assert_text(&record, "",
                "22:13:20.123 hop_limit        tcp [fd00::1]:40000 -> [2001:db8::2]:53 "
                "interface=eth0 hook=ingress tunnel length=59\n");
}

static void text_without_ports(void **state)
{
    struct drop_record record = record_of("10.244.1.2", "192.0.2.10", IPPROTO_ICMP);

    (void)state;
    record.destination_port_be = 0;
    assert_text(&record, "",
                "22:13:20.123 no_gateway       icmp 10.244.1.2 -> 192.0.2.10 id=40000 "
                "interface=eth0 hook=egress length=59\n");
    record = record_of("10.244.1.2", "192.0.2.10", 200);
    record.source_port_be = record.destination_port_be = 0;
    record.reason = 255;
    assert_text(&record, "",
                "22:13:20.123 unknown          200 10.244.1.2 -> 192.0.2.10 "
                "interface=eth0 hook=egress length=59\n");
}

static void json_is_one_object_a_line(void **state)
{
    struct drop_record record = record_of("fd00::1", "2001:db8::2", IPPROTO_UDP);
    char *text = print(&record, "egress-test", SHOW_JSON);
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);

    (void)state;
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
    assert_non_null(root);
    assert_string_equal(json_string_value(json_object_get(root, "time")),
                        "2023-11-14T22:13:20.123Z");
    assert_string_equal(json_string_value(json_object_get(root, "source")), "fd00::1");
    assert_int_equal(json_integer_value(json_object_get(root, "destinationPort")), 53);
    assert_string_equal(json_string_value(json_object_get(root, "policy")), "egress-test");
    assert_true(json_is_false(json_object_get(root, "tunnel")));
    json_decref(root);
    free(text);
}

static void what_is_left_out_is_told(void **state)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    (void)state;
    assert_non_null(out);
    drops_print_suppressed(DROP_TOO_BIG, 1234, 1700000000123000000ULL, SHOW_TEXT, out);
    drops_print_suppressed(DROP_TOO_BIG, 1234, 1700000000123000000ULL, SHOW_JSON, out);
    fclose(out);
    assert_string_equal(
        text, "22:13:20.123 too_big          and 1234 more that are not shown one by one\n"
              "{\"time\": \"2023-11-14T22:13:20.123Z\", \"reason\": \"too_big\", "
              "\"suppressed\": 1234}\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_names_both_ends),
        cmocka_unit_test(text_without_ports),
        cmocka_unit_test(json_is_one_object_a_line),
        cmocka_unit_test(what_is_left_out_is_told),
    };

    setenv("TZ", "UTC", 1);
    tzset();
    return cmocka_run_group_tests(tests, NULL, NULL);
}

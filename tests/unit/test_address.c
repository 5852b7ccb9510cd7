/* SPDX-License-Identifier: Apache-2.0 */
#include "common/address.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct ip_addr address(const char *text)
{
    struct ip_addr value;

    assert_int_equal(address_parse(text_of(text), &value), 0);
    return value;
}

static struct ip_prefix prefix(const char *text)
{
    struct ip_prefix value;

    assert_int_equal(prefix_parse(text_of(text), &value), 0);
    return value;
}

static void parse_and_format_addresses(void **state)
{
    static const char *const cases[][2] = {
        {"10.0.0.1", "10.0.0.1"},
        {"255.255.255.255", "255.255.255.255"},
        {"0.0.0.0", "0.0.0.0"},
        {"::", "0.0.0.0"}, /* no address */
        {"::1", "::1"},
        {"2001:DB8:0:0:0:0:0:1", "2001:db8::1"},
        {"64:ff9b::192.0.2.33", "64:ff9b::c000:221"},
        {"1111:2222:3333:4444:5555:6666:7777:8888", "1111:2222:3333:4444:5555:6666:7777:8888"},
    };
    char buffer[ADDRESS_TEXT_SIZE];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct ip_addr value = address(cases[i][0]);

        assert_string_equal(address_format(&value, buffer), cases[i][1]);
    }
    struct ip_addr v4 = address("192.0.2.7");
    assert_true(ip_addr_is_v4(&v4));
    assert_int_equal(v4.bytes[12], 192);
    assert_int_equal(v4.bytes[15], 7);
    assert_int_equal(address_bits(&v4), 32);
    v4 = address("::7");
    assert_int_equal(address_bits(&v4), 128);
}

static void refuse_addresses(void **state)
{
    static const char *const cases[] = {
        "",
        "10.0.0",
        "10.0.0.256",
        "10.0.0.01",
        "10.0.0.1 ",
        " 10.0.0.1",
        "10.0.0.1/32",
        "0x0a000001",
        "1:2:3",
        "fe80::1%eth0",
        ":::",
        "::ffff:10.0.0.1",
        "::ffff:a00:1",
        "10.0.0.1.",
        "a",
        "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb",
    };
    struct ip_addr value = {.bytes = {1}};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_int_equal(address_parse(text_of(cases[i]), &value), -EINVAL);
    assert_int_equal(address_parse((struct text){"10.0.0.1\0", 9}, &value), -EINVAL);
    assert_int_equal(address_parse((struct text){0}, &value), -EINVAL);
    assert_int_equal(value.bytes[0], 1);
    /* not terminated: only the slice counts */
    assert_int_equal(address_parse((struct text){"10.0.0.12", 8}, &value), 0);
    assert_int_equal(value.bytes[15], 1);
}

static void parse_and_format_prefixes(void **state)
{
    static const char *const cases[][2] = {
        {"10.1.2.3/8", "10.0.0.0/8"},
        {"0.0.0.0/0", "0.0.0.0/0"},
        {"1.2.3.4/0", "0.0.0.0/0"},
        {"::/0", "::/0"},
        {"10.1.2.3/32", "10.1.2.3/32"},
        {"10.255.255.255/9", "10.128.0.0/9"},
        {"2001:db8:ffff::/33", "2001:db8:8000::/33"},
        {"fd00::1/128", "fd00::1/128"},
        {"ffff::1/1", "8000::/1"},
        {"::fffe:0:0/95", "::fffe:0:0/95"},
    };
    char buffer[PREFIX_TEXT_SIZE];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct ip_prefix value = prefix(cases[i][0]);

        assert_string_equal(prefix_format(&value, buffer), cases[i][1]);
    }
}

static void refuse_prefixes(void **state)
{
    static const char *const cases[] = {
        "10.0.0.1",    "10.0.0.0/33", "10.0.0.0/",    "10.0.0.0/-1",         "10.0.0.0/08",
        "10.0.0.0/8 ", "/8",          "10.0.0.0/8/8", "fd00::/129",          "10.0.0.0/255.0.0.0",
        "10.0.0/8",    "fd00::/+1",   "10.0.0.0/256", "10.0.0.0/4294967304", "::ffff:0:0/96",
    };
    struct ip_prefix value = {.length = 99};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_int_equal(prefix_parse(text_of(cases[i]), &value), -EINVAL);
    assert_int_equal(prefix_parse((struct text){0}, &value), -EINVAL);
    assert_int_equal(value.length, 99);
}

static void mask_every_length(void **state)
{
    struct ip_addr ones = address("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
    struct ip_addr ones_v4 = address("255.255.255.255");

    (void)state;
    for (unsigned length = 0; length <= 128; length++) {
        struct ip_addr masked = address_mask(&ones, length);

        for (unsigned bit = 0; bit < 128; bit++)
            assert_int_equal(masked.bytes[bit / 8] >> (7 - bit % 8) & 1, bit < length);
    }
    for (unsigned length = 0; length <= 32; length++) {
        struct ip_addr masked = address_mask(&ones_v4, length);

        assert_true(ip_addr_is_v4(&masked));
        for (unsigned bit = 0; bit < 32; bit++)
            assert_int_equal(masked.bytes[12 + bit / 8] >> (7 - bit % 8) & 1, bit < length);
    }
}

static bool contains(const char *block, const char *text)
{
    struct ip_prefix outer = prefix(block);
    struct ip_addr inner = address(text);

    return prefix_contains(&outer, &inner);
}

static void contain_one_family(void **state)
{
    (void)state;
    assert_true(contains("10.0.0.0/8", "10.255.0.1"));
    assert_false(contains("10.0.0.0/8", "11.0.0.0"));
    assert_true(contains("10.0.0.1/32", "10.0.0.1"));
    assert_false(contains("10.0.0.1/32", "10.0.0.2"));
    assert_true(contains("0.0.0.0/0", "192.0.2.1"));
    assert_false(contains("0.0.0.0/0", "2001:db8::1"));
    assert_true(contains("::/0", "2001:db8::1"));
    assert_false(contains("::/0", "192.0.2.1"));
    assert_false(contains("::/64", "192.0.2.1"));
    assert_true(contains("fd00::/9", "fd7f::1"));
    assert_false(contains("fd00::/9", "fd80::1"));
}

static void order_prefixes(void **state)
{
    static const char *const sorted[] = {"0.0.0.0/0",   "9.0.0.0/8", "10.0.0.0/8", "10.0.0.0/16",
                                         "10.0.0.0/32", "::/0",      "::/1",       "fd00::/8"};

    (void)state;
    for (size_t a = 0; a < ARRAY_SIZE(sorted); a++)
        for (size_t b = 0; b < ARRAY_SIZE(sorted); b++) {
            struct ip_prefix left = prefix(sorted[a]), right = prefix(sorted[b]);
            int order = prefix_compare(&left, &right);

            assert_int_equal((order > 0) - (order < 0), (a > b) - (a < b));
            assert_int_equal(prefix_equal(&left, &right), a == b);
        }
    struct ip_addr v4 = address("255.0.0.0"), v6 = address("::1");
    assert_true(address_compare(&v4, &v6) < 0);
    assert_true(address_compare(&v6, &v4) > 0);
    assert_int_equal(address_compare(&v6, &v6), 0);
}

static void tell_kinds(void **state)
{
    static const struct {
        const char *text;
        bool unicast, global;
    } cases[] = {
        {"0.0.0.0", false, false},     {"127.0.0.1", false, false},
        {"127.255.0.1", false, false}, {"224.0.0.1", false, false},
        {"239.1.1.1", false, false},   {"255.255.255.255", false, false},
        {"10.0.0.1", true, true},      {"223.255.255.1", true, true},
        {"240.0.0.1", true, true},     {"169.254.1.1", true, false},
        {"169.253.1.1", true, true},   {"::", false, false},
        {"::1", false, false},         {"ff02::1", false, false},
        {"fe80::1", true, false},      {"febf::1", true, false},
        {"fec0::1", true, true},       {"fd00::1", true, true},
        {"2001:db8::1", true, true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct ip_addr value = address(cases[i].text);

        assert_int_equal(address_is_unicast(&value), cases[i].unicast);
        assert_int_equal(address_is_global(&value), cases[i].global);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_and_format_addresses),
        cmocka_unit_test(refuse_addresses),
        cmocka_unit_test(parse_and_format_prefixes),
        cmocka_unit_test(refuse_prefixes),
        cmocka_unit_test(mask_every_length),
        cmocka_unit_test(contain_one_family),
        cmocka_unit_test(order_prefixes),
        cmocka_unit_test(tell_kinds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

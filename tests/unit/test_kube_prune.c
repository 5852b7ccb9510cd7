/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "watcher/kube_prune.h"

#define PODS_OBJECT                                                                                \
    "{\"metadata\":{\"name\":\"a\",\"labels\":{\"x\":\"}\\\"]\"}},\"spec\":{\"nodeName\":\"n\"},"  \
    "\"status\":{\"podIPs\":[{\"ip\":\"192.0.2.1\"}]}}"

static void expect_pruned(enum object_kind kind, const char *text, const char *expected)
{
    struct kube_buffer out = {0};

    assert_int_equal(kube_prune_object(kind, text, strlen(text), &out), 0);
    assert_int_equal(out.length, strlen(expected));
    assert_memory_equal(out.data, expected, out.length);
    kube_buffer_clear(&out);
}

static void test_what_nobody_reads_is_left_out(void **state)
{
    (void)state;
    expect_pruned(KIND_POD, PODS_OBJECT, PODS_OBJECT);
    expect_pruned(KIND_POD,
                  " { \"kind\" : \"Pod\" , \"metadata\" : { \"managedFields\" : [ { \"a\\\"]}\" : "
                  "[ 1.5e3 , { } ] } ] , \"name\" : \"a\" , \"labels\" : {\"x\":\"}\\\"]\"} } ,"
                  "\"spec\":{\"containers\":[{\"name\":\"{\"}],\"nodeName\":\"n\",\"x\":null},"
                  "\"status\":{\"conditions\":[],\"podIPs\":[{\"ip\":\"192.0.2.1\"}]}} \r",
                  PODS_OBJECT);
    expect_pruned(KIND_NAMESPACE, "{\"spec\":{\"finalizers\":[\"x\"]}, \"status\":{}}", "{}");
    expect_pruned(KIND_POLICY, "{\"status\":{},\"spec\":{\"any\" : [1, 2]}}",
                  "{\"spec\":{\"any\" : [1, 2]}}");
}

/* What is not an object is for the parser to refuse; an escaped key may be one that is read. */
static void test_what_is_not_understood_is_kept(void **state)
{
    (void)state;
    expect_pruned(KIND_POD, "{\"spec\":[1,{\"a\":2}],\"metadata\":\"x\"}",
                  "{\"spec\":[1,{\"a\":2}],\"metadata\":\"x\"}");
    expect_pruned(KIND_POD, "{\"a\":1,\"sp\\u0065c\":{\"a\":2}}", "{\"sp\\u0065c\":{\"a\":2}}");
    expect_pruned(KIND_POD, "{\"spec\":{\"nodeName\":1},\"spec\":{}}",
                  "{\"spec\":{\"nodeName\":1},\"spec\":{}}");
}

static void test_an_event_keeps_its_type(void **state)
{
    static const char text[] =
        "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":410,\"message\":\"gone\","
        "\"details\":{\"a\":[1]}},\"more\":1}";
    static const char expected[] =
        "{\"type\":\"ERROR\",\"object\":{\"code\":410,\"message\":\"gone\"}}";
    struct kube_buffer out = {0};

    (void)state;
    assert_int_equal(kube_prune_event(KIND_NODE, text, strlen(text), &out), 0);
    assert_int_equal(out.length, strlen(expected));
    assert_memory_equal(out.data, expected, out.length);
    kube_buffer_clear(&out);
}

/* Every beginning of a text, from memory that ends there. */
static void test_a_text_that_is_cut_is_refused(void **state)
{
    (void)state;
    for (size_t length = 0; length < strlen(PODS_OBJECT); length++) {
        struct kube_buffer out = {0};
        char *part = malloc(length + !length);

        memcpy(part, PODS_OBJECT, length);
        assert_int_equal(kube_prune_object(KIND_POD, part, length, &out), -EINVAL);
        free(part);
        kube_buffer_clear(&out);
    }
}

static void test_nonsense_is_refused(void **state)
{
    static const char *const texts[] = {
        "{\"a\" 1}",         "{\"a\":}", "{,}",   "{\"a\":1,}",
        "{\"a\":1 \"b\":2}", "{} {}",    "{a:1}", "{\"spec\":{\"nodeName\"}}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct kube_buffer out = {0};

        assert_int_equal(kube_prune_object(KIND_POD, texts[i], strlen(texts[i]), &out), -EINVAL);
        kube_buffer_clear(&out);
    }
}

static unsigned seed;

static unsigned dice(unsigned sides)
{
    seed = seed * 1103515245 + 12345;
    return (seed >> 16) % sides;
}

static json_t *value_random(unsigned depth)
{
    static const char *const names[] = {"metadata", "spec",     "status", "name",        "podIP",
                                        "a\"}",     "nodeName", "labels", "annotations", "{[\\"};
    json_t *value;

    switch (dice(depth ? 6 : 4)) {
    case 0:
        return json_string(names[dice(ARRAY_SIZE(names))]);
    case 1:
        return json_integer((int)dice(2000) - 1000);
    case 2:
        return json_real(dice(100) / 7.0);
    case 3:
        return dice(2) ? json_null() : json_boolean(dice(2));
    case 4:
        value = json_array();
        for (unsigned i = dice(4); i; i--)
            json_array_append_new(value, value_random(depth - 1));
        return value;
    default:
        value = json_object();
        for (unsigned i = dice(6); i; i--)
            json_object_set_new(value, names[dice(ARRAY_SIZE(names))], value_random(depth - 1));
        return value;
    }
}

/* What is read of the pruned text is what is read of the whole. */
static void expect_member_equal(const json_t *a, const json_t *b, const char *outer,
                                const char *inner)
{
    const json_t *first = json_object_get(a, outer), *second = json_object_get(b, outer);

    if (json_is_object(first)) {
        assert_true(json_is_object(second));
        first = json_object_get(first, inner);
        second = json_object_get(second, inner);
    }
    assert_true(first == second || json_equal(first, second));
}

static void test_random_objects_keep_what_is_read(void **state)
{
    (void)state;
    for (seed = 1; seed < 4000; seed++) {
        unsigned kept = seed;
        json_t *whole = value_random(5), *pruned;
        char *text = json_dumps(whole, JSON_ENCODE_ANY | (dice(2) ? JSON_INDENT(1) : JSON_COMPACT));
        struct kube_buffer out = {0};

        assert_int_equal(kube_prune_object(KIND_POD, text, strlen(text), &out), 0);
        pruned = json_loadb(out.data, out.length, JSON_DECODE_ANY, NULL);
        assert_non_null(pruned);
        if (!json_is_object(whole)) {
            assert_true(json_equal(whole, pruned));
        } else {
            expect_member_equal(whole, pruned, "metadata", "name");
            expect_member_equal(whole, pruned, "metadata", "labels");
            expect_member_equal(whole, pruned, "spec", "nodeName");
            expect_member_equal(whole, pruned, "status", "podIP");
        }
        json_decref(whole);
        json_decref(pruned);
        free(text);
        kube_buffer_clear(&out);
        seed = kept;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_nobody_reads_is_left_out),
        cmocka_unit_test(test_what_is_not_understood_is_kept),
        cmocka_unit_test(test_an_event_keeps_its_type),
        cmocka_unit_test(test_a_text_that_is_cut_is_refused),
        cmocka_unit_test(test_nonsense_is_refused),
        cmocka_unit_test(test_random_objects_keep_what_is_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

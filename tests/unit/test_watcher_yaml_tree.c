/* SPDX-License-Identifier: Apache-2.0 */
/* YAML and JSON to trees: types, lines of errors, and inputs that want to hurt. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "watcher/yaml_tree.h"

static struct document_list read_yaml(const char *text)
{
    struct document_list list = {0};
    struct document_error error = {0};

    if (yaml_tree_read(text, strlen(text), &list, &error))
        fail_msg("line %zu: %s\n%s", error.line, error.reason, text);
    return list;
}

static void test_scalars(void **state)
{
    static const struct {
        const char *text;
        json_type type;
    } scalars[] = {
        {"true", JSON_TRUE},
        {"False", JSON_FALSE},
        {"null", JSON_NULL},
        {"~", JSON_NULL},
        {"", JSON_NULL},
        {"12", JSON_INTEGER},
        {"-7", JSON_INTEGER},
        {"0x1f", JSON_INTEGER},
        {"0o17", JSON_INTEGER},
        {"1.5", JSON_REAL},
        {"1e3", JSON_REAL},
        {".5", JSON_REAL},
        {"'true'", JSON_STRING},
        {"\"12\"", JSON_STRING},
        {"!!str 12", JSON_STRING},
        {"yes", JSON_STRING},
        {"10.0.0.1", JSON_STRING},
        {"1e", JSON_STRING},
        {"-", JSON_ARRAY},
        {"0x", JSON_STRING},
        {"+", JSON_STRING},
        {".", JSON_STRING},
        {"2025-01-31T12:00:00Z", JSON_STRING},
        {"99999999999999999999", JSON_REAL},
        {"fd00::1", JSON_STRING},
        {"|\n  true\n", JSON_STRING},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(scalars) / sizeof(scalars[0]); i++) {
        struct document_list list;
        char text[64];

        snprintf(text, sizeof(text), "key:%s%s\n", strcmp(scalars[i].text, "-") ? " " : "\n",
                 scalars[i].text);
        list = read_yaml(text);
        const json_t *value = json_object_get(list.items[0].root, "key");
        if (json_typeof(value) != scalars[i].type)
            fail_msg("%s has type %d", scalars[i].text, json_typeof(value));
        document_list_clear(&list);
    }
}

static void test_structure(void **state)
{
    struct document_list list = read_yaml("# nothing\n---\n---\na: {b: [1, {c: x}], d: {}}\n"
                                          "\"k.2\":\n- - deep\n...\n---\n[1, 2]\n---\n~\n");
    json_t *root;

    (void)state;
    assert_int_equal(list.count, 2);
    assert_int_equal(list.items[0].line, 3);
    assert_int_equal(list.items[1].line, 8);
    root = list.items[0].root;
    assert_int_equal(json_object_size(root), 2);
    assert_string_equal(
        json_string_value(json_object_get(
            json_array_get(json_object_get(json_object_get(root, "a"), "b"), 1), "c")),
        "x");
    assert_string_equal(
        json_string_value(json_array_get(json_array_get(json_object_get(root, "k.2"), 0), 0)),
        "deep");
    assert_int_equal(json_array_size(list.items[1].root), 2);
    document_list_clear(&list);
}

static void test_refused(void **state)
{
    static const struct {
        const char *text;
        size_t line;
        const char *reason;
    } wrong[] = {
        {"a: 1\nb: 2\na: 3\n", 3, "\"a\" is there twice"},
        {"x:\n  a: 1\n  a: 1\n", 3, "twice"},
        {"a: &x 1\n", 1, "anchor"},
        {"a: &x [1]\n", 1, "anchor"},
        {"a:\n- *x\n", 2, "alias"},
        {"a: !!int 1\n", 1, "tag"},
        {"a: !thing {b: 1}\n", 1, "tag"},
        {"ok: 1\n? [a]\n: 1\n", 2, "key"},
        {"a: \"x\\0y\"\n", 1, "NUL"},
        {"a: [1,\n", 2, ""},
        {"a: b: c\n", 1, ""},
        {"a:\n\t- b\n", 2, ""},
        {"a: \x01\n", 1, "control"},
        {"a: ok\nb: \xff\xfe\n", 2, ""},
        {"a: 1\n---\nb: }\n", 3, ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct document_list list = {0};
        struct document_error error = {0};
        int result = yaml_tree_read(wrong[i].text, strlen(wrong[i].text), &list, &error);

        if (result != -EINVAL || error.line != wrong[i].line ||
            !strstr(error.reason, wrong[i].reason) || error.reason[0] == '\0')
            fail_msg("%s\ngave %d, line %zu: %s", wrong[i].text, result, error.line, error.reason);
        assert_null(list.items);
    }
}

static void test_depth(void **state)
{
    static char text[200002];
    struct document_list list = {0};
    struct document_error error = {0};

    (void)state;
    memset(text, '[', DOCUMENT_DEPTH);
    memset(text + DOCUMENT_DEPTH, ']', DOCUMENT_DEPTH);
    assert_int_equal(yaml_tree_read(text, 2 * DOCUMENT_DEPTH, &list, &error), 0);
    document_list_clear(&list);
    memset(text, '[', 100000);
    memset(text + 100000, ']', 100000);
    assert_int_equal(yaml_tree_read(text, 200000, &list, &error), -EINVAL);
    assert_non_null(strstr(error.reason, "deep"));
    assert_int_equal(json_tree_read(text, 200000, &list, &error), -EINVAL);
    for (size_t i = 0; i < 100000; i++)
        text[i] = i % 2 ? ' ' : '-';
    assert_int_equal(yaml_tree_read(text, 100000, &list, &error), -EINVAL);
}

static void test_json(void **state)
{
    static const char good[] = " {\"a\": \"\\ud83d\\ude00\"}\n\n[1]\n";
    static const struct {
        const char *text;
        size_t line;
    } wrong[] = {
        {"{\"a\": 1,\n\"a\": 2}", 2}, {"{}\n{\"a\":\n", 3}, {"{\"a\": 1}\n\n\nx", 4},
        {"{\"a\": \"\\u0000\"}", 1},  {"{'a': 1}", 1},
    };
    struct document_list list = {0};
    struct document_error error = {0};

    (void)state;
    assert_int_equal(json_tree_read(good, strlen(good), &list, &error), 0);
    assert_int_equal(list.count, 2);
    assert_int_equal(list.items[1].line, 3);
    document_list_clear(&list);
    assert_int_equal(json_tree_read("", 0, &list, &error), 0);
    assert_int_equal(list.count, 0);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        int result = json_tree_read(wrong[i].text, strlen(wrong[i].text), &list, &error);

        if (result != -EINVAL || error.line != wrong[i].line)
            fail_msg("%s\ngave %d, line %zu: %s", wrong[i].text, result, error.line, error.reason);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scalars), cmocka_unit_test(test_structure),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_depth),
        cmocka_unit_test(test_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of fields: by their path, of absent ones, of what a value names; YAML and JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "watcher/yaml_tree.h"

struct line_case {
    const char *field;
    const char *value;
    size_t line;
};

static void check_lines(const struct document *document, const struct line_case *cases,
                        size_t count)
{
    struct document_lines lines = document->lines;

    for (size_t i = 0; i < count; i++) {
        size_t line = document_lines_find(&lines, document->root, document->line, cases[i].field,
                                          cases[i].value);

        if (line != cases[i].line)
            fail_msg("%s (%s): line %zu, not %zu", cases[i].field, cases[i].value, line,
                     cases[i].line);
    }
}

static void test_yaml(void **state)
{
    static const char text[] = "# comment\n"      /* 1 */
                               "---\n"            /* 2 */
                               "metadata:\n"      /* 3 */
                               "  name: x\n"      /* 4 */
                               "  labels:\n"      /* 5 */
                               "    a.b/c:\n"     /* 6 */
                               "      1\n"        /* 7 */
                               "    a: zwei\n"    /* 8 */
                               "spec:\n"          /* 9 */
                               "  list: [one,\n"  /* 10 */
                               "    two, null]\n" /* 11 */
                               "  rules:\n"       /* 12 */
                               "  - a: true\n"    /* 13 */
                               "    b: {c: d,\n"  /* 14 */
                               "      e: f}\n"    /* 15 */
                               "  -\n"            /* 16 */
                               "    a: false\n"   /* 17 */
                               "---\n"            /* 18 */
                               "metadata: {}\n";  /* 19 */
    static const struct line_case first[] = {
        {"", "", 2},
        {"metadata", "", 3},
        {"metadata.name", "", 4},
        {"metadata.uid", "", 3},
        {"metadata.labels[a.b/c]", "1", 6},
        {"metadata.labels.a", "", 8},
        {"metadata.labels", "zwei", 8},
        {"metadata.labels", "a.b/c", 6},
        {"metadata.labels", "none", 5},
        {"metadata.lab", "", 3},
        {"spec.list[0]", "", 10},
        {"spec.list[1]", "two", 11},
        {"spec.list[2]", "", 11},
        {"spec.list[3]", "", 10},
        {"spec.list", "two", 11},
        {"spec.rules[0]", "", 13},
        {"spec.rules[0].b.e", "", 15},
        {"spec.rules[0]", "f", 15},
        {"spec.rules[0].missing.more[1]", "", 13},
        {"spec.rules[1].a", "", 17},
        {"nothing.at.all", "x", 2},
    };
    static const struct line_case second[] = {{"metadata", "", 19}, {"spec", "", 18}};
    _cleanup_documents_ struct document_list list = {0};
    struct document_error error;

    (void)state;
    assert_int_equal(yaml_tree_read(text, strlen(text), &list, &error), 0);
    assert_int_equal(list.count, 2);
    check_lines(&list.items[0], first, ARRAY_SIZE(first));
    check_lines(&list.items[1], second, ARRAY_SIZE(second));
    assert_int_equal(document_lines_element(
                         &list.items[0].lines,
                         json_object_get(json_object_get(list.items[0].root, "spec"), "rules"), 1),
                     17);
}

static void test_json(void **state)
{
    static const char text[] = "\n"                                     /* 1 */
                               "{\"b\": {\"x\\\"y\": [1.5e3,\n"         /* 2 */
                               "  -2, true\n"                           /* 3 */
                               ", false,null ,\n"                       /* 4 */
                               "  {}, [], \"a\\\\\",\n"                 /* 5 */
                               "  \"last ] } \\\" , :\"]},\n"           /* 6 */
                               "\"a\":\n"                               /* 7 */
                               "  \"\\u00e9\", \"z\\u0041\" : {\n"      /* 8 */
                               "  \"in\":0}, \"end\": []} {\"more\":\n" /* 9 */
                               "1,\n"                                   /* 10 */
                               "\"again\": 1}\n";                       /* 11 */
    static const struct line_case first[] = {
        {"", "", 2},          {"b", "", 2},         {"b.x\"y[0]", "", 2}, {"b.x\"y[1]", "", 3},
        {"b.x\"y[2]", "", 3}, {"b.x\"y[3]", "", 4}, {"b.x\"y[4]", "", 4}, {"b.x\"y[5]", "", 5},
        {"b.x\"y[7]", "", 5}, {"b.x\"y[8]", "", 6}, {"a", "", 7},         {"zA", "", 8},
        {"zA.in", "", 9},     {"end", "", 9},
    };
    static const struct line_case second[] = {{"", "", 9}, {"more", "", 9}, {"again", "", 11}};
    _cleanup_documents_ struct document_list list = {0};
    struct document_error error;

    (void)state;
    assert_int_equal(json_tree_read(text, strlen(text), &list, &error), 0);
    assert_int_equal(list.count, 2);
    check_lines(&list.items[0], first, ARRAY_SIZE(first));
    check_lines(&list.items[1], second, ARRAY_SIZE(second));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_yaml), cmocka_unit_test(test_json)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "watcher/kube_decode.h"

/* What the decoder gave, one piece after another, each ended by a bar. */
struct pieces {
    char text[4096];
    size_t length;
    int answer;
};

static int collect(void *context, const char *data, size_t length)
{
    struct pieces *pieces = context;

    assert_true(pieces->length + length + 2 < sizeof(pieces->text));
    memcpy(pieces->text + pieces->length, data, length);
    pieces->length += length;
    pieces->text[pieces->length++] = '|';
    return pieces->answer;
}

/* Feeds a list in chunks of `step` bytes. */
static int feed_list(struct kube_list *list, const char *text, size_t step, struct pieces *pieces)
{
    size_t length = strlen(text);

    memset(pieces, 0, sizeof(*pieces));
    for (size_t at = 0; at < length; at += step) {
        size_t part = length - at < step ? length - at : step;
        int error = kube_list_feed(list, text + at, part, collect, pieces);

        if (error)
            return error;
    }
    return 0;
}

static void test_lists_are_cut_wherever_the_bytes_end(void **state)
{
    static const struct {
        const char *list, *items, *envelope;
    } cases[] = {
        {"{\"kind\":\"PodList\",\"metadata\":{\"resourceVersion\":\"7\"},\"items\":[{\"a\":1},{"
         "\"b\":[1,2]}]}\n",
         "{\"a\":1}|{\"b\":[1,2]}|",
         "{\"kind\":\"PodList\",\"metadata\":{\"resourceVersion\":\"7\"},\"items\":[]}"},
        {"{\"items\":[],\"kind\":\"X\"}", "", "{\"items\":[],\"kind\":\"X\"}"},
        {" { \"items\" : [ {\"a\" : \"]},{\\\"items\\\":[\"} , {} ] } ",
         "{\"a\":\"]},{\\\"items\\\":[\"}|{}|", "{\"items\":[]}"},
        /* items of an inner object, and items that are no array, are none */
        {"{\"x\":{\"items\":[1]},\"items\":null}", "", "{\"x\":{\"items\":[1]},\"items\":null}"},
        {"{\"x\":\"items\",\"y\":[1],\"items\":[2,\"a,b\",[3,4]]}", "2|\"a,b\"|[3,4]|",
         "{\"x\":\"items\",\"y\":[1],\"items\":[]}"},
        {"{\"anitems\":[1],\"itemsx\":[2],\"items\":[3]}", "3|",
         "{\"anitems\":[1],\"itemsx\":[2],\"items\":[]}"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t step = 1; step < 100; step = step * 3 + 1) {
            struct kube_list list = {0};
            struct pieces pieces;

            assert_int_equal(feed_list(&list, cases[i].list, step, &pieces), 0);
            assert_true(list.whole);
            assert_string_equal(pieces.text, cases[i].items);
            assert_int_equal(list.envelope.length, strlen(cases[i].envelope));
            assert_memory_equal(list.envelope.data, cases[i].envelope, list.envelope.length);
            kube_list_clear(&list);
        }
    }
}

static void test_broken_lists_are_refused(void **state)
{
    static const char *const refused[] = {"]", "x{}", "{}x", "{}{}", "{\"items\":[]}}", "<html>"};
    struct kube_list list = {0};
    struct pieces pieces;

    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        assert_int_equal(feed_list(&list, refused[i], 1, &pieces), -EBADMSG);
        kube_list_clear(&list);
    }
    assert_int_equal(feed_list(&list, "{\"items\":[{\"a\":1}", 5, &pieces), 0);
    assert_false(list.whole); /* truncated */
    assert_string_equal(pieces.text, "");
    kube_list_clear(&list);
}

static void test_large_objects_are_refused(void **state)
{
    static char chunk[65536];
    struct kube_list list = {0};
    struct kube_lines lines = {0};
    struct pieces pieces = {0};
    int error = 0;
    unsigned fed = 0;

    (void)state;
    memset(chunk, 'x', sizeof(chunk));
    assert_int_equal(kube_list_feed(&list, "{\"items\":[\"", 11, collect, &pieces), 0);
    for (; !error && fed < 1000; fed++)
        error = kube_list_feed(&list, chunk, sizeof(chunk), collect, &pieces);
    assert_int_equal(error, -EFBIG);
    assert_int_equal(fed, KUBE_OBJECT_LIMIT / sizeof(chunk));
    kube_list_clear(&list);

    assert_int_equal(kube_list_feed(&list, "{\"k\":\"", 6, collect, &pieces), 0);
    assert_int_equal(kube_list_feed(&list, chunk, sizeof(chunk), collect, &pieces), -EFBIG);
    kube_list_clear(&list);

    for (error = 0, fed = 0; !error && fed < 1000; fed++)
        error = kube_lines_feed(&lines, chunk, sizeof(chunk), collect, &pieces);
    assert_int_equal(error, -EFBIG);
    assert_int_equal(fed, KUBE_OBJECT_LIMIT / sizeof(chunk) + 1);
    kube_lines_clear(&lines);
}

static void test_lines_are_cut_wherever_the_bytes_end(void **state)
{
    static const char text[] = "{\"a\":1}\n\n{\"b\":2}\n{\"rest";

    (void)state;
    for (size_t step = 1; step < sizeof(text); step++) {
        struct kube_lines lines = {0};
        struct pieces pieces = {0};

        for (size_t at = 0; at < sizeof(text) - 1; at += step) {
            size_t part = sizeof(text) - 1 - at < step ? sizeof(text) - 1 - at : step;

            assert_int_equal(kube_lines_feed(&lines, text + at, part, collect, &pieces), 0);
        }
        assert_string_equal(pieces.text, "{\"a\":1}|{\"b\":2}|");
        assert_int_equal(lines.buffer.length, 6);
        kube_lines_clear(&lines);
    }
}

static void test_a_piece_can_end_the_decoding(void **state)
{
    struct kube_lines lines = {0};
    struct kube_list list = {0};
    struct pieces pieces = {.answer = -EPROTO};

    (void)state;
    assert_int_equal(kube_lines_feed(&lines, "1\n2\n", 4, collect, &pieces), -EPROTO);
    assert_string_equal(pieces.text, "1|");
    pieces.length = 0;
    assert_int_equal(kube_list_feed(&list, "{\"items\":[1,2]}", 15, collect, &pieces), -EPROTO);
    assert_int_equal(pieces.length, 2);
    kube_lines_clear(&lines);
    kube_list_clear(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists_are_cut_wherever_the_bytes_end),
        cmocka_unit_test(test_broken_lists_are_refused),
        cmocka_unit_test(test_large_objects_are_refused),
        cmocka_unit_test(test_lines_are_cut_wherever_the_bytes_end),
        cmocka_unit_test(test_a_piece_can_end_the_decoding),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

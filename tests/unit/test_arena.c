/* SPDX-License-Identifier: Apache-2.0 */
#include "common/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void give_zeroed_and_apart(void **state)
{
    enum { PIECES = 300 };
    _cleanup_arena_ struct arena arena = {0};
    unsigned char *pieces[PIECES];

    (void)state;
    for (size_t i = 0; i < PIECES; i++) {
        pieces[i] = arena_allocate(&arena, i * 7 % 101, 1);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % _Alignof(max_align_t), 0);
        for (size_t byte = 0; byte < i * 7 % 101; byte++)
            assert_int_equal(pieces[i][byte], 0);
        memset(pieces[i], (int)(i % 255 + 1), i * 7 % 101);
    }
    for (size_t i = 0; i < PIECES; i++)
        for (size_t byte = 0; byte < i * 7 % 101; byte++)
            assert_int_equal(pieces[i][byte], i % 255 + 1);
}

static void give_large_pieces(void **state)
{
    _cleanup_arena_ struct arena arena = {0};
    unsigned char *small = arena_allocate(&arena, 1, 16);
    unsigned char *large = arena_allocate(&arena, 1000, 1000);

    (void)state;
    assert_non_null(small);
    assert_non_null(large);
    memset(large, 0xff, 1000000);
    assert_int_equal(small[0], 0);
    assert_non_null(arena_allocate(&arena, 1, 16));
}

static void refuse_overflow(void **state)
{
    _cleanup_arena_ struct arena arena = {0};

    (void)state;
    assert_null(arena_allocate(&arena, SIZE_MAX / 2, 4));
    assert_null(arena_allocate(&arena, SIZE_MAX, 1));
    assert_int_equal(arena.used, 0);
}

static void keep_the_limit(void **state)
{
    _cleanup_arena_ struct arena arena = {.limit = 64};

    (void)state;
    assert_non_null(arena_allocate(&arena, 1, 48));
    assert_null(arena_allocate(&arena, 1, 17));
    assert_non_null(arena_allocate(&arena, 1, 16));
    assert_null(arena_allocate(&arena, 1, 1));
    assert_int_equal(arena.used, 64);
    arena_clear(&arena);
    assert_int_equal(arena.used, 0);
    assert_int_equal(arena.limit, 64);
    assert_non_null(arena_allocate(&arena, 1, 64));
}

static void copy_text(void **state)
{
    _cleanup_arena_ struct arena arena = {.limit = 64};
    char source[] = "eth0/eth1";

    (void)state;
    struct text copy = arena_text(&arena, (struct text){source, 4});
    memset(source, 'x', sizeof(source));
    assert_int_equal(copy.length, 4);
    assert_string_equal(copy.data, "eth0");
    copy = arena_text(&arena, (struct text){0});
    assert_non_null(copy.data);
    assert_string_equal(copy.data, "");
    char large[100] = "";
    copy = arena_text(&arena, (struct text){large, sizeof(large)});
    assert_null(copy.data);
    assert_int_equal(copy.length, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(give_zeroed_and_apart),
        cmocka_unit_test(give_large_pieces),
        cmocka_unit_test(refuse_overflow),
        cmocka_unit_test(keep_the_limit),
        cmocka_unit_test(copy_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "watcher/kube_backoff.h"

static void test_bound_doubles_up_to_the_last(void **state)
{
    static const unsigned bounds[] = {200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000};
    struct kube_backoff backoff = {0};

    (void)state;
    for (unsigned i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++)
        assert_int_equal(kube_backoff_next(&backoff, UINT32_MAX), bounds[i] - 1);
    backoff.failures = 0;
    assert_int_equal(kube_backoff_next(&backoff, UINT32_MAX), 199);
}

static void test_jitter_is_full(void **state)
{
    struct kube_backoff backoff = {.failures = 20};

    (void)state;
    assert_int_equal(kube_backoff_next(&backoff, 0), 0);
    assert_int_equal(kube_backoff_next(&backoff, UINT32_MAX / 2 + 1), 15000);
}

static void test_many_failures_do_not_overflow(void **state)
{
    struct kube_backoff backoff = {.failures = UINT32_MAX};

    (void)state;
    assert_int_equal(kube_backoff_next(&backoff, UINT32_MAX), 29999);
    assert_int_equal(backoff.failures, UINT32_MAX);
}

static void test_retry_after_is_obeyed_and_spread(void **state)
{
    (void)state;
    assert_int_equal(kube_backoff_after(4, 0), 4000);
    assert_int_equal(kube_backoff_after(4, UINT32_MAX), 4000 + 1000 + 200 - 1);
    assert_int_equal(kube_backoff_after(-1, 0), 0);
    assert_int_equal(kube_backoff_after(86400, 0), 300000);
}

static void test_slow_waits_at_least_half(void **state)
{
    (void)state;
    assert_int_equal(kube_backoff_slow(0), 15000);
    assert_int_equal(kube_backoff_slow(UINT32_MAX), 29999);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bound_doubles_up_to_the_last),
        cmocka_unit_test(test_jitter_is_full),
        cmocka_unit_test(test_many_failures_do_not_overflow),
        cmocka_unit_test(test_retry_after_is_obeyed_and_spread),
        cmocka_unit_test(test_slow_waits_at_least_half),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

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

/* ---- A fleet */

enum { NODES = 1000, WINDOW = 100 };

/* A server is away from 0 to `outage`; each node tries by its waits. Returns the most nodes that
 * are back in one window of 100 ms, and in `last` when the last one was. */
static unsigned fleet_burst(unsigned outage, unsigned *last)
{
    unsigned back[(KUBE_BACKOFF_LAST * 4) / WINDOW] = {0}, most = 0;

    *last = 0;
    for (unsigned node = 0; node < NODES; node++) {
        struct kube_backoff backoff = {0};
        unsigned now = 0;

        while (now < outage)
            now += kube_backoff_next(&backoff, kube_random()) + 1;
        assert_true(now / WINDOW < sizeof(back) / sizeof(back[0]));
        back[now / WINDOW]++;
        if (now > *last)
            *last = now;
    }
    for (size_t i = 0; i < sizeof(back) / sizeof(back[0]); i++)
        most = back[i] > most ? back[i] : most;
    return most;
}

/* Evenly spread, 1,000 nodes over the 30 s of the longest wait are 3 to 4 in each window. */
static void test_a_fleet_does_not_come_in_step(void **state)
{
    static const struct {
        unsigned outage, most;
    } cases[] = {{2000, 250}, {10000, 80}, {60000, 40}};
    unsigned last;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        unsigned most = fleet_burst(cases[i].outage, &last);

        print_message("away for %u s: at most %u of %u nodes come back within %d ms, the last one "
                      "%.1f s after the server\n",
                      cases[i].outage / 1000, most, NODES, WINDOW,
                      (last - cases[i].outage) / 1000.0);
        assert_in_range(most, 1, cases[i].most);
        assert_in_range(last, cases[i].outage, cases[i].outage + KUBE_BACKOFF_LAST);
    }
}

/* Told the same number of seconds, they come within the quarter of it that follows. */
static void test_a_fleet_that_was_told_when_does_not_come_in_step(void **state)
{
    unsigned windows[16] = {0};

    (void)state;
    for (unsigned node = 0; node < NODES; node++) {
        unsigned wait = kube_backoff_after(4, kube_random());

        assert_in_range(wait, 4000, 5199);
        windows[(wait - 4000) / WINDOW]++;
    }
    for (unsigned i = 0; i < 12; i++)
        assert_in_range(windows[i], 1, NODES / 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bound_doubles_up_to_the_last),
        cmocka_unit_test(test_jitter_is_full),
        cmocka_unit_test(test_many_failures_do_not_overflow),
        cmocka_unit_test(test_retry_after_is_obeyed_and_spread),
        cmocka_unit_test(test_slow_waits_at_least_half),
        cmocka_unit_test(test_a_fleet_does_not_come_in_step),
        cmocka_unit_test(test_a_fleet_that_was_told_when_does_not_come_in_step),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

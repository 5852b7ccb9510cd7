/* SPDX-License-Identifier: Apache-2.0 */
/* When the collector works: little in quiet times, soon where a pod has left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "loader/pace.h"

enum { SECOND = 1000000 };

/* A collector whose scans take so many steps of so much work each, beside a clock. */
struct scene {
    struct pace pace;
    uint64_t left;
    int64_t now, step, worked;
    int steps, done;
    uint64_t seen_left; /* of the scan that is under way: pods that had left when it began */
    uint64_t swept;     /* the same of the last one that has ended */
    bool pressed;
};

/* One look, and the wait behind it. */
static void look(struct scene *scene)
{
    int64_t started = scene->now;
    bool ended;

    if (pace_rests(&scene->pace, scene->left, scene->now)) {
        scene->now += pace_watch();
        return;
    }
    if (!scene->done)
        scene->seen_left = scene->left;
    scene->now += scene->step;
    scene->worked += scene->step;
    ended = ++scene->done == scene->steps;
    if (ended) {
        scene->done = 0;
        scene->swept = scene->seen_left;
    }
    scene->now += pace_note(&scene->pace, scene->left, started, scene->now, ended, scene->pressed);
}

static void look_until(struct scene *scene, int64_t end)
{
    while (scene->now < end)
        look(scene);
}

/* A pod leaves: the longest until a scan that has begun after that has ended. */
static int64_t sweep_longest(const struct scene *start, int64_t period)
{
    int64_t longest = 0;

    for (int64_t at = 0; at < period; at += 10000) {
        struct scene scene = *start;
        int64_t left_at;

        look_until(&scene, 20 * SECOND + at);
        left_at = scene.now;
        scene.left++;
        while (scene.swept != scene.left)
            look(&scene);
        longest = scene.now - left_at > longest ? scene.now - left_at : longest;
    }
    return longest;
}

static void test_quiet_times_cost_little(void **state)
{
    struct scene small = {.step = 100, .steps = 1}, large = {.step = 8000, .steps = 62};

    (void)state;
    look_until(&small, 600LL * SECOND);
    assert_in_range(small.worked, 1, 600 * SECOND / 10000);
    look_until(&large, 600LL * SECOND);
    assert_in_range(large.worked, 1, 600 * SECOND / 50);
}

/* At 100,000 mappings a pod's are gone within a second, whenever it leaves. */
static void test_a_pod_that_leaves_is_swept(void **state)
{
    struct scene none = {.step = 100, .steps = 1}, some = {.step = 8000, .steps = 13};
    struct scene large = {.step = 8000, .steps = 62};
    int64_t longest[3];

    (void)state;
    longest[0] = sweep_longest(&none, 6 * SECOND);
    longest[1] = sweep_longest(&some, 7 * SECOND);
    longest[2] = sweep_longest(&large, 32LL * SECOND);
    print_message("# a pod's mappings are gone after at most %d ms, of 100,000 %d ms, of 500,000 "
                  "%d ms\n",
                  (int)(longest[0] / 1000), (int)(longest[1] / 1000), (int)(longest[2] / 1000));
    assert_in_range(longest[0], 1, SECOND);
    assert_in_range(longest[1], 1, SECOND);
    assert_in_range(longest[2], 1, 2 * SECOND);
}

/* Pods that leave all the time leave half of a processor to others. */
static void test_many_that_leave_cost_half(void **state)
{
    struct scene scene = {.step = 8000, .steps = 62};

    (void)state;
    while (scene.now < 600LL * SECOND) {
        scene.left++;
        look(&scene);
    }
    assert_in_range(scene.worked, 1, scene.now / 2);
}

static void test_a_full_table_is_looked_at_more_often(void **state)
{
    struct scene quiet = {.step = 8000, .steps = 62}, full = {.step = 8000, .steps = 62};

    (void)state;
    full.pressed = true;
    look_until(&quiet, 600LL * SECOND);
    look_until(&full, 600LL * SECOND);
    assert_true(full.worked > quiet.worked * 3 / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quiet_times_cost_little),
        cmocka_unit_test(test_a_pod_that_leaves_is_swept),
        cmocka_unit_test(test_many_that_leave_cost_half),
        cmocka_unit_test(test_a_full_table_is_looked_at_more_often),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

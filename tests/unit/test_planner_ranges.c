/* SPDX-License-Identifier: Apache-2.0 */
/* Ranges of addresses: the entries cover what was added, and no fewer entries would. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "planner/ranges.h"
#include "planner/stable_hash.h"
#include "tests/unit/planner_objects.h"

enum { BITS = 6, ADDRESSES = 1 << BITS, ROUNDS = 20000 };

/* Prefixes of the last BITS bits of a family: counts[length][number]. */
struct world {
    const char *base;
    unsigned bits; /* of the family */
    unsigned counts[BITS + 1][ADDRESSES];
};

static struct ip_prefix prefix_at(const struct world *world, unsigned length, unsigned number)
{
    struct ip_prefix prefix = {scene_address(world->base), 0};

    prefix.length = (uint8_t)(world->bits - BITS + length);
    prefix.address.bytes[15] = (unsigned char)(number << (BITS - length));
    return prefix;
}

static bool world_covers(const struct world *world, unsigned length, unsigned number)
{
    for (unsigned shorter = 0; shorter <= length; shorter++)
        if (world->counts[shorter][number >> (length - shorter)])
            return true;
    return length < BITS && world_covers(world, length + 1, number * 2) &&
           world_covers(world, length + 1, number * 2 + 1);
}

/* An entry stands where all of a prefix is covered, and not all of the one that holds it. */
static void check(const struct plan *plan, const struct world *world)
{
    for (unsigned length = 0; length <= BITS; length++)
        for (unsigned number = 0; number < 1U << length; number++) {
            struct ip_prefix prefix = prefix_at(world, length, number);
            union table_key key = {.route = route_key_make(PROFILE_COVERED, &prefix)};
            bool wanted = world_covers(world, length, number) &&
                          (length == 0 || !world_covers(world, length - 1, number / 2));

            assert_int_equal(desired_find(&plan->desired, TABLE_ROUTES, &key) != NULL, wanted);
            if (length == BITS)
                assert_int_equal(ranges_hold(&plan->covered_ranges, &prefix.address),
                                 world_covers(world, length, number));
        }
}

static void run(struct plan *plan, struct world *world, uint64_t random)
{
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t number = stable_hash_mix(++random);
        unsigned length = number % (BITS + 1), place = number / 8 % (1U << length);
        unsigned *count = &world->counts[length][place];
        bool remove = *count && number >> 32 & 1;
        struct ip_prefix prefix = prefix_at(world, length, place);

        /* Times of few prefixes and of many. */
        if (!remove && (*count > 1 || (round / 500 % 2 && number >> 33 & 3)))
            continue;
        ranges_count(plan, &plan->covered_ranges, &prefix, 1, remove ? -1 : 1);
        *count += remove ? -1 : 1;
        if (round % 20 == 0)
            check(plan, world);
    }
    check(plan, world);
}

/* Takes everything out again. */
static void run_down(struct plan *plan, struct world *world)
{
    for (unsigned length = 0; length <= BITS; length++)
        for (unsigned place = 0; place < 1U << length; place++)
            while (world->counts[length][place]) {
                struct ip_prefix prefix = prefix_at(world, length, place);

                ranges_count(plan, &plan->covered_ranges, &prefix, 1, -1);
                world->counts[length][place]--;
            }
    check(plan, world);
}

static void test_random(void **state _unused_)
{
    struct world four = {"192.0.2.0", 32}, six = {"2001:db8::", 128};
    struct scene scene;

    scene_start(&scene, "10.0.0.0/8");
    run(scene.plan, &four, 1);
    run(scene.plan, &six, 2);
    check(scene.plan, &four);
    run_down(scene.plan, &four);
    check(scene.plan, &six);
    run_down(scene.plan, &six);
    assert_int_equal(scene.plan->covered_ranges.roots[FAMILY_V4], 0);
    assert_int_equal(scene.plan->covered_ranges.roots[FAMILY_V6], 0);
    scene_stop(&scene);
}

static void test_everything(void **state _unused_)
{
    static const char *const prefixes[] = {"0.0.0.0/0", "128.0.0.0/1", "0.0.0.0/1", "10.0.0.1/32"};
    struct scene scene;

    scene_start(&scene, "10.0.0.0/8");
    struct ranges *ranges = &scene.plan->covered_ranges;

    for (size_t i = ARRAY_SIZE(prefixes); i > 0; i--) {
        struct ip_prefix prefix = scene_prefix(prefixes[i - 1]);

        ranges_count(scene.plan, ranges, &prefix, 1, 1);
    }
    assert_non_null(scene_route(&scene, PROFILE_COVERED, "0.0.0.0/0"));
    assert_null(scene_route(&scene, PROFILE_COVERED, "10.0.0.1/32"));
    struct ip_prefix whole = scene_prefix("0.0.0.0/0"), half = scene_prefix("0.0.0.0/1");

    ranges_count(scene.plan, ranges, &whole, 1, -1);
    assert_non_null(scene_route(&scene, PROFILE_COVERED, "0.0.0.0/0")); /* by its halves */
    ranges_count(scene.plan, ranges, &half, 1, -1);
    assert_null(scene_route(&scene, PROFILE_COVERED, "0.0.0.0/0"));
    assert_non_null(scene_route(&scene, PROFILE_COVERED, "128.0.0.0/1"));
    assert_non_null(scene_route(&scene, PROFILE_COVERED, "10.0.0.1/32"));
    scene_stop(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_everything),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

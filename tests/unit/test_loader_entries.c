/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "loader/entries.h"

enum { KEYS = 600, ROUNDS = 40000 };

/* A plain array is the model: whatever the table does with its slots, it must say the same. */
static void test_random_against_array(void **state)
{
    _cleanup_entries_ struct entries entries = ENTRIES(8, 4);
    uint32_t model[KEYS] = {0}, states[KEYS] = {0};
    unsigned seed = 7;
    size_t count = 0;

    (void)state;
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        uint32_t index = (uint32_t)rand_r(&seed) % KEYS;
        uint32_t key[2] = {index, 0x55};

        if (rand_r(&seed) % 3) {
            enum entry_state wanted = rand_r(&seed) % 2 ? ENTRY_SET : ENTRY_REMOVE;

            assert_int_equal(entries_put(&entries, key, &round, wanted), 0);
            count += states[index] == ENTRY_EMPTY;
            model[index] = round;
            states[index] = wanted;
        } else {
            entries_delete(&entries, key);
            count -= states[index] != ENTRY_EMPTY;
            states[index] = ENTRY_EMPTY;
        }
        assert_int_equal(entries.count, count);
        for (uint32_t probe = index; probe < KEYS; probe += 97) {
            uint32_t other[2] = {probe, 0x55};
            struct entry *entry = entries_find(&entries, other);

            assert_int_equal(entry ? entry->state : ENTRY_EMPTY, states[probe]);
            if (entry)
                assert_memory_equal(entry_value(&entries, entry), &model[probe], 4);
            assert_int_equal(entries_has(&entries, other), states[probe] == ENTRY_SET);
        }
    }
}

static void test_next_visits_each_once(void **state)
{
    _cleanup_entries_ struct entries entries = ENTRIES(4, 0);
    unsigned char seen[KEYS] = {0};
    struct entry *entry;
    size_t cursor = 0;

    (void)state;
    for (uint32_t key = 0; key < KEYS; key++)
        assert_int_equal(entries_put(&entries, &key, NULL, ENTRY_SET), 0);
    while ((entry = entries_next(&entries, &cursor)))
        assert_int_equal(seen[*(uint32_t *)entry->key]++, 0);
    for (uint32_t key = 0; key < KEYS; key++)
        assert_int_equal(seen[key], 1);
}

static void test_compact_drops_what_is_done(void **state)
{
    _cleanup_entries_ struct entries entries = ENTRIES(4, 4);

    (void)state;
    for (uint32_t key = 0; key < KEYS; key++)
        assert_int_equal(entries_put(&entries, &key, &key, key % 3 ? ENTRY_DONE : ENTRY_SET), 0);
    entries_compact(&entries);
    assert_int_equal(entries.count, KEYS / 3);
    for (uint32_t key = 0; key < KEYS; key++)
        assert_int_equal(entries_has(&entries, &key), key % 3 == 0);
    for (uint32_t key = 0; key < KEYS; key += 3)
        entries_find(&entries, &key)->state = ENTRY_DONE;
    entries_compact(&entries);
    assert_int_equal(entries.count, 0);
    assert_null(entries.slots);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_against_array),
        cmocka_unit_test(test_next_visits_each_once),
        cmocka_unit_test(test_compact_drops_what_is_done),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

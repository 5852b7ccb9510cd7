/* SPDX-License-Identifier: Apache-2.0 */
#include "common/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { KEYS = 512 };

struct item {
    unsigned key;
};

static struct item items[KEYS];

static bool item_equal(const void *item, const void *key)
{
    return ((const struct item *)item)->key == *(const unsigned *)key;
}

/* Hash functions that put keys where it hurts. */
static uint64_t hash_all_same(unsigned key)
{
    (void)key;
    return 5;
}

static uint64_t hash_at_the_end(unsigned key)
{
    return 0xffffffffU - key % 3; /* whatever the capacity, runs wrap around */
}

static uint64_t hash_low_bits(unsigned key)
{
    return key % 8;
}

static uint64_t hash_random(unsigned key)
{
    return hash_bytes(&key, sizeof(key));
}

static void assert_same(const struct hash_table *table, uint64_t (*hash)(unsigned),
                        const bool present[KEYS], size_t count)
{
    bool seen[KEYS] = {false};
    size_t cursor = 0, found = 0;
    struct item *item;

    assert_int_equal(table->count, count);
    for (unsigned key = 0; key < KEYS; key++)
        assert_ptr_equal(hash_find(table, hash(key), &key), present[key] ? &items[key] : NULL);
    while ((item = hash_next(table, &cursor))) {
        assert_true(present[item->key]);
        assert_false(seen[item->key]);
        seen[item->key] = true;
        found++;
    }
    assert_int_equal(found, count);
}

/* Random additions and removals against an array of what must be there. */
static void follow_model(uint64_t (*hash)(unsigned), unsigned steps, unsigned keys)
{
    struct hash_table table = HASH_TABLE(item_equal);
    bool present[KEYS] = {false};
    size_t count = 0;
    uint32_t random = 12345;

    for (unsigned step = 0; step < steps; step++) {
        random = random * 1664525 + 1013904223;
        unsigned key = (random >> 8) % keys;
        bool grow = (step / (keys * 2)) % 2 == 0; /* phases that fill and that empty it */

        if (!present[key] && (grow || (random >> 30) == 0)) {
            assert_int_equal(hash_add(&table, hash(key), &items[key]), 0);
            present[key] = true;
            count++;
        } else {
            void *removed = hash_remove(&table, hash(key), &key);

            assert_ptr_equal(removed, present[key] ? &items[key] : NULL);
            count -= present[key];
            present[key] = false;
        }
        if (step % 16 == 0)
            assert_same(&table, hash, present, count);
    }
    assert_same(&table, hash, present, count);
    hash_clear(&table, NULL);
    assert_int_equal(table.count, 0);
    assert_null(hash_find(&table, hash(1), &(unsigned){1}));
}

static void follow_model_random(void **state)
{
    (void)state;
    follow_model(hash_random, 20000, KEYS);
}

static void follow_model_collisions(void **state)
{
    (void)state;
    follow_model(hash_all_same, 3000, 64);
    follow_model(hash_low_bits, 5000, 256);
}

static void follow_model_across_the_end(void **state)
{
    (void)state;
    follow_model(hash_at_the_end, 5000, 11);
    follow_model(hash_at_the_end, 5000, 90);
}

static void stay_empty(void **state)
{
    struct hash_table table = HASH_TABLE(item_equal);
    size_t cursor = 0;

    (void)state;
    assert_null(hash_find(&table, 1, &(unsigned){1}));
    assert_null(hash_remove(&table, 1, &(unsigned){1}));
    assert_null(hash_next(&table, &cursor));
    hash_clear(&table, NULL);
}

static size_t released;

static void count_release(void *item)
{
    assert_in_range(((struct item *)item)->key, 0, KEYS - 1);
    released++;
}

static void release_each_once(void **state)
{
    struct hash_table table = HASH_TABLE(item_equal);

    (void)state;
    for (unsigned key = 0; key < 100; key++)
        assert_int_equal(hash_add(&table, hash_random(key), &items[key]), 0);
    released = 0;
    hash_clear(&table, count_release);
    assert_int_equal(released, 100);
    assert_int_equal(table.capacity, 0);
    assert_int_equal(hash_add(&table, hash_random(3), &items[3]), 0);
    hash_clear(&table, count_release);
    assert_int_equal(released, 101);
}

static void hash_every_byte(void **state)
{
    unsigned char data[40] = {0};
    uint64_t seen[sizeof(data) * 2 + 2];
    size_t count = 0;

    (void)state;
    for (size_t length = 0; length <= sizeof(data); length++)
        seen[count++] = hash_bytes(data, length); /* zeros: only the length differs */
    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = 1;
        seen[count++] = hash_bytes(data, sizeof(data));
        data[i] = 0;
    }
    assert_int_equal(hash_bytes(data, sizeof(data)), seen[sizeof(data)]);
    for (size_t a = 0; a < count; a++)
        for (size_t b = 0; b < a; b++)
            assert_true(seen[a] != seen[b]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(follow_model_random),         cmocka_unit_test(follow_model_collisions),
        cmocka_unit_test(follow_model_across_the_end), cmocka_unit_test(stay_empty),
        cmocka_unit_test(release_each_once),           cmocka_unit_test(hash_every_byte),
    };

    for (unsigned key = 0; key < KEYS; key++)
        items[key].key = key;
    return cmocka_run_group_tests(tests, NULL, NULL);
}

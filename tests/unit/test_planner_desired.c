/* SPDX-License-Identifier: Apache-2.0 */
/* Which entries differ from what was sent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "planner/desired.h"

static const union table_key key = {.gateway = {7, 3}};

static union table_value value_of(uint32_t ifindex)
{
    return (union table_value){.gateway = {.ifindex = ifindex}};
}

static void set(struct desired *desired, uint32_t ifindex)
{
    union table_value value = value_of(ifindex);

    desired_set(desired, TABLE_GATEWAYS, &key, &value);
}

static void start(struct desired *desired)
{
    desired_init(desired);
    set(desired, 1);
    assert_int_equal(desired->change_count, 0); /* nothing was ever sent */
    desired_sent_all(desired);
}

static void test_changes_are_merged(void **state _unused_)
{
    struct desired desired;
    struct table_entry entry;

    start(&desired);
    set(&desired, 2);
    set(&desired, 3);
    assert_int_equal(desired.change_count, 1);
    assert_true(desired_next_change(&desired, &entry));
    assert_int_equal(entry.table, TABLE_GATEWAYS);
    assert_false(entry.remove);
    assert_int_equal(entry.value.gateway.ifindex, 3);
    assert_false(desired_next_change(&desired, &entry));
    set(&desired, 3);
    assert_int_equal(desired.change_count, 0);
    desired_clear(&desired);
}

static void test_back_again_is_no_change(void **state _unused_)
{
    struct desired desired;
    union table_key other = {.gateway = {8, 0}};
    union table_value value = value_of(9);

    start(&desired);
    set(&desired, 2);
    set(&desired, 1);
    assert_int_equal(desired.change_count, 0);
    desired_remove(&desired, TABLE_GATEWAYS, &key);
    assert_null(desired_find(&desired, TABLE_GATEWAYS, &key));
    set(&desired, 2);
    set(&desired, 1);
    assert_int_equal(desired.change_count, 0);
    desired_set(&desired, TABLE_GATEWAYS, &other, &value);
    desired_remove(&desired, TABLE_GATEWAYS, &other);
    assert_int_equal(desired.change_count, 0);
    assert_int_equal(desired_count(&desired, TABLE_GATEWAYS), 1);
    desired_clear(&desired);
}

static void test_removal_is_sent(void **state _unused_)
{
    struct desired desired;
    struct table_entry entry;

    start(&desired);
    set(&desired, 2);
    desired_remove(&desired, TABLE_GATEWAYS, &key);
    assert_int_equal(desired_count(&desired, TABLE_GATEWAYS), 0);
    assert_true(desired_next_change(&desired, &entry));
    assert_true(entry.remove);
    assert_int_equal(entry.key.gateway.group, 7);
    desired_remove(&desired, TABLE_GATEWAYS, &key);
    set(&desired, 2);
    assert_true(desired_next_change(&desired, &entry));
    assert_false(entry.remove);
    desired_clear(&desired);
}

static void test_snapshot_is_all(void **state _unused_)
{
    struct desired_cursor cursor = {0};
    union table_key address = {.address = ip_addr_from_v4(0x01020304)};
    union table_value endpoint = {.endpoint = {.profile = 5}};
    struct desired desired;
    struct table_entry entry;

    start(&desired);
    set(&desired, 2);
    desired_set(&desired, TABLE_ENDPOINTS, &address, &endpoint);
    desired_sent_nothing(&desired);
    assert_int_equal(desired.change_count, 0);
    assert_true(desired_next(&desired, &cursor, &entry));
    assert_int_equal(entry.value.gateway.ifindex, 2);
    assert_true(desired_next(&desired, &cursor, &entry));
    assert_int_equal(entry.table, TABLE_ENDPOINTS);
    assert_int_equal(entry.value.endpoint.profile, 5);
    assert_false(desired_next(&desired, &cursor, &entry));
    desired_sent_all(&desired);
    desired_remove(&desired, TABLE_ENDPOINTS, &address);
    desired_sent_all(&desired); /* a new snapshot begins */
    assert_int_equal(desired.change_count, 0);
    assert_int_equal(desired.tables[TABLE_ENDPOINTS].count, 0);
    desired_clear(&desired);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_changes_are_merged),
        cmocka_unit_test(test_back_again_is_no_change),
        cmocka_unit_test(test_removal_is_sent),
        cmocka_unit_test(test_snapshot_is_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

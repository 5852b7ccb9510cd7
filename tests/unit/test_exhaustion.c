/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "loader/exhaustion.h"

static unsigned tell(struct exhaustion *exhaustion, uint64_t full, uint64_t quota, int64_t now)
{
    struct status_entry entries[] = {
        {.kind = STATUS_DROP, .number = DROP_NAT_FULL, .values = {full, 1}},
        {.kind = STATUS_DROP, .number = DROP_NAT_QUOTA, .values = {quota, 1}},
    };
    struct status status = {0};
    unsigned lines;

    for (size_t i = 0; i < ARRAY_SIZE(entries); i++)
        assert_int_equal(status_report_add(&status.report, &entries[i]), 0);
    lines = exhaustion_tell(exhaustion, &status, now);
    status_report_clear(&status.report);
    return lines;
}

static void test_one_line_a_minute_and_reason(void **state)
{
    struct exhaustion exhaustion = {0};

    (void)state;
    assert_int_equal(tell(&exhaustion, 5, 0, 1000), 0); /* from before the start */
    assert_int_equal(tell(&exhaustion, 5, 0, 1005), 0);
    assert_int_equal(tell(&exhaustion, 6, 0, 1010), 1);
    assert_int_equal(tell(&exhaustion, 9, 0, 1015), 0);
    assert_int_equal(tell(&exhaustion, 9, 1, 1020), 1); /* another reason */
    assert_int_equal(tell(&exhaustion, 9, 1, 1069), 0);
    assert_int_equal(tell(&exhaustion, 9, 1, 1070), 1); /* what came meanwhile */
    assert_int_equal(tell(&exhaustion, 9, 1, 2000), 0);
    assert_int_equal(tell(&exhaustion, 2, 1, 2005), 0); /* the maps are new ones */
    assert_int_equal(tell(&exhaustion, 3, 1, 2010), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_line_a_minute_and_reason),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

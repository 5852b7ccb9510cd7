/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/macros.h"
#include "ipc/reasons.h"

static void names_are_unique_and_fit_metrics(void **state)
{
    (void)state;
    for (unsigned i = 0; i < DROP_LIMIT; i++) {
        const struct reason *reason = reason_of_drop(i);

        assert_string_not_equal(reason->name, "unknown");
        assert_int_equal(strspn(reason->name, "abcdefghijklmnopqrstuvwxyz_"), strlen(reason->name));
        assert_true(reason->meaning[0] && reason->remedy[0]);
        for (unsigned j = 0; j < i; j++)
            assert_string_not_equal(reason->name, reason_of_drop(j)->name);
    }
    for (unsigned i = COUNT_ENCAPSULATED; i < COUNT_LIMIT; i++)
        assert_string_not_equal(reason_of_count(i)->name, "unknown");
}

static void numbers_out_of_range_are_unknown(void **state)
{
    static const unsigned numbers[] = {DROP_LIMIT, DROP_REASONS_MOST, COUNTERS, UINT32_MAX};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
        assert_string_equal(reason_of_drop(numbers[i])->name, "unknown");
    assert_string_equal(reason_of_count(0)->name, "unknown");
    assert_string_equal(reason_of_count(COUNT_LIMIT)->name, "unknown");
}

/* Users look a reason up in the manual: each has its row there, with the same meaning. */
static void manual_has_each_reason(void **state)
{
    static char manual[1 << 16];
    _cleanup_fclose_ FILE *file = NULL;
    size_t length;

    (void)state;
    file = fopen("docs/observing.md", "r");
    if (!file)
        skip(); /* not started in the root of the sources */
    length = fread(manual, 1, sizeof(manual) - 1, file);
    manual[length] = '\0';
    for (unsigned i = 0; i < DROP_LIMIT; i++) {
        char row[512];

        snprintf(row, sizeof(row), "| `%s` | %s |", reason_of_drop(i)->name,
                 reason_of_drop(i)->meaning);
        if (!strstr(manual, row))
            fail_msg("docs/observing.md lacks a row that begins with: %s", row);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_unique_and_fit_metrics),
        cmocka_unit_test(numbers_out_of_range_are_unknown),
        cmocka_unit_test(manual_has_each_reason),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Reports of counters: what an entry may be, their order, and how records make up a report; what
 * the planner passes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "ipc/record.h"
#include "planner/relay.h"

static struct ip_addr address(const char *text)
{
    struct ip_addr result;

    assert_int_equal(address_parse(text_of(text), &result), 0);
    return result;
}

static struct status_entry valid_entry(enum status_kind kind)
{
    struct status_entry entry = {.kind = kind, .values = {5}};

    if (kind == STATUS_COUNT)
        entry.number = COUNT_ENCAPSULATED;
    if (kind == STATUS_POLICY)
        entry.name = TEXT("egress-test");
    if (kind == STATUS_REFUSED)
        entry.address = address("10.0.0.1");
    if (kind == STATUS_EGRESS) {
        entry.address = address("10.0.0.1");
        entry.number = 6;
        entry.values[1] = 5;
    }
    return entry;
}

/* X(name, kind, what makes the entry wrong) */
#define WRONG(X)                                                                                   \
    X(kind, STATUS_DROP, e->kind = STATUS_KINDS)                                                   \
    X(reason, STATUS_DROP, e->number = DROP_REASONS_MOST)                                          \
    X(drop_name, STATUS_DROP, e->name = TEXT("a"))                                                 \
    X(drop_address, STATUS_DROP, e->address = address("10.0.0.1"))                                 \
    X(count_below, STATUS_COUNT, e->number = DROP_REASONS_MOST - 1)                                \
    X(count_above, STATUS_COUNT, e->number = COUNTERS)                                             \
    X(no_name, STATUS_POLICY, e->name.length = 0)                                                  \
    X(name_quote, STATUS_POLICY, e->name = TEXT("a\"b"))                                           \
    X(name_line, STATUS_POLICY, e->name = TEXT("a\nb"))                                            \
    X(name_upper, STATUS_POLICY, e->name = TEXT("Egress"))                                         \
    X(policy_number, STATUS_POLICY, e->number = 1)                                                 \
    X(no_address, STATUS_EGRESS, e->address = (struct ip_addr){0})                                 \
    X(multicast, STATUS_EGRESS, e->address = address("224.0.0.1"))                                 \
    X(protocol, STATUS_EGRESS, e->number = 256)                                                    \
    X(ports, STATUS_EGRESS, e->values[0] = 65537; e->values[1] = 65537)                            \
    X(connections, STATUS_EGRESS, e->values[1] = 4)                                                \
    X(refused_none, STATUS_REFUSED, e->address = (struct ip_addr){0})                              \
    X(refused_number, STATUS_REFUSED, e->number = 1)                                               \
    X(gauge, STATUS_GAUGE, e->number = GAUGES)                                                     \
    X(second, STATUS_GAUGE, e->values[1] = 1)

#define DEFINE(name, kind, change)                                                                 \
    static void wrong_##name(struct status_entry *e)                                               \
    {                                                                                              \
        change;                                                                                    \
    }
WRONG(DEFINE)

static const struct {
    const char *name;
    enum status_kind kind;
    void (*change)(struct status_entry *entry);
} wrongs[] = {
#define ROW(name, kind, change) {#name, kind, wrong_##name},
    WRONG(ROW)};

static void wrong_entries_are_refused(void **state)
{
    static struct record_buffer buffer;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(wrongs); i++) {
        struct status_entry entry = valid_entry(wrongs[i].kind);
        struct record record = {.type = RECORD_STATUS, .status = {&entry, 1, true, true}};
        const char *why = NULL;

        assert_int_equal(status_entry_check(&entry, &why), 0);
        assert_int_equal(record_pack(&record, &buffer), 0);
        wrongs[i].change(&entry);
        if (status_entry_check(&entry, &why) != -EINVAL)
            fail_msg("%s is accepted", wrongs[i].name);
        assert_non_null(why);
        assert_int_equal(record_pack(&record, &buffer), -EINVAL);
    }
}

static int receive(struct status_receiver *receiver, struct status_entry *items, size_t count,
                   bool first, bool last, bool *whole)
{
    struct record record = {.type = RECORD_STATUS, .status = {items, count, first, last}};

    return status_receive(receiver, &record, whole);
}

static void reports_are_whole_or_nothing(void **state)
{
    struct status_entry items[] = {valid_entry(STATUS_DROP), valid_entry(STATUS_POLICY),
                                   valid_entry(STATUS_GAUGE)};
    struct status_receiver receiver = {0};
    bool whole;

    (void)state;
    assert_int_equal(receive(&receiver, items, 1, true, false, &whole), 0);
    assert_false(whole);
    assert_int_equal(receiver.report.count, 0);
    assert_int_equal(receive(&receiver, items + 1, 1, false, false, &whole), 0);
    assert_int_equal(receive(&receiver, items + 2, 1, false, true, &whole), 0);
    assert_true(whole);
    assert_int_equal(receiver.report.count, 3);
    /* The peer comes again in the middle of one: the last whole report stays. */
    assert_int_equal(receive(&receiver, items, 1, true, false, &whole), 0);
    status_receiver_reset(&receiver);
    assert_int_equal(receiver.report.count, 3);
    assert_int_equal(receive(&receiver, items, 1, true, true, &whole), 0);
    assert_true(whole);
    assert_int_equal(receiver.report.count, 1);
    status_receiver_clear(&receiver);
}

static void reports_out_of_order_are_refused(void **state)
{
    struct status_entry items[] = {valid_entry(STATUS_DROP), valid_entry(STATUS_POLICY),
                                   valid_entry(STATUS_DROP)};
    struct status_receiver receiver = {0};
    bool whole;

    (void)state;
    assert_int_equal(receive(&receiver, items, 1, false, true, &whole), -EPROTO);
    assert_int_equal(receive(&receiver, items, 3, true, true, &whole), -EPROTO);
    status_receiver_clear(&receiver);
    assert_int_equal(receive(&receiver, items + 1, 1, true, false, &whole), 0);
    assert_int_equal(receive(&receiver, items + 1, 1, false, true, &whole), -EPROTO); /* twice */
    status_receiver_clear(&receiver);
    assert_int_equal(receive(&receiver, items, 1, true, false, &whole), 0);
    assert_int_equal(receive(&receiver, items, 1, true, false, &whole), -EPROTO);
    status_receiver_clear(&receiver);
}

static void reports_are_bounded(void **state)
{
    struct status_receiver receiver = {0};
    int error = 0;
    uint32_t i;
    bool whole;

    (void)state;
    for (i = 0; !error && i < 2 * STATUS_REPORT_LIMIT; i++) {
        struct status_entry entry = valid_entry(STATUS_EGRESS);

        entry.address.words_be[3] = htonl(0x0a000000 + i);
        error = receive(&receiver, &entry, 1, i == 0, false, &whole);
    }
    assert_int_equal(error, -EPROTO);
    assert_int_equal(i, STATUS_REPORT_LIMIT + 1);
    status_receiver_clear(&receiver);
}

static void equal_reports(void **state)
{
    struct status_entry entry = valid_entry(STATUS_POLICY);
    struct status_report a = {0}, b = {0};

    (void)state;
    assert_true(status_report_equal(&a, &b));
    assert_int_equal(status_report_add(&a, &entry), 0);
    assert_false(status_report_equal(&a, &b));
    entry.values[1] = 7;
    assert_int_equal(status_report_add(&b, &entry), 0);
    assert_false(status_report_equal(&a, &b));
    b.items[0].values[1] = 0;
    assert_true(status_report_equal(&a, &b));
    status_report_clear(&a);
    status_report_clear(&b);
}

/* The planner vouches for its own numbers, not for what a loader says of them. */
static void loader_speaks_for_itself(void **state)
{
    struct status_entry entry = valid_entry(STATUS_GAUGE);
    struct record record = {.type = RECORD_STATUS, .status = {&entry, 1, true, true}};
    struct relay relay = {0};

    (void)state;
    for (entry.number = 0; entry.number < GAUGES; entry.number++)
        assert_int_equal(relay_receive(&relay, &record),
                         entry.number < GAUGES_OF_LOADER ? 0 : -EPROTO);
    relay_clear(&relay);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_entries_are_refused),
        cmocka_unit_test(reports_are_whole_or_nothing),
        cmocka_unit_test(reports_out_of_order_are_refused),
        cmocka_unit_test(reports_are_bounded),
        cmocka_unit_test(equal_reports),
        cmocka_unit_test(loader_speaks_for_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

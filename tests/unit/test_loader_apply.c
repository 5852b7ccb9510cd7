/* SPDX-License-Identifier: Apache-2.0 */
/* Generations that are wrong, and maps that are full. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "loader/apply.h"
#include "tests/unit/fake_backend.h"

enum { CAPACITY = 8 };

struct fixture {
    struct fake_backend fake;
    struct apply apply;
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    const uint32_t zero = 0;
    const struct settings settings = {0};

    assert_non_null(fixture);
    fake_backend_open(&fixture->fake, CAPACITY);
    assert_int_equal(entries_put(&fixture->fake.maps[TABLE_SETTINGS], &zero, &settings, ENTRY_SET),
                     0);
    assert_int_equal(apply_open(&fixture->apply, &fixture->fake.backend), 0);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    apply_close(&fixture->apply);
    fake_backend_close(&fixture->fake);
    free(fixture);
    return 0;
}

static struct ip_addr address(unsigned host)
{
    return ip_addr_from_v4(htonl(10U << 24 | host));
}

static struct table_entry node(unsigned host)
{
    return (struct table_entry){.table = TABLE_NODES, .key.address = address(host)};
}

static struct table_entry gateway(uint32_t group, uint32_t slot, unsigned host)
{
    return (struct table_entry){
        .table = TABLE_GATEWAYS, .key.gateway = {group, slot}, .value.gateway.node = address(host)};
}

static struct table_entry route(uint32_t profile, const char *text, uint32_t group, uint16_t slots)
{
    struct table_entry entry = {.table = TABLE_ROUTES};
    struct ip_prefix prefix;

    assert_int_equal(prefix_parse(text_of(text), &prefix), 0);
    entry.key.route = route_key_make(profile, &prefix);
    entry.value.route = (struct route){
        .action = slots ? ROUTE_GATEWAY : ROUTE_EXCLUDED, .group = group, .slots = slots};
    return entry;
}

static struct table_entry endpoint(unsigned host, uint32_t profile)
{
    return (struct table_entry){
        .table = TABLE_ENDPOINTS, .key.address = address(host), .value.endpoint.profile = profile};
}

static struct table_entry gone(struct table_entry entry)
{
    entry.remove = true;
    return entry;
}

static int commit(struct fixture *fixture, bool snapshot, const struct table_entry *entries,
                  size_t count, struct apply_result *result)
{
    const char *why = NULL;

    apply_begin(&fixture->apply, snapshot);
    assert_int_equal(apply_stage(&fixture->apply, entries, count, &why), 0);
    return apply_commit(&fixture->apply, result);
}

#define COMMIT(fixture, snapshot, result, ...)                                                     \
    commit(fixture, snapshot, (const struct table_entry[]){__VA_ARGS__},                           \
           sizeof((const struct table_entry[]){__VA_ARGS__}) / sizeof(struct table_entry), result)

static void expect_refused(struct fixture *fixture, int outcome, const struct apply_result *result,
                           const char *part)
{
    assert_int_equal(outcome, -EINVAL);
    assert_int_equal(result->error, -EINVAL);
    assert_false(result->taken);
    assert_non_null(strstr(result->text, part));
    assert_false(apply_is_pending(&fixture->apply));
}

static void test_references_must_lead_somewhere(void **state)
{
    struct fixture *fixture = *state;
    struct apply_result result;
    int outcome;

    outcome = COMMIT(fixture, true, &result, gateway(1, 0, 9));
    expect_refused(fixture, outcome, &result, "unknown node 10.0.0.9");
    outcome = COMMIT(fixture, true, &result, node(9), gateway(1, 0, 9),
                     route(PROFILE_FIRST, "0.0.0.0/0", 1, 2));
    expect_refused(fixture, outcome, &result, "lacks slot 1 of 2");
    assert_int_equal(fixture->fake.elements, 0);

    /* Whole, then taken apart by a change: from either end. */
    outcome = COMMIT(fixture, true, &result, node(9), gateway(1, 0, 9), gateway(1, 1, 9),
                     route(PROFILE_FIRST, "0.0.0.0/0", 1, 2));
    assert_int_equal(outcome, 0);
    fixture->fake.elements = 0;
    outcome = COMMIT(fixture, false, &result, gone(gateway(1, 1, 9)));
    expect_refused(fixture, outcome, &result, "0.0.0.0/0");
    outcome = COMMIT(fixture, false, &result, gone(node(9)));
    expect_refused(fixture, outcome, &result, "unknown node");
    assert_int_equal(fixture->fake.elements, 0);
    /* One that agrees with itself: the slot goes together with its use. */
    outcome = COMMIT(fixture, false, &result, gone(gateway(1, 1, 9)),
                     route(PROFILE_FIRST, "0.0.0.0/0", 1, 1));
    assert_int_equal(outcome, 0);
    assert_int_equal(fixture->fake.elements, 2);
}

static void test_stage_is_bounded(void **state)
{
    struct fixture *fixture = *state;
    const struct table_entry removal = gone(endpoint(1, PROFILE_NONE));
    const char *why = NULL;
    int error = 0;
    unsigned host;

    apply_begin(&fixture->apply, true);
    for (host = 1; !error; host++) {
        struct table_entry entry = endpoint(host, PROFILE_NONE);

        error = apply_stage(&fixture->apply, &entry, 1, &why);
    }
    assert_int_equal(error, -EMSGSIZE);
    assert_int_equal(host, 2 * CAPACITY + 2);
    assert_non_null(why);
    assert_int_equal(apply_stage(&fixture->apply, &removal, 1, &why), -EINVAL);
    apply_begin(&fixture->apply, false);
    assert_int_equal(fixture->apply.stage[TABLE_ENDPOINTS].count, 0);
}

static void test_full_endpoints(void **state)
{
    struct fixture *fixture = *state;
    const struct entries *map = &fixture->fake.maps[TABLE_ENDPOINTS];
    struct table_entry entries[CAPACITY + 2];
    struct apply_result result;

    for (unsigned host = 0; host < CAPACITY; host++)
        entries[host] = endpoint(host + 1, PROFILE_NONE);
    assert_int_equal(commit(fixture, true, entries, CAPACITY, &result), 0);

    entries[CAPACITY] = endpoint(CAPACITY + 1, PROFILE_NONE);
    entries[CAPACITY + 1] = endpoint(CAPACITY + 2, PROFILE_NONE);
    assert_int_equal(commit(fixture, true, entries, CAPACITY + 2, &result), -E2BIG);
    assert_true(result.taken);
    assert_int_equal(result.held, 2);
    assert_non_null(strstr(result.text, "limits.endpoints is 8"));
    for (unsigned host = 0; host < CAPACITY; host++)
        assert_non_null(entries_find(map, &entries[host].key));

    /* As soon as one goes, one of those that wait has its place. */
    assert_int_equal(COMMIT(fixture, false, &result, gone(entries[0])), -E2BIG);
    assert_int_equal(result.held, 1);
    assert_int_equal(map->count, CAPACITY);
    assert_null(entries_find(map, &entries[0].key));
    assert_int_equal(COMMIT(fixture, false, &result, gone(entries[1])), 0);
    assert_non_null(entries_find(map, &entries[CAPACITY].key));
    assert_non_null(entries_find(map, &entries[CAPACITY + 1].key));
}

/* A profile whose routes do not fit is not given to anybody, and what its users had stays. */
static void test_full_routes_hold_endpoints(void **state)
{
    struct fixture *fixture = *state;
    const struct entries *endpoints = &fixture->fake.maps[TABLE_ENDPOINTS];
    const struct entries *routes = &fixture->fake.maps[TABLE_ROUTES];
    struct table_entry known = endpoint(1, PROFILE_FIRST), fresh = endpoint(2, PROFILE_FIRST + 1);
    struct table_entry old = route(PROFILE_FIRST, "0.0.0.0/0", 0, 0);
    const struct endpoint *now;
    struct apply_result result;

    fixture->fake.capacities[TABLE_ROUTES] = 2;
    assert_int_equal(COMMIT(fixture, true, &result, old, known), 0);
    known.value.endpoint.profile = PROFILE_FIRST + 1;
    assert_int_equal(COMMIT(fixture, true, &result, known, fresh,
                            route(PROFILE_FIRST + 1, "0.0.0.0/0", 0, 0),
                            route(PROFILE_FIRST + 1, "10.0.0.0/8", 0, 0)),
                     -E2BIG);
    assert_non_null(strstr(result.text, "limits.routes is 2"));
    now = entry_value(endpoints, entries_find(endpoints, &known.key));
    assert_int_equal(now->profile, PROFILE_FIRST);
    assert_null(entries_find(endpoints, &fresh.key));
    assert_non_null(entries_find(routes, &old.key));

    fixture->fake.capacities[TABLE_ROUTES] = 3;
    assert_int_equal(apply_retry(&fixture->apply, &result), 0);
    now = entry_value(endpoints, entries_find(endpoints, &known.key));
    assert_int_equal(now->profile, PROFILE_FIRST + 1);
    assert_non_null(entries_find(endpoints, &fresh.key));
    assert_int_equal(routes->count, 2);
}

/* A planner that goes on changing what a full map has no room for does not fill our memory. */
static void test_what_waits_is_bounded(void **state)
{
    struct fixture *fixture = *state;
    struct apply_result result;
    unsigned host = 0;

    do {
        host++;
        assert_true(host <= 8 * CAPACITY);
        (void)!COMMIT(fixture, false, &result, endpoint(host, PROFILE_NONE));
    } while (result.taken);
    assert_int_equal(result.error, -EMSGSIZE);
    assert_int_equal(fixture->fake.maps[TABLE_ENDPOINTS].count, CAPACITY);
    assert_int_equal(fixture->apply.pending[TABLE_ENDPOINTS].count, 4 * CAPACITY);
    assert_int_equal(COMMIT(fixture, true, &result, endpoint(1, PROFILE_NONE)), 0);
    assert_int_equal(fixture->fake.maps[TABLE_ENDPOINTS].count, 1);
}

static void test_unreadable_maps(void **state)
{
    struct fixture *fixture = *state;
    struct apply_result result;

    fixture->fake.fail_read = true;
    assert_int_equal(COMMIT(fixture, true, &result, node(1)), -EIO);
    assert_false(result.taken);
    fixture->fake.fail_read = false;
    assert_int_equal(COMMIT(fixture, true, &result, node(1)), 0);
}

/* What somebody else did to the maps is set right by the next snapshot. */
static void test_snapshot_reads_the_maps_anew(void **state)
{
    struct fixture *fixture = *state;
    struct table_entry first = node(1), foreign = node(7);
    struct apply_result result;

    assert_int_equal(COMMIT(fixture, true, &result, first), 0);
    entries_delete(&fixture->fake.maps[TABLE_NODES], &first.key);
    assert_int_equal(
        entries_put(&fixture->fake.maps[TABLE_NODES], &foreign.key, &foreign.value, ENTRY_SET), 0);
    assert_int_equal(COMMIT(fixture, true, &result, first), 0);
    assert_int_equal(result.set, 1);
    assert_int_equal(result.removed, 1);
    assert_non_null(entries_find(&fixture->fake.maps[TABLE_NODES], &first.key));
    assert_null(entries_find(&fixture->fake.maps[TABLE_NODES], &foreign.key));
}

static struct table_entry pod_at(unsigned host, uint32_t hash)
{
    struct table_entry entry = endpoint(host, PROFILE_NONE);

    entry.value.endpoint.hash = hash;
    return entry;
}

/* Pods that leave are counted, and nobody else: others' mappings stay. */
static void test_pods_that_leave_are_counted(void **state)
{
    struct fixture *fixture = *state;
    struct apply_result result;

    assert_int_equal(COMMIT(fixture, true, &result, pod_at(1, 11), pod_at(2, 12)), 0);
    assert_int_equal(COMMIT(fixture, false, &result, pod_at(3, 13), pod_at(1, 11)), 0);
    assert_int_equal(fixture->apply.endpoints_left, 0);
    assert_int_equal(COMMIT(fixture, false, &result, gone(pod_at(1, 11))), 0);
    assert_int_equal(fixture->apply.endpoints_left, 1);
    assert_int_equal(COMMIT(fixture, false, &result, pod_at(2, 22)), 0);
    assert_int_equal(fixture->apply.endpoints_left, 2);
    assert_int_equal(COMMIT(fixture, true, &result, pod_at(2, 22)), 0);
    assert_int_equal(fixture->apply.endpoints_left, 3);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_references_must_lead_somewhere),
        TEST(test_stage_is_bounded),
        TEST(test_full_endpoints),
        TEST(test_full_routes_hold_endpoints),
        TEST(test_what_waits_is_bounded),
        TEST(test_unreadable_maps),
        TEST(test_snapshot_reads_the_maps_anew),
        TEST(test_pods_that_leave_are_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

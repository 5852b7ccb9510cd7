/* SPDX-License-Identifier: Apache-2.0 */
/* The pages /metrics and /healthz. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "tests/unit/watcher_support.h"

#include "ipc/reasons.h"
#include "watcher/metrics.h"
#include "watcher/store.h"

struct fixture {
    struct store *store;
    struct metrics *metrics;
    uint64_t trouble; /* seconds, of the source */
};

static void nothing(void *context)
{
    (void)context;
}

static void nothing_listed(void *context, enum object_kind kind)
{
    (void)context;
    (void)kind;
}

static uint64_t source_trouble(const struct source *source, enum object_kind kind)
{
    return kind == KIND_POD ? *(const uint64_t *)(const void *)source : 0;
}

static const struct source_operations operations = {.name = "test", .trouble = source_trouble};

static void fixture_open(struct fixture *fixture)
{
    static const struct store_observer observer = {NULL, nothing, nothing_listed, nothing};
    struct config config = {0};

    *fixture = (struct fixture){0};
    assert_int_equal(store_new(&observer, &fixture->store), 0);
    assert_int_equal(metrics_open(&config, fixture->store, &fixture->metrics), 0);
    metrics_add_source(fixture->metrics, &operations, (const void *)&fixture->trouble);
}

static void fixture_close(struct fixture *fixture)
{
    metrics_close(fixture->metrics);
    store_free(fixture->store);
}

static void in_sync(struct fixture *fixture)
{
    struct source_sink sink = store_sink(fixture->store);

    for (int kind = 0; kind < KINDS; kind++) {
        sink.list_begin(sink.context, kind);
        sink.list_end(sink.context, kind);
    }
}

/* A report as the planner sends it, with that much pending. */
static void report(struct fixture *fixture, uint64_t pending, uint64_t loader)
{
    struct status_entry items[] = {
        {.kind = STATUS_DROP, .number = DROP_NO_GATEWAY, .values = {118, 11564}},
        {.kind = STATUS_DROP, .number = DROP_REASONS_MOST - 1, .values = {1, 1}},
        {.kind = STATUS_COUNT, .number = COUNT_TRANSLATED_OUT, .values = {7, 700}},
        {.kind = STATUS_POLICY, .name = TEXT("egress-test"), .values = {UINT64_MAX, 3}},
        {.kind = STATUS_EGRESS, .number = 6, .values = {2, 5}},
        {.kind = STATUS_REFUSED, .values = {9, 900}},
        {.kind = STATUS_GAUGE, .number = GAUGE_LOADER_PENDING, .values = {pending}},
        {.kind = STATUS_GAUGE, .number = GAUGE_PLANNER_READY, .values = {1}},
        {.kind = STATUS_GAUGE, .number = GAUGE_PLANNER_LOADER, .values = {loader}},
    };
    struct record record = {.type = RECORD_STATUS,
                            .status = {items, ARRAY_SIZE(items), true, true}};

    assert_int_equal(address_parse(TEXT("2001:db8::7"), &items[4].address), 0);
    items[5].address = items[4].address;
    metrics_planner_connected(fixture->metrics, true);
    assert_int_equal(metrics_receive(fixture->metrics, &record), 0);
}

static char *page(const struct fixture *fixture)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    assert_non_null(out);
    metrics_write(fixture->metrics, out);
    fclose(out);
    return text;
}

static void assert_line(const char *text, const char *line)
{
    char wanted[256];

    snprintf(wanted, sizeof(wanted), "\n%s\n", line);
    if (!strstr(text, wanted))
        fail_msg("no line %s in\n%s", line, text);
}

static void page_holds_the_report(void **state)
{
    struct fixture fixture;
    char *text;

    (void)state;
    fixture_open(&fixture);
    in_sync(&fixture);
    fixture.trouble = 77;
    report(&fixture, 3, 1);
    text = page(&fixture);
    assert_line(text, "egressgw_dropped_packets_total{reason=\"no_gateway\"} 118");
    assert_line(text, "egressgw_dropped_bytes_total{reason=\"no_gateway\"} 11564");
    assert_line(text, "egressgw_packets_total{path=\"translated_out\"} 7");
    assert_line(text, "egressgw_policy_packets_total{policy=\"egress-test\"} 18446744073709551615");
    assert_line(text,
                "egressgw_egress_ip_ports_in_use{egress_ip=\"2001:db8::7\",protocol=\"tcp\"} 2");
    assert_line(text, "egressgw_egress_ip_without_port_total{egress_ip=\"2001:db8::7\"} 9");
    assert_line(text, "egressgw_loader_pending_entries 3");
    assert_line(text, "egressgw_source_in_sync{kind=\"pod\"} 1");
    assert_line(text, "egressgw_source_stale_seconds{kind=\"pod\"} 77");
    assert_line(text, "egressgw_source_stale_seconds{kind=\"node\"} 0");
    assert_line(text, "egressgw_objects{kind=\"policy\"} 0");
    assert_line(text, "# TYPE egressgw_dropped_packets_total counter");
    assert_null(strstr(text, "unknown"));
    free(text);
    fixture_close(&fixture);
}

/* Each line is a comment, or a sample with a name, perhaps labels, and a number; each family has
 * one HELP, then one TYPE, then its samples. */
static void page_is_as_prometheus_has_it(void **state)
{
    struct fixture fixture;
    char *text, *line, *rest, family[128] = "";

    (void)state;
    fixture_open(&fixture);
    report(&fixture, 0, 1);
    text = page(&fixture);
    assert_int_equal(text[strlen(text) - 1], '\n');
    for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char name[128], again[128];
        char *end;

        if (sscanf(line, "# HELP %127s ", name) == 1) {
            line = strtok_r(NULL, "\n", &rest);
            assert_int_equal(sscanf(line, "# TYPE %127s ", again), 1);
            assert_string_equal(name, again);
            assert_string_not_equal(name, family);
            strcpy(family, name);
            continue;
        }
        assert_int_equal(strncmp(line, family, strlen(family)), 0);
        assert_true(line[strlen(family)] == ' ' || line[strlen(family)] == '{');
        strtoull(strrchr(line, ' ') + 1, &end, 10);
        assert_int_equal(*end, '\0');
    }
    free(text);
    fixture_close(&fixture);
}

static void assert_health(const struct fixture *fixture, bool well, const char *words)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    assert_non_null(out);
    assert_int_equal(metrics_write_health(fixture->metrics, out), well);
    fclose(out);
    if (!strstr(text, words))
        fail_msg("not %s: %s", words, text);
    free(text);
}

static void health_names_what_is_wrong(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_open(&fixture);
    assert_health(&fixture, false, "kind pod were listed");
    in_sync(&fixture);
    assert_health(&fixture, false, "the planner is not connected");
    metrics_planner_connected(fixture.metrics, true);
    assert_health(&fixture, false, "not computed");
    report(&fixture, 0, 0);
    assert_health(&fixture, false, "the loader is not connected");
    report(&fixture, 2, 1);
    assert_health(&fixture, false, "not all tables");
    report(&fixture, 0, 1);
    assert_health(&fixture, true, "ok\n");
    fixture.trouble = 5;
    assert_health(&fixture, false, "kind pod cannot be followed for 5 s");
    fixture.trouble = 0;
    metrics_planner_connected(fixture.metrics, false);
    assert_health(&fixture, false, "the planner is not connected");
    fixture_close(&fixture);
}

static void reports_are_checked(void **state)
{
    struct status_entry entry = {.kind = STATUS_GAUGE};
    struct record record = {.type = RECORD_STATUS, .status = {&entry, 1, false, true}};
    struct fixture fixture;

    (void)state;
    fixture_open(&fixture);
    assert_int_equal(metrics_receive(fixture.metrics, &record), -EPROTO);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(page_holds_the_report),
        cmocka_unit_test(page_is_as_prometheus_has_it),
        cmocka_unit_test(health_names_what_is_wrong),
        cmocka_unit_test(reports_are_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

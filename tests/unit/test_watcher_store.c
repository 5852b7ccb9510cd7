/* SPDX-License-Identifier: Apache-2.0 */
/* The store: what counts as a change, lists, and the queues towards the planner. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/watcher_support.h"
#include "watcher/store.h"

struct fixture {
    struct store *store;
    struct source_sink sink;
    unsigned changes, lists, failures;
    struct record_buffer buffer;
};

static void on_changed(void *context)
{
    ((struct fixture *)context)->changes++;
}

static void on_listed(void *context, enum object_kind kind)
{
    (void)kind;
    ((struct fixture *)context)->lists++;
}

static void on_failed(void *context)
{
    ((struct fixture *)context)->failures++;
}

static int setup(void **state)
{
    static struct fixture fixture;
    struct store_observer observer = {&fixture, on_changed, on_listed, on_failed};

    memset(&fixture, 0, sizeof(fixture));
    if (store_new(&observer, &fixture.store))
        return -1;
    fixture.sink = store_sink(fixture.store);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    store_free(((struct fixture *)*state)->store);
    return 0;
}

static void put(struct fixture *fixture, const char *name, const char *uid)
{
    struct object object = support_namespace(name, uid);

    fixture->sink.object(fixture->sink.context, &object);
}

static struct object_identity identity_of(const char *name)
{
    return (struct object_identity){.kind = KIND_NAMESPACE, .name = text_of(name)};
}

static void take(struct fixture *fixture, const char *name)
{
    struct object_identity identity = identity_of(name);

    fixture->sink.remove(fixture->sink.context, &identity);
}

static void list_begin(struct fixture *fixture)
{
    fixture->sink.list_begin(fixture->sink.context, KIND_NAMESPACE);
}

static void list_end(struct fixture *fixture)
{
    fixture->sink.list_end(fixture->sink.context, KIND_NAMESPACE);
}

/* "name=uid" of an OBJECT, "-name" of a DELETE. */
static void describe(struct fixture *fixture, struct store_entry *entry, char *text, size_t size)
{
    struct arena arena = {0};
    struct record record;
    const char *why = "";

    assert_int_equal(store_entry_record(entry, &fixture->buffer), 0);
    assert_int_equal(
        record_unpack(fixture->buffer.data, fixture->buffer.length, &arena, &record, &why), 0);
    if (record.type == RECORD_DELETE)
        snprintf(text, size, "-%.*s ", TEXT_ARG(record.identity.name));
    else
        snprintf(text, size, "%.*s=%.*s ", TEXT_ARG(record.object.namespace.name),
                 TEXT_ARG(record.object.namespace.uid));
    arena_clear(&arena);
}

/* Delivers a queue and says what was in it. */
static const char *deliver(struct fixture *fixture, bool fresh)
{
    static char text[1024];
    struct store_entry *entry;

    text[0] = '\0';
    while ((entry = fresh ? store_next_fresh(fixture->store, KIND_NAMESPACE)
                          : store_next_dirty(fixture->store))) {
        size_t used = strlen(text);

        describe(fixture, entry, text + used, sizeof(text) - used);
        store_entry_delivered(fixture->store, entry);
    }
    return text;
}

static const char *deliver_snapshot(struct fixture *fixture)
{
    const char *text;

    store_snapshot_begin(fixture->store, KIND_NAMESPACE);
    text = deliver(fixture, true);
    store_snapshot_end(fixture->store, KIND_NAMESPACE);
    return text;
}

static void test_sync(void **state)
{
    struct fixture *fixture = *state;

    assert_false(store_in_sync(fixture->store, KIND_NAMESPACE));
    put(fixture, "early", "1");
    assert_false(store_in_sync(fixture->store, KIND_NAMESPACE));
    list_begin(fixture);
    put(fixture, "a", "1");
    list_end(fixture);
    assert_true(store_in_sync(fixture->store, KIND_NAMESPACE));
    assert_false(store_in_sync(fixture->store, KIND_POD));
    assert_int_equal(fixture->lists, 1);
    assert_int_equal(store_count(fixture->store, KIND_NAMESPACE), 1);
    assert_string_equal(deliver_snapshot(fixture), "a=1 ");
}

static void test_changes(void **state)
{
    struct fixture *fixture = *state;
    unsigned before;

    list_begin(fixture);
    put(fixture, "a", "1");
    put(fixture, "b", "1");
    list_end(fixture);
    assert_string_equal(deliver_snapshot(fixture), "a=1 b=1 ");

    before = fixture->changes;
    put(fixture, "a", "1"); /* the same again */
    take(fixture, "c");     /* never heard of */
    assert_int_equal(fixture->changes, before);
    assert_null(store_next_dirty(fixture->store));

    put(fixture, "b", "2");
    put(fixture, "c", "1");
    take(fixture, "a");
    put(fixture, "b", "3"); /* each object once, as it is by then */
    assert_string_equal(deliver(fixture, false), "b=3 c=1 -a ");
    assert_int_equal(store_count(fixture->store, KIND_NAMESPACE), 2);

    take(fixture, "c");
    put(fixture, "c", "9"); /* gone and back: no DELETE */
    put(fixture, "d", "1");
    take(fixture, "d"); /* came and went unseen */
    assert_string_equal(deliver(fixture, false), "c=9 ");
    assert_int_equal(fixture->failures, 0);
}

static void test_sweep(void **state)
{
    struct fixture *fixture = *state;
    struct object_identity kept = identity_of("kept");

    list_begin(fixture);
    put(fixture, "a", "1");
    put(fixture, "b", "1");
    put(fixture, "kept", "1");
    list_end(fixture);
    deliver_snapshot(fixture);

    list_begin(fixture);
    put(fixture, "b", "1");
    put(fixture, "c", "1");
    fixture->sink.keep(fixture->sink.context, &kept);
    assert_string_equal(deliver(fixture, false), "c=1 "); /* nothing is gone before the end */
    list_end(fixture);
    assert_string_equal(deliver(fixture, false), "-a ");
    assert_int_equal(store_count(fixture->store, KIND_NAMESPACE), 3);

    list_begin(fixture);
    list_end(fixture);
    assert_int_equal(store_count(fixture->store, KIND_NAMESPACE), 0);
    assert_true(store_in_sync(fixture->store, KIND_NAMESPACE));
}

/* Changes while a snapshot is on its way: what it has told waits, what it has not is left to it. */
static void test_snapshot_and_changes(void **state)
{
    struct fixture *fixture = *state;
    char text[128];
    struct store_entry *first;

    list_begin(fixture);
    put(fixture, "a", "1");
    put(fixture, "b", "1");
    put(fixture, "c", "1");
    put(fixture, "d", "1");
    list_end(fixture);
    store_snapshot_begin(fixture->store, KIND_NAMESPACE);
    for (int i = 0; i < 2; i++) { /* a and b */
        first = store_next_fresh(fixture->store, KIND_NAMESPACE);
        describe(fixture, first, text, sizeof(text));
        store_entry_delivered(fixture->store, first);
    }
    assert_string_equal(text, "b=1 ");
    put(fixture, "a", "2");
    take(fixture, "b");
    take(fixture, "c");
    put(fixture, "d", "2");
    put(fixture, "e", "1");
    assert_string_equal(deliver(fixture, true), "d=2 e=1 ");
    store_snapshot_end(fixture->store, KIND_NAMESPACE);
    assert_string_equal(deliver(fixture, false), "a=2 -b ");
}

static void test_forget_delivery(void **state)
{
    struct fixture *fixture = *state;

    list_begin(fixture);
    put(fixture, "a", "1");
    put(fixture, "b", "1");
    list_end(fixture);
    deliver_snapshot(fixture);
    put(fixture, "a", "2");
    take(fixture, "b");
    store_forget_delivery(fixture->store);
    assert_null(store_next_dirty(fixture->store));
    take(fixture, "nobody");
    assert_string_equal(deliver_snapshot(fixture), "a=2 ");
}

static void test_too_large(void **state)
{
    struct fixture *fixture = *state;
    static struct label labels[LIMIT_LABELS];
    static char keys[LIMIT_LABELS][64], value[LIMIT_LABEL_VALUE];
    struct object object = support_namespace("a", "2");

    memset(value, 'v', sizeof(value));
    for (int i = 0; i < LIMIT_LABELS; i++) {
        snprintf(keys[i], sizeof(keys[i]), "label-that-is-quite-long-indeed-%04d", i);
        labels[i] = (struct label){text_of(keys[i]), {value, sizeof(value)}};
    }
    support_catch_log();
    list_begin(fixture);
    put(fixture, "a", "1");
    list_end(fixture);
    object.namespace.labels = (struct labels){labels, LIMIT_LABELS};
    list_begin(fixture);
    fixture->sink.object(fixture->sink.context, &object);
    list_end(fixture);
    log_set_sink(NULL, NULL);
    assert_non_null(strstr(support_log, "object=a"));
    assert_string_equal(deliver_snapshot(fixture), "a=1 ");
}

static void test_links_by_ifindex(void **state)
{
    struct fixture *fixture = *state;
    struct object object = {.kind = KIND_LINK};
    struct object_identity identity = {.kind = KIND_LINK, .ifindex = 2};

    object.link.name = TEXT("eth0");
    for (uint32_t i = 1; i <= 3; i++) {
        object.link.ifindex = i;
        fixture->sink.object(fixture->sink.context, &object);
    }
    assert_int_equal(store_count(fixture->store, KIND_LINK), 3);
    fixture->sink.remove(fixture->sink.context, &identity);
    assert_int_equal(store_count(fixture->store, KIND_LINK), 2);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_sync),
        CASE(test_changes),
        CASE(test_sweep),
        CASE(test_snapshot_and_changes),
        CASE(test_forget_delivery),
        CASE(test_too_large),
        CASE(test_links_by_ifindex),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/log.h"
#include "watcher/kube_event.h"

static char told[512];

static void tell(const char *what, struct text name)
{
    size_t used = strlen(told);

    snprintf(told + used, sizeof(told) - used, "%s %.*s;", what, TEXT_ARG(name));
}

static void on_object(void *context, const struct object *object)
{
    (void)context;
    tell(object_kind_name(object->kind), object_identity(object).name);
}

static void on_remove(void *context, const struct object_identity *identity)
{
    (void)context;
    tell("remove", identity->name);
}

static void on_keep(void *context, const struct object_identity *identity)
{
    (void)context;
    tell("keep", identity->name);
}

static const struct source_sink sink = {.object = on_object, .remove = on_remove, .keep = on_keep};

static void no_log(enum log_level level, const char *line, void *context)
{
    (void)level;
    (void)line;
    (void)context;
}

static int setup(void **state)
{
    (void)state;
    told[0] = '\0';
    log_set_sink(no_log, NULL);
    return 0;
}

static int event_read(enum object_kind kind, const char *line, struct kube_event *event,
                      char *reason)
{
    reason[0] = '\0';
    return kube_event_read(kind, line, strlen(line), &sink, event, reason);
}

static void test_each_type_of_event(void **state)
{
    struct kube_event event;
    char reason[KUBE_TEXT_SIZE];

    (void)state;
    assert_int_equal(event_read(KIND_NODE,
                                "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"n\","
                                "\"resourceVersion\":\"7\"}}}",
                                &event, reason),
                     0);
    assert_int_equal(event.type, KUBE_ADDED);
    assert_string_equal(event.version, "7");
    assert_false(event.initial_end);
    assert_int_equal(event_read(KIND_NODE,
                                "{\"type\":\"DELETED\",\"object\":{\"metadata\":{\"name\":\"n\","
                                "\"resourceVersion\":\"8\"}}}",
                                &event, reason),
                     0);
    assert_int_equal(event_read(KIND_NODE,
                                "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{"
                                "\"resourceVersion\":\"9\",\"annotations\":{"
                                "\"k8s.io/initial-events-end\":\"true\"}}}}",
                                &event, reason),
                     0);
    assert_true(event.initial_end);
    assert_int_equal(event_read(KIND_NODE,
                                "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":410,"
                                "\"message\":\"too old\"}}",
                                &event, reason),
                     0);
    assert_int_equal(event.code, 410);
    assert_string_equal(event.reason, "too old");
    assert_int_equal(event_read(KIND_NODE, "{\"type\":\"ERROR\"}", &event, reason), 0);
    assert_int_equal(event.code, 500);
    assert_string_equal(told, "node n;remove n;");
}

static void test_invalid_policy_is_kept(void **state)
{
    struct kube_event event;
    char reason[KUBE_TEXT_SIZE];

    (void)state;
    assert_int_equal(
        event_read(KIND_POLICY,
                   "{\"type\":\"MODIFIED\",\"object\":{\"metadata\":{\"name\":\"p\","
                   "\"resourceVersion\":\"7\"},\"spec\":{\"destinationCIDRs\":[\"x\"]}}}",
                   &event, reason),
        0);
    assert_string_equal(event.version, "7");
    assert_string_equal(told, "keep p;");
}

/* A version that does not fit would, cut off, be another one. */
static void test_unusable_versions(void **state)
{
    char line[1024], reason[KUBE_TEXT_SIZE], version[301];
    struct kube_event event;

    (void)state;
    memset(version, '1', 300);
    version[300] = '\0';
    snprintf(line, sizeof(line),
             "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"n\",\"resourceVersion\":\"%"
             "s\"}}}",
             version);
    assert_int_equal(event_read(KIND_NODE, line, &event, reason), -EBADMSG);
    assert_int_equal(event_read(KIND_NODE,
                                "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"n\","
                                "\"resourceVersion\":7}}}",
                                &event, reason),
                     -EBADMSG);
    assert_non_null(strstr(reason, "resourceVersion"));
    assert_string_equal(told, "");
}

static void test_envelopes(void **state)
{
    static const char list[] = "{\"kind\":\"NodeList\",\"items\":[],\"metadata\":{"
                               "\"resourceVersion\":\"7\",\"continue\":\"next\"}}";
    static const char *const refused[] = {
        "",
        "[]",
        "{\"kind\":\"Status\",\"items\":[],\"metadata\":{\"resourceVersion\":\"7\"}}",
        "{\"kind\":\"List\",\"items\":null,\"metadata\":{\"resourceVersion\":\"7\"}}",
        "{\"kind\":\"NodeList\",\"metadata\":{\"resourceVersion\":\"7\"}}",
        "{\"kind\":\"NodeList\",\"items\":[],\"metadata\":{}}",
        "{\"kind\":\"NodeList\",\"items\":[]}",
    };
    struct kube_envelope envelope;
    char reason[KUBE_TEXT_SIZE];

    (void)state;
    assert_int_equal(kube_envelope_read(list, strlen(list), &envelope, reason), 0);
    assert_string_equal(envelope.version, "7");
    assert_string_equal(envelope.next, "next");
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
        assert_int_equal(kube_envelope_read(refused[i], strlen(refused[i]), &envelope, reason),
                         -EBADMSG);
}

static void test_reasons(void **state)
{
    char reason[KUBE_TEXT_SIZE];

    (void)state;
    kube_status_read("{\"message\":\"no\"}", 16, reason);
    assert_string_equal(reason, "no");
    kube_status_read("404 page", 8, reason);
    assert_string_equal(reason, "404 page");
    kube_status_read(NULL, 0, reason);
    assert_string_equal(reason, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_each_type_of_event, setup),
        cmocka_unit_test_setup(test_invalid_policy_is_kept, setup),
        cmocka_unit_test_setup(test_unusable_versions, setup),
        cmocka_unit_test_setup(test_envelopes, setup),
        cmocka_unit_test_setup(test_reasons, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

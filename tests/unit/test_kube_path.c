/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "watcher/kube_path.h"
#include "watcher/kube_resolve.h"

static void test_paths(void **state)
{
    static const struct {
        struct kube_path path;
        const char *text;
    } cases[] = {
        {{.resource = "/api/v1/nodes", .limit = 500}, "/api/v1/nodes?limit=500"},
        {{.resource = "/api/v1/pods",
          .limit = 500,
          .selector = "spec.nodeName=n-1",
          .next = "a+/="},
         "/api/v1/pods?limit=500&fieldSelector=spec.nodeName%3Dn-1&continue=a%2B%2F%3D"},
        {{.resource = "/r", .watch_seconds = 7, .version = "12", .selector = ""},
         "/r?watch=true&allowWatchBookmarks=true&timeoutSeconds=7&resourceVersion=12"},
        {{.resource = "/r", .watch_seconds = 7, .initial_events = true},
         "/r?watch=true&allowWatchBookmarks=true&timeoutSeconds=7&sendInitialEvents=true&"
         "resourceVersionMatch=NotOlderThan"},
        {{.resource = "/r", .limit = 1, .selector = "\xc3\xa4&b=\r\n"},
         "/r?limit=1&fieldSelector=%C3%A4%26b%3D%0D%0A"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        _cleanup_free_ char *text = kube_path_format(&cases[i].path);

        assert_string_equal(text, cases[i].text);
    }
}

static void test_what_is_an_address(void **state)
{
    (void)state;
    assert_true(kube_resolve_is_address("192.0.2.1"));
    assert_true(kube_resolve_is_address("[2001:db8::1]"));
    assert_true(kube_resolve_is_address("::1"));
    assert_false(kube_resolve_is_address("192.0.2.1.example.com"));
    assert_false(kube_resolve_is_address("api"));
    assert_false(kube_resolve_is_address("[]"));
}

static void on_resolved(void *context, const char *addresses, const char *error)
{
    char *answer = context;

    snprintf(answer, KUBE_ADDRESSES_SIZE, "%s", addresses ? addresses : error);
}

/* From /etc/hosts the answer is there at once, and is told from the loop even so. */
static void test_local_name(void **state)
{
    struct event_base *base = event_base_new();
    char answer[KUBE_ADDRESSES_SIZE] = "";
    struct kube_resolve *resolve;

    (void)state;
    assert_int_equal(kube_resolve_start(base, "localhost", on_resolved, answer, &resolve), 0);
    assert_string_equal(answer, "");
    while (!answer[0])
        assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 0);
    assert_true(strstr(answer, "127.0.0.1") || strstr(answer, "[::1]"));
    event_base_free(base);
}

static void test_cancelled(void **state)
{
    struct event_base *base = event_base_new();
    char answer[KUBE_ADDRESSES_SIZE] = "";
    struct kube_resolve *resolve;

    (void)state;
    assert_int_equal(kube_resolve_start(base, "localhost", on_resolved, answer, &resolve), 0);
    kube_resolve_cancel(resolve);
    event_base_loop(base, EVLOOP_NONBLOCK);
    event_base_loop(base, EVLOOP_NONBLOCK);
    assert_string_equal(answer, "");
    event_base_free(base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_what_is_an_address),
        cmocka_unit_test(test_local_name),
        cmocka_unit_test(test_cancelled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

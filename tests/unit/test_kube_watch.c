/* SPDX-License-Identifier: Apache-2.0 */

/* A kind is followed over a real connection; the server at its other end says what the script of
 * the test wants. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/log.h"
#include "tests/unit/fake_clock.h"
#include "tests/unit/kube_script.h"
#include "watcher/kube_watch.h"
#include "watcher/kube_watch_state.h"

#define OK     "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
#define STATUS "Content-Type: application/json\r\n\r\n"
#define POD(uid, version)                                                                          \
    "{\"metadata\":{\"name\":\"" uid "\",\"namespace\":\"n\",\"uid\":\"" uid                       \
    "\",\"resourceVersion\":\"" version "\"}}"
#define EVENT(type, object) "{\"type\":\"" type "\",\"object\":" object "}\n"
#define BOOKMARK(version)   EVENT("BOOKMARK", "{\"metadata\":{\"resourceVersion\":\"" version "\"}}")
#define SYNCED(version)                                                                            \
    EVENT("BOOKMARK", "{\"metadata\":{\"resourceVersion\":\"" version                              \
                      "\",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}}}")
#define GONE EVENT("ERROR", "{\"kind\":\"Status\",\"code\":410,\"message\":\"too old\"}")
#define LIST(version, items, next)                                                                 \
    "{\"kind\":\"PodList\",\"metadata\":{\"resourceVersion\":\"" version "\",\"continue\":\"" next \
    "\"},\"items\":[" items "]}"

#define STREAM "sendInitialEvents=true"

static struct {
    struct event_base *base;
    struct kube_script script;
    struct kube_client *client;
    struct kube_watch *watch;
    char directory[64], kubeconfig[96], token[96];
    char log[8192];   /* what the sink got */
    char said[16384]; /* what was logged */
} test;

/* ---- what is seen */

__attribute__((format(printf, 1, 2))) static void note(const char *format, ...)
{
    size_t used = strlen(test.log);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(test.log + used, sizeof(test.log) - used, format, arguments);
    va_end(arguments);
}

static void on_begin(void *context, enum object_kind kind)
{
    (void)context;
    assert_int_equal(kind, KIND_POD);
    note("begin ");
}

static void on_object(void *context, const struct object *object)
{
    (void)context;
    note("%.*s ", TEXT_ARG(object->pod.uid));
}

static void on_remove(void *context, const struct object_identity *identity)
{
    (void)context;
    note("-%.*s ", TEXT_ARG(identity->name));
}

static void on_keep(void *context, const struct object_identity *identity)
{
    (void)context;
    note("=%.*s ", TEXT_ARG(identity->name));
}

static void on_end(void *context, enum object_kind kind)
{
    (void)context;
    assert_int_equal(kind, KIND_POD);
    note("end ");
}

static void on_log(enum log_level level, const char *line, void *context)
{
    size_t used = strlen(test.said);

    (void)level;
    (void)context;
    snprintf(test.said + used, sizeof(test.said) - used, "%s\n", line);
}

/* ---- frame */

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static int setup(void **state)
{
    unsigned port;
    char text[1024];

    (void)state;
    memset(&test, 0, sizeof(test));
    log_set_sink(on_log, NULL);
    log_set_level(LEVEL_DEBUG);
    test.base = event_base_new();
    port = kube_script_open(&test.script, test.base);
    snprintf(test.directory, sizeof(test.directory), "/tmp/kube-watch-XXXXXX");
    assert_non_null(mkdtemp(test.directory));
    snprintf(test.kubeconfig, sizeof(test.kubeconfig), "%s/kubeconfig", test.directory);
    snprintf(test.token, sizeof(test.token), "%s/token", test.directory);
    snprintf(
        text, sizeof(text),
        "{current-context: x, contexts: [{name: x, context: {cluster: x, user: x}}], clusters: "
        "[{name: x, cluster: {server: 'http://127.0.0.1:%u/prefix'}}], users: [{name: x, user: "
        "{tokenFile: token}}]}",
        port);
    write_file(test.kubeconfig, text);
    write_file(test.token, "first-token");
    assert_int_equal(kube_client_open(test.kubeconfig, &test.client), 0);
    assert_int_equal(kube_client_start(test.client, test.base), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    kube_watch_free(test.watch);
    kube_client_close(test.client);
    kube_script_close(&test.script);
    event_base_loop(test.base, EVLOOP_NONBLOCK);
    event_base_free(test.base);
    unlink(test.kubeconfig);
    unlink(test.token);
    rmdir(test.directory);
    log_set_sink(NULL, NULL);
    return 0;
}

/* Follows pods until one request more than the steps has come, or, where the last one is held,
 * until what it sent has been taken in. */
static void follow(const struct kube_step *steps, size_t count, const char *expected)
{
    static const struct source_sink sink = {NULL, on_begin, on_object, on_remove, on_keep, on_end};
    static const struct kube_resource pods = {KIND_POD, "/api/v1/pods", "pods"};
    uint64_t limit = kube_now() + 20000;

    test.script.steps = steps;
    test.script.count = count;
    if (!test.watch) {
        assert_int_equal(kube_watch_new(test.client, &pods, &sink, &test.watch), 0);
        assert_int_equal(kube_watch_follow(test.watch, "spec.nodeName=n"), 0);
    }
    while (test.script.done < count || strcmp(test.log, expected)) {
        assert_int_not_equal(event_base_loop(test.base, EVLOOP_ONCE), 1);
        if (kube_now() > limit || strlen(test.log) > strlen(expected))
            break;
    }
    if (strcmp(test.log, expected) || test.script.done < count)
        fail_msg("%zu of %zu requests, got\n%s\nand should get\n%s\n%s", test.script.done, count,
                 test.log, expected, test.said);
}

static void said(const char *text)
{
    if (!strstr(test.said, text))
        fail_msg("\"%s\" is not in\n%s", text, test.said);
}

#define FOLLOW(expected, ...)                                                                      \
    do {                                                                                           \
        static const struct kube_step steps[] = {__VA_ARGS__};                                     \
        follow(steps, ARRAY_SIZE(steps), expected);                                                \
    } while (0)

/* ---- cases */

static void test_streaming_list_then_changes(void **state)
{
    (void)state;
    FOLLOW("begin a b end c -a ",
           {STREAM,
            OK EVENT("ADDED", POD("a", "9")) EVENT("ADDED", POD("b", "3")) SYNCED("9")
                EVENT("MODIFIED", POD("c", "10")) EVENT("DELETED", POD("a", "11")),
            HOLD});
    assert_non_null(strstr(test.script.requests[0], "GET /prefix/api/v1/pods?watch=true"));
    assert_non_null(strstr(test.script.requests[0], "fieldSelector=spec.nodeName%3Dn"));
    assert_non_null(strstr(test.script.requests[0], "Authorization: Bearer first-token\r\n"));
    assert_non_null(strstr(test.script.requests[0], "resourceVersionMatch=NotOlderThan"));
}

/* The half of an event that came before the cut is not taken for one, and nothing is listed again:
 * the watch goes on from the last version, once the server's own is known not to be older. */
static void test_cut_in_the_middle_of_an_event(void **state)
{
    (void)state;
    FOLLOW("begin a end b c ",
           {STREAM, OK EVENT("ADDED", POD("a", "9")) SYNCED("9")
                        EVENT("ADDED", POD("b", "12")) "{\"type\":\"ADD"},
           {"resourceVersion=12", OK BOOKMARK("13") EVENT("ADDED", POD("c", "14")), HOLD});
    assert_null(strstr(test.script.requests[1], STREAM));
}

static void test_pages_where_there_are_no_streaming_lists(void **state)
{
    (void)state;
    FOLLOW("begin a b end c ",
           {STREAM, "HTTP/1.1 422 No\r\n" STATUS "{\"kind\":\"Status\",\"message\":\"forbidden\"}"},
           {"pods?limit=500", OK LIST("5", POD("a", "1"), "next+/page")},
           {"continue=next%2B%2Fpage", OK LIST("5", POD("b", "2"), "")},
           {"resourceVersion=5", OK EVENT("ADDED", POD("c", "6")), HOLD});
    assert_null(strstr(test.script.requests[3], STREAM));
}

/* As a storage that cannot say how far it is answers: within the stream. */
static void test_streaming_list_fails_within(void **state)
{
    (void)state;
    FOLLOW("begin a begin b end ",
           {STREAM, OK EVENT("ADDED", POD("a", "1"))
                        EVENT("ERROR", "{\"kind\":\"Status\",\"code\":500,\"message\":\"no\"}")},
           {"pods?limit=500", OK LIST("5", POD("b", "1"), "")}, {"resourceVersion=5", OK, HOLD});
}

static void test_version_too_old_in_a_watch(void **state)
{
    (void)state;
    FOLLOW("begin a end begin b end ", {STREAM, OK EVENT("ADDED", POD("a", "9")) SYNCED("9") GONE},
           {STREAM, OK EVENT("ADDED", POD("b", "20")) SYNCED("20"), HOLD});
}

static void test_version_too_old_between_pages(void **state)
{
    (void)state;
    FOLLOW("begin a begin b end ", {STREAM, "HTTP/1.1 400 No\r\n" STATUS "{}"},
           {"limit=500", OK LIST("5", POD("a", "1"), "more")},
           {"continue=more", "HTTP/1.1 410 Gone\r\n" STATUS "{\"kind\":\"Status\",\"code\":410}"},
           {"limit=500", OK LIST("8", POD("b", "1"), "")}, {"resourceVersion=8", OK, HOLD});
    assert_null(strstr(test.script.requests[3], "continue"));
}

static void test_server_set_back(void **state)
{
    (void)state;
    test.client->timing.silence = 50;
    FOLLOW("begin a end begin b end ",
           {STREAM, OK EVENT("ADDED", POD("a", "90")) SYNCED("90"), HOLD},
           {"pods?limit=1 ", OK LIST("70", POD("z", "60"), "more")},
           {STREAM, OK EVENT("ADDED", POD("b", "20")) SYNCED("70"), HOLD});
    said("set back to an older state");
}

static void test_server_not_set_back(void **state)
{
    (void)state;
    test.client->timing.silence = 50;
    FOLLOW("begin a end b ", {STREAM, OK EVENT("ADDED", POD("a", "90")) SYNCED("90"), HOLD},
           {"pods?limit=1 ", OK LIST("100", "", "")},
           {"resourceVersion=90", OK EVENT("ADDED", POD("b", "95")), HOLD});
    said("the connection has been silent for too long");
}

/* A watch that never says a word, not even a bookmark: its version may be in the server's future.
 */
static void test_silent_watch_is_listed_again(void **state)
{
    (void)state;
    test.client->timing.silence = 50;
    FOLLOW("begin end begin end ", {STREAM, OK SYNCED("9"), HOLD},
           {"pods?limit=1 ", OK LIST("9", "", "")}, {"resourceVersion=9", OK, HOLD},
           {STREAM, OK SYNCED("9"), HOLD});
}

static void test_no_headers(void **state)
{
    (void)state;
    test.client->timing.head = 50;
    FOLLOW("begin a end ", {STREAM, "", HOLD}, {STREAM, "HTTP/1.1 200 OK\r\nX-Slow: ", HOLD},
           {STREAM, OK EVENT("ADDED", POD("a", "9")) SYNCED("9"), HOLD});
    said("no response to the request");
}

static void renew_token(void)
{
    write_file(test.token, "second-token");
}

static void test_token_is_read_again(void **state)
{
    (void)state;
    FOLLOW("begin end ",
           {STREAM,
            "HTTP/1.1 401 No\r\n" STATUS "{\"kind\":\"Status\",\"message\":\"Unauthorized\"}",
            CLOSE, renew_token},
           {"Bearer second-token", OK SYNCED("1"), HOLD});
    said("does not accept the credentials");
    said("reason=Unauthorized");
    assert_null(strstr(test.said, "first-token"));
}

static void test_retry_after(void **state)
{
    (void)state;
    FOLLOW("begin end ", {STREAM, "HTTP/1.1 429 No\r\nRetry-After: 1\r\n" STATUS "{}"},
           {STREAM, OK SYNCED("1"), HOLD});
    assert_true(test.script.times[1] - test.script.times[0] >= 1000);
}

/* Nonsense of each sort is named, and the next answer is taken in. */
static void check_nonsense(const char *answer, const char *reason)
{
    const struct kube_step steps[] = {{STREAM, answer}, {STREAM, OK SYNCED("1"), HOLD}};
    const char *begin = strncmp(answer, OK, sizeof(OK) - 1) ? "begin end " : "begin begin end ";

    follow(steps, ARRAY_SIZE(steps), begin);
    said(reason);
}

static void test_nonsense(void **state)
{
    static const struct {
        const char *answer, *reason;
    } cases[] = {
        {OK "{\"type\":\"ADDED\"\n", "invalid JSON"},
        {OK "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"\xff\"}}}\n", "invalid JSON"},
        {OK "{\"type\":\"ADDED\",\"type\":\"DELETED\"}\n", "duplicate"},
        {OK "[1e999]\n", "invalid JSON"},
        {OK "[]\n", "unknown type"},
        {OK EVENT("CHANGED", POD("a", "1")), "unknown type \\\"CHANGED\\\""},
        {OK "{\"kind\":\"Status\",\"code\":200}\n", "unknown type"},
        {OK EVENT("ADDED", "{\"metadata\":{\"name\":\"a\"}}"), "resourceVersion"},
        {OK EVENT("ADDED", "{\"metadata\":{\"resourceVersion\":\"1\"}}"), "without an identity"},
        {OK EVENT("ADDED", "7"), "resourceVersion"},
        {OK, "ends a list before it is complete"},
        {"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>", "content type is"},
        {"HTTP/1.1 200 OK\r\n\r\n{}", "content type is"},
        {"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", "HTTP status 302"},
        {"SSH-2.0-OpenSSH_9.2\r\n\r\n", "API server cannot be reached"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        if (i) {
            teardown(state);
            setup(state);
        }
        check_nonsense(cases[i].answer, cases[i].reason);
    }
}

static void test_invalid_object_is_kept(void **state)
{
    (void)state;
    FOLLOW("begin =a end b ",
           {STREAM,
            OK EVENT("ADDED",
                     "{\"metadata\":{\"name\":\"a\",\"uid\":\"a\",\"resourceVersion\":\"1\"},"
                     "\"status\":{\"podIP\":\"1.2.3\"}}") SYNCED("4") EVENT("ADDED", POD("b", "5")),
            HOLD});
    said("field=status.podIP");
    said("last valid version stays in force");
}

static void change_selector(void)
{
    assert_int_equal(kube_watch_follow(test.watch, ""), 0);
    assert_int_equal(kube_watch_follow(test.watch, ""), 0);
}

static void test_another_selector_lists_again(void **state)
{
    (void)state;
    FOLLOW(
        "begin a end begin a b end ",
        {STREAM, OK EVENT("ADDED", POD("a", "1")) SYNCED("4") EVENT("ERROR", "{\"code\":504}")},
        {"resourceVersion=4", OK, HOLD, change_selector},
        {STREAM, OK EVENT("ADDED", POD("a", "1")) EVENT("ADDED", POD("b", "2")) SYNCED("8"), HOLD});
    assert_null(strstr(test.script.requests[2], "fieldSelector"));
    assert_non_null(strstr(test.script.requests[2], "&resourceVersion=4 "));
}

/* A selector that comes a second time within seconds waits. */
static void change_selector_again(void)
{
    struct timeval due, now;

    test.watch->followed[1] = kube_now();
    assert_int_equal(kube_watch_follow(test.watch, "spec.nodeName=a"), 0);
    assert_true(evtimer_pending(test.watch->timer, &due));
    gettimeofday(&now, NULL);
    assert_in_range(due.tv_sec - now.tv_sec, 3, 6);
    fake_clock_forward(6000);
}

static void test_selectors_without_end(void **state)
{
    (void)state;
    FOLLOW("begin end begin end ", {STREAM, OK SYNCED("4") EVENT("ERROR", "{\"code\":504}")},
           {"resourceVersion=4", OK, HOLD, change_selector},
           {STREAM, OK, HOLD, change_selector_again}, {"spec.nodeName%3Da", OK SYNCED("8"), HOLD});
}

#define FORBIDDEN                                                                                  \
    "HTTP/1.1 403 No\r\n" STATUS "{\"kind\":\"Status\",\"message\":\"pods is forbidden\"}"

/* At once it is not believed: a server that has just started may not know its roles yet. */
static void test_right_that_is_missing_for_a_moment(void **state)
{
    (void)state;
    FOLLOW("begin end ", {STREAM, FORBIDDEN}, {STREAM, FORBIDDEN}, {STREAM, FORBIDDEN},
           {STREAM, OK SYNCED("1"), HOLD});
    assert_null(strstr(test.said, "RBAC"));
}

static void test_right_that_is_missing_is_named(void **state)
{
    static const struct kube_step steps[] = {{STREAM, FORBIDDEN}, {STREAM, FORBIDDEN},
                                             {STREAM, FORBIDDEN}, {STREAM, FORBIDDEN},
                                             {STREAM, FORBIDDEN}, {STREAM, FORBIDDEN}};

    (void)state;
    follow(steps, ARRAY_SIZE(steps), "");
    while (!strstr(test.said, "RBAC"))
        event_base_loop(test.base, EVLOOP_ONCE);
    said("resource=pods verb=watch");
    said("pods is forbidden");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        CASE(test_streaming_list_then_changes),
        CASE(test_cut_in_the_middle_of_an_event),
        CASE(test_pages_where_there_are_no_streaming_lists),
        CASE(test_streaming_list_fails_within),
        CASE(test_version_too_old_in_a_watch),
        CASE(test_version_too_old_between_pages),
        CASE(test_server_set_back),
        CASE(test_server_not_set_back),
        CASE(test_silent_watch_is_listed_again),
        CASE(test_no_headers),
        CASE(test_token_is_read_again),
        CASE(test_retry_after),
        CASE(test_nonsense),
        CASE(test_invalid_object_is_kept),
        CASE(test_another_selector_lists_again),
        CASE(test_selectors_without_end),
        CASE(test_right_that_is_missing_for_a_moment),
        CASE(test_right_that_is_missing_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Each allocation of the watcher fails in turn, while it reads what an API server says, a
 * kubeconfig and manifests, and tells a planner: an object is what it is or is not told at all, and
 * what is repeated succeeds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/hash.h"
#include "common/log.h"
#include "tests/unit/fake_clock.h"
#include "tests/unit/hostile.h"
#include "tests/unit/scarce.h"
#include "watcher/kube_config.h"
#include "watcher/kube_event.h"
#include "watcher/metrics.h"
#include "watcher/session.h"

enum { OBJECTS_MOST = 16, BODY_AT = 12, TURNS = 20 };

static const char config_text[] =
    "apiVersion: v1\nkind: Config\ncurrent-context: here\nclusters:\n- name: c\n  cluster:\n"
    "    server: https://10.0.0.1:6443/\n    tls-server-name: kubernetes\n"
    "    certificate-authority-data: LS0tLS1CRUdJTi0tLS0t\n    proxy-url: http://127.0.0.1:3128\n"
    "contexts:\n- {name: here, context: {cluster: c, user: u}}\n"
    "users:\n- {name: u, user: {token: secret}}\n";

static const struct {
    enum object_kind kind;
    const char *text;
} events[] = {
    {KIND_POD,
     "{\"type\":\"MODIFIED\",\"object\":{\"metadata\":{\"name\":\"p\",\"namespace\":\"a\","
     "\"uid\":\"u\",\"labels\":{\"app\":\"nginx\"},\"resourceVersion\":\"8\"},\"spec\":{"
     "\"nodeName\":\"n\"},\"status\":{\"phase\":\"Running\",\"podIP\":\"10.0.0.1\","
     "\"podIPs\":[{\"ip\":\"10.0.0.1\"},{\"ip\":\"2001:db8::1\"}]}}}"},
    {KIND_NAMESPACE, "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"a\",\"uid\":\"v\","
                     "\"labels\":{\"env\":\"b\"},\"resourceVersion\":\"9\"}}}"},
    {KIND_POLICY,
     "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"e\",\"uid\":\"w\","
     "\"creationTimestamp\":\"2024-01-01T00:00:00Z\",\"resourceVersion\":\"7\"},\"spec\":{"
     "\"selectors\":[{\"podSelector\":{\"matchLabels\":{\"app\":\"nginx\"},\"matchExpressions\":[{"
     "\"key\":\"k\",\"operator\":\"NotIn\",\"values\":[\"a\",\"b\"]}]}}],\"destinationCIDRs\":["
     "\"0.0.0.0/0\"],\"excludedCIDRs\":[\"10.0.0.0/8\"],\"egressGateway\":{\"nodeSelector\":{"
     "\"matchLabels\":{\"x\":\"y\"}},\"egressIP\":\"172.22.49.119\"}}}}"},
    {KIND_NODE,
     "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"n\",\"uid\":\"x\",\"labels\":{"
     "\"x\":\"y\"},\"resourceVersion\":\"6\"},\"spec\":{\"podCIDRs\":[\"10.1.0.0/16\"]},"
     "\"status\":{\"addresses\":[{\"type\":\"InternalIP\",\"address\":\"192.0.2.1\"}],"
     "\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}]}}}"},
};

static const char manifests[] =
    "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: a, uid: '1', labels: {env: b}}\n"
    "---\napiVersion: v1\nkind: Pod\nmetadata: {name: x, namespace: a, labels: {app: nginx}}\n"
    "spec: {nodeName: worker-1}\nstatus: {podIP: 10.1.0.1}\n"
    "---\napiVersion: cilium.io/v2\nkind: CiliumEgressGatewayPolicy\nmetadata: {name: p}\nspec:\n"
    "  selectors: [{podSelector: {matchLabels: {app: nginx}}}]\n"
    "  egressGateway: {nodeSelector: {}}\n  destinationCIDRs: [10.0.0.0/8]\n";

/* Objects by a hash of what their records hold: those that are right, learnt while nothing fails.
 */
static struct {
    uint64_t right[OBJECTS_MOST];
    unsigned rights, told;
} seen;

static void on_line(enum log_level level _unused_, const char *line _unused_,
                    void *context _unused_)
{
}

static void see(const unsigned char *data, size_t length, bool learn)
{
    uint64_t hash = hash_bytes(data + BODY_AT, length - BODY_AT);
    unsigned i;

    seen.told++;
    for (i = 0; i < seen.rights && seen.right[i] != hash; i++)
        ;
    if (i < seen.rights)
        return;
    assert_true(learn && seen.rights < OBJECTS_MOST); /* else it is another object */
    seen.right[seen.rights++] = hash;
}

/* ---- what is read ---- */

static void sink_object(void *context, const struct object *object)
{
    static struct record_buffer buffer;
    const struct record record = {.type = RECORD_OBJECT, .object = *object};

    if (record_pack(&record, &buffer) == 0)
        see(buffer.data, buffer.length, *(const bool *)context);
}

static void sink_identity(void *context _unused_, const struct object_identity *identity _unused_)
{
}

static bool read_all(bool *learn)
{
    const struct source_sink sink = {
        .context = learn, .object = sink_object, .remove = sink_identity, .keep = sink_identity};
    struct kube_config config = {0};
    char reason[KUBE_TEXT_SIZE] = "";
    int error = kube_config_parse("config", config_text, sizeof(config_text) - 1, &config, reason,
                                  sizeof(reason));
    bool failed = error != 0;

    assert_true(!error || reason[0]);
    kube_config_clear(&config);
    for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
        struct kube_event event = {0};

        reason[0] = '\0';
        error = kube_event_read(events[i].kind, events[i].text, strlen(events[i].text), &sink,
                                &event, reason);
        assert_true(!error || reason[0]);
        failed |= error != 0;
    }
    return !failed;
}

static bool read_once(void *context)
{
    bool done;

    seen.told = 0;
    scarce_begin();
    done = read_all(context) && seen.told == ARRAY_SIZE(events);
    scarce_end();
    seen.told = 0;
    assert_true(read_all(context));
    assert_int_equal(seen.told, ARRAY_SIZE(events));
    *(bool *)context = false;
    return done;
}

static void what_is_read(void **state)
{
    bool learn = true;

    (void)state;
    memset(&seen, 0, sizeof(seen));
    assert_true(scarce_each(1, read_once, &learn) > 100);
    assert_int_equal(seen.rights, ARRAY_SIZE(events));
}

/* ---- what is told ---- */

static struct {
    char directory[64], file[96], path[HOSTILE_PATH];
    struct config config;
    struct event_base *base;
    struct store *store;
    struct source *source;
    struct session *session;
    struct metrics *metrics;
    int listener, fd;
    bool failed; /* as the daemon would end by */
    bool learn;
} it;

static void on_changed(void *context _unused_)
{
    session_wake(it.session);
}

static void on_listed(void *context _unused_, enum object_kind kind _unused_)
{
}

static void on_failed(void *context _unused_)
{
    it.failed = true;
}

static void on_scope(void *context _unused_, bool all_pods _unused_)
{
}

static int watcher_open(void)
{
    static const struct store_observer observer = {NULL, on_changed, on_listed, on_failed};
    struct source_sink sink;
    int error = store_new(&observer, &it.store);

    if (!error)
        error = metrics_open(&it.config, it.store, &it.metrics);
    if (!error)
        error = session_open(it.base, it.store, on_scope, NULL, &it.session);
    if (!error) {
        session_set_metrics(it.session, it.metrics);
        error = source_manifests.open(&it.config, &it.source);
    }
    if (error)
        return error;
    sink = store_sink(it.store);
    error = source_manifests.start(it.source, it.base, &sink);
    return error ? error : session_connect(it.session, it.path, getuid());
}

static void watcher_close(void)
{
    session_free(it.session);
    metrics_close(it.metrics);
    if (it.source)
        source_manifests.close(it.source);
    store_free(it.store);
    it.session = NULL;
    it.metrics = NULL;
    it.source = NULL;
    it.store = NULL;
}

static void planner_close(void)
{
    cleanup_close(&it.fd);
    it.fd = -1;
}

/* A planner that needs no memory: hears what is told on this connection, or on the next one. */
static void planner_hears(void)
{
    static unsigned char data[RECORD_SIZE_LIMIT];
    ssize_t length;

    for (int turn = 0; turn < TURNS && seen.told < 3 && !it.failed; turn++) {
        if (it.fd < 0)
            it.fd = accept4(it.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        while (it.fd >= 0 && (length = recv(it.fd, data, sizeof(data), MSG_DONTWAIT)) != -1) {
            if (length == 0) {
                planner_close();
                seen.told = 0;
            } else if (data[2] == RECORD_OBJECT) {
                see(data, (size_t)length, it.learn);
            }
        }
        fake_clock_forward(1000);
        event_base_loop(it.base, EVLOOP_NONBLOCK);
    }
}

static bool tell_once(void *context _unused_)
{
    bool done;

    it.base = event_base_new();
    it.listener = hostile_listen(it.path);
    it.fd = -1;
    it.failed = false;
    seen.told = 0;
    scarce_begin();
    if (watcher_open())
        it.failed = true;
    planner_hears();
    scarce_end();
    done = !it.failed && seen.told == 3;
    if (it.failed) { /* it ends, and is started again */
        watcher_close();
        planner_close();
        it.failed = false;
        seen.told = 0;
        assert_int_equal(watcher_open(), 0);
    }
    planner_hears();
    assert_int_equal(seen.told, 3);
    watcher_close();
    planner_close();
    hostile_unlisten(it.listener, it.path);
    event_base_free(it.base);
    it.learn = false;
    return done;
}

static void what_is_told(void **state)
{
    char *directories[1] = {it.directory};
    FILE *file;

    (void)state;
    memset(&seen, 0, sizeof(seen));
    snprintf(it.directory, sizeof(it.directory), "%s/scarce-XXXXXX",
             getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    assert_non_null(mkdtemp(it.directory));
    snprintf(it.file, sizeof(it.file), "%s/a.yaml", it.directory);
    file = fopen(it.file, "we");
    assert_non_null(file);
    assert_true(fputs(manifests, file) >= 0);
    assert_int_equal(fclose(file), 0);
    it.config.source.directories = (struct string_list){directories, 1};
    it.config.node = (char *)"worker-1";
    it.config.pods = PODS_ALL;
    it.learn = true;
    /* The kernel takes its time to end an inotify. */
    assert_true(scarce_each(7, tell_once, NULL) > 20);
    unlink(it.file);
    rmdir(it.directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_read),
        cmocka_unit_test(what_is_told),
    };

    log_set_sink(on_line, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

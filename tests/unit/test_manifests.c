/* SPDX-License-Identifier: Apache-2.0 */
/* The source "manifests" on real files, with real inotify. */
#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "test_watcher_support.h"
#include "watcher/manifests.h"

enum { KNOWN = 64 };

/* A sink that knows what a store would know, as "kind name detail" lines. */
struct fixture {
    char root[64];
    char directory[96];
    char *directories[2];
    struct config config;
    struct event_base *base;
    struct source *source;
    struct {
        enum object_kind kind;
        char name[64], detail[64];
        bool listed;
    } known[KNOWN];
    size_t count;
    unsigned lists[KINDS], removes, objects;
    const char *expected; /* what is waited for */
};

static void fixture_drop(struct fixture *fixture, size_t index)
{
    fixture->known[index] = fixture->known[--fixture->count];
}

static void detail_of(const struct object *object, char *text, size_t size)
{
    char address[PREFIX_TEXT_SIZE] = "";

    if (object->kind == KIND_POLICY)
        prefix_format(&object->policy.destinations[0], address);
    else if (object->kind == KIND_POD && object->pod.address_count)
        address_format(&object->pod.addresses[0], address);
    else if (object->kind == KIND_NAMESPACE)
        snprintf(address, sizeof(address), "%.*s", TEXT_ARG(object->namespace.uid));
    snprintf(text, size, "%s", address);
}

static void sink_begin(void *context, enum object_kind kind)
{
    struct fixture *fixture = context;

    for (size_t i = 0; i < fixture->count; i++) {
        if (fixture->known[i].kind == kind)
            fixture->known[i].listed = false;
    }
}

static size_t fixture_find(const struct fixture *fixture, const struct object_identity *identity)
{
    size_t i;

    for (i = 0; i < fixture->count; i++) {
        if (fixture->known[i].kind == identity->kind &&
            text_equal(text_of(fixture->known[i].name), identity->name))
            break;
    }
    return i;
}

static void sink_object(void *context, const struct object *object)
{
    struct fixture *fixture = context;
    struct object_identity identity = object_identity(object);
    size_t at = fixture_find(fixture, &identity);

    assert_true(at < KNOWN);
    if (at == fixture->count)
        fixture->count++;
    fixture->objects++;
    fixture->known[at].kind = object->kind;
    fixture->known[at].listed = true;
    snprintf(fixture->known[at].name, sizeof(fixture->known[at].name), "%.*s",
             TEXT_ARG(identity.name));
    detail_of(object, fixture->known[at].detail, sizeof(fixture->known[at].detail));
}

static void sink_remove(void *context, const struct object_identity *identity)
{
    struct fixture *fixture = context;
    size_t at = fixture_find(fixture, identity);

    fixture->removes++;
    if (at < fixture->count)
        fixture_drop(fixture, at);
}

static void sink_end(void *context, enum object_kind kind)
{
    struct fixture *fixture = context;

    fixture->lists[kind]++;
    for (size_t i = fixture->count; i-- > 0;) {
        if (fixture->known[i].kind == kind && !fixture->known[i].listed)
            fixture_drop(fixture, i);
    }
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* What is known, sorted: "namespace a 1; pod default/p 10.0.0.1; ". */
static const char *fixture_text(const struct fixture *fixture)
{
    static char lines[KNOWN][160], text[KNOWN * 160];

    for (size_t i = 0; i < fixture->count; i++)
        snprintf(lines[i], sizeof(lines[i]), "%s %s %s; ", object_kind_name(fixture->known[i].kind),
                 fixture->known[i].name, fixture->known[i].detail);
    qsort(lines, fixture->count, sizeof(lines[0]), compare_lines);
    text[0] = '\0';
    for (size_t i = 0; i < fixture->count; i++)
        strcat(text, lines[i]);
    return text;
}

static bool fixture_matches(void *context)
{
    const struct fixture *fixture = context;

    return strcmp(fixture_text(fixture), fixture->expected) == 0;
}

static void expect(struct fixture *fixture, const char *expected)
{
    fixture->expected = expected;
    if (!support_wait(fixture->base, fixture_matches, fixture))
        fail_msg("expected %s\nknown    %s\nlog:\n%s", expected, fixture_text(fixture),
                 support_log);
}

static void path_of(const struct fixture *fixture, const char *name, char path[200])
{
    snprintf(path, 200, "%s/%s", fixture->directory, name);
}

static void write_file(const struct fixture *fixture, const char *name, const char *text)
{
    char path[200];
    FILE *file;

    path_of(fixture, name, path);
    file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* As careful writers do: another name first, then a rename. */
static void replace_file(const struct fixture *fixture, const char *name, const char *text)
{
    char from[200], to[200];

    write_file(fixture, ".new", text);
    path_of(fixture, ".new", from);
    path_of(fixture, name, to);
    assert_int_equal(rename(from, to), 0);
}

static void remove_file(const struct fixture *fixture, const char *name)
{
    char path[200];

    path_of(fixture, name, path);
    assert_int_equal(unlink(path), 0);
}

static void start(struct fixture *fixture)
{
    struct source_sink sink = {.context = fixture,
                               .list_begin = sink_begin,
                               .object = sink_object,
                               .remove = sink_remove,
                               .list_end = sink_end};

    assert_int_equal(source_manifests.open(&fixture->config, &fixture->source), 0);
    assert_int_equal(source_manifests.start(fixture->source, fixture->base, &sink), 0);
}

static int setup(void **state)
{
    static struct fixture fixture;

    memset(&fixture, 0, sizeof(fixture));
    strcpy(fixture.root, "/tmp/egressgw-manifests-XXXXXX");
    if (!mkdtemp(fixture.root))
        return -1;
    snprintf(fixture.directory, sizeof(fixture.directory), "%s/manifests", fixture.root);
    if (mkdir(fixture.directory, 0700))
        return -1;
    fixture.directories[0] = fixture.directory;
    fixture.config.source.directories = (struct string_list){fixture.directories, 1};
    fixture.config.node = (char *)"worker-1";
    fixture.config.pods = PODS_ALL;
    fixture.base = event_base_new();
    support_catch_log();
    *state = &fixture;
    return fixture.base ? 0 : -1;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    if (fixture->source)
        source_manifests.close(fixture->source);
    event_base_free(fixture->base);
    log_set_sink(NULL, NULL);
    return nftw(fixture->root, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

#define NAMESPACE(name, uid)                                                                       \
    "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: " name ", uid: '" uid "'}\n"
#define POD(name, node, ip)                                                                        \
    "---\napiVersion: v1\nkind: Pod\nmetadata: {name: " name "}\nspec: {nodeName: " node           \
    "}\nstatus: {podIP: " ip "}\n"
#define POLICY(name, rest)                                                                         \
    "---\napiVersion: cilium.io/v2\nkind: CiliumEgressGatewayPolicy\nmetadata: {name: " name       \
    "}\nspec:\n  selectors: [{podSelector: {}}]\n  egressGateway: {nodeSelector: {}}\n" rest

static void test_kinds_and_lists(void **state)
{
    struct fixture *fixture = *state;

    write_file(fixture, "a.yaml",
               NAMESPACE("a", "1") POLICY("p", "  destinationCIDRs: [10.0.0.0/8]\n") POD(
                   "x", "worker-1",
                   "10.1.0.1") "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\n");
    write_file(fixture, "b.json",
               "{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [{\"apiVersion\": \"v1\","
               "\"kind\": \"Namespace\", \"metadata\": {\"name\": \"b\", \"uid\": \"2\"}}]}");
    write_file(fixture, "c.yml",
               "apiVersion: v1\nkind: PodList\nitems:\n"
               "- {metadata: {name: y}, status: {podIPs: [{ip: 10.1.0.2}]}}\n"
               "- {metadata: {name: z}, status: {podIPs: [{ip: 10.1.0.3}]}}\n");
    write_file(fixture, ".hidden.yaml", NAMESPACE("hidden", "1"));
    write_file(fixture, "a.yaml~", NAMESPACE("backup", "1"));
    write_file(fixture, "#a.yaml", NAMESPACE("lock", "1"));
    write_file(fixture, "notes.txt", NAMESPACE("text", "1"));
    start(fixture);
    expect(fixture, "namespace a 1; namespace b 2; pod default/x 10.1.0.1; pod default/y 10.1.0.2; "
                    "pod default/z 10.1.0.3; policy p 10.0.0.0/8; ");
    for (int kind = 0; kind < KIND_LINK; kind++)
        assert_int_equal(fixture->lists[kind], 1);
    assert_int_equal(fixture->lists[KIND_LINK], 0);
}

static void test_changes(void **state)
{
    struct fixture *fixture = *state;
    char from[200], to[200];
    unsigned removes;

    start(fixture);
    expect(fixture, "");
    write_file(fixture, "a.yaml", NAMESPACE("a", "1"));
    expect(fixture, "namespace a 1; ");
    replace_file(fixture, "a.yaml", NAMESPACE("a", "2") NAMESPACE("b", "1"));
    expect(fixture, "namespace a 2; namespace b 1; ");
    write_file(fixture, "a.yaml", NAMESPACE("b", "1"));
    expect(fixture, "namespace b 1; ");
    assert_int_equal(fixture->removes, 1);

    /* A file that changes its name takes nothing away in between. */
    removes = fixture->removes;
    path_of(fixture, "a.yaml", from);
    path_of(fixture, "z.yaml", to);
    assert_int_equal(rename(from, to), 0);
    write_file(fixture, "c.yaml", NAMESPACE("c", "1"));
    expect(fixture, "namespace b 1; namespace c 1; ");
    assert_int_equal(fixture->removes, removes);

    remove_file(fixture, "z.yaml");
    expect(fixture, "namespace c 1; ");
    path_of(fixture, "c.yaml", from);
    snprintf(to, sizeof(to), "%s/c.yaml", fixture->root);
    assert_int_equal(rename(from, to), 0);
    expect(fixture, "");
    assert_int_equal(link(to, from), 0); /* a hard link is whole when it appears */
    expect(fixture, "namespace c 1; ");
}

/* What has not changed is not reported. */
static void test_unchanged(void **state)
{
    struct fixture *fixture = *state;
    unsigned objects;

    write_file(fixture, "a.yaml", NAMESPACE("a", "1") NAMESPACE("b", "1"));
    start(fixture);
    expect(fixture, "namespace a 1; namespace b 1; ");
    objects = fixture->objects;
    write_file(fixture, "a.yaml", NAMESPACE("b", "2") NAMESPACE("a", "1"));
    expect(fixture, "namespace a 1; namespace b 2; ");
    assert_int_equal(fixture->objects, objects + 1);
}

static void test_broken_file(void **state)
{
    struct fixture *fixture = *state;

    write_file(fixture, "a.yaml", NAMESPACE("a", "1"));
    start(fixture);
    expect(fixture, "namespace a 1; ");
    write_file(fixture, "a.yaml", "apiVersion: v1\nkind: [\n");
    write_file(fixture, "b.yaml", NAMESPACE("b", "1"));
    expect(fixture, "namespace a 1; namespace b 1; ");
    assert_non_null(strstr(support_log, "manifests/a.yaml:"));
    assert_non_null(strstr(support_log, "does not parse"));
    write_file(fixture, "a.yaml", NAMESPACE("a", "2"));
    expect(fixture, "namespace a 2; namespace b 1; ");
    write_file(fixture, "b.yaml", ""); /* an empty file is in order: it has no objects */
    expect(fixture, "namespace a 2; ");
}

static void test_invalid_object(void **state)
{
    struct fixture *fixture = *state;

    write_file(fixture, "a.yaml",
               POLICY("p", "  destinationCIDRs: [10.0.0.0/8]\n") NAMESPACE("a", "1"));
    start(fixture);
    expect(fixture, "namespace a 1; policy p 10.0.0.0/8; ");
    write_file(fixture, "a.yaml",
               POLICY("p", "  destinationCIDRs: [10.0.0.0/99]\n")
                   POLICY("new", "  destinationCIDRs: [nonsense]\n") NAMESPACE("a", "2"));
    expect(fixture, "namespace a 2; policy p 10.0.0.0/8; ");
    assert_non_null(strstr(support_log, "policy=p field=spec.destinationCIDRs[0] "
                                        "value=10.0.0.0/99"));
    assert_non_null(strstr(support_log, "last valid version stays in force"));
    assert_non_null(strstr(support_log, "manifests/a.yaml:8")); /* the line of that field */
    assert_non_null(strstr(support_log, "policy=new"));
    write_file(fixture, "a.yaml", POLICY("p", "  destinationCIDRs: [10.9.0.0/16]\n"));
    expect(fixture, "policy p 10.9.0.0/16; ");
}

static void test_same_object_twice(void **state)
{
    struct fixture *fixture = *state;

    write_file(fixture, "b.yaml", NAMESPACE("a", "from-b") NAMESPACE("a", "again"));
    start(fixture);
    expect(fixture, "namespace a from-b; ");
    assert_non_null(strstr(support_log, "in the file twice"));
    support_log[0] = '\0';
    write_file(fixture, "c.yaml", NAMESPACE("a", "from-c") NAMESPACE("c", "1"));
    expect(fixture, "namespace a from-b; namespace c 1; ");
    assert_non_null(strstr(support_log, "used=b.yaml unused=c.yaml"));
    write_file(fixture, "a.yaml", NAMESPACE("a", "from-a"));
    expect(fixture, "namespace a from-a; namespace c 1; ");
    remove_file(fixture, "a.yaml");
    expect(fixture, "namespace a from-b; namespace c 1; ");
    remove_file(fixture, "b.yaml");
    expect(fixture, "namespace a from-c; namespace c 1; ");
    assert_int_equal(fixture->removes, 0);
}

static void test_scope(void **state)
{
    struct fixture *fixture = *state;

    fixture->config.pods = PODS_AUTO;
    write_file(fixture, "a.yaml",
               POD("x", "worker-1", "10.1.0.1") POD("y", "worker-2", "10.1.0.2"));
    start(fixture);
    expect(fixture, "pod default/x 10.1.0.1; ");
    source_manifests.set_scope(fixture->source, true);
    expect(fixture, "pod default/x 10.1.0.1; pod default/y 10.1.0.2; ");
    assert_int_equal(fixture->lists[KIND_POD], 2);
    source_manifests.set_scope(fixture->source, true);
    assert_int_equal(fixture->lists[KIND_POD], 2);
    assert_int_equal(fixture->lists[KIND_NODE], 1);
    source_manifests.set_scope(fixture->source, false);
    expect(fixture, "pod default/x 10.1.0.1; ");
    write_file(fixture, "a.yaml",
               POD("x", "worker-2", "10.1.0.1") POD("y", "worker-1", "10.1.0.2"));
    expect(fixture, "pod default/y 10.1.0.2; ");
}

static void test_scope_of_configuration(void **state)
{
    struct fixture *fixture = *state;

    fixture->config.pods = PODS_LOCAL;
    write_file(fixture, "a.yaml",
               POD("x", "worker-1", "10.1.0.1") POD("y", "worker-2", "10.1.0.2"));
    start(fixture);
    expect(fixture, "pod default/x 10.1.0.1; ");
    source_manifests.set_scope(fixture->source, true);
    assert_int_equal(fixture->lists[KIND_POD], 1);
    assert_int_equal(fixture->count, 1);
}

static void make_link(const struct fixture *fixture, const char *target, const char *name)
{
    char path[200];

    path_of(fixture, name, path);
    assert_int_equal(symlink(target, path), 0);
}

/* A mounted ConfigMap: files are links through ..data, which is renamed over. */
static void test_config_map(void **state)
{
    struct fixture *fixture = *state;
    char path[200], to[200];

    path_of(fixture, "..1", path);
    assert_int_equal(mkdir(path, 0700), 0);
    path_of(fixture, "..2", path);
    assert_int_equal(mkdir(path, 0700), 0);
    write_file(fixture, "..1/a.yaml", NAMESPACE("a", "1"));
    write_file(fixture, "..2/a.yaml", NAMESPACE("a", "2"));
    make_link(fixture, "..1", "..data");
    make_link(fixture, "..data/a.yaml", "a.yaml");
    start(fixture);
    expect(fixture, "namespace a 1; ");
    make_link(fixture, "..2", "..data_tmp");
    path_of(fixture, "..data_tmp", path);
    path_of(fixture, "..data", to);
    assert_int_equal(rename(path, to), 0);
    expect(fixture, "namespace a 2; ");
}

/* The directory itself is a link that is renamed over, then goes and comes back. */
static void test_directory_replaced(void **state)
{
    struct fixture *fixture = *state;
    char first[200], second[200], link_path[200], other[200];

    snprintf(first, sizeof(first), "%s/one", fixture->root);
    snprintf(second, sizeof(second), "%s/two", fixture->root);
    snprintf(link_path, sizeof(link_path), "%s/manifests", fixture->root);
    snprintf(other, sizeof(other), "%s/other", fixture->root);
    write_file(fixture, "a.yaml", NAMESPACE("a", "1"));
    assert_int_equal(rename(fixture->directory, first), 0);
    assert_int_equal(symlink("one", link_path), 0);
    start(fixture);
    expect(fixture, "namespace a 1; ");

    assert_int_equal(mkdir(second, 0700), 0);
    assert_int_equal(symlink("two", other), 0);
    assert_int_equal(rename(other, link_path), 0);
    expect(fixture, "");
    write_file(fixture, "b.yaml", NAMESPACE("b", "1"));
    expect(fixture, "namespace b 1; ");

    assert_int_equal(unlink(link_path), 0); /* gone: what is known stays */
    fixture->expected = NULL;
    assert_int_equal(event_base_loop(fixture->base, EVLOOP_ONCE), 0);
    assert_non_null(strstr(support_log, "what was known of it stays in force"));
    assert_string_equal(fixture_text(fixture), "namespace b 1; ");
    assert_int_equal(symlink("one", link_path), 0);
    expect(fixture, "namespace a 1; ");
}

/* Lets the process have as many more descriptors than now. */
static void descriptors_allow(rlim_t more)
{
    struct rlimit limit;
    int next;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    next = dup(STDERR_FILENO);
    assert_true(next >= 0);
    close(next);
    limit.rlim_cur = (rlim_t)next + more;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static bool log_tells_of_descriptors(void *context _unused_)
{
    return strstr(support_log, "Too many open files") != NULL;
}

/* What could not be read for a reason that passes is read later, and lists wait for it: what they
 * lack would be taken for gone. */
static void test_reading_tried_again(void **state)
{
    struct fixture *fixture = *state;

    write_file(fixture, "a.yaml", NAMESPACE("a", "1"));
    descriptors_allow(2); /* inotify and the directory, which is looked through by another one */
    start(fixture);
    assert_true(support_wait(fixture->base, log_tells_of_descriptors, fixture));
    assert_int_equal(fixture->lists[KIND_NAMESPACE], 0);
    descriptors_allow(16);
    expect(fixture, "namespace a 1; ");
    assert_int_equal(fixture->lists[KIND_NAMESPACE], 1);

    support_log[0] = '\0';
    replace_file(fixture, "b.yaml", NAMESPACE("b", "1"));
    descriptors_allow(0);
    assert_true(support_wait(fixture->base, log_tells_of_descriptors, fixture));
    descriptors_allow(16);
    expect(fixture, "namespace a 1; namespace b 1; ");
}

static void test_directory_missing(void **state)
{
    struct fixture *fixture = *state;
    char deep[200];

    snprintf(deep, sizeof(deep), "%s/not/there", fixture->root);
    fixture->directories[1] = deep;
    fixture->config.source.directories.count = 2;
    write_file(fixture, "a.yaml", NAMESPACE("a", "1"));
    start(fixture);
    assert_non_null(strstr(support_log, deep));
    assert_int_equal(fixture->lists[KIND_NAMESPACE], 0); /* nothing is in sync yet */
    snprintf(deep, sizeof(deep), "%s/not", fixture->root);
    assert_int_equal(mkdir(deep, 0700), 0);
    snprintf(deep, sizeof(deep), "%s/not/there", fixture->root);
    assert_int_equal(mkdir(deep, 0700), 0);
    expect(fixture, "namespace a 1; ");
}

/* More events than the kernel queues: what got lost is found by reading everything again. */
static void test_overflow(void **state)
{
    struct fixture *fixture = *state;
    FILE *limit_file = fopen("/proc/sys/fs/inotify/max_queued_events", "re");
    int limit = 0;

    if (!limit_file || fscanf(limit_file, "%d", &limit) != 1 || limit > 100000)
        limit = 0;
    if (limit_file)
        fclose(limit_file);
    if (!limit)
        skip();
    start(fixture);
    expect(fixture, "");
    for (int i = 0; i <= limit; i++)
        write_file(fixture, i % 2 ? "one.txt" : "two.txt", "");
    write_file(fixture, "a.yaml", NAMESPACE("a", "1"));
    expect(fixture, "namespace a 1; ");
    assert_non_null(strstr(support_log, "more changes of files than the kernel could queue"));
}

static void test_not_a_file(void **state)
{
    struct fixture *fixture = *state;
    char path[200];

    path_of(fixture, "fifo.yaml", path);
    assert_int_equal(mkfifo(path, 0600), 0);
    path_of(fixture, "directory.yaml", path);
    assert_int_equal(mkdir(path, 0700), 0);
    make_link(fixture, "nowhere", "dangling.yaml");
    path_of(fixture, "large.yaml", path);
    FILE *file = fopen(path, "we");
    assert_int_equal(ftruncate(fileno(file), MANIFEST_SIZE_LIMIT + 1), 0);
    fclose(file);
    write_file(fixture, "list.yaml", "- 1\n");
    write_file(fixture, "z.yaml", NAMESPACE("z", "1"));
    start(fixture);
    expect(fixture, "namespace z 1; ");
    assert_non_null(strstr(support_log, "fifo.yaml"));
    assert_non_null(strstr(support_log, "too large"));
    assert_non_null(strstr(support_log, "list.yaml:1"));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_kinds_and_lists),
        CASE(test_changes),
        CASE(test_unchanged),
        CASE(test_broken_file),
        CASE(test_invalid_object),
        CASE(test_same_object_twice),
        CASE(test_scope),
        CASE(test_scope_of_configuration),
        CASE(test_config_map),
        CASE(test_directory_replaced),
        CASE(test_reading_tried_again),
        CASE(test_directory_missing),
        CASE(test_overflow),
        CASE(test_not_a_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

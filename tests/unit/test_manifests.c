/* SPDX-License-Identifier: Apache-2.0 */
/* The source "manifests" on real files, with real inotify. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/manifest_scene.h"
#include "tests/unit/watcher_support.h"

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
    struct manifest_scene *scene = *state;

    manifest_scene_write(
        scene, "a.yaml",
        NAMESPACE("a", "1") POLICY("p", "  destinationCIDRs: [10.0.0.0/8]\n")
            POD("x", "worker-1",
                "10.1.0.1") "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\n");
    manifest_scene_write(
        scene, "b.json",
        "{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [{\"apiVersion\": \"v1\","
        "\"kind\": \"Namespace\", \"metadata\": {\"name\": \"b\", \"uid\": \"2\"}}]}");
    manifest_scene_write(scene, "c.yml",
                         "apiVersion: v1\nkind: PodList\nitems:\n"
                         "- {metadata: {name: y}, status: {podIPs: [{ip: 10.1.0.2}]}}\n"
                         "- {metadata: {name: z}, status: {podIPs: [{ip: 10.1.0.3}]}}\n");
    manifest_scene_write(scene, ".hidden.yaml", NAMESPACE("hidden", "1"));
    manifest_scene_write(scene, "a.yaml~", NAMESPACE("backup", "1"));
    manifest_scene_write(scene, "#a.yaml", NAMESPACE("lock", "1"));
    manifest_scene_write(scene, "notes.txt", NAMESPACE("text", "1"));
    manifest_scene_start(scene);
    manifest_scene_expect(
        scene, "namespace a 1; namespace b 2; pod default/x 10.1.0.1; pod default/y 10.1.0.2; "
               "pod default/z 10.1.0.3; policy p 10.0.0.0/8; ");
    for (int kind = 0; kind < KIND_LINK; kind++)
        assert_int_equal(scene->lists[kind], 1);
    assert_int_equal(scene->lists[KIND_LINK], 0);
}

static void test_changes(void **state)
{
    struct manifest_scene *scene = *state;
    char from[200], to[200];
    unsigned removes;

    manifest_scene_start(scene);
    manifest_scene_expect(scene, "");
    manifest_scene_write(scene, "a.yaml", NAMESPACE("a", "1"));
    manifest_scene_expect(scene, "namespace a 1; ");
    manifest_scene_replace(scene, "a.yaml", NAMESPACE("a", "2") NAMESPACE("b", "1"));
    manifest_scene_expect(scene, "namespace a 2; namespace b 1; ");
    manifest_scene_write(scene, "a.yaml", NAMESPACE("b", "1"));
    manifest_scene_expect(scene, "namespace b 1; ");
    assert_int_equal(scene->removes, 1);

    /* A file that changes its name takes nothing away in between. */
    removes = scene->removes;
    manifest_scene_path(scene, "a.yaml", from);
    manifest_scene_path(scene, "z.yaml", to);
    assert_int_equal(rename(from, to), 0);
    manifest_scene_write(scene, "c.yaml", NAMESPACE("c", "1"));
    manifest_scene_expect(scene, "namespace b 1; namespace c 1; ");
    assert_int_equal(scene->removes, removes);

    manifest_scene_remove(scene, "z.yaml");
    manifest_scene_expect(scene, "namespace c 1; ");
    manifest_scene_path(scene, "c.yaml", from);
    snprintf(to, sizeof(to), "%s/c.yaml", scene->root);
    assert_int_equal(rename(from, to), 0);
    manifest_scene_expect(scene, "");
    assert_int_equal(link(to, from), 0); /* a hard link is whole when it appears */
    manifest_scene_expect(scene, "namespace c 1; ");
}

/* What has not changed is not reported. */
static void test_unchanged(void **state)
{
    struct manifest_scene *scene = *state;
    unsigned objects;

    manifest_scene_write(scene, "a.yaml", NAMESPACE("a", "1") NAMESPACE("b", "1"));
    manifest_scene_start(scene);
    manifest_scene_expect(scene, "namespace a 1; namespace b 1; ");
    objects = scene->objects;
    manifest_scene_write(scene, "a.yaml", NAMESPACE("b", "2") NAMESPACE("a", "1"));
    manifest_scene_expect(scene, "namespace a 1; namespace b 2; ");
    assert_int_equal(scene->objects, objects + 1);
}

static void test_broken_file(void **state)
{
    struct manifest_scene *scene = *state;

    manifest_scene_write(scene, "a.yaml", NAMESPACE("a", "1"));
    manifest_scene_start(scene);
    manifest_scene_expect(scene, "namespace a 1; ");
    manifest_scene_write(scene, "a.yaml", "apiVersion: v1\nkind: [\n");
    manifest_scene_write(scene, "b.yaml", NAMESPACE("b", "1"));
    manifest_scene_expect(scene, "namespace a 1; namespace b 1; ");
    assert_non_null(strstr(support_log, "manifests/a.yaml:"));
    assert_non_null(strstr(support_log, "does not parse"));
    manifest_scene_write(scene, "a.yaml", NAMESPACE("a", "2"));
    manifest_scene_expect(scene, "namespace a 2; namespace b 1; ");
    manifest_scene_write(scene, "b.yaml", ""); /* an empty file is in order: it has no objects */
    manifest_scene_expect(scene, "namespace a 2; ");
}

static void test_invalid_object(void **state)
{
    struct manifest_scene *scene = *state;

    manifest_scene_write(scene, "a.yaml",
                         POLICY("p", "  destinationCIDRs: [10.0.0.0/8]\n") NAMESPACE("a", "1"));
    manifest_scene_start(scene);
    manifest_scene_expect(scene, "namespace a 1; policy p 10.0.0.0/8; ");
    manifest_scene_write(scene, "a.yaml",
                         POLICY("p", "  destinationCIDRs: [10.0.0.0/99]\n")
                             POLICY("new", "  destinationCIDRs: [nonsense]\n") NAMESPACE("a", "2"));
    manifest_scene_expect(scene, "namespace a 2; policy p 10.0.0.0/8; ");
    assert_non_null(strstr(support_log, "policy=p field=spec.destinationCIDRs[0] "
                                        "value=10.0.0.0/99"));
    assert_non_null(strstr(support_log, "last valid version stays in force"));
    assert_non_null(strstr(support_log, "manifests/a.yaml:8")); /* the line of that field */
    assert_non_null(strstr(support_log, "policy=new"));
    manifest_scene_write(scene, "a.yaml", POLICY("p", "  destinationCIDRs: [10.9.0.0/16]\n"));
    manifest_scene_expect(scene, "policy p 10.9.0.0/16; ");
}

static void test_same_object_twice(void **state)
{
    struct manifest_scene *scene = *state;

    manifest_scene_write(scene, "b.yaml", NAMESPACE("a", "from-b") NAMESPACE("a", "again"));
    manifest_scene_start(scene);
    manifest_scene_expect(scene, "namespace a from-b; ");
    assert_non_null(strstr(support_log, "in the file twice"));
    support_log[0] = '\0';
    manifest_scene_write(scene, "c.yaml", NAMESPACE("a", "from-c") NAMESPACE("c", "1"));
    manifest_scene_expect(scene, "namespace a from-b; namespace c 1; ");
    assert_non_null(strstr(support_log, "used=b.yaml unused=c.yaml"));
    manifest_scene_write(scene, "a.yaml", NAMESPACE("a", "from-a"));
    manifest_scene_expect(scene, "namespace a from-a; namespace c 1; ");
    manifest_scene_remove(scene, "a.yaml");
    manifest_scene_expect(scene, "namespace a from-b; namespace c 1; ");
    manifest_scene_remove(scene, "b.yaml");
    manifest_scene_expect(scene, "namespace a from-c; namespace c 1; ");
    assert_int_equal(scene->removes, 0);
}

static void test_scope(void **state)
{
    struct manifest_scene *scene = *state;

    scene->config.pods = PODS_AUTO;
    manifest_scene_write(scene, "a.yaml",
                         POD("x", "worker-1", "10.1.0.1") POD("y", "worker-2", "10.1.0.2"));
    manifest_scene_start(scene);
    manifest_scene_expect(scene, "pod default/x 10.1.0.1; ");
    source_manifests.set_scope(scene->source, true);
    manifest_scene_expect(scene, "pod default/x 10.1.0.1; pod default/y 10.1.0.2; ");
    assert_int_equal(scene->lists[KIND_POD], 2);
    source_manifests.set_scope(scene->source, true);
    assert_int_equal(scene->lists[KIND_POD], 2);
    assert_int_equal(scene->lists[KIND_NODE], 1);
    source_manifests.set_scope(scene->source, false);
    manifest_scene_expect(scene, "pod default/x 10.1.0.1; ");
    manifest_scene_write(scene, "a.yaml",
                         POD("x", "worker-2", "10.1.0.1") POD("y", "worker-1", "10.1.0.2"));
    manifest_scene_expect(scene, "pod default/y 10.1.0.2; ");
}

static void test_scope_of_configuration(void **state)
{
    struct manifest_scene *scene = *state;

    scene->config.pods = PODS_LOCAL;
    manifest_scene_write(scene, "a.yaml",
                         POD("x", "worker-1", "10.1.0.1") POD("y", "worker-2", "10.1.0.2"));
    manifest_scene_start(scene);
    manifest_scene_expect(scene, "pod default/x 10.1.0.1; ");
    source_manifests.set_scope(scene->source, true);
    assert_int_equal(scene->lists[KIND_POD], 1);
    assert_int_equal(scene->count, 1);
}

static void make_link(const struct manifest_scene *scene, const char *target, const char *name)
{
    char path[200];

    manifest_scene_path(scene, name, path);
    assert_int_equal(symlink(target, path), 0);
}

/* A mounted ConfigMap: files are links through ..data, which is renamed over. */
static void test_config_map(void **state)
{
    struct manifest_scene *scene = *state;
    char path[200], to[200];

    manifest_scene_path(scene, "..1", path);
    assert_int_equal(mkdir(path, 0700), 0);
    manifest_scene_path(scene, "..2", path);
    assert_int_equal(mkdir(path, 0700), 0);
    manifest_scene_write(scene, "..1/a.yaml", NAMESPACE("a", "1"));
    manifest_scene_write(scene, "..2/a.yaml", NAMESPACE("a", "2"));
    make_link(scene, "..1", "..data");
    make_link(scene, "..data/a.yaml", "a.yaml");
    manifest_scene_start(scene);
    manifest_scene_expect(scene, "namespace a 1; ");
    make_link(scene, "..2", "..data_tmp");
    manifest_scene_path(scene, "..data_tmp", path);
    manifest_scene_path(scene, "..data", to);
    assert_int_equal(rename(path, to), 0);
    manifest_scene_expect(scene, "namespace a 2; ");
}

/* The directory itself is a link that is renamed over, then goes and comes back. */
static void test_directory_replaced(void **state)
{
    struct manifest_scene *scene = *state;
    char first[200], second[200], link_path[200], other[200];

    snprintf(first, sizeof(first), "%s/one", scene->root);
    snprintf(second, sizeof(second), "%s/two", scene->root);
    snprintf(link_path, sizeof(link_path), "%s/manifests", scene->root);
    snprintf(other, sizeof(other), "%s/other", scene->root);
    manifest_scene_write(scene, "a.yaml", NAMESPACE("a", "1"));
    assert_int_equal(rename(scene->directory, first), 0);
    assert_int_equal(symlink("one", link_path), 0);
    manifest_scene_start(scene);
    manifest_scene_expect(scene, "namespace a 1; ");

    assert_int_equal(mkdir(second, 0700), 0);
    assert_int_equal(symlink("two", other), 0);
    assert_int_equal(rename(other, link_path), 0);
    manifest_scene_expect(scene, "");
    manifest_scene_write(scene, "b.yaml", NAMESPACE("b", "1"));
    manifest_scene_expect(scene, "namespace b 1; ");

    assert_int_equal(unlink(link_path), 0); /* gone: what is known stays */
    scene->expected = NULL;
    assert_int_equal(event_base_loop(scene->base, EVLOOP_ONCE), 0);
    assert_non_null(strstr(support_log, "what was known of it stays in force"));
    assert_string_equal(manifest_scene_text(scene), "namespace b 1; ");
    assert_int_equal(symlink("one", link_path), 0);
    manifest_scene_expect(scene, "namespace a 1; ");
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
    struct manifest_scene *scene = *state;

    manifest_scene_write(scene, "a.yaml", NAMESPACE("a", "1"));
    descriptors_allow(2); /* inotify and the directory, which is looked through by another one */
    manifest_scene_start(scene);
    assert_true(support_wait(scene->base, log_tells_of_descriptors, scene));
    assert_int_equal(scene->lists[KIND_NAMESPACE], 0);
    descriptors_allow(16);
    manifest_scene_expect(scene, "namespace a 1; ");
    assert_int_equal(scene->lists[KIND_NAMESPACE], 1);

    support_log[0] = '\0';
    manifest_scene_replace(scene, "b.yaml", NAMESPACE("b", "1"));
    descriptors_allow(0);
    assert_true(support_wait(scene->base, log_tells_of_descriptors, scene));
    descriptors_allow(16);
    manifest_scene_expect(scene, "namespace a 1; namespace b 1; ");
}

static void test_directory_missing(void **state)
{
    struct manifest_scene *scene = *state;
    char deep[200];

    snprintf(deep, sizeof(deep), "%s/not/there", scene->root);
    scene->directories[1] = deep;
    scene->config.source.directories.count = 2;
    manifest_scene_write(scene, "a.yaml", NAMESPACE("a", "1"));
    manifest_scene_start(scene);
    assert_non_null(strstr(support_log, deep));
    assert_int_equal(scene->lists[KIND_NAMESPACE], 0); /* nothing is in sync yet */
    snprintf(deep, sizeof(deep), "%s/not", scene->root);
    assert_int_equal(mkdir(deep, 0700), 0);
    snprintf(deep, sizeof(deep), "%s/not/there", scene->root);
    assert_int_equal(mkdir(deep, 0700), 0);
    manifest_scene_expect(scene, "namespace a 1; ");
}

/* More events than the kernel queues: what got lost is found by reading everything again. */
static void test_overflow(void **state)
{
    struct manifest_scene *scene = *state;
    FILE *limit_file = fopen("/proc/sys/fs/inotify/max_queued_events", "re");
    int limit = 0;

    if (!limit_file || fscanf(limit_file, "%d", &limit) != 1 || limit > 100000)
        limit = 0;
    if (limit_file)
        fclose(limit_file);
    if (!limit)
        skip();
    manifest_scene_start(scene);
    manifest_scene_expect(scene, "");
    for (int i = 0; i <= limit; i++)
        manifest_scene_write(scene, i % 2 ? "one.txt" : "two.txt", "");
    manifest_scene_write(scene, "a.yaml", NAMESPACE("a", "1"));
    manifest_scene_expect(scene, "namespace a 1; ");
    assert_non_null(strstr(support_log, "more changes of files than the kernel could queue"));
}

static void test_not_a_file(void **state)
{
    struct manifest_scene *scene = *state;
    char path[200];

    manifest_scene_path(scene, "fifo.yaml", path);
    assert_int_equal(mkfifo(path, 0600), 0);
    manifest_scene_path(scene, "directory.yaml", path);
    assert_int_equal(mkdir(path, 0700), 0);
    make_link(scene, "nowhere", "dangling.yaml");
    manifest_scene_path(scene, "large.yaml", path);
    FILE *file = fopen(path, "we");
    assert_int_equal(ftruncate(fileno(file), MANIFEST_SIZE_LIMIT + 1), 0);
    fclose(file);
    manifest_scene_write(scene, "list.yaml", "- 1\n");
    manifest_scene_write(scene, "z.yaml", NAMESPACE("z", "1"));
    manifest_scene_start(scene);
    manifest_scene_expect(scene, "namespace z 1; ");
    assert_non_null(strstr(support_log, "fifo.yaml"));
    assert_non_null(strstr(support_log, "too large"));
    assert_non_null(strstr(support_log, "list.yaml:1"));
}

#define CASE(name)                                                                                 \
    cmocka_unit_test_setup_teardown(name, manifest_scene_setup, manifest_scene_teardown)

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

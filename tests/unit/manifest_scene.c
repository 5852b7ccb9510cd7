/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/manifest_scene.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/watcher_support.h"

static void scene_drop(struct manifest_scene *scene, size_t index)
{
    scene->known[index] = scene->known[--scene->count];
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
    struct manifest_scene *scene = context;

    for (size_t i = 0; i < scene->count; i++) {
        if (scene->known[i].kind == kind)
            scene->known[i].listed = false;
    }
}

static size_t scene_find(const struct manifest_scene *scene, const struct object_identity *identity)
{
    size_t i;

    for (i = 0; i < scene->count; i++) {
        if (scene->known[i].kind == identity->kind &&
            text_equal(text_of(scene->known[i].name), identity->name))
            break;
    }
    return i;
}

static void sink_object(void *context, const struct object *object)
{
    struct manifest_scene *scene = context;
    struct object_identity identity = object_identity(object);
    size_t at = scene_find(scene, &identity);

    assert_true(at < MANIFEST_KNOWN);
    if (at == scene->count)
        scene->count++;
    scene->objects++;
    scene->known[at].kind = object->kind;
    scene->known[at].listed = true;
    snprintf(scene->known[at].name, sizeof(scene->known[at].name), "%.*s", TEXT_ARG(identity.name));
    detail_of(object, scene->known[at].detail, sizeof(scene->known[at].detail));
}

static void sink_remove(void *context, const struct object_identity *identity)
{
    struct manifest_scene *scene = context;
    size_t at = scene_find(scene, identity);

    scene->removes++;
    if (at < scene->count)
        scene_drop(scene, at);
}

static void sink_end(void *context, enum object_kind kind)
{
    struct manifest_scene *scene = context;

    scene->lists[kind]++;
    for (size_t i = scene->count; i-- > 0;) {
        if (scene->known[i].kind == kind && !scene->known[i].listed)
            scene_drop(scene, i);
    }
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(a, b);
}

const char *manifest_scene_text(const struct manifest_scene *scene)
{
    static char lines[MANIFEST_KNOWN][160], text[MANIFEST_KNOWN * 160];

    for (size_t i = 0; i < scene->count; i++)
        snprintf(lines[i], sizeof(lines[i]), "%s %s %s; ", object_kind_name(scene->known[i].kind),
                 scene->known[i].name, scene->known[i].detail);
    qsort(lines, scene->count, sizeof(lines[0]), compare_lines);
    text[0] = '\0';
    for (size_t i = 0; i < scene->count; i++)
        strcat(text, lines[i]);
    return text;
}

static bool scene_matches(void *context)
{
    const struct manifest_scene *scene = context;

    return strcmp(manifest_scene_text(scene), scene->expected) == 0;
}

void manifest_scene_expect(struct manifest_scene *scene, const char *expected)
{
    scene->expected = expected;
    if (!support_wait(scene->base, scene_matches, scene))
        fail_msg("expected %s\nknown    %s\nlog:\n%s", expected, manifest_scene_text(scene),
                 support_log);
}

void manifest_scene_path(const struct manifest_scene *scene, const char *name, char path[200])
{
    snprintf(path, 200, "%s/%s", scene->directory, name);
}

void manifest_scene_write(const struct manifest_scene *scene, const char *name, const char *text)
{
    char path[200];
    FILE *file;

    manifest_scene_path(scene, name, path);
    file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

void manifest_scene_replace(const struct manifest_scene *scene, const char *name, const char *text)
{
    char from[200], to[200];

    manifest_scene_write(scene, ".new", text);
    manifest_scene_path(scene, ".new", from);
    manifest_scene_path(scene, name, to);
    assert_int_equal(rename(from, to), 0);
}

void manifest_scene_remove(const struct manifest_scene *scene, const char *name)
{
    char path[200];

    manifest_scene_path(scene, name, path);
    assert_int_equal(unlink(path), 0);
}

void manifest_scene_start(struct manifest_scene *scene)
{
    struct source_sink sink = {.context = scene,
                               .list_begin = sink_begin,
                               .object = sink_object,
                               .remove = sink_remove,
                               .list_end = sink_end};

    assert_int_equal(source_manifests.open(&scene->config, &scene->source), 0);
    assert_int_equal(source_manifests.start(scene->source, scene->base, &sink), 0);
}

int manifest_scene_setup(void **state)
{
    static struct manifest_scene scene;

    memset(&scene, 0, sizeof(scene));
    strcpy(scene.root, "/tmp/egressgw-manifests-XXXXXX");
    if (!mkdtemp(scene.root))
        return -1;
    snprintf(scene.directory, sizeof(scene.directory), "%s/manifests", scene.root);
    if (mkdir(scene.directory, 0700))
        return -1;
    scene.directories[0] = scene.directory;
    scene.config.source.directories = (struct string_list){scene.directories, 1};
    scene.config.node = (char *)"worker-1";
    scene.config.pods = PODS_ALL;
    scene.base = event_base_new();
    support_catch_log();
    *state = &scene;
    return scene.base ? 0 : -1;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

int manifest_scene_teardown(void **state)
{
    struct manifest_scene *scene = *state;

    if (scene->source)
        source_manifests.close(scene->source);
    event_base_free(scene->base);
    log_set_sink(NULL, NULL);
    return nftw(scene->root, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

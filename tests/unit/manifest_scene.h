/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_MANIFEST_SCENE_H
#define TESTS_MANIFEST_SCENE_H

#include <event2/event.h>

#include "watcher/manifests.h"

enum { MANIFEST_KNOWN = 64 };

/* A directory of manifests, the source that reads it, and a sink that knows what a store would. */
struct manifest_scene {
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
    } known[MANIFEST_KNOWN];
    size_t count;
    unsigned lists[KINDS], removes, objects;
    const char *expected; /* what is waited for */
};

/* Setup and teardown of a test; its state is a scene whose source is not started. */
int manifest_scene_setup(void **state);
int manifest_scene_teardown(void **state);
void manifest_scene_start(struct manifest_scene *scene);

/* What is known, sorted: "namespace a 1; pod default/p 10.0.0.1; ". */
const char *manifest_scene_text(const struct manifest_scene *scene);
/* Waits until that is known. */
void manifest_scene_expect(struct manifest_scene *scene, const char *expected);

/* A file of the directory: its path, and what becomes of it. */
void manifest_scene_path(const struct manifest_scene *scene, const char *name, char path[200]);
void manifest_scene_write(const struct manifest_scene *scene, const char *name, const char *text);
/* As careful writers do: another name first, then a rename. */
void manifest_scene_replace(const struct manifest_scene *scene, const char *name, const char *text);
void manifest_scene_remove(const struct manifest_scene *scene, const char *name);

#endif

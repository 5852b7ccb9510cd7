/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher/manifests.h"

#include <errno.h>

#include "common/log.h"

static uint64_t claim_hash(const struct object_identity *identity)
{
    return hash_bytes(identity->name.data, identity->name.length);
}

static struct manifest_claim *claim_find(struct manifests *source,
                                         const struct object_identity *identity)
{
    return hash_find(&source->claims[identity->kind], claim_hash(identity), &identity->name);
}

static struct manifest_claim *claim_new(struct manifests *source,
                                        const struct object_identity *identity)
{
    struct manifest_claim *claim = calloc(1, sizeof(*claim) + identity->name.length + 1);

    if (!claim)
        return NULL;
    memcpy(claim->name, identity->name.data, identity->name.length);
    claim->identity = *identity;
    claim->identity.name.data = claim->name;
    TAILQ_INIT(&claim->holders);
    if (hash_add(&source->claims[identity->kind], claim_hash(identity), claim)) {
        free(claim);
        return NULL;
    }
    return claim;
}

static void claim_touch(struct manifests *source, struct manifest_claim *claim)
{
    if (claim->touched)
        return;
    claim->touched = true;
    TAILQ_INSERT_TAIL(&source->touched, claim, touched_link);
}

/* Whether `a` comes before `b`. */
static bool file_precedes(const struct manifest_file *a, const struct manifest_file *b)
{
    if (a->directory != b->directory)
        return a->directory->index < b->directory->index;
    return strcmp(a->name, b->name) < 0;
}

static void claim_insert(struct manifest_claim *claim, struct manifest_object *object)
{
    struct manifest_object *other;

    TAILQ_FOREACH(other, &claim->holders, of_claim)
    {
        if (file_precedes(object->file, other->file)) {
            TAILQ_INSERT_BEFORE(other, object, of_claim);
            return;
        }
    }
    TAILQ_INSERT_TAIL(&claim->holders, object, of_claim);
}

struct manifest_object *manifest_find(const struct manifest_file *file,
                                      const struct object_identity *identity)
{
    struct manifest_claim *claim = claim_find(file->directory->source, identity);
    struct manifest_object *object;

    if (!claim)
        return NULL;
    TAILQ_FOREACH(object, &claim->holders, of_claim)
    {
        if (object->file == file)
            return object;
    }
    return NULL;
}

static struct manifest_object *manifest_add(struct manifest_file *file,
                                            const struct object_identity *identity)
{
    struct manifests *source = file->directory->source;
    struct manifest_claim *claim = claim_find(source, identity);
    struct manifest_object *object = calloc(1, sizeof(*object));

    if (!object)
        return NULL;
    if (!claim)
        claim = claim_new(source, identity);
    if (!claim) {
        free(object);
        return NULL;
    }
    object->file = file;
    object->claim = claim;
    TAILQ_INSERT_TAIL(&file->objects, object, of_file);
    claim_insert(claim, object);
    return object;
}

int manifest_put(struct manifest_file *file, const struct object_identity *identity, bool local)
{
    struct manifests *source = file->directory->source;
    const struct record_buffer *buffer = &source->buffer;
    struct manifest_object *object = manifest_find(file, identity);
    unsigned char *data;

    if (object && object->length == buffer->length &&
        memcmp(object->data, buffer->data, buffer->length) == 0) {
        object->reading = file->reading;
        return 0;
    }
    data = malloc(buffer->length);
    if (!data)
        return -ENOMEM;
    if (!object)
        object = manifest_add(file, identity);
    if (!object) {
        free(data);
        return -ENOMEM;
    }
    memcpy(data, buffer->data, buffer->length);
    free(object->data);
    object->data = data;
    object->length = buffer->length;
    object->local = local;
    object->reading = file->reading;
    claim_touch(source, object->claim);
    return 0;
}

void manifest_drop(struct manifest_object *object)
{
    claim_touch(object->file->directory->source, object->claim);
    TAILQ_REMOVE(&object->file->objects, object, of_file);
    TAILQ_REMOVE(&object->claim->holders, object, of_claim);
    free(object->data);
    free(object);
}

/* Says once for each file that it does not have its object's identity. */
static void claim_warn(struct manifest_claim *claim)
{
    struct manifest_object *first = TAILQ_FIRST(&claim->holders);
    struct manifest_object *other;

    first->warned = false;
    for (other = TAILQ_NEXT(first, of_claim); other; other = TAILQ_NEXT(other, of_claim)) {
        if (other->warned)
            continue;
        other->warned = true;
        log_warning("the same object is in two files, the first one by name is used: remove one",
                    log_string(object_kind_name(claim->identity.kind), claim->name),
                    log_string("used", first->file->name), log_string("unused", other->file->name));
    }
}

/* Without memory to read it back it is reported by a later flush, and stays what it is till then.
 */
static void manifest_report(struct manifests *source, const struct manifest_object *object)
{
    _cleanup_arena_ struct arena arena = {0};
    struct record record;
    const char *why = "";
    int error = record_unpack(object->data, object->length, &arena, &record, &why);

    if (!error) {
        source->sink.object(source->sink.context, &record.object);
        return;
    }
    log_error("cannot read an object back that was packed before, trying again",
              log_string("object", object->claim->name), log_string("reason", why),
              log_errno(error));
    source->sink.keep(source->sink.context, &object->claim->identity);
    claim_touch(source, object->claim);
    manifests_retry(source);
}

static bool manifest_in_scope(const struct manifests *source, const struct manifest_object *object)
{
    return source->all_pods || object->local;
}

static void claim_free(struct manifests *source, struct manifest_claim *claim)
{
    hash_remove(&source->claims[claim->identity.kind], claim_hash(&claim->identity),
                &claim->identity.name);
    free(claim);
}

static void claim_flush(struct manifests *source, struct manifest_claim *claim)
{
    struct manifest_object *first = TAILQ_FIRST(&claim->holders);

    if (first)
        claim_warn(claim);
    if (first && manifest_in_scope(source, first)) {
        if (source->reported)
            manifest_report(source, first);
        return;
    }
    if (source->reported)
        source->sink.remove(source->sink.context, &claim->identity);
    if (!first)
        claim_free(source, claim);
}

void manifests_flush(struct manifests *source)
{
    struct manifest_claims now = TAILQ_HEAD_INITIALIZER(now);
    struct manifest_claim *claim;

    TAILQ_CONCAT(&now, &source->touched, touched_link);
    while ((claim = TAILQ_FIRST(&now))) {
        TAILQ_REMOVE(&now, claim, touched_link);
        claim->touched = false;
        claim_flush(source, claim);
    }
}

void manifests_list(struct manifests *source, enum object_kind kind)
{
    const struct manifest_claim *claim;
    size_t cursor = 0;

    source->sink.list_begin(source->sink.context, kind);
    while ((claim = hash_next(&source->claims[kind], &cursor))) {
        const struct manifest_object *first = TAILQ_FIRST(&claim->holders);

        if (first && manifest_in_scope(source, first))
            manifest_report(source, first);
    }
    source->sink.list_end(source->sink.context, kind);
}

void manifests_release_claims(struct manifests *source)
{
    for (int kind = 0; kind < KINDS; kind++)
        hash_clear(&source->claims[kind], free);
}

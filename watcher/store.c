/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher/store.h"

#include <errno.h>
#include <sys/queue.h>

#include "common/hash.h"
#include "common/log.h"

TAILQ_HEAD(entry_queue, store_entry);

struct store_entry {
    TAILQ_ENTRY(store_entry) link;
    struct entry_queue *queue; /* the one that it is in */
    struct object_identity identity;
    unsigned char *data; /* the packed OBJECT record; NULL: gone, the planner is yet to know */
    size_t length;
    unsigned list;  /* the last list that reported it */
    bool delivered; /* the planner has some version of it */
    char name[];
};

struct store_kind {
    struct hash_table entries;
    struct entry_queue fresh;
    struct entry_queue clean;
    unsigned list;  /* number of the current list */
    bool listing;   /* between list_begin and list_end */
    bool in_sync;   /* some list has been complete */
    bool delivered; /* the planner has had a snapshot: changes follow one by one */
    size_t count;   /* entries that are not gone */
};

struct store {
    struct store_observer observer;
    struct store_kind kinds[KINDS];
    struct entry_queue dirty;
    struct record_buffer buffer;
};

static bool entry_equal(const void *item, const void *key)
{
    const struct object_identity *a = &((const struct store_entry *)item)->identity;
    const struct object_identity *b = key;

    return a->ifindex == b->ifindex && text_equal(a->name, b->name);
}

static uint64_t identity_hash(const struct object_identity *identity)
{
    if (identity->kind == KIND_LINK)
        return hash_bytes(&identity->ifindex, sizeof(identity->ifindex));
    return hash_bytes(identity->name.data, identity->name.length);
}

static void entry_move(struct store_entry *entry, struct entry_queue *queue)
{
    if (entry->queue == queue)
        return;
    if (entry->queue)
        TAILQ_REMOVE(entry->queue, entry, link);
    entry->queue = queue;
    TAILQ_INSERT_TAIL(queue, entry, link);
}

static void entry_release(void *item)
{
    struct store_entry *entry = item;

    free(entry->data);
    free(entry);
}

static void entry_drop(struct store *store, struct store_entry *entry)
{
    struct store_kind *kind = &store->kinds[entry->identity.kind];

    hash_remove(&kind->entries, identity_hash(&entry->identity), &entry->identity);
    TAILQ_REMOVE(entry->queue, entry, link);
    entry_release(entry);
}

/* Puts a changed entry where the planner will be told of it. */
static void entry_touch(struct store *store, struct store_entry *entry)
{
    struct store_kind *kind = &store->kinds[entry->identity.kind];

    if (!entry->data && !entry->delivered) {
        entry_drop(store, entry); /* came and went unseen */
        return;
    }
    if (entry->delivered || kind->delivered)
        entry_move(entry, &store->dirty);
    else
        entry_move(entry, &kind->fresh);
    store->observer.changed(store->observer.context);
}

static struct store_entry *entry_new(struct store *store, const struct object_identity *identity)
{
    struct store_kind *kind = &store->kinds[identity->kind];
    struct store_entry *entry = calloc(1, sizeof(*entry) + identity->name.length + 1);

    if (!entry)
        return NULL;
    if (identity->name.length)
        memcpy(entry->name, identity->name.data, identity->name.length);
    entry->identity = *identity;
    entry->identity.name.data = entry->name;
    if (hash_add(&kind->entries, identity_hash(&entry->identity), entry)) {
        free(entry);
        return NULL;
    }
    entry_move(entry, &kind->fresh);
    return entry;
}

static void store_fail(struct store *store)
{
    log_error("out of memory: the watcher ends and starts anew");
    store->observer.failed(store->observer.context);
}

static void sink_list_begin(void *context, enum object_kind kind)
{
    struct store *store = context;

    store->kinds[kind].list++;
    store->kinds[kind].listing = true;
}

/* Takes over what store->buffer holds. */
static void store_put(struct store *store, const struct object_identity *identity)
{
    struct store_kind *kind = &store->kinds[identity->kind];
    struct store_entry *entry = hash_find(&kind->entries, identity_hash(identity), identity);
    unsigned char *data;

    if (entry && entry->data && entry->length == store->buffer.length &&
        memcmp(entry->data, store->buffer.data, entry->length) == 0) {
        entry->list = kind->list;
        return;
    }
    data = malloc(store->buffer.length);
    if (!entry && data)
        entry = entry_new(store, identity);
    if (!entry || !data) {
        free(data);
        store_fail(store);
        return;
    }
    memcpy(data, store->buffer.data, store->buffer.length);
    kind->count += !entry->data;
    free(entry->data);
    entry->data = data;
    entry->length = store->buffer.length;
    entry->list = kind->list;
    entry_touch(store, entry);
}

static void sink_keep(void *context, const struct object_identity *identity)
{
    struct store *store = context;
    struct store_kind *kind = &store->kinds[identity->kind];
    struct store_entry *entry = hash_find(&kind->entries, identity_hash(identity), identity);

    if (entry)
        entry->list = kind->list;
}

static void sink_object(void *context, const struct object *object)
{
    struct store *store = context;
    struct record record = {.type = RECORD_OBJECT, .object = *object};
    struct object_identity identity = object_identity(object);
    int error = record_pack(&record, &store->buffer);

    if (!error) {
        store_put(store, &identity);
        return;
    }
    /* Too large is no reason to take away what is known of it. */
    sink_keep(store, &identity);
    log_error("object does not fit into a record of 64 KiB, what was known of it stays in force: "
              "split it",
              log_string("kind", object_kind_name(identity.kind)),
              log_text("object", identity.name), log_errno(error));
}

static void store_take_out(struct store *store, struct store_entry *entry)
{
    if (!entry->data)
        return;
    free(TAKE_PTR(entry->data));
    store->kinds[entry->identity.kind].count--;
    entry_touch(store, entry);
}

static void sink_remove(void *context, const struct object_identity *identity)
{
    struct store *store = context;
    struct store_entry *entry =
        hash_find(&store->kinds[identity->kind].entries, identity_hash(identity), identity);

    if (entry)
        store_take_out(store, entry);
}

/* Takes out what the list that ends did not report. */
static void queue_sweep(struct store *store, struct entry_queue *queue, enum object_kind kind)
{
    struct store_entry *entry, *next;

    for (entry = TAILQ_FIRST(queue); entry; entry = next) {
        next = TAILQ_NEXT(entry, link);
        if (entry->identity.kind == kind && entry->list != store->kinds[kind].list)
            store_take_out(store, entry);
    }
}

static void sink_list_end(void *context, enum object_kind kind)
{
    struct store *store = context;
    struct store_kind *listed = &store->kinds[kind];

    if (!listed->listing)
        return;
    listed->listing = false;
    listed->in_sync = true;
    queue_sweep(store, &listed->fresh, kind);
    queue_sweep(store, &store->dirty, kind);
    queue_sweep(store, &listed->clean, kind);
    store->observer.listed(store->observer.context, kind);
    store->observer.changed(store->observer.context);
}

struct source_sink store_sink(struct store *store)
{
    return (struct source_sink){.context = store,
                                .list_begin = sink_list_begin,
                                .object = sink_object,
                                .remove = sink_remove,
                                .keep = sink_keep,
                                .list_end = sink_list_end};
}

int store_new(const struct store_observer *observer, struct store **store)
{
    struct store *created = calloc(1, sizeof(*created));

    if (!created)
        return -ENOMEM;
    hash_bytes("", 0); /* draws its key while the process is not sealed */
    created->observer = *observer;
    TAILQ_INIT(&created->dirty);
    for (int i = 0; i < KINDS; i++) {
        created->kinds[i].entries = HASH_TABLE(entry_equal);
        TAILQ_INIT(&created->kinds[i].fresh);
        TAILQ_INIT(&created->kinds[i].clean);
    }
    *store = created;
    return 0;
}

void store_free(struct store *store)
{
    if (!store)
        return;
    for (int i = 0; i < KINDS; i++)
        hash_clear(&store->kinds[i].entries, entry_release);
    free(store);
}

bool store_in_sync(const struct store *store, enum object_kind kind)
{
    return store->kinds[kind].in_sync;
}

size_t store_count(const struct store *store, enum object_kind kind)
{
    return store->kinds[kind].count;
}

static void queue_forget(struct store *store, struct entry_queue *queue, enum object_kind kind)
{
    struct store_entry *entry, *next;

    for (entry = TAILQ_FIRST(queue); entry; entry = next) {
        next = TAILQ_NEXT(entry, link);
        if (entry->identity.kind != kind)
            continue;
        entry->delivered = false;
        if (entry->data)
            entry_move(entry, &store->kinds[kind].fresh);
        else
            entry_drop(store, entry);
    }
}

void store_snapshot_begin(struct store *store, enum object_kind kind)
{
    store->kinds[kind].delivered = false;
    queue_forget(store, &store->kinds[kind].clean, kind);
    queue_forget(store, &store->dirty, kind);
}

void store_forget_delivery(struct store *store)
{
    for (int kind = 0; kind < KINDS; kind++)
        store_snapshot_begin(store, kind);
}

void store_snapshot_end(struct store *store, enum object_kind kind)
{
    store->kinds[kind].delivered = true;
}

struct store_entry *store_next_fresh(struct store *store, enum object_kind kind)
{
    return TAILQ_FIRST(&store->kinds[kind].fresh);
}

struct store_entry *store_next_dirty(struct store *store)
{
    return TAILQ_FIRST(&store->dirty);
}

int store_entry_record(const struct store_entry *entry, struct record_buffer *buffer)
{
    struct record record = {.type = RECORD_DELETE, .identity = entry->identity};

    if (!entry->data)
        return record_pack(&record, buffer);
    memcpy(buffer->data, entry->data, entry->length);
    buffer->length = entry->length;
    return 0;
}

void store_entry_delivered(struct store *store, struct store_entry *entry)
{
    entry->delivered = true;
    if (entry->data)
        entry_move(entry, &store->kinds[entry->identity.kind].clean);
    else
        entry_drop(store, entry);
}

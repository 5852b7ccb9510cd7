/* SPDX-License-Identifier: Apache-2.0 */
#include "planner/labels.h"

#include <assert.h>

#include "common/hash.h"
#include "planner/stable_hash.h"

struct pair_key {
    string_id key;
    string_id value;
};

/* What a set is looked up by: its labels as they were given, or the set itself. */
struct set_key {
    const struct label_set *same;
    const struct label *labels;
    size_t count;
};

static bool label_pair_equal(const void *item, const void *key)
{
    const struct label_pair *pair = item;
    const struct pair_key *wanted = key;

    return pair->key == wanted->key && pair->value == wanted->value;
}

/* Numbers need strings to be looked up, so the texts are compared: a set that is there already, as
 * most are, costs one look-up. */
static bool label_set_equal(const void *item, const void *key)
{
    const struct label_set *set = item;
    const struct set_key *wanted = key;

    if (wanted->same)
        return set == wanted->same;
    if (set->count != wanted->count)
        return false;
    for (uint32_t i = 0; i < set->count; i++) {
        const struct label_use *use = &set->items[set->items[i].given];

        if (!text_equal(strings_text(set->strings, use->key), wanted->labels[i].key) ||
            !text_equal(strings_text(set->strings, use->value), wanted->labels[i].value))
            return false;
    }
    return true;
}

void label_store_init(struct label_store *store, struct strings *strings)
{
    *store = (struct label_store){
        .strings = strings,
        .pairs = HASH_TABLE(label_pair_equal),
        .sets = HASH_TABLE(label_set_equal),
    };
}

void label_store_clear(struct label_store *store)
{
    hash_clear(&store->sets, NULL);
    hash_clear(&store->pairs, NULL);
}

static uint64_t label_pair_hash(string_id key, string_id value)
{
    return stable_hash_mix((uint64_t)key << 32 | value);
}

struct label_pair *label_pair_acquire(struct label_store *store, string_id key, string_id value)
{
    struct pair_key wanted = {key, value};
    uint64_t hash = label_pair_hash(key, value);
    struct label_pair *pair = hash_find(&store->pairs, hash, &wanted);

    if (!pair) {
        pair = memory_new(1, sizeof(*pair));
        pair->key = strings_share(store->strings, key);
        pair->value = strings_share(store->strings, value);
        memory_hash_add(&store->pairs, hash, pair);
    }
    pair->uses++;
    return pair;
}

void label_pair_release(struct label_store *store, struct label_pair *pair)
{
    struct pair_key key = {pair->key, pair->value};

    if (--pair->uses > 0)
        return;
    hash_remove(&store->pairs, label_pair_hash(pair->key, pair->value), &key);
    strings_release(store->strings, pair->key);
    strings_release(store->strings, pair->value);
    pointers_clear(&pair->sets);
    free(pair);
}

static struct label_pair *label_pair_of(struct label_store *store, const struct label *label)
{
    string_id key = strings_acquire(store->strings, label->key);
    string_id value = strings_acquire(store->strings, label->value);
    struct label_pair *pair = label_pair_acquire(store, key, value);

    strings_release(store->strings, key);
    strings_release(store->strings, value);
    return pair;
}

static bool labels_replaced(const struct label *label, const struct label *extras, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (text_equal(label->key, extras[i].key))
            return true;
    return false;
}

static struct label_use *label_set_use(struct label_set *set, string_id key)
{
    uint32_t low = 0, high = set->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (set->items[middle].key < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low < set->count && set->items[low].key == key ? &set->items[low] : NULL;
}

static int label_use_order(const void *a, const void *b)
{
    const struct label_use *first = a, *second = b;

    return (first->key > second->key) - (first->key < second->key);
}

static struct label_set *label_set_new(struct label_store *store, const struct set_key *key,
                                       uint64_t hash)
{
    struct label_set *set = memory_new(1, sizeof(*set) + key->count * sizeof(set->items[0]));

    set->strings = store->strings;
    set->hash = hash;
    set->count = (uint32_t)key->count;
    for (uint32_t i = 0; i < set->count; i++) {
        struct label_pair *pair = label_pair_of(store, &key->labels[i]);

        set->items[i] = (struct label_use){
            .key = pair->key,
            .value = pair->value,
            .pair = pair,
            .position = pair->sets.count,
        };
        pointers_append(&pair->sets, set);
    }
    qsort(set->items, set->count, sizeof(set->items[0]), label_use_order);
    for (uint32_t i = 0; i < set->count; i++) {
        string_id number = strings_find(store->strings, key->labels[i].key);

        set->items[i].given = (uint32_t)(label_set_use(set, number) - set->items);
    }
    memory_hash_add(&store->sets, hash, set);
    return set;
}

/* Fills `given` (room for all) and returns how many there are. */
static size_t labels_given(const struct labels *labels, const struct label *extras,
                           size_t extra_count, struct label *given)
{
    size_t count = 0;

    for (size_t i = 0; i < labels->count; i++)
        if (!labels_replaced(&labels->items[i], extras, extra_count))
            given[count++] = labels->items[i];
    for (size_t i = 0; i < extra_count; i++)
        given[count++] = extras[i];
    return count;
}

static uint64_t label_set_hash(const struct set_key *key)
{
    uint64_t hash = STABLE_HASH_START;

    for (size_t i = 0; i < key->count; i++) {
        const struct label *label = &key->labels[i];

        hash = stable_hash_mix(hash ^ hash_bytes(label->key.data, label->key.length));
        hash = stable_hash_mix(hash ^ hash_bytes(label->value.data, label->value.length));
    }
    return hash;
}

struct label_set *label_set_acquire(struct label_store *store, const struct labels *labels,
                                    const struct label *extras, size_t extra_count)
{
    struct label few[32];
    size_t room = labels->count + extra_count;
    _cleanup_free_ struct label *many =
        room > ARRAY_SIZE(few) ? memory_new(room, sizeof(*many)) : NULL;
    struct label *given = many ? many : few;
    struct set_key key = {NULL, given, labels_given(labels, extras, extra_count, given)};
    uint64_t hash = label_set_hash(&key);
    struct label_set *set = hash_find(&store->sets, hash, &key);

    if (!set)
        set = label_set_new(store, &key, hash);
    set->uses++;
    return set;
}

string_id label_set_value(const struct label_set *set, string_id key)
{
    const struct label_use *use = set ? label_set_use((struct label_set *)set, key) : NULL;

    return use ? use->value : STRING_NONE;
}

/* Takes a set out of a pair's list: the last one moves into its place. */
static void label_pair_forget(struct label_pair *pair, uint32_t position)
{
    struct label_set *last = pair->sets.items[pair->sets.count - 1];
    struct label_use *use;

    pair->sets.items[position] = last;
    use = label_set_use(last, pair->key);
    assert(use); /* a set in the list has the pair */
    use->position = position;
    pair->sets.count--;
}

void label_set_release(struct label_store *store, struct label_set *set)
{
    if (!set || --set->uses > 0)
        return;
    hash_remove(&store->sets, set->hash, &(struct set_key){.same = set});
    for (uint32_t i = 0; i < set->count; i++) {
        label_pair_forget(set->items[i].pair, set->items[i].position);
        label_pair_release(store, set->items[i].pair);
    }
    free(set);
}

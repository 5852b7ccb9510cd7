/* SPDX-License-Identifier: Apache-2.0 */
#include "planner/labels.h"

#include <assert.h>

#include "planner/stable_hash.h"

struct pair_key {
    string_id key;
    string_id value;
};

/* What a set is looked up by: pairs sorted by key number. */
struct set_key {
    struct label_pair *const *pairs;
    size_t count;
};

static bool label_pair_equal(const void *item, const void *key)
{
    const struct label_pair *pair = item;
    const struct pair_key *wanted = key;

    return pair->key == wanted->key && pair->value == wanted->value;
}

static bool label_set_equal(const void *item, const void *key)
{
    const struct label_set *set = item;
    const struct set_key *wanted = key;

    if (set->count != wanted->count)
        return false;
    for (size_t i = 0; i < wanted->count; i++)
        if (set->items[i].pair != wanted->pairs[i])
            return false;
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

static int label_pair_order(const void *a, const void *b)
{
    const struct label_pair *first = *(struct label_pair *const *)a;
    const struct label_pair *second = *(struct label_pair *const *)b;

    return (first->key > second->key) - (first->key < second->key);
}

/* Fills `pairs` (room for all) and returns how many there are. */
static size_t label_pairs_collect(struct label_store *store, const struct labels *labels,
                                  const struct label *extras, size_t extra_count,
                                  struct label_pair **pairs)
{
    size_t count = 0;

    for (size_t i = 0; i < labels->count; i++)
        if (!labels_replaced(&labels->items[i], extras, extra_count))
            pairs[count++] = label_pair_of(store, &labels->items[i]);
    for (size_t i = 0; i < extra_count; i++)
        pairs[count++] = label_pair_of(store, &extras[i]);
    qsort(pairs, count, sizeof(pairs[0]), label_pair_order);
    return count;
}

/* A new set, which takes over the references to its pairs. */
static struct label_set *label_set_new(struct label_store *store, const struct set_key *key,
                                       uint64_t hash)
{
    struct label_set *set = memory_new(1, sizeof(*set) + key->count * sizeof(set->items[0]));

    set->hash = hash;
    set->count = (uint32_t)key->count;
    for (size_t i = 0; i < key->count; i++) {
        struct label_pair *pair = key->pairs[i];

        set->items[i] = (struct label_use){pair->key, pair->value, pair, pair->sets.count};
        pointers_append(&pair->sets, set);
    }
    memory_hash_add(&store->sets, hash, set);
    return set;
}

struct label_set *label_set_acquire(struct label_store *store, const struct labels *labels,
                                    const struct label *extras, size_t extra_count)
{
    struct label_pair *few[32];
    size_t room = labels->count + extra_count;
    _cleanup_free_ struct label_pair **many =
        room > ARRAY_SIZE(few) ? memory_new(room, sizeof(*many)) : NULL;
    struct label_pair **pairs = many ? many : few;
    struct set_key key = {pairs, label_pairs_collect(store, labels, extras, extra_count, pairs)};
    uint64_t hash = STABLE_HASH_START;

    for (size_t i = 0; i < key.count; i++)
        hash = stable_hash_mix(hash ^ label_pair_hash(pairs[i]->key, pairs[i]->value));

    struct label_set *set = hash_find(&store->sets, hash, &key);

    if (set)
        for (size_t i = 0; i < key.count; i++)
            label_pair_release(store, pairs[i]);
    else
        set = label_set_new(store, &key, hash);
    set->uses++;
    return set;
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
    _cleanup_free_ struct label_pair **pairs = memory_new(set->count, sizeof(*pairs));

    for (uint32_t i = 0; i < set->count; i++)
        pairs[i] = set->items[i].pair;
    hash_remove(&store->sets, set->hash, &(struct set_key){pairs, set->count});
    for (uint32_t i = 0; i < set->count; i++) {
        label_pair_forget(set->items[i].pair, set->items[i].position);
        label_pair_release(store, set->items[i].pair);
    }
    free(set);
}

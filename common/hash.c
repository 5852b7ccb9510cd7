/* SPDX-License-Identifier: Apache-2.0 */
#include "common/hash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/log.h"

/* Open addressing with linear probing; a removal shifts later items of the run back, so that there
 * are no tombstones. */
struct hash_slot {
    uint64_t hash;
    void *item;
};

struct siphash {
    uint64_t v0, v1, v2, v3;
};

static uint64_t rotate_left(uint64_t value, unsigned bits)
{
    return value << bits | value >> (64 - bits);
}

static void siphash_round(struct siphash *s)
{
    s->v0 += s->v1;
    s->v1 = rotate_left(s->v1, 13) ^ s->v0;
    s->v0 = rotate_left(s->v0, 32);
    s->v2 += s->v3;
    s->v3 = rotate_left(s->v3, 16) ^ s->v2;
    s->v0 += s->v3;
    s->v3 = rotate_left(s->v3, 21) ^ s->v0;
    s->v2 += s->v1;
    s->v1 = rotate_left(s->v1, 17) ^ s->v2;
    s->v2 = rotate_left(s->v2, 32);
}

static void siphash_word(struct siphash *s, uint64_t word)
{
    s->v3 ^= word;
    siphash_round(s);
    s->v0 ^= word;
}

static const uint64_t *hash_key(void)
{
    static uint64_t key[2];
    static bool drawn;

    if (!drawn) {
        ssize_t length;

        do
            length = getrandom(key, sizeof(key), 0);
        while (length < 0 && errno == EINTR);
        if (length != sizeof(key)) {
            log_error("the kernel gives no random numbers: the daemon ends and starts again",
                      log_errno(errno));
            exit(EXIT_FAILURE);
        }
        drawn = true;
    }
    return key;
}

uint64_t hash_bytes(const void *data, size_t length)
{
    const uint64_t *key = hash_key();
    const unsigned char *bytes = data;
    struct siphash s = {
        .v0 = key[0] ^ 0x736f6d6570736575ULL,
        .v1 = key[1] ^ 0x646f72616e646f6dULL,
        .v2 = key[0] ^ 0x6c7967656e657261ULL,
        .v3 = key[1] ^ 0x7465646279746573ULL,
    };
    uint64_t word;
    size_t left = length;

    for (; left >= sizeof(word); left -= sizeof(word), bytes += sizeof(word)) {
        memcpy(&word, bytes, sizeof(word));
        siphash_word(&s, word);
    }
    word = 0;
    if (left)
        memcpy(&word, bytes, left);
    siphash_word(&s, word ^ (uint64_t)length << 56);
    s.v2 ^= 0xff;
    for (int i = 0; i < 3; i++)
        siphash_round(&s);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

static size_t hash_position(const struct hash_table *table, uint64_t hash)
{
    return (size_t)(hash ^ hash >> 32) & (table->capacity - 1);
}

/* The position of the item with this key, or of the free slot that ends its run. */
static size_t hash_seek(const struct hash_table *table, uint64_t hash, const void *key)
{
    size_t i = hash_position(table, hash);

    while (table->slots[i].item &&
           !(table->slots[i].hash == hash && table->equal(table->slots[i].item, key)))
        i = (i + 1) & (table->capacity - 1);
    return i;
}

void *hash_find(const struct hash_table *table, uint64_t hash, const void *key)
{
    return table->capacity ? table->slots[hash_seek(table, hash, key)].item : NULL;
}

static void hash_place(struct hash_table *table, struct hash_slot slot)
{
    size_t i = hash_position(table, slot.hash);

    while (table->slots[i].item)
        i = (i + 1) & (table->capacity - 1);
    table->slots[i] = slot;
}

static int hash_grow(struct hash_table *table)
{
    struct hash_table larger = *table;

    larger.capacity = table->capacity ? table->capacity * 2 : 16;
    larger.slots = calloc(larger.capacity, sizeof(*larger.slots));
    if (!larger.slots)
        return -ENOMEM;
    for (size_t i = 0; i < table->capacity; i++)
        if (table->slots[i].item)
            hash_place(&larger, table->slots[i]);
    free(table->slots);
    *table = larger;
    return 0;
}

int hash_add(struct hash_table *table, uint64_t hash, void *item)
{
    if (table->count + 1 > table->capacity / 4 * 3) {
        int result = hash_grow(table);

        if (result)
            return result;
    }
    hash_place(table, (struct hash_slot){hash, item});
    table->count++;
    return 0;
}

/* Frees slot i and moves back whatever can no longer be reached across the gap. */
static void hash_close_gap(struct hash_table *table, size_t i)
{
    const size_t mask = table->capacity - 1;

    for (size_t next = (i + 1) & mask; table->slots[next].item; next = (next + 1) & mask) {
        size_t home = hash_position(table, table->slots[next].hash);

        if (((next - home) & mask) >= ((next - i) & mask)) {
            table->slots[i] = table->slots[next];
            i = next;
        }
    }
    table->slots[i].item = NULL;
}

void *hash_remove(struct hash_table *table, uint64_t hash, const void *key)
{
    if (!table->capacity)
        return NULL;
    size_t i = hash_seek(table, hash, key);
    void *item = table->slots[i].item;

    if (item) {
        hash_close_gap(table, i);
        table->count--;
    }
    return item;
}

void *hash_next(const struct hash_table *table, size_t *cursor)
{
    while (*cursor < table->capacity) {
        void *item = table->slots[(*cursor)++].item;

        if (item)
            return item;
    }
    return NULL;
}

void hash_clear(struct hash_table *table, void (*release)(void *item))
{
    for (size_t i = 0; release && i < table->capacity; i++)
        if (table->slots[i].item)
            release(table->slots[i].item);
    free(table->slots);
    table->slots = NULL;
    table->capacity = table->count = 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Maps in memory, as the BPF object describes them, and the datapath's variables. */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/btf.h>

#include "native.h"

enum { BUCKETS = 1024 };

struct native_element {
    struct native_element *next;
    uint64_t age; /* for maps that forget the oldest */
    uint8_t key[64];
    uint8_t value[] __attribute__((aligned(8)));
};

static struct native_map maps[NATIVE_MAPS];
static int map_count;
static struct native_element *deleted;
static uint64_t ages;

static void fail(const char *what, const char *name)
{
    fprintf(stderr, "native datapath: %s: %s\n", what, name);
    exit(1);
}

static bool is_array(const struct native_map *map)
{
    return map->type == BPF_MAP_TYPE_ARRAY || map->type == BPF_MAP_TYPE_PERCPU_ARRAY;
}

static size_t value_room(const struct native_map *map)
{
    size_t size = (map->value_size + 7U) & ~7U;

    if (map->type == BPF_MAP_TYPE_PERCPU_ARRAY || map->type == BPF_MAP_TYPE_PERCPU_HASH ||
        map->type == BPF_MAP_TYPE_LRU_PERCPU_HASH)
        return size * (size_t)libbpf_num_possible_cpus();
    return map->type == BPF_MAP_TYPE_ARRAY ? size : map->value_size;
}

size_t native_value_size(const struct native_map *map)
{
    return map->type == BPF_MAP_TYPE_ARRAY ? map->value_size : value_room(map);
}

struct native_map *native_map_named(const char *name)
{
    for (int i = 0; i < map_count; i++)
        if (!strcmp(maps[i].name, name))
            return &maps[i];
    return NULL;
}

struct native_map *native_map_at(int number)
{
    return number >= 0 && number < map_count ? &maps[number] : NULL;
}

int native_map_number(const struct native_map *map)
{
    return (int)(map - maps);
}

static struct native_map *map_of(void *variable)
{
    for (int i = 0; i < map_count; i++)
        if (maps[i].variable == variable)
            return &maps[i];
    fail("no such map", "by address");
    return NULL;
}

static uint32_t bucket_of(const struct native_map *map, const void *key)
{
    uint32_t hash = 2166136261U;

    for (uint32_t i = 0; i < map->key_size; i++)
        hash = (hash ^ ((const uint8_t *)key)[i]) * 16777619U;
    return hash % BUCKETS;
}

static struct native_element **element_place(struct native_map *map, const void *key)
{
    struct native_element **place = &map->buckets[bucket_of(map, key)];

    while (*place && memcmp((*place)->key, key, map->key_size) != 0)
        place = &(*place)->next;
    return place;
}

static bool prefix_matches(const uint8_t *prefix, const uint8_t *data, uint32_t bits)
{
    if (memcmp(prefix, data, bits / 8) != 0)
        return false;
    return bits % 8 == 0 || (prefix[bits / 8] ^ data[bits / 8]) >> (8 - bits % 8) == 0;
}

static void *lpm_find(struct native_map *map, const void *key)
{
    struct native_element *best = NULL;
    uint32_t most = 0, wanted;

    memcpy(&wanted, key, sizeof(wanted));
    for (int i = 0; i < BUCKETS; i++) {
        for (struct native_element *item = map->buckets[i]; item; item = item->next) {
            uint32_t bits;

            memcpy(&bits, item->key, sizeof(bits));
            if (bits <= wanted && (!best || bits > most) &&
                prefix_matches(item->key + 4, (const uint8_t *)key + 4, bits)) {
                best = item;
                most = bits;
            }
        }
    }
    return best ? best->value : NULL;
}

static void *array_find(struct native_map *map, uint32_t index)
{
    if (index >= map->max_entries)
        return NULL;
    for (uint32_t i = 0; i < map->touched_count && i < NATIVE_TOUCHED; i++)
        if (map->touched[i] == index)
            return map->values + index * value_room(map);
    if (map->touched_count < NATIVE_TOUCHED)
        map->touched[map->touched_count] = index;
    if (map->touched_count <= NATIVE_TOUCHED)
        map->touched_count++;
    return map->values + index * value_room(map);
}

static void array_clear(struct native_map *map)
{
    if (map->touched_count > NATIVE_TOUCHED)
        memset(map->values, 0, map->max_entries * value_room(map));
    for (uint32_t i = 0; i < map->touched_count && map->touched_count <= NATIVE_TOUCHED; i++)
        memset(map->values + map->touched[i] * value_room(map), 0, value_room(map));
    map->touched_count = 0;
}

static void *element_find(struct native_map *map, const void *key)
{
    struct native_element *item;
    uint32_t index;

    if (is_array(map)) {
        memcpy(&index, key, sizeof(index));
        return array_find(map, index);
    }
    if (map->type == BPF_MAP_TYPE_LPM_TRIE)
        return lpm_find(map, key);
    item = *element_place(map, key);
    if (item)
        item->age = ++ages;
    return item ? item->value : NULL;
}

static void element_drop(struct native_map *map, struct native_element **place)
{
    struct native_element *item = *place;

    *place = item->next;
    item->next = deleted; /* a program may hold it still */
    deleted = item;
    map->count--;
}

static void oldest_drop(struct native_map *map)
{
    struct native_element **oldest = NULL;

    for (int i = 0; i < BUCKETS; i++)
        for (struct native_element **place = &map->buckets[i]; *place; place = &(*place)->next)
            if (!oldest || (*place)->age < (*oldest)->age)
                oldest = place;
    if (oldest)
        element_drop(map, oldest);
}

static int element_add(struct native_map *map, const void *key, const void *value)
{
    struct native_element *item, **place;

    if (map->count >= map->max_entries) {
        if (map->type != BPF_MAP_TYPE_LRU_HASH)
            return map->type == BPF_MAP_TYPE_LPM_TRIE ? -ENOSPC : -E2BIG;
        oldest_drop(map);
    }
    item = calloc(1, sizeof(*item) + value_room(map));
    if (!item)
        return -ENOMEM;
    memcpy(item->key, key, map->key_size);
    memcpy(item->value, value, map->value_size);
    item->age = ++ages;
    place = &map->buckets[bucket_of(map, key)];
    item->next = *place;
    *place = item;
    map->count++;
    return 0;
}

int native_element_put(struct native_map *map, const void *key, const void *value, uint64_t flags)
{
    struct native_element **place;
    void *found;

    if (is_array(map)) {
        found = element_find(map, key);
        if (flags == BPF_NOEXIST)
            return -EEXIST;
        if (!found)
            return -E2BIG;
        memcpy(found, value, native_value_size(map));
        return 0;
    }
    place = element_place(map, key);
    if (*place && flags == BPF_NOEXIST)
        return -EEXIST;
    if (!*place && flags == BPF_EXIST)
        return -ENOENT;
    if (*place)
        element_drop(map, place); /* as in the kernel: who holds the old value sees no change */
    return element_add(map, key, value);
}

int native_element_get(struct native_map *map, const void *key, void *value)
{
    void *found = element_find(map, key);

    if (!found)
        return -ENOENT;
    memcpy(value, found, native_value_size(map));
    return 0;
}

int native_element_delete(struct native_map *map, const void *key)
{
    struct native_element **place;

    if (is_array(map))
        return -EINVAL;
    place = element_place(map, key);
    if (!*place)
        return -ENOENT;
    element_drop(map, place);
    return 0;
}

static int array_next(const struct native_map *map, const void *key, void *next)
{
    uint32_t index = UINT32_MAX;

    if (key)
        memcpy(&index, key, sizeof(index));
    index = index >= map->max_entries ? 0 : index + 1;
    if (index >= map->max_entries)
        return -ENOENT;
    memcpy(next, &index, sizeof(index));
    return 0;
}

int native_element_next(struct native_map *map, const void *key, void *next)
{
    struct native_element *item = NULL;
    int bucket = 0;

    if (is_array(map))
        return array_next(map, key, next);
    if (key)
        item = *element_place(map, key);
    if (item) {
        bucket = (int)bucket_of(map, key) + 1;
        item = item->next;
    }
    for (; !item && bucket < BUCKETS; bucket++)
        item = map->buckets[bucket];
    if (!item)
        return -ENOENT;
    memcpy(next, item->key, map->key_size);
    return 0;
}

void native_elements_settle(void)
{
    while (deleted) {
        struct native_element *next = deleted->next;

        free(deleted);
        deleted = next;
    }
}

void native_maps_clear(void)
{
    for (int i = 0; i < map_count; i++) {
        struct native_map *map = &maps[i];

        for (int bucket = 0; map->count > 0 && bucket < BUCKETS; bucket++)
            while (map->buckets[bucket])
                element_drop(map, &map->buckets[bucket]);
        if (map->values)
            array_clear(map);
    }
    native_elements_settle();
}

/* ---- As the programs see them: a value for each processor is that of the first. */

void *native_map_lookup(void *variable, const void *key)
{
    struct native_map *map = map_of(variable);
    void *found;

    if (++native_kernel.lookups == native_kernel.failing_lookup)
        return NULL;
    found = element_find(map, key);
    if (found && native_kernel.found)
        native_kernel.found(map, found);
    return found;
}

long native_map_update(void *variable, const void *key, const void *value, uint64_t flags)
{
    struct native_map *map = map_of(variable);
    void *found;

    if (native_call_fails())
        return -ENOMEM;
    if (!is_array(map))
        return native_element_put(map, key, value, flags);
    found = element_find(map, key);
    if (!found)
        return -E2BIG;
    memcpy(found, value, map->value_size);
    return 0;
}

long native_map_delete(void *variable, const void *key)
{
    return native_element_delete(map_of(variable), key);
}

/* ---- Loading */

static void map_add(const struct bpf_map *described)
{
    struct native_map *map = &maps[map_count];

    *map = (struct native_map){
        .name = strdup(bpf_map__name(described)),
        .type = bpf_map__type(described),
        .key_size = bpf_map__key_size(described),
        .value_size = bpf_map__value_size(described),
        .max_entries = bpf_map__max_entries(described),
    };
    map->variable = dlsym(RTLD_DEFAULT, map->name);
    if (!map->variable || map->key_size > sizeof(((struct native_element *)0)->key) ||
        map_count + 1 == NATIVE_MAPS)
        fail("map is not in the datapath, or too large", map->name);
    if (is_array(map))
        map->values = calloc(map->max_entries, value_room(map));
    else
        map->buckets = calloc(BUCKETS, sizeof(map->buckets[0]));
    if (!map->values && !map->buckets)
        fail("no memory", map->name);
    map_count++;
}

static void maps_forget(void)
{
    native_maps_clear();
    for (int i = 0; i < map_count; i++) {
        free((void *)maps[i].name);
        free(maps[i].buckets);
        free(maps[i].values);
    }
    map_count = 0;
}

/* Constants are in pages that only loading writes to. */
static void variable_set(const char *name, const void *value, size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *variable = dlsym(RTLD_DEFAULT, name);
    uintptr_t first = (uintptr_t)variable & ~(page - 1);
    uintptr_t end = ((uintptr_t)variable + size + page - 1) & ~(page - 1);

    if (!variable) /* static: the compiler may have left it out */
        return;
    if (mprotect((void *)first, end - first, PROT_READ | PROT_WRITE) < 0)
        fail("cannot be written", name);
    memcpy(variable, value, size);
}

/* The variables of a section: where they are in its bytes, the object's types tell. */
static void variables_set(const struct btf *btf, const struct bpf_map *section)
{
    size_t size;
    const uint8_t *bytes = bpf_map__initial_value((struct bpf_map *)section, &size);
    const char *name = strchr(bpf_map__name(section), '.');
    int id = name ? btf__find_by_name_kind(btf, name, BTF_KIND_DATASEC) : -1;
    const struct btf_type *type = id > 0 ? btf__type_by_id(btf, (uint32_t)id) : NULL;

    if (!bytes || !type)
        return;
    for (int i = 0; i < btf_vlen(type); i++) {
        const struct btf_var_secinfo *place = &btf_var_secinfos(type)[i];
        const struct btf_type *variable = btf__type_by_id(btf, place->type);

        if (place->offset + place->size <= size)
            variable_set(btf__name_by_offset(btf, variable->name_off), bytes + place->offset,
                         place->size);
    }
}

void native_load(struct bpf_object *object)
{
    const struct btf *btf = bpf_object__btf(object);
    struct bpf_map *map;

    maps_forget();
    bpf_object__for_each_map(map, object)
    {
        if (bpf_map__is_internal(map))
            variables_set(btf, map);
        else
            map_add(map);
    }
}

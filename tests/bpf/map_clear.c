// SPDX-License-Identifier: Apache-2.0
#include "map_clear.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdlib.h>

#include <bpf/bpf.h>
#include <cmocka.h>

#define KEY_LONGEST 256

static size_t value_size(const struct bpf_map *map)
{
    size_t size = bpf_map__value_size(map);

    if (bpf_map__type(map) != BPF_MAP_TYPE_PERCPU_ARRAY)
        return size;
    return (size + 7) / 8 * 8 * (size_t)libbpf_num_possible_cpus();
}

static void array_clear(const struct bpf_map *map)
{
    __u32 count = bpf_map__max_entries(map);
    uint32_t *indexes = calloc(count, sizeof(*indexes));
    void *zeroes = calloc(count, value_size(map));

    assert_non_null(indexes);
    assert_non_null(zeroes);
    for (uint32_t i = 0; i < count; i++)
        indexes[i] = i;
    assert_int_equal(bpf_map_update_batch(bpf_map__fd(map), indexes, zeroes, &count, NULL), 0);
    assert_int_equal(count, bpf_map__max_entries(map));
    free(zeroes);
    free(indexes);
}

static void table_clear(const struct bpf_map *map)
{
    uint8_t key[KEY_LONGEST];
    int fd = bpf_map__fd(map);

    assert_in_range(bpf_map__key_size(map), 1, KEY_LONGEST);
    while (bpf_map_get_next_key(fd, NULL, key) == 0)
        assert_int_equal(bpf_map_delete_elem(fd, key), 0);
}

void maps_clear(const struct bpf_object *object)
{
    struct bpf_map *map;

    bpf_object__for_each_map(map, object)
    {
        if (bpf_map__is_internal(map))
            continue;
        if (bpf_map__type(map) == BPF_MAP_TYPE_ARRAY ||
            bpf_map__type(map) == BPF_MAP_TYPE_PERCPU_ARRAY)
            array_clear(map);
        else
            table_clear(map);
    }
}

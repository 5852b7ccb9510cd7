/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/percpu.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>

int percpu_open(struct percpu *percpu, size_t value_size)
{
    int processors = libbpf_num_possible_cpus();
    size_t size = (value_size + 7) & ~(size_t)7;

    *percpu = (struct percpu){0};
    if (processors < 0)
        return processors;
    percpu->values = calloc((size_t)processors, size);
    if (!percpu->values)
        return -ENOMEM;
    percpu->processors = (unsigned)processors;
    percpu->size = size;
    return 0;
}

void percpu_close(struct percpu *percpu)
{
    free(percpu->values);
    *percpu = (struct percpu){0};
}

int percpu_read(struct percpu *percpu, int map, __u32 index)
{
    return bpf_map_lookup_elem(map, &index, percpu->values);
}

int percpu_sum(struct percpu *percpu, int map, __u32 index, struct counter *total)
{
    int error = percpu_read(percpu, map, index);

    *total = (struct counter){0};
    for (unsigned i = 0; !error && i < percpu->processors; i++) {
        const struct counter *counter = percpu_value(percpu, i);

        total->packets += counter->packets;
        total->bytes += counter->bytes;
    }
    return error;
}

int percpu_clear(struct percpu *percpu, int map, __u32 index)
{
    memset(percpu->values, 0, percpu->processors * percpu->size);
    return bpf_map_update_elem(map, &index, percpu->values, BPF_ANY);
}

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOADER_PERCPU_H
#define LOADER_PERCPU_H

#include <egressgw/layout.h>
#include <stddef.h>

#include "common/macros.h"

/* Room for the values that all processors have of one element of a per-CPU array. */
struct percpu {
    unsigned processors;
    size_t size; /* of one value, bytes: a multiple of eight */
    unsigned char *values;
};

/* Reads the number of processors from the system: before a process is sealed. -ENOMEM. */
int percpu_open(struct percpu *percpu, size_t value_size) _must_check_;
void percpu_close(struct percpu *percpu);

/* Reads an element of the map. */
int percpu_read(struct percpu *percpu, int map, __u32 index) _must_check_;

/* What one processor had in the element that was read last. */
static inline const void *percpu_value(const struct percpu *percpu, unsigned processor)
{
    return percpu->values + processor * percpu->size;
}

/* Reads a counter and adds it up; `percpu` is one for struct counter. */
int percpu_sum(struct percpu *percpu, int map, __u32 index, struct counter *total) _must_check_;

/* Sets an element to zero on all processors. */
int percpu_clear(struct percpu *percpu, int map, __u32 index) _must_check_;

#endif

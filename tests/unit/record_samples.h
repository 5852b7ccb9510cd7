/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_RECORD_SAMPLES_H
#define TESTS_RECORD_SAMPLES_H

#include "ipc/record.h"

/* A small generator of its own: the same seed gives the same numbers everywhere. */
uint32_t sample_number(uint64_t *seed, uint32_t below);

/* A record that may be sent, with random contents that live in `arena`. */
struct record sample_record(struct arena *arena, uint64_t *seed, enum record_type type);
struct object sample_object(struct arena *arena, uint64_t *seed, enum object_kind kind);
struct table_entry sample_entry(uint64_t *seed, enum table table);

#endif

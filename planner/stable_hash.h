/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PLANNER_STABLE_HASH_H
#define PLANNER_STABLE_HASH_H

#include <stddef.h>
#include <stdint.h>

/*
 * Hashes that are the same in every process, on every node and in every version: what they decide
 * (slots, numbers) must agree without anybody talking about it. Never change them. They are not
 * meant for hash tables: see hash_bytes().
 */

#define STABLE_HASH_START 0xcbf29ce484222325ULL

/* FNV-1a; `hash` is STABLE_HASH_START or the result for what stands before. */
static inline uint64_t stable_hash_bytes(uint64_t hash, const void *data, size_t length)
{
    const unsigned char *bytes = data;

    for (size_t i = 0; i < length; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3ULL;
    return hash;
}

/* The finalizer of MurmurHash3: every bit of the input changes half of the output. */
static inline uint64_t stable_hash_mix(uint64_t value)
{
    value = (value ^ value >> 33) * 0xff51afd7ed558ccdULL;
    value = (value ^ value >> 33) * 0xc4ceb9fe1a85ec53ULL;
    return value ^ value >> 33;
}

#endif

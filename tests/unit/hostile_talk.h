/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_HOSTILE_TALK_H
#define TESTS_HOSTILE_TALK_H

#include "ipc/record.h"

/* What a peer that has been taken over says: a real conversation, changed at random. */

enum { HOSTILE_RECORDS = 32 };

/* What a peer says from its connection on; memory of the structure itself. */
struct hostile_talk {
    struct record_buffer records[HOSTILE_RECORDS];
    size_t count;
};

/* Packs a record and appends it. */
void hostile_say(struct hostile_talk *talk, const struct record *record);

/* Appends a report, or a part of it, of twenty egress IPs, beginning with this number of one. */
void hostile_say_report(struct hostile_talk *talk, bool first, bool last, uint32_t from);

/* Makes it a copy of the other one. */
void hostile_repeat(struct hostile_talk *talk, const struct hostile_talk *other);

/* The generation of a record that is not changed yet; record_set_generation() sets it. */
uint64_t hostile_generation(const struct record_buffer *record);

/* Changes it: bytes, lengths, counts, types, generations, order, repetitions, an early end. */
void hostile_mutate(struct hostile_talk *talk, uint64_t *seed);

#endif

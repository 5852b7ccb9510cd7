/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PLANNER_SLOTS_H
#define PLANNER_SLOTS_H

#include <egressgw/layout.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Which gateway each slot of a group belongs to: computed from the identities of the entries in the
 * policy's list and from which of them can be used now, so that every node comes to the same table.
 *
 * Shares of entries in use differ by at most one slot. An entry at the end of the list takes its
 * share from the others and moves nothing else. An entry that falls out leaves its slots to the
 * others; where it is the only one, nothing else moves. An entry that is put into the list or taken
 * out of it elsewhere moves some slots more, because those behind it take their shares anew, each
 * where it took it before as far as possible.
 *
 * `count` is 1 to 255; at least one entry is in use.
 */
void slots_fill(size_t count, const uint64_t *identities, const bool *in_use,
                uint8_t slots[GATEWAY_SLOTS]);

#endif

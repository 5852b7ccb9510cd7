/* SPDX-License-Identifier: Apache-2.0 */
#include "planner/slots.h"

#include "planner/stable_hash.h"

enum { ENTRIES_LIMIT = 256, ENTRY_UNUSED = UINT8_MAX };

/* A walk over all slots in an order of its own for each entry. */
struct slot_walk {
    uint32_t slot;
    uint32_t step; /* odd, so that every slot is met once */
};

static struct slot_walk slot_walk_start(uint64_t identity)
{
    uint64_t hash = stable_hash_mix(identity);

    return (struct slot_walk){(uint32_t)(hash % GATEWAY_SLOTS),
                              (uint32_t)(hash >> 32 | 1) % GATEWAY_SLOTS};
}

static uint32_t slot_walk_next(struct slot_walk *walk)
{
    walk->slot = (walk->slot + walk->step) % GATEWAY_SLOTS;
    return walk->slot;
}

/* How many slots each of the first `count` entries gives up so that the next one gets `wanted`:
 * always one of the fullest, the later one where several are. */
static void slots_plan_take(const uint16_t *shares, size_t count, unsigned wanted, uint16_t *give)
{
    for (size_t i = 0; i < count; i++)
        give[i] = 0;
    while (wanted-- > 0) {
        size_t fullest = 0;

        for (size_t i = 1; i < count; i++)
            if (shares[i] - give[i] >= shares[fullest] - give[fullest])
                fullest = i;
        give[fullest]++;
    }
}

static void slots_add_entry(uint8_t *slots, uint16_t *shares, size_t entry, uint64_t identity)
{
    unsigned wanted = GATEWAY_SLOTS / (unsigned)(entry + 1);
    struct slot_walk walk = slot_walk_start(identity);
    uint16_t give[ENTRIES_LIMIT];

    slots_plan_take(shares, entry, wanted, give);
    for (int i = 0; i < GATEWAY_SLOTS; i++) {
        uint32_t slot = slot_walk_next(&walk);
        uint8_t owner = slots[slot];

        if (give[owner] == 0)
            continue;
        give[owner]--;
        shares[owner]--;
        shares[entry]++;
        slots[slot] = (uint8_t)entry;
    }
}

/* The entry in use that ranks highest for a slot among those with fewer than `limit` slots, or
 * ENTRY_UNUSED. */
static uint8_t slots_rank(uint32_t slot, size_t count, const uint64_t *identities,
                          const bool *in_use, const uint16_t *shares, unsigned limit)
{
    uint8_t best = ENTRY_UNUSED;
    uint64_t best_rank = 0;

    for (size_t i = 0; i < count; i++) {
        uint64_t rank = stable_hash_mix(identities[i] ^ slot);

        if (in_use[i] && shares[i] < limit && (best == ENTRY_UNUSED || rank > best_rank)) {
            best = (uint8_t)i;
            best_rank = rank;
        }
    }
    return best;
}

/* Gives slots whose entry is not in use to the others: first up to the share that all of them
 * have, then what is left. */
static void slots_hand_over(uint8_t *slots, uint16_t *shares, size_t count,
                            const uint64_t *identities, const bool *in_use)
{
    unsigned used = 0, share;

    for (size_t i = 0; i < count; i++)
        used += in_use[i];
    share = GATEWAY_SLOTS / used;
    for (uint32_t slot = 0; slot < GATEWAY_SLOTS; slot++) {
        uint8_t owner = slots[slot];

        if (in_use[owner])
            continue;
        owner = slots_rank(slot, count, identities, in_use, shares, share);
        if (owner == ENTRY_UNUSED)
            owner = slots_rank(slot, count, identities, in_use, shares, share + 1);
        shares[owner]++;
        slots[slot] = owner;
    }
}

void slots_fill(size_t count, const uint64_t *identities, const bool *in_use,
                uint8_t slots[GATEWAY_SLOTS])
{
    uint16_t shares[ENTRIES_LIMIT] = {[0] = GATEWAY_SLOTS};

    for (int i = 0; i < GATEWAY_SLOTS; i++)
        slots[i] = 0;
    for (size_t entry = 1; entry < count; entry++)
        slots_add_entry(slots, shares, entry, identities[entry]);
    slots_hand_over(slots, shares, count, identities, in_use);
}

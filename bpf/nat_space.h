/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef EGRESSGW_BPF_NAT_SPACE_H
#define EGRESSGW_BPF_NAT_SPACE_H

/*
 * Which ports of an egress IP look free towards a crowded destination: a remote end, where most
 * ports are taken, and guessing would take the longer the fewer are left. Such a destination gets a
 * space, with a bit for each usable port, as nat_port() numbers them. The claims in nat_reverse
 * alone decide, and nothing has to keep the bits in step with them: one that is wrongly clear costs
 * a try; one that is wrongly set, since its mapping has ended, is cleared when the claims of its
 * word are read again. Each word is read once in a round: one with each port that is taken, and up
 * to NAT_SPACE_READS by a packet where no port looks free. So a round that has found nothing shows
 * that there was nothing; the next one may begin a second later.
 */

#include "nat_port.h"

#define NAT_SPACES       64
#define NAT_SPACE_WAYS   4 /* spaces that one destination may have, a power of two */
#define NAT_SPACE_SETS   (NAT_SPACES / NAT_SPACE_WAYS)
#define NAT_SPACE_WORDS  1024 /* of 64 ports */
#define NAT_SPACE_READ   (NAT_SPACE_WORDS + 1)
#define NAT_PORT_BUSY    0x10000 /* neither is the number of a port */
#define NAT_PORT_NONE    0x10001
#define NAT_SPACE_STRIDE 1021 /* between words read one after the other; a prime */
#define NAT_SPACE_READS  256  /* words that one packet may read */

#define NAT_SPACE_ROUND (1ULL * 1000000000 >> DATAPATH_TICK_SHIFT)  /* ticks, at least */
#define NAT_SPACE_KEPT  (10ULL * 1000000000 >> DATAPATH_TICK_SHIFT) /* after its last use */

struct nat_space {
    __u64 words[NAT_SPACE_WORDS];     /* a bit for each port, set: taken */
    __u64 full[NAT_SPACE_WORDS / 64]; /* a bit for each word, set: no port in it looks free */
    __u32 read;                       /* words that this round has read */
    __u32 round;                      /* the tick in which it began */
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, NAT_SPACES);
    __type(key, __u32);
    __type(value, struct nat_space);
} nat_spaces SEC(".maps");

/* Whose the spaces are. */
struct nat_space_set {
    __u64 tags[NAT_SPACE_WAYS]; /* nat_space_tag(), 0: nobody's */
    __u32 used[NAT_SPACE_WAYS]; /* tick */
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, NAT_SPACE_SETS);
    __type(key, __u32);
    __type(value, struct nat_space_set);
} nat_space_sets SEC(".maps");

/* One search for a port. */
struct nat_search {
    struct nat_key claim;
    struct nat_reverse value;
    struct nat_key look; /* the claim that is looked at to learn a bit */
    __u64 taken;         /* the bits that were learnt */
    __u32 word;          /* whose they are */
    __u32 space;         /* NAT_SPACES: none */
    __u32 ports;         /* that are usable */
    __u32 start;         /* the number of the one to begin with */
    __u32 now;           /* ticks */
    __u32 shared;        /* as in struct nat_target */
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct nat_search);
} nat_searches SEC(".maps");

static __always_inline struct nat_search *nat_search_current(void)
{
    __u32 zero = 0;

    return bpf_map_lookup_elem(&nat_searches, &zero);
}

/* The number of the lowest bit that is set. Without branches, which the verifier would follow. */
static __always_inline __u32 lowest_bit(__u64 bits)
{
    bits = (bits & -bits) - 1;
    bits -= bits >> 1 & 0x5555555555555555;
    bits = (bits & 0x3333333333333333) + (bits >> 2 & 0x3333333333333333);
    bits = (bits + (bits >> 4)) & 0x0f0f0f0f0f0f0f0f;
    return bits * 0x0101010101010101 >> 56;
}

/* Tells destinations apart, never 0. Two with the same one would share a space, and be slower. */
static __always_inline __u64 nat_space_tag(const struct nat_key *claim, __u32 ports)
{
    __u64 tag = (__u64)ports << 32 | claim->protocol << 16 | claim->remote_port_be;
    int i;

    for (i = 0; i < 4; i++) {
        tag ^= (__u64)claim->local.words_be[i] << 32 | claim->remote.words_be[i];
        tag *= 0x9e3779b97f4a7c15;
        tag ^= tag >> 32;
    }
    return tag | 1;
}

static __always_inline __u32 nat_space_words(const struct nat_search *search)
{
    return (search->ports + 63) / 64;
}

static __always_inline int nat_space_is_free(const struct nat_space_set *set, __u32 way, __u32 now)
{
    return !set->tags[way] || nat_ticks_since(set->used[way], now) >= NAT_SPACE_KEPT;
}

/* All words are to be read, and until then none looks free. */
static __always_inline void nat_space_forget(__u32 index, __u32 now)
{
    struct nat_space *space = bpf_map_lookup_elem(&nat_spaces, &index);
    int i;

    if (!space)
        return;
    for (i = 0; i < NAT_SPACE_WORDS / 64; i++)
        space->full[i] = ~0ULL;
    space->read = 0;
    space->round = now;
}

/*
 * The space of the destination of the search; where it has none, it gets one if it is `wanted`.
 * Returns its number, or NAT_SPACES.
 */
__noinline __u32 nat_space_find(int wanted)
{
    struct nat_search *search = nat_search_current();
    struct nat_space_set *set;
    __u32 index, way, now;
    __u64 tag, old;

    if (!search)
        return NAT_SPACES;
    now = search->now;
    tag = nat_space_tag(&search->claim, search->ports);
    index = tag >> 40 & (NAT_SPACE_SETS - 1);
    set = bpf_map_lookup_elem(&nat_space_sets, &index);
    if (!set)
        return NAT_SPACES;
    for (way = 0; way < NAT_SPACE_WAYS; way++) {
        if (set->tags[way] != tag)
            continue;
        if (set->used[way] != now)
            set->used[way] = now;
        return index * NAT_SPACE_WAYS + way;
    }
    for (way = 0; wanted && way < NAT_SPACE_WAYS; way++) {
        old = set->tags[way];
        if (!nat_space_is_free(set, way, now) ||
            __sync_val_compare_and_swap(&set->tags[way], old, tag) != old)
            continue;
        set->used[way] = now;
        index = index * NAT_SPACE_WAYS + way;
        nat_space_forget(index, now);
        return index;
    }
    return NAT_SPACES;
}

/* Learns the bit of one port in the word that the search reads. */
static long nat_port_read(__u32 bit, void *context)
{
    struct nat_search *search = nat_search_current();
    struct nat_reverse *found;
    struct nat_key flow;
    __u32 index;

    if (!search)
        return 1;
    index = search->word * 64 + bit;
    if (index < search->ports) {
        search->look.local_port_be = nat_port(index, search->shared);
        found = bpf_map_lookup_elem(&nat_reverse, &search->look);
        if (!found || !nat_claim_lives(&search->look, found, &flow, search->now))
            return 0;
    }
    search->taken |= 1ULL << (bit & 63);
    return 0;
}

/* The word that is to be read next, or NAT_SPACE_WORDS where all of the `words` have been. */
static __always_inline __u32 nat_space_due(struct nat_space *space, __u32 words, __u32 now)
{
    __u32 read;

    if (space->read >= words) {
        if (nat_ticks_since(space->round, now) < NAT_SPACE_ROUND)
            return NAT_SPACE_WORDS;
        space->round = now;
        space->read = 0;
    }
    read = __sync_fetch_and_add(&space->read, 1);
    return read < words ? read * NAT_SPACE_STRIDE % words : NAT_SPACE_WORDS;
}

/* Reads one word that is due. Returns it if a port in it is free, NAT_SPACE_WORDS if none is, or
 * NAT_SPACE_READ where no word is due. */
__noinline __u32 nat_space_read(__u32 index)
{
    struct nat_space *space = bpf_map_lookup_elem(&nat_spaces, &index);
    struct nat_search *search = nat_search_current();
    __u64 bit;

    if (!space || !search)
        return NAT_SPACE_READ;
    search->word = nat_space_due(space, nat_space_words(search), search->now);
    if (search->word >= NAT_SPACE_WORDS)
        return NAT_SPACE_READ;
    search->look = search->claim;
    search->taken = 0;
    bpf_loop(64, nat_port_read, NULL, 0);
    if (!~search->taken)
        return NAT_SPACE_WORDS;
    bit = 1ULL << (search->word & 63);
    space->words[search->word & (NAT_SPACE_WORDS - 1)] = search->taken;
    __sync_fetch_and_and(&space->full[search->word / 64 & (NAT_SPACE_WORDS / 64 - 1)], ~bit);
    return search->word;
}

/* The first word at or after `start` in which a port looks free, NAT_SPACE_WORDS: there is none. */
__noinline __u32 nat_space_look(__u32 index, __u32 start)
{
    const struct nat_space *space = bpf_map_lookup_elem(&nat_spaces, &index);
    __u64 mask = ~0ULL << (start & 63), free;
    __u32 i, at = start / 64;

    if (!space)
        return NAT_SPACE_WORDS;
    for (i = 0; i <= NAT_SPACE_WORDS / 64; i++) {
        at &= NAT_SPACE_WORDS / 64 - 1;
        free = ~space->full[at] & mask;
        if (free)
            return at * 64 + lowest_bit(free);
        mask = ~0ULL;
        at++;
    }
    return NAT_SPACE_WORDS;
}

/* Marks the ports of some bits of a word as taken; `free` are those that looked free before. */
static __always_inline void nat_space_set(struct nat_space *space, __u32 word, __u64 free,
                                          __u64 bits)
{
    word &= NAT_SPACE_WORDS - 1;
    __sync_fetch_and_or(&space->words[word], bits);
    if (!(free & ~bits))
        __sync_fetch_and_or(&space->full[word / 64], 1ULL << (word & 63));
}

/* Marks a port that was guessed, where its destination has a space. */
__noinline int nat_space_mark(__u32 number)
{
    __u32 index = nat_space_find(0), word = number / 64 & (NAT_SPACE_WORDS - 1);
    struct nat_space *space = bpf_map_lookup_elem(&nat_spaces, &index);

    if (space)
        nat_space_set(space, word, ~space->words[word], 1ULL << (number & 63));
    return 0;
}

/*
 * Takes a port that looks free: it does not any more, whatever comes of it. Returns its number,
 * NAT_PORT_BUSY where another processor was first, or NAT_PORT_NONE where no port is free.
 */
__noinline __u32 nat_space_take(__u32 index)
{
    struct nat_space *space = bpf_map_lookup_elem(&nat_spaces, &index);
    struct nat_search *search = nat_search_current();
    __u64 free, later;
    __u32 word;
    int i;

    if (!space || !search)
        return NAT_PORT_NONE;
    if (space->read < nat_space_words(search))
        nat_space_read(index); /* ahead of need, while there is much to find in a word */
    word = nat_space_look(index, search->start / 64);
    for (i = 0; word == NAT_SPACE_WORDS && i < NAT_SPACE_READS; i++)
        word = nat_space_read(index);
    if (word >= NAT_SPACE_WORDS)
        return NAT_PORT_NONE;
    free = ~space->words[word];
    later = free & ~0ULL << (search->start & 63);
    later = later ? later : free;
    later &= -later;
    nat_space_set(space, word, free, later);
    return later ? word * 64 + lowest_bit(later) : NAT_PORT_BUSY;
}

#endif

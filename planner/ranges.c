/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A binary trie for each family. A node is full where its own prefix was added or both halves are
 * full; the full nodes that are in no other full one are the entries of the table. A change of one
 * prefix goes along one path: it moves entries between a node and the siblings beside the path.
 */
#include "planner/ranges.h"

enum { RANGE_DEPTH = 128, RANGE_NONE = 0 };

struct range_node {
    uint32_t halves[2]; /* RANGE_NONE: nothing there. Of a free node: [0] is the next free one */
    uint32_t count : 31;
    uint32_t full : 1;
};

/* The nodes from the root (depth 0) to a prefix. */
struct range_path {
    struct plan *plan;
    struct ranges *ranges;
    const struct ip_prefix *prefix;
    uint32_t nodes[RANGE_DEPTH + 1];
};

void ranges_init(struct ranges *ranges, uint32_t profile, enum route_action action)
{
    *ranges = (struct ranges){.profile = profile, .action = action};
}

void ranges_clear(struct ranges *ranges)
{
    free(ranges->nodes);
    free(ranges->removed);
}

void ranges_seen(struct ranges *ranges)
{
    ranges->grown = false;
    ranges->removed_count = 0;
}

static void ranges_note_removed(struct ranges *ranges, const struct ip_prefix *prefix)
{
    if (ranges->removed_count == ranges->removed_capacity) {
        ranges->removed_capacity = ranges->removed_capacity ? ranges->removed_capacity * 2 : 16;
        ranges->removed =
            memory_resize(ranges->removed, ranges->removed_capacity, sizeof(*ranges->removed));
    }
    ranges->removed[ranges->removed_count++] = *prefix;
}

/* ---- Nodes ---- */

static uint32_t range_node_new(struct ranges *ranges)
{
    uint32_t node = ranges->free;

    if (node != RANGE_NONE) {
        ranges->free = ranges->nodes[node].halves[0];
    } else {
        if (ranges->count == ranges->capacity) {
            ranges->capacity = ranges->capacity ? ranges->capacity * 2 : 256;
            ranges->nodes =
                memory_resize(ranges->nodes, ranges->capacity, sizeof(ranges->nodes[0]));
            ranges->count += ranges->count == RANGE_NONE; /* which is no node */
        }
        node = ranges->count++;
    }
    ranges->nodes[node] = (struct range_node){0};
    return node;
}

static void range_node_free(struct ranges *ranges, uint32_t node)
{
    ranges->nodes[node].halves[0] = ranges->free;
    ranges->free = node;
}

static bool range_is_full(const struct ranges *ranges, uint32_t node)
{
    return node != RANGE_NONE && ranges->nodes[node].full;
}

static bool range_is_half(const struct ranges *ranges, uint32_t node)
{
    const struct range_node *item = &ranges->nodes[node];

    return range_is_full(ranges, item->halves[0]) && range_is_full(ranges, item->halves[1]);
}

/* Bit `depth` of an address in its own family. */
static unsigned address_bit(const struct ip_addr *address, unsigned depth)
{
    unsigned bit = depth + (ip_addr_is_v4(address) ? 96 : 0);

    return address->bytes[bit / 8] >> (7 - bit % 8) & 1;
}

static struct ip_addr address_flip(const struct ip_addr *address, unsigned depth)
{
    unsigned bit = depth + (ip_addr_is_v4(address) ? 96 : 0);
    struct ip_addr flipped = *address;

    flipped.bytes[bit / 8] ^= 1 << (7 - bit % 8);
    return flipped;
}

/* ---- Entries ---- */

static void entry_put(const struct range_path *path, const struct ip_addr *address, unsigned depth,
                      bool present)
{
    struct ip_prefix prefix = {address_mask(address, depth), (uint8_t)depth};
    union table_key key = {.route = route_key_make(path->ranges->profile, &prefix)};
    union table_value value = {.route = {.action = path->ranges->action}};

    if (present)
        desired_set(&path->plan->desired, TABLE_ROUTES, &key, &value);
    else
        desired_remove(&path->plan->desired, TABLE_ROUTES, &key);
}

/* The entry of the path's node at this depth, or of the node beside it. */
static void entry_put_on(const struct range_path *path, unsigned depth, bool present)
{
    entry_put(path, &path->prefix->address, depth, present);
}

static void entry_put_beside(const struct range_path *path, unsigned depth, bool present)
{
    struct ip_addr address = address_flip(&path->prefix->address, depth - 1);

    entry_put(path, &address, depth, present);
}

/* The entries of what is full below a node that is not, or is no longer looked into. */
static void entries_put_below(const struct range_path *path, uint32_t node,
                              const struct ip_addr *address, unsigned depth, bool present)
{
    for (unsigned half = 0; half < 2; half++) {
        uint32_t next = path->ranges->nodes[node].halves[half];
        struct ip_addr start;

        if (next == RANGE_NONE)
            continue;
        start = half ? address_flip(address, depth) : *address;
        if (range_is_full(path->ranges, next))
            entry_put(path, &start, depth + 1, present);
        else
            entries_put_below(path, next, &start, depth + 1, present);
    }
}

/* ---- Paths ---- */

static uint32_t *range_root(struct ranges *ranges, const struct ip_addr *address)
{
    return &ranges->roots[address_family(address)];
}

/* Finds the nodes of a prefix; those that are missing are made. */
static void path_open(struct range_path *path)
{
    struct ranges *ranges = path->ranges;
    const struct ip_addr *address = &path->prefix->address;
    uint32_t *root = range_root(ranges, address);

    if (*root == RANGE_NONE)
        *root = range_node_new(ranges);
    path->nodes[0] = *root;
    for (unsigned depth = 0; depth < path->prefix->length; depth++) {
        unsigned half = address_bit(address, depth);
        uint32_t next = ranges->nodes[path->nodes[depth]].halves[half];

        if (next == RANGE_NONE) {
            next = range_node_new(ranges);
            ranges->nodes[path->nodes[depth]].halves[half] = next;
        }
        path->nodes[depth + 1] = next;
    }
}

/* Frees the nodes at the end of a path that hold nothing. */
static void path_prune(const struct range_path *path)
{
    struct ranges *ranges = path->ranges;

    for (unsigned depth = path->prefix->length;; depth--) {
        const struct range_node *node = &ranges->nodes[path->nodes[depth]];

        if (node->count || node->halves[0] != RANGE_NONE || node->halves[1] != RANGE_NONE)
            return;
        range_node_free(ranges, path->nodes[depth]);
        if (depth == 0) {
            *range_root(ranges, &path->prefix->address) = RANGE_NONE;
            return;
        }
        ranges->nodes[path->nodes[depth - 1]]
            .halves[address_bit(&path->prefix->address, depth - 1)] = RANGE_NONE;
    }
}

/* The depth of the first full node of a path; one more than its length: there is none. */
static unsigned path_first_full(const struct range_path *path)
{
    unsigned depth = 0;

    while (depth <= path->prefix->length && !range_is_full(path->ranges, path->nodes[depth]))
        depth++;
    return depth;
}

/* Sets the last node full, and those above that are so by it; the depth of the last one. */
static unsigned path_fill(const struct range_path *path)
{
    unsigned depth = path->prefix->length;

    path->ranges->nodes[path->nodes[depth]].full = 1;
    while (depth > 0 && !range_is_full(path->ranges, path->nodes[depth - 1]) &&
           range_is_half(path->ranges, path->nodes[depth - 1]))
        path->ranges->nodes[path->nodes[--depth]].full = 1;
    return depth;
}

static void path_add(const struct range_path *path)
{
    const struct ip_prefix *prefix = path->prefix;
    uint32_t last = path->nodes[prefix->length];
    unsigned top;

    if (path->ranges->nodes[last].count++ > 0 || range_is_full(path->ranges, last))
        return;
    if (path_first_full(path) <= prefix->length) {
        (void)path_fill(path);
        return;
    }
    entries_put_below(path, last, &prefix->address, prefix->length, false);
    top = path_fill(path);
    for (unsigned depth = prefix->length; depth > top; depth--)
        entry_put_beside(path, depth, false);
    entry_put_on(path, top, true);
    path->ranges->grown = true;
}

/* Clears the last node and what was full by it. */
static void path_drain(const struct range_path *path)
{
    for (unsigned depth = path->prefix->length + 1; depth > 0; depth--) {
        struct range_node *node = &path->ranges->nodes[path->nodes[depth - 1]];

        if (!node->full || node->count || range_is_half(path->ranges, path->nodes[depth - 1]))
            return;
        node->full = 0;
    }
}

static void path_remove(const struct range_path *path)
{
    const struct ip_prefix *prefix = path->prefix;
    unsigned top = path_first_full(path);

    path->ranges->nodes[path->nodes[prefix->length]].count--;
    path_drain(path);
    if (path_first_full(path) <= prefix->length)
        return;
    ranges_note_removed(path->ranges, prefix);
    entry_put_on(path, top, false);
    for (unsigned depth = prefix->length; depth > top; depth--)
        entry_put_beside(path, depth, true);
    entries_put_below(path, path->nodes[prefix->length], &prefix->address, prefix->length, true);
}

void ranges_count(struct plan *plan, struct ranges *ranges, const struct ip_prefix *prefixes,
                  size_t count, int change)
{
    for (size_t i = 0; i < count; i++) {
        struct range_path path = {.plan = plan, .ranges = ranges, .prefix = &prefixes[i]};

        path_open(&path);
        if (change > 0) {
            path_add(&path);
        } else {
            path_remove(&path);
            path_prune(&path);
        }
    }
}

void ranges_count_addresses(struct plan *plan, struct ranges *ranges,
                            const struct ip_addr *addresses, size_t count, int change)
{
    for (size_t i = 0; i < count; i++) {
        struct ip_prefix prefix = {addresses[i], (uint8_t)address_bits(&addresses[i])};

        ranges_count(plan, ranges, &prefix, 1, change);
    }
}

bool ranges_hold(const struct ranges *ranges, const struct ip_addr *address)
{
    uint32_t node = ranges->roots[address_family(address)];
    unsigned bits = address_bits(address);

    for (unsigned depth = 0; node != RANGE_NONE && depth < bits; depth++) {
        if (ranges->nodes[node].full)
            return true;
        node = ranges->nodes[node].halves[address_bit(address, depth)];
    }
    return range_is_full(ranges, node);
}

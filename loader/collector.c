/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/collector.h"

#include <egressgw/nat_state.h>
#include <errno.h>
#include <string.h>
#include <time.h>

enum {
    PRESSED_IDLE = 10, /* seconds; of what nobody has answered while the table is nearly full */
    CLAIM_IDLE = 10,   /* seconds; of a claim without a forward entry */
    STEP_BATCHES = 4,
};

uint32_t collector_now(void)
{
    struct timespec now = {0};

    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint32_t)(((uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec) >>
                      DATAPATH_TICK_SHIFT);
}

static void reverse_key_make(const struct nat_key *flow, const struct nat_forward *mapping,
                             struct nat_key *key)
{
    *key = *flow;
    key->local = mapping->egress;
    key->local_port_be = mapping->egress_port_be;
}

static void forward_key_make(const struct nat_key *key, const struct nat_reverse *claim,
                             struct nat_key *flow)
{
    *flow = *key;
    flow->local = claim->pod;
    flow->local_port_be = claim->pod_port_be;
}

static int map_lookup(struct collector *collector, unsigned map, const struct nat_key *key,
                      void *value)
{
    return collector->backend->lookup(collector->backend, map, key, value);
}

static int map_remove(struct collector *collector, unsigned map, const struct nat_key *keys,
                      size_t count)
{
    return collector->backend->remove(collector->backend, map, keys, &count);
}

/* The claim of a flow, where it is this flow's own. */
static int claim_lookup(struct collector *collector, const struct nat_key *flow,
                        const struct nat_forward *mapping, struct nat_key *key,
                        struct nat_reverse *claim)
{
    int error;

    reverse_key_make(flow, mapping, key);
    error = map_lookup(collector, BACKEND_NAT_REVERSE, key, claim);
    if (error)
        return error;
    return ip_addr_equal(&claim->pod, &flow->local) && claim->pod_port_be == flow->local_port_be
               ? 0
               : -ENOENT;
}

/* Whether a claim has a forward entry that uses it. */
static int claim_is_used(struct collector *collector, const struct nat_key *key,
                         const struct nat_reverse *claim, bool *used)
{
    struct nat_forward mapping;
    struct nat_key flow, again;
    int error;

    forward_key_make(key, claim, &flow);
    error = map_lookup(collector, BACKEND_NAT_FORWARD, &flow, &mapping);
    if (error && error != -ENOENT)
        return error;
    if (!error)
        reverse_key_make(&flow, &mapping, &again);
    *used = !error && memcmp(&again, key, sizeof(again)) == 0;
    return 0;
}

static int claim_free(struct collector *collector, const struct nat_key *key,
                      const struct nat_reverse *claim)
{
    bool used = false;
    int error = claim_is_used(collector, key, claim, &used);

    if (error || used)
        return error;
    return map_remove(collector, BACKEND_NAT_REVERSE, key, 1);
}

/* While the table is nearly full, what nobody has answered has to make room, and TCP that the pod
 * has not gone on with. */
static const uint32_t *collector_timeouts(const struct collector *collector,
                                          const struct nat_forward *mapping)
{
    bool established = mapping->answers && mapping->use.seen & NAT_SEEN_DATA;

    return collector->pressed && !established ? collector->short_timeouts : collector->timeouts;
}

/* Whether the pod that made a mapping is gone. */
static bool forward_is_orphan(const struct collector *collector, const struct nat_key *flow,
                              const struct nat_forward *mapping)
{
    struct entry *entry;

    if (!collector->endpoints)
        return false;
    entry = entries_find(collector->endpoints, &flow->local);
    return !entry ||
           ((struct endpoint *)entry_value(collector->endpoints, entry))->hash != mapping->endpoint;
}

/* A look at the forward entry alone tells for nearly all of them that they live. */
static bool forward_may_be_idle(const struct collector *collector, const struct nat_key *flow,
                                const struct nat_forward *mapping, uint32_t now)
{
    const struct nat_use answers = {.last_seen = mapping->use.last_seen, .seen = mapping->answers};

    return nat_is_idle(flow->protocol, &mapping->use, &answers,
                       collector_timeouts(collector, mapping), now);
}

/* The same, asked from the kernel itself: what the loader remembers may be incomplete after an
 * error. */
static bool forward_is_left(struct collector *collector, const struct nat_key *flow,
                            const struct nat_forward *mapping)
{
    struct endpoint endpoint;
    int error;

    if (!forward_is_orphan(collector, flow, mapping))
        return false;
    error =
        collector->backend->lookup(collector->backend, TABLE_ENDPOINTS, &flow->local, &endpoint);
    return error == -ENOENT || (!error && endpoint.hash != mapping->endpoint);
}

static int forward_visit(struct collector *collector, const struct nat_key *flow,
                         const struct nat_forward *seen, uint32_t now)
{
    struct nat_forward mapping;
    struct nat_reverse claim;
    struct nat_key key;
    bool claimed;
    int error;

    if (!forward_is_orphan(collector, flow, seen) &&
        !forward_may_be_idle(collector, flow, seen, now))
        return quota_count(collector, flow, seen);
    /* The entry may have been used since it was read. */
    error = map_lookup(collector, BACKEND_NAT_FORWARD, flow, &mapping);
    if (error)
        return error == -ENOENT ? 0 : error;
    error = claim_lookup(collector, flow, &mapping, &key, &claim);
    if (error && error != -ENOENT)
        return error;
    claimed = !error;
    if (!forward_is_left(collector, flow, &mapping) &&
        !nat_is_idle(flow->protocol, &mapping.use, claimed ? &claim.use : NULL,
                     collector_timeouts(collector, &mapping), now))
        return quota_count(collector, flow, &mapping);
    error = map_remove(collector, BACKEND_NAT_FORWARD, flow, 1);
    if (error)
        return error;
    collector->freed++;
    collector->seen[0]--;
    return claimed ? claim_free(collector, &key, &claim) : 0;
}

static int reverse_visit(struct collector *collector, const struct nat_key *key,
                         const struct nat_reverse *seen, uint32_t now)
{
    bool used = true;
    struct nat_reverse claim;
    int error;

    if (!collector->orphans || nat_ticks_since(seen->use.last_seen, now) < nat_ticks(CLAIM_IDLE))
        return 0;
    error = claim_is_used(collector, key, seen, &used);
    if (error || used)
        return error;
    error = map_lookup(collector, BACKEND_NAT_REVERSE, key, &claim);
    if (error)
        return error == -ENOENT ? 0 : error;
    if (nat_ticks_since(claim.use.last_seen, now) < nat_ticks(CLAIM_IDLE))
        return 0;
    return claim_free(collector, key, &claim);
}

/* Begins or ends the scan of one map. */
static int map_begin(struct collector *collector, uint32_t now)
{
    collector->seen[collector->map == BACKEND_NAT_REVERSE] = 0;
    return collector->map == BACKEND_NAT_FORWARD ? quota_begin(collector, now) : 0;
}

static int map_end(struct collector *collector)
{
    size_t capacity = collector->backend->capacity(collector->backend, BACKEND_NAT_FORWARD);

    collector->cursor = (struct backend_cursor){0};
    if (collector->map == BACKEND_NAT_FORWARD) {
        collector->map = BACKEND_NAT_REVERSE;
        collector->pressed = collector->seen[0] >= capacity / 4 * 3;
        return quota_end(collector);
    }
    collector->map = BACKEND_NAT_FORWARD;
    collector->orphans = collector->seen[1] > collector->seen[0];
    if (collector->on_claim)
        collector->on_claim(collector->context, NULL);
    return 0;
}

static int batch_visit(struct collector *collector, unsigned map, size_t count, uint32_t now)
{
    const struct nat_forward *forward = collector->values;
    const struct nat_reverse *reverse = collector->values;
    int error = 0;

    for (size_t i = 0; !error && i < count; i++) {
        if (map == BACKEND_NAT_FORWARD)
            error = forward_visit(collector, &collector->keys[i], &forward[i], now);
        else
            error = reverse_visit(collector, &collector->keys[i], &reverse[i], now);
        if (map == BACKEND_NAT_REVERSE && collector->on_claim)
            collector->on_claim(collector->context, &collector->keys[i]);
    }
    return error;
}

int collector_step(struct collector *collector, uint32_t now, bool *ended)
{
    bool whole = false;

    for (unsigned batch = 0; batch < STEP_BATCHES && !whole; batch++) {
        size_t count = BACKEND_BATCH;
        int error = collector->cursor.started ? 0 : map_begin(collector, now);

        if (!error)
            error = collector->backend->read(collector->backend, collector->map, &collector->cursor,
                                             collector->keys, collector->values, &count);
        if (!error) {
            collector->seen[collector->map == BACKEND_NAT_REVERSE] += count;
            error = batch_visit(collector, collector->map, count, now);
        }
        if (!error) {
            whole = collector->cursor.ended && collector->map == BACKEND_NAT_REVERSE;
            if (collector->cursor.ended)
                error = map_end(collector);
        }
        if (error) {
            /* The next step begins a new scan. */
            collector->cursor = (struct backend_cursor){0};
            collector->map = BACKEND_NAT_FORWARD;
            return error;
        }
    }
    *ended = whole;
    return 0;
}

int collector_open(struct collector *collector, struct backend *backend,
                   const uint32_t timeouts[NAT_TIMEOUTS])
{
    struct collector opened = {.backend = backend, .map = BACKEND_NAT_FORWARD};
    static const enum nat_timeout unanswered[] = {NAT_TCP_TRANSITORY, NAT_UDP_UNANSWERED};

    for (unsigned timeout = 0; timeout < NAT_TIMEOUTS; timeout++) {
        opened.timeouts[timeout] = nat_ticks(timeouts[timeout]);
        opened.short_timeouts[timeout] = opened.timeouts[timeout];
    }
    for (size_t i = 0; i < ARRAY_SIZE(unanswered); i++) {
        if (opened.short_timeouts[unanswered[i]] > nat_ticks(PRESSED_IDLE))
            opened.short_timeouts[unanswered[i]] = nat_ticks(PRESSED_IDLE);
    }
    opened.made = opened.live = ENTRIES(sizeof(struct ip_addr), sizeof(uint32_t));
    opened.keys = calloc(BACKEND_BATCH, sizeof(opened.keys[0]));
    opened.values = calloc(BACKEND_BATCH, sizeof(struct nat_reverse) > sizeof(struct nat_forward)
                                              ? sizeof(struct nat_reverse)
                                              : sizeof(struct nat_forward));
    if (!opened.keys || !opened.values) {
        collector_close(&opened);
        return -ENOMEM;
    }
    *collector = opened;
    return 0;
}

void collector_close(struct collector *collector)
{
    entries_release(&collector->made);
    entries_release(&collector->live);
    free(collector->keys);
    free(collector->values);
    collector->keys = NULL;
    collector->values = NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/collector.h"

#include <egressgw/nat_state.h>
#include <errno.h>
#include <string.h>
#include <time.h>

enum {
    CLAIM_IDLE = 10, /* seconds; of a claim without a forward entry */
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

static int forward_visit(struct collector *collector, const struct nat_key *flow,
                         const struct nat_forward *seen, uint32_t now)
{
    struct nat_forward mapping;
    struct nat_reverse claim;
    struct nat_key key;
    bool claimed;
    int error;

    if (nat_ticks_since(seen->use.last_seen, now) < collector->shortest)
        return 0;
    /* The entry may have been used since it was read. */
    error = map_lookup(collector, BACKEND_NAT_FORWARD, flow, &mapping);
    if (error)
        return error == -ENOENT ? 0 : error;
    error = claim_lookup(collector, flow, &mapping, &key, &claim);
    if (error && error != -ENOENT)
        return error;
    claimed = !error;
    if (!nat_is_idle(flow->protocol, &mapping.use, claimed ? &claim.use : NULL, collector->timeouts,
                     now))
        return 0;
    error = map_remove(collector, BACKEND_NAT_FORWARD, flow, 1);
    if (error)
        return error;
    collector->freed++;
    return claimed ? claim_free(collector, &key, &claim) : 0;
}

static int reverse_visit(struct collector *collector, const struct nat_key *key,
                         const struct nat_reverse *seen, uint32_t now)
{
    bool used = true;
    struct nat_reverse claim;
    int error;

    if (nat_ticks_since(seen->use.last_seen, now) < nat_ticks(CLAIM_IDLE))
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
        int error = collector->backend->read(collector->backend, collector->map, &collector->cursor,
                                             collector->keys, collector->values, &count);

        if (!error)
            error = batch_visit(collector, collector->map, count, now);
        if (error) {
            /* The next step begins a new scan. */
            collector->cursor = (struct backend_cursor){0};
            collector->map = BACKEND_NAT_FORWARD;
            return error;
        }
        if (!collector->cursor.ended)
            continue;
        collector->cursor = (struct backend_cursor){0};
        whole = collector->map == BACKEND_NAT_REVERSE;
        if (whole && collector->on_claim)
            collector->on_claim(collector->context, NULL);
        collector->map = whole ? BACKEND_NAT_FORWARD : BACKEND_NAT_REVERSE;
    }
    *ended = whole;
    return 0;
}

int collector_open(struct collector *collector, struct backend *backend,
                   const uint32_t timeouts[NAT_TIMEOUTS])
{
    struct collector opened = {.backend = backend, .map = BACKEND_NAT_FORWARD};

    opened.shortest = UINT32_MAX;
    for (unsigned timeout = 0; timeout < NAT_TIMEOUTS; timeout++) {
        opened.timeouts[timeout] = nat_ticks(timeouts[timeout]);
        if (opened.timeouts[timeout] < opened.shortest)
            opened.shortest = opened.timeouts[timeout];
    }

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
    free(collector->keys);
    free(collector->values);
    collector->keys = NULL;
    collector->values = NULL;
}

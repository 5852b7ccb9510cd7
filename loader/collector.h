/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOADER_COLLECTOR_H
#define LOADER_COLLECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loader/backend.h"
#include "loader/entries.h"

/*
 * Frees mappings of the gateway's NAT that are idle.
 *
 * The forward entry goes first, its claim in nat_reverse after it. A packet of the pod that comes
 * in between finds no mapping, meets its own claim and takes it over; an answer still finds the
 * pod. The other way round the pod would go on sending from a port that another pod could claim,
 * and would get its answers. Before a claim goes, the forward entry is looked up once more, so that
 * one that was taken over stays.
 *
 * A claim whose forward entry is missing or uses another port is left over from a loader or a
 * packet that was interrupted half way; it goes when it is idle, too.
 */
struct collector {
    struct backend *backend;
    struct backend_cursor cursor;
    unsigned map;   /* that is being scanned: BACKEND_NAT_FORWARD, then BACKEND_NAT_REVERSE */
    uint64_t freed; /* mappings, since the start */
    /* NULL, or told each claim of a scan, and NULL at its end. */
    void (*on_claim)(void *context, const struct nat_key *key);
    void *context;
    uint32_t timeouts[NAT_TIMEOUTS]; /* ticks */
    uint32_t short_timeouts[NAT_TIMEOUTS];
    bool pressed;                    /* the table is nearly full: the short ones hold */
    bool orphans;                    /* the last scan saw more claims than mappings */
    size_t seen[2];                  /* in this scan: mappings that stay, claims */
    uint32_t started;                /* ticks: when `made` was read */
    struct entries made;             /* pod -> mappings made for it, as the datapath counts them */
    struct entries live;             /* pod -> those of them that are there */
    const struct entries *endpoints; /* NULL, or the pods: mappings of others end at once */
    struct nat_key *keys;            /* of one batch */
    void *values;
};

/* `timeouts`: seconds. */
int collector_open(struct collector *collector, struct backend *backend,
                   const uint32_t timeouts[NAT_TIMEOUTS]) _must_check_;
void collector_close(struct collector *collector);

/* Reads on by a bounded number of entries and frees what is idle at `now` (ticks). *ended: both
 * maps have been seen to their ends. */
int collector_step(struct collector *collector, uint32_t now, bool *ended) _must_check_;

/* Inside: how many mappings each pod has, for its quota; collector_quota.c. Counted anew by each
 * scan, so that no mistake lasts. */
int quota_begin(struct collector *collector, uint32_t now) _must_check_;
int quota_count(struct collector *collector, const struct nat_key *flow,
                const struct nat_forward *mapping) _must_check_;
int quota_end(struct collector *collector) _must_check_;

/* The clock of the datapath's `last_seen`. */
uint32_t collector_now(void);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOADER_STATUS_H
#define LOADER_STATUS_H

#include "ipc/status.h"
#include "loader/apply.h"
#include "loader/counters.h"
#include "loader/object.h"

/*
 * The loader's part of the report that the watcher shows: counters, ports in use, and how far the
 * tables are. It is made every few seconds and sent where something has changed, else now and then
 * all the same, so that its age tells whether the loader lives.
 */
struct status {
    const struct apply *apply;
    const struct datapath *datapath;
    struct percpu *percpu;       /* for struct counter */
    struct egress_uses uses;     /* as the collector has last seen them */
    struct egress_uses counting; /* of the scan that is under way */
    bool uses_failed;
    struct egress_refusal *told; /* what the log was last told of egress IPs without a port */
    size_t told_count;
    uint64_t told_at;   /* seconds of CLOCK_MONOTONIC; 0: never */
    uint64_t collected; /* connections that the collector has ended */
    struct status_report report;
    unsigned unchanged; /* reports in a row that were like the one before */
};

enum { STATUS_PERIOD_SECONDS = 5, STATUS_UNCHANGED_MOST = 8 };

/* Makes the report anew. *due: it is to be sent. What cannot be read is an error and leaves the old
 * report. */
int status_make(struct status *status, uint64_t generation, bool *due) _must_check_;
void status_close(struct status *status);

/* The collector tells each claim that it sees, and the end of a scan. */
void status_on_claim(void *context, const struct nat_key *key);

#endif

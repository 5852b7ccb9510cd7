/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IPC_STATUS_H
#define IPC_STATUS_H

/*
 * What a node's datapath and daemons are doing, in numbers: from the loader, which can read the
 * maps, by way of the planner, which adds its own, to the watcher, which shows them. A report is an
 * ordered list of entries, each of them once, sent as one or more STATUS records; each process
 * checks what it gets for itself.
 */

#include <egressgw/layout.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/macros.h"
#include "common/text.h"

struct channel;
struct record;

enum status_kind {
    STATUS_DROP,    /* number: enum drop_reason; values: packets, bytes */
    STATUS_COUNT,   /* number: COUNT_*; values: packets, bytes */
    STATUS_POLICY,  /* name; values: packets, bytes */
    STATUS_EGRESS,  /* address, number: protocol; values: ports in use, connections */
    STATUS_REFUSED, /* address: an egress IP without a free port; values: packets, bytes */
    STATUS_GAUGE,   /* number: enum status_gauge; values: the number */
    STATUS_KINDS,
};

/* Those of the loader come first. */
enum status_gauge {
    GAUGE_LOADER_GENERATION,
    GAUGE_LOADER_PENDING,
    GAUGE_LOADER_ENDPOINTS,
    GAUGE_LOADER_ROUTES,
    GAUGE_LOADER_GATEWAYS,
    GAUGE_LOADER_NODES,
    GAUGE_LOADER_CONNECTIONS,
    GAUGE_LOADER_CONNECTIONS_MOST,
    GAUGE_LOADER_COLLECTED,
    GAUGES_OF_LOADER,
    GAUGE_PLANNER_GENERATION = GAUGES_OF_LOADER,
    GAUGE_PLANNER_READY,
    GAUGE_PLANNER_LOADER,
    GAUGE_PLANNER_POLICIES,
    GAUGE_PLANNER_ENDPOINTS,
    GAUGES,
};

enum {
    STATUS_VALUES = 2,
    STATUS_RECORD_LIMIT = 200,  /* entries in one record */
    STATUS_REPORT_LIMIT = 16384 /* in one report */
};

/* What a kind does not use is zero or empty. */
struct status_entry {
    enum status_kind kind;
    uint32_t number;
    struct text name;
    struct ip_addr address;
    uint64_t values[STATUS_VALUES];
};

/* Whether an entry means something. -EINVAL with `why` set to a constant text. */
int status_entry_check(const struct status_entry *entry, const char **why) _must_check_;

/* The order of entries, by everything but their values. */
int status_entry_compare(const struct status_entry *a, const struct status_entry *b);

/* Zero-initialised: empty. */
struct status_report {
    struct arena arena; /* of the names */
    struct status_entry *items;
    size_t count, capacity;
};

/* Appends a copy. -EINVAL: out of order, or twice; -EMSGSIZE: too many; -ENOMEM. */
int status_report_add(struct status_report *report, const struct status_entry *entry) _must_check_;
void status_report_clear(struct status_report *report);
bool status_report_equal(const struct status_report *a, const struct status_report *b);

/* Sends a report, as far as the socket takes it; zero-initialised there is nothing to send. */
struct status_sender {
    const struct status_report *report; /* NULL: nothing; must not change meanwhile */
    size_t next;
};

void status_send_start(struct status_sender *sender, const struct status_report *report);
/* 0: all of it was sent, -EAGAIN: call again when the channel is writable, -EPIPE. */
int status_send(struct status_sender *sender, struct channel *channel) _must_check_;

/* Takes in reports; `report` is the last whole one. */
struct status_receiver {
    struct status_report report;
    struct status_report staged;
    bool staging;
};

/* Takes in a STATUS record; *whole: `report` is a new one. -EPROTO: not as a report may go on,
 * -ENOMEM. */
int status_receive(struct status_receiver *receiver, const struct record *record,
                   bool *whole) _must_check_;
/* The peer is gone: forgets what is not whole. */
void status_receiver_reset(struct status_receiver *receiver);
void status_receiver_clear(struct status_receiver *receiver);

#endif

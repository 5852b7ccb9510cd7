/* SPDX-License-Identifier: Apache-2.0 */
#include "planner/relay.h"

#include <errno.h>

#include "common/log.h"

/* What only the planner can know does not come from the loader. */
static bool loader_may_say(const struct status_entry *entry)
{
    return entry->kind != STATUS_GAUGE || entry->number < GAUGES_OF_LOADER;
}

int relay_receive(struct relay *relay, const struct record *record)
{
    bool whole;
    int error;

    for (size_t i = 0; i < record->status.count; i++) {
        if (!loader_may_say(&record->status.items[i]))
            return -EPROTO;
    }
    error = status_receive(&relay->loader, record, &whole);
    if (!error && whole)
        relay->due = true;
    return error;
}

void relay_loader_connected(struct relay *relay, bool connected)
{
    relay->loader_connected = connected;
    relay->due = true;
    status_receiver_reset(&relay->loader);
}

void relay_watcher_changed(struct relay *relay)
{
    status_send_start(&relay->sender, NULL);
    relay->due = true;
}

/* A policy may have gone since the loader counted for it: then nobody asks for it any more. */
static int add_loader(struct relay *relay)
{
    int error = 0;

    for (size_t i = 0; !error && i < relay->loader.report.count; i++) {
        const struct status_entry *entry = &relay->loader.report.items[i];

        if (entry->kind == STATUS_POLICY && !plan_has_policy(relay->plan, entry->name))
            continue;
        error = status_report_add(&relay->report, entry);
    }
    return error;
}

static int add_own(struct relay *relay)
{
    const uint64_t gauges[] = {
        [GAUGE_PLANNER_GENERATION - GAUGES_OF_LOADER] = plan_generation(relay->plan),
        [GAUGE_PLANNER_READY - GAUGES_OF_LOADER] = plan_ready(relay->plan),
        [GAUGE_PLANNER_LOADER - GAUGES_OF_LOADER] = relay->loader_connected,
        [GAUGE_PLANNER_POLICIES - GAUGES_OF_LOADER] = plan_entries(relay->plan, TABLE_POLICIES),
        [GAUGE_PLANNER_ENDPOINTS - GAUGES_OF_LOADER] = plan_entries(relay->plan, TABLE_ENDPOINTS),
    };
    int error = 0;

    for (uint32_t i = 0; !error && i < ARRAY_SIZE(gauges); i++) {
        struct status_entry entry = {
            .kind = STATUS_GAUGE, .number = GAUGES_OF_LOADER + i, .values = {gauges[i]}};

        error = status_report_add(&relay->report, &entry);
    }
    return error;
}

/* Makes the next report. Without memory for it there is none: it is no reason to end. */
static void relay_make(struct relay *relay)
{
    int error;

    relay->due = false;
    status_report_clear(&relay->report);
    error = add_loader(relay);
    if (!error)
        error = add_own(relay);
    if (error)
        log_error("a report for the watcher cannot be made", log_errno(error));
    else
        status_send_start(&relay->sender, &relay->report);
}

int relay_send(struct relay *relay, struct channel *watcher)
{
    int error;

    if (relay->due && !relay->sender.report)
        relay_make(relay);
    error = status_send(&relay->sender, watcher);
    if (error && error != -EAGAIN && error != -EPIPE) {
        log_error("a report for the watcher cannot be written", log_errno(error));
        status_send_start(&relay->sender, NULL);
        return 0;
    }
    return error;
}

void relay_clear(struct relay *relay)
{
    status_receiver_clear(&relay->loader);
    status_report_clear(&relay->report);
}

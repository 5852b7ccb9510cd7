/* SPDX-License-Identifier: Apache-2.0 */
/* The pages. Names of policies were checked when they came, and hold nothing that a label would
 * need an escape for; addresses and our own words do not either. */
#include <inttypes.h>

#include "common/address.h"
#include "common/protocol_name.h"
#include "ipc/reasons.h"
#include "watcher/metrics_private.h"

/* A family of metrics: one HELP and TYPE, then its samples. */
static void family(FILE *out, const char *name, const char *type, const char *help)
{
    fprintf(out, "# HELP egressgw_%s %s\n# TYPE egressgw_%s %s\n", name, help, name, type);
}

static void sample(FILE *out, const char *name, const char *labels, uint64_t value)
{
    fprintf(out, "egressgw_%s%s %" PRIu64 "\n", name, labels, value);
}

static void gauge(FILE *out, const char *name, uint64_t value, const char *help)
{
    family(out, name, "gauge", help);
    sample(out, name, "", value);
}

/* --- from the report ---------------------------------------------------------------------------*/

static const struct {
    enum status_kind kind;
    unsigned value; /* of struct status_entry */
    const char *name, *type, *help;
} report_families[] = {
    {STATUS_DROP, 0, "dropped_packets_total", "counter", "Packets that were dropped, by reason."},
    {STATUS_DROP, 1, "dropped_bytes_total", "counter", "Bytes that were dropped, by reason."},
    {STATUS_COUNT, 0, "packets_total", "counter",
     "Packets that went through the tunnel or were translated."},
    {STATUS_COUNT, 1, "bytes_total", "counter", "Bytes of them."},
    {STATUS_POLICY, 0, "policy_packets_total", "counter",
     "Packets of each policy: on a worker those that it sends, on a gateway both directions."},
    {STATUS_POLICY, 1, "policy_bytes_total", "counter", "Bytes of them."},
    {STATUS_EGRESS, 0, "egress_ip_ports_in_use", "gauge",
     "Ports of an egress IP that connections use; one port serves several destinations."},
    {STATUS_EGRESS, 1, "egress_ip_connections", "gauge", "Connections of an egress IP."},
    {STATUS_REFUSED, 0, "egress_ip_without_port_total", "counter",
     "Packets that were dropped because their egress IP had no free port."},
};

static const struct {
    const char *name, *type, *help;
} gauge_families[GAUGES] = {
    [GAUGE_LOADER_GENERATION] = {"loader_generation", "gauge",
                                 "The last generation of tables that the loader was sent."},
    [GAUGE_LOADER_PENDING] = {"loader_pending_entries", "gauge",
                              "Entries that are not in the kernel yet: a map may be full."},
    [GAUGE_LOADER_ENDPOINTS] = {"loader_endpoints", "gauge", "Pod addresses in the kernel."},
    [GAUGE_LOADER_ROUTES] = {"loader_routes", "gauge", "Routes in the kernel."},
    [GAUGE_LOADER_GATEWAYS] = {"loader_gateways", "gauge", "Slots of gateways in the kernel."},
    [GAUGE_LOADER_NODES] = {"loader_nodes", "gauge", "Addresses of nodes in the kernel."},
    [GAUGE_LOADER_CONNECTIONS] = {"nat_connections", "gauge", "Connections through this gateway."},
    [GAUGE_LOADER_CONNECTIONS_MOST] = {"nat_connections_most", "gauge",
                                       "As many as limits.nat allows."},
    [GAUGE_LOADER_COLLECTED] = {"nat_expired_total", "counter",
                                "Idle connections that the loader has ended since its start."},
    [GAUGE_PLANNER_GENERATION] = {"planner_generation", "gauge",
                                  "How often the planner has computed the tables."},
    [GAUGE_PLANNER_READY] = {"planner_ready", "gauge",
                             "1 once everything was listed and the tables can be sent."},
    [GAUGE_PLANNER_LOADER] = {"loader_connected", "gauge",
                              "1 while the loader is connected to the planner."},
    [GAUGE_PLANNER_POLICIES] = {"policies", "gauge", "Policies that the planner knows."},
    [GAUGE_PLANNER_ENDPOINTS] = {"endpoints", "gauge", "Pod addresses that the planner knows."},
};

enum { LABELS_SIZE = LIMIT_NAME + ADDRESS_TEXT_SIZE + 64 };

static const char *labels_make(const struct status_entry *entry, char labels[LABELS_SIZE])
{
    char address[ADDRESS_TEXT_SIZE], protocol[PROTOCOL_NAME_SIZE];

    switch (entry->kind) {
    case STATUS_DROP:
        snprintf(labels, LABELS_SIZE, "{reason=\"%s\"}", reason_of_drop(entry->number)->name);
        break;
    case STATUS_COUNT:
        snprintf(labels, LABELS_SIZE, "{path=\"%s\"}", reason_of_count(entry->number)->name);
        break;
    case STATUS_POLICY:
        snprintf(labels, LABELS_SIZE, "{policy=\"%.*s\"}", TEXT_ARG(entry->name));
        break;
    case STATUS_EGRESS:
        snprintf(labels, LABELS_SIZE, "{egress_ip=\"%s\",protocol=\"%s\"}",
                 address_format(&entry->address, address),
                 protocol_name((uint8_t)entry->number, protocol));
        break;
    case STATUS_REFUSED:
        snprintf(labels, LABELS_SIZE, "{egress_ip=\"%s\"}",
                 address_format(&entry->address, address));
        break;
    default:
        labels[0] = '\0';
    }
    return labels;
}

/* Two reasons that this release does not know would have the same labels. */
static bool entry_is_known(const struct status_entry *entry)
{
    return (entry->kind != STATUS_DROP || entry->number < DROP_LIMIT) &&
           (entry->kind != STATUS_COUNT || entry->number < COUNT_LIMIT);
}

static void write_report(const struct status_report *report, FILE *out)
{
    char labels[LABELS_SIZE];

    for (size_t i = 0; i < ARRAY_SIZE(report_families); i++) {
        family(out, report_families[i].name, report_families[i].type, report_families[i].help);
        for (size_t j = 0; j < report->count; j++) {
            const struct status_entry *entry = &report->items[j];

            if (entry->kind == report_families[i].kind && entry_is_known(entry))
                sample(out, report_families[i].name, labels_make(entry, labels),
                       entry->values[report_families[i].value]);
        }
    }
    for (size_t j = 0; j < report->count; j++) {
        const struct status_entry *entry = &report->items[j];

        if (entry->kind != STATUS_GAUGE)
            continue;
        family(out, gauge_families[entry->number].name, gauge_families[entry->number].type,
               gauge_families[entry->number].help);
        sample(out, gauge_families[entry->number].name, "", entry->values[0]);
    }
}

/* --- the watcher's own -------------------------------------------------------------------------*/

static void write_kinds(const struct metrics *metrics, FILE *out, const char *name,
                        const char *help,
                        uint64_t (*value)(const struct metrics *, enum object_kind))
{
    family(out, name, "gauge", help);
    for (int kind = 0; kind < KINDS; kind++) {
        char labels[64];

        snprintf(labels, sizeof(labels), "{kind=\"%s\"}", object_kind_name(kind));
        sample(out, name, labels, value(metrics, kind));
    }
}

static uint64_t kind_count(const struct metrics *metrics, enum object_kind kind)
{
    return store_count(metrics->store, kind);
}

static uint64_t kind_in_sync(const struct metrics *metrics, enum object_kind kind)
{
    return store_in_sync(metrics->store, kind);
}

void metrics_write(const struct metrics *metrics, FILE *out)
{
    family(out, "build_info", "gauge", "The release of egressgw.");
    sample(out, "build_info", "{version=\"" EGRESSGW_VERSION "\"}", 1);
    write_kinds(metrics, out, "objects", "Objects that the watcher knows.", kind_count);
    write_kinds(metrics, out, "source_in_sync", "1 once all objects of the kind were listed.",
                kind_in_sync);
    write_kinds(metrics, out, "source_stale_seconds",
                "Seconds since which the kind cannot be followed; 0: it is up to date.",
                metrics_trouble);
    gauge(out, "planner_connected", metrics->planner_connected,
          "1 while the planner is connected to the watcher.");
    if (!metrics->received)
        return;
    gauge(out, "report_age_seconds", metrics_now() - metrics->received,
          "Seconds since the planner's last report, at most about 50 while all is well.");
    write_report(&metrics->planner.report, out);
}

/* --- health ------------------------------------------------------------------------------------*/

/* A report comes every 45 s at least. */
enum { REPORT_AGE_MOST = 120 };

bool metrics_write_health(const struct metrics *metrics, FILE *out)
{
    bool well = true;

    for (int kind = 0; kind < KINDS; kind++) {
        uint64_t stale = metrics_trouble(metrics, kind);

        if (!store_in_sync(metrics->store, kind))
            fprintf(out, "watcher: not all objects of kind %s were listed yet\n",
                    object_kind_name(kind));
        else if (stale)
            fprintf(out, "watcher: kind %s cannot be followed for %" PRIu64 " s\n",
                    object_kind_name(kind), stale);
        well &= store_in_sync(metrics->store, kind) && !stale;
    }
    if (!metrics->planner_connected)
        fprintf(out, "watcher: the planner is not connected\n");
    else if (!metrics_gauge(metrics, GAUGE_PLANNER_READY, 0))
        fprintf(out, "planner: the tables are not computed yet\n");
    else if (!metrics_gauge(metrics, GAUGE_PLANNER_LOADER, 0))
        fprintf(out, "planner: the loader is not connected\n");
    else if (metrics_gauge(metrics, GAUGE_LOADER_PENDING, 1))
        fprintf(out, "loader: not all tables are in the kernel\n");
    else if (metrics_now() - metrics->received > REPORT_AGE_MOST)
        fprintf(out, "loader: has not reported for %" PRIu64 " s\n",
                metrics_now() - metrics->received);
    else if (well)
        return fprintf(out, "ok\n") > 0;
    return false;
}

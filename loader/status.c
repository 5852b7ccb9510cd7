/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/status.h"

#include <errno.h>
#include <time.h>

#include "common/log.h"

/* --- ports in use ------------------------------------------------------------------------------*/

/* Without memory for it, the last whole count stays. */
void status_on_claim(void *context, const struct nat_key *key)
{
    struct status *status = context;

    if (key) {
        if (!status->uses_failed && egress_uses_add(&status->counting, key) < 0)
            status->uses_failed = true;
        return;
    }
    if (!status->uses_failed) {
        egress_uses_clear(&status->uses);
        status->uses = status->counting;
        status->counting = (struct egress_uses){0};
        egress_uses_sort(&status->uses);
    }
    egress_uses_clear(&status->counting);
    status->uses_failed = false;
}

/* --- the report --------------------------------------------------------------------------------*/

static int add_counters(struct status_report *report, const struct counters *counters)
{
    int error = 0;

    for (uint32_t i = 0; !error && i < COUNT_LIMIT; i++) {
        struct status_entry entry = {
            .kind = i < DROP_REASONS_MOST ? STATUS_DROP : STATUS_COUNT,
            .number = i,
            .values = {counters->totals[i].packets, counters->totals[i].bytes},
        };

        if (i < DROP_LIMIT || i >= DROP_REASONS_MOST)
            error = status_report_add(report, &entry);
    }
    for (size_t i = 0; !error && i < counters->policy_count; i++) {
        const struct policy_count *policy = &counters->policies[i];
        struct status_entry entry = {
            .kind = STATUS_POLICY,
            .name = text_of(policy->name),
            .values = {policy->total.packets, policy->total.bytes},
        };

        /* For a moment two numbers may have one name. */
        if (i && strcmp(policy[-1].name, policy->name) == 0)
            continue;
        error = status_report_add(report, &entry);
    }
    return error;
}

static int add_uses(struct status_report *report, const struct egress_uses *uses)
{
    int error = 0;

    for (size_t i = 0; !error && i < uses->count; i++) {
        struct status_entry entry = {
            .kind = STATUS_EGRESS,
            .number = uses->items[i].protocol,
            .address = uses->items[i].egress,
            .values = {uses->items[i].ports, uses->items[i].connections},
        };
        const char *why;

        if (status_entry_check(&entry, &why) == 0)
            error = status_report_add(report, &entry);
    }
    return error;
}

static int add_refusals(struct status_report *report, const struct counters *counters)
{
    int error = 0;

    for (size_t i = 0; !error && i < counters->refusal_count; i++) {
        struct status_entry entry = {
            .kind = STATUS_REFUSED,
            .address = counters->refusals[i].egress,
            .values = {counters->refusals[i].total.packets, counters->refusals[i].total.bytes},
        };
        const char *why;

        if (status_entry_check(&entry, &why) == 0)
            error = status_report_add(report, &entry);
    }
    return error;
}

static int add_gauges(struct status_report *report, const struct status *status,
                      uint64_t generation)
{
    const struct apply *apply = status->apply;
    struct backend *backend = apply->backend;
    uint64_t gauges[GAUGES_OF_LOADER] = {
        [GAUGE_LOADER_GENERATION] = generation,
        [GAUGE_LOADER_ENDPOINTS] = apply->mirror[TABLE_ENDPOINTS].count,
        [GAUGE_LOADER_ROUTES] = apply->mirror[TABLE_ROUTES].count,
        [GAUGE_LOADER_GATEWAYS] = apply->mirror[TABLE_GATEWAYS].count,
        [GAUGE_LOADER_NODES] = apply->mirror[TABLE_NODES].count,
        [GAUGE_LOADER_CONNECTIONS_MOST] = backend->capacity(backend, BACKEND_NAT_FORWARD),
        [GAUGE_LOADER_COLLECTED] = status->collected,
    };
    int error = 0;

    for (unsigned table = 0; table < TABLES; table++)
        gauges[GAUGE_LOADER_PENDING] += apply->pending[table].count;
    for (size_t i = 0; i < status->uses.count; i++)
        gauges[GAUGE_LOADER_CONNECTIONS] += status->uses.items[i].connections;
    for (uint32_t i = 0; !error && i < GAUGES_OF_LOADER; i++) {
        struct status_entry entry = {.kind = STATUS_GAUGE, .number = i, .values = {gauges[i]}};

        error = status_report_add(report, &entry);
    }
    return error;
}

/* --- egress IPs without a port -----------------------------------------------------------------*/

enum { TELL_SECONDS = 60 };

static uint64_t time_seconds(void)
{
    struct timespec now = {0};

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec;
}

static uint64_t told_packets(const struct status *status, const struct ip_addr *egress)
{
    for (size_t i = 0; i < status->told_count; i++) {
        if (ip_addr_equal(&status->told[i].egress, egress))
            return status->told[i].total.packets;
    }
    return 0;
}

/* Says once a minute which egress IPs have no port left. What was counted before the start of this
 * process was told by the one before. Takes over the counters' list. */
static void tell_refusals(struct status *status, struct counters *counters)
{
    uint64_t now = time_seconds();
    char address[ADDRESS_TEXT_SIZE];
    bool news = false;

    if (status->told_at && now - status->told_at < TELL_SECONDS)
        return;
    for (size_t i = 0; i < counters->refusal_count; i++) {
        const struct egress_refusal *refusal = &counters->refusals[i];
        uint64_t before = told_packets(status, &refusal->egress);

        if (refusal->total.packets <= before)
            continue;
        news = true;
        if (status->told)
            log_warning("no port is free at an egress IP towards some destination, new connections "
                        "there are dropped: add gateways to the policy, give it a dedicated egress "
                        "IP, or find the pod that opens so many (egressgw-loader --dump, "
                        "--counters)",
                        log_string("egress-ip", address_format(&refusal->egress, address)),
                        log_number("packets", (int64_t)(refusal->total.packets - before)));
    }
    if (status->told && !news)
        return;
    status->told_at = status->told ? now : 0;
    free(status->told);
    status->told = counters->refusals;
    status->told_count = counters->refusal_count;
    counters->refusals = NULL;
    counters->refusal_count = 0;
}

int status_make(struct status *status, uint64_t generation, bool *due)
{
    struct counters counters = {0};
    struct status_report made = {0};
    int error = counters_read(&counters, status->percpu, status->datapath->watched,
                              &status->apply->mirror[TABLE_POLICIES]);

    *due = false;
    if (!error)
        error = add_counters(&made, &counters);
    if (!error)
        error = add_uses(&made, &status->uses);
    if (!error)
        error = add_refusals(&made, &counters);
    if (!error)
        error = add_gauges(&made, status, generation);
    if (!error)
        tell_refusals(status, &counters);
    counters_clear(&counters);
    if (error) {
        status_report_clear(&made);
        return error;
    }
    *due =
        !status_report_equal(&made, &status->report) || ++status->unchanged > STATUS_UNCHANGED_MOST;
    if (*due)
        status->unchanged = 0;
    status_report_clear(&status->report);
    status->report = made;
    return 0;
}

void status_close(struct status *status)
{
    egress_uses_clear(&status->uses);
    egress_uses_clear(&status->counting);
    status_report_clear(&status->report);
    free(status->told);
}

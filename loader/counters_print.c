/* SPDX-License-Identifier: Apache-2.0 */
/* Names of policies are checked where they are read, and everything else is our own words and
 * addresses: nothing needs an escape. */
#include <errno.h>
#include <inttypes.h>

#include "common/address.h"
#include "ipc/reasons.h"
#include "loader/counters.h"
#include "common/protocol_name.h"

/* --- text --------------------------------------------------------------------------------------*/

/* Columns are at least this wide. */
#define ROW "%-24s %14s %18s  %s\n"

static void row_print(FILE *out, const char *name, const struct counter *counter, const char *words)
{
    char packets[24], bytes[24];

    snprintf(packets, sizeof(packets), "%llu", counter->packets);
    snprintf(bytes, sizeof(bytes), "%llu", counter->bytes);
    fprintf(out, ROW, name, packets, bytes, words);
}

static void print_drops(const struct counters *counters, FILE *out)
{
    bool any = false;

    fprintf(out, ROW, "Dropped", "Packets", "Bytes", "Why; what to do");
    for (unsigned i = 0; i < DROP_REASONS_MOST; i++) {
        const struct reason *reason = reason_of_drop(i);
        char words[512];

        if (counters->totals[i].packets == 0)
            continue;
        any = true;
        snprintf(words, sizeof(words), "%s; %s", reason->meaning, reason->remedy);
        row_print(out, reason->name, &counters->totals[i], words);
    }
    if (!any)
        fprintf(out, "nothing\n");
}

static void print_carried(const struct counters *counters, FILE *out)
{
    fprintf(out, "\n" ROW, "Carried", "Packets", "Bytes", "");
    for (unsigned i = COUNT_ENCAPSULATED; i < COUNT_LIMIT; i++)
        row_print(out, reason_of_count(i)->name, &counters->totals[i], reason_of_count(i)->meaning);
}

static void print_policies(const struct counters *counters, FILE *out)
{
    fprintf(out, "\n" ROW, "Policy", "Packets", "Bytes", "");
    for (size_t i = 0; i < counters->policy_count; i++)
        row_print(out, counters->policies[i].name, &counters->policies[i].total, "");
    if (counters->others.packets)
        row_print(out, "(others)", &counters->others, "policies that are not counted one by one");
}

static void print_uses(const struct counters *counters, FILE *out)
{
    char address[ADDRESS_TEXT_SIZE], protocol[PROTOCOL_NAME_SIZE];

    if (!counters->uses.count)
        return;
    fprintf(out, "\n%-40s %-9s %13s %12s\n", "Egress IP", "Protocol", "Ports in use",
            "Connections");
    for (size_t i = 0; i < counters->uses.count; i++) {
        const struct egress_use *use = &counters->uses.items[i];

        fprintf(out, "%-40s %-9s %13" PRIu32 " %12" PRIu64 "\n",
                address_format(&use->egress, address), protocol_name(use->protocol, protocol),
                use->ports, use->connections);
    }
}

static void print_refusals(const struct counters *counters, FILE *out)
{
    char address[ADDRESS_TEXT_SIZE];

    if (!counters->refusal_count)
        return;
    fprintf(out, "\n%-40s %14s  %s\n", "Without a free port", "Packets",
            reason_of_drop(DROP_NO_PORT)->remedy);
    for (size_t i = 0; i < counters->refusal_count; i++)
        fprintf(out, "%-40s %14llu\n", address_format(&counters->refusals[i].egress, address),
                counters->refusals[i].total.packets);
}

/* --- JSON --------------------------------------------------------------------------------------*/

static void json_counter(FILE *out, bool first, const char *key, const char *name,
                         const struct counter *counter)
{
    fprintf(out, "%s\n    {\"%s\": \"%s\", \"packets\": %llu, \"bytes\": %llu", first ? "" : ",",
            key, name, counter->packets, counter->bytes);
}

static void json_reasons(const struct counters *counters, FILE *out)
{
    fprintf(out, "{\n  \"drops\": [");
    for (unsigned i = 0; i < DROP_LIMIT; i++) {
        const struct reason *reason = reason_of_drop(i);

        json_counter(out, i == 0, "reason", reason->name, &counters->totals[i]);
        fprintf(out, ", \"meaning\": \"%s\", \"remedy\": \"%s\"}", reason->meaning, reason->remedy);
    }
    fprintf(out, "\n  ],\n  \"carried\": [");
    for (unsigned i = COUNT_ENCAPSULATED; i < COUNT_LIMIT; i++) {
        json_counter(out, i == COUNT_ENCAPSULATED, "count", reason_of_count(i)->name,
                     &counters->totals[i]);
        fprintf(out, "}");
    }
}

static void json_policies(const struct counters *counters, FILE *out)
{
    fprintf(out, "\n  ],\n  \"policies\": [");
    for (size_t i = 0; i < counters->policy_count; i++) {
        json_counter(out, i == 0, "policy", counters->policies[i].name,
                     &counters->policies[i].total);
        fprintf(out, "}");
    }
    fprintf(out, "\n  ],\n  \"otherPolicies\": {\"packets\": %llu, \"bytes\": %llu}",
            counters->others.packets, counters->others.bytes);
}

static void json_uses(const struct counters *counters, FILE *out)
{
    char address[ADDRESS_TEXT_SIZE], protocol[PROTOCOL_NAME_SIZE];

    fprintf(out, ",\n  \"egressIPs\": [");
    for (size_t i = 0; i < counters->uses.count; i++) {
        const struct egress_use *use = &counters->uses.items[i];

        fprintf(out,
                "%s\n    {\"egressIP\": \"%s\", \"protocol\": \"%s\", \"ports\": %" PRIu32
                ", \"connections\": %" PRIu64 "}",
                i ? "," : "", address_format(&use->egress, address),
                protocol_name(use->protocol, protocol), use->ports, use->connections);
    }
    fprintf(out, "\n  ],\n  \"withoutPort\": [");
    for (size_t i = 0; i < counters->refusal_count; i++) {
        json_counter(out, i == 0, "egressIP",
                     address_format(&counters->refusals[i].egress, address),
                     &counters->refusals[i].total);
        fprintf(out, "}");
    }
    fprintf(out, "\n  ]\n}\n");
}

int counters_print(const struct counters *counters, enum show_format format, FILE *out)
{
    if (format == SHOW_JSON) {
        json_reasons(counters, out);
        json_policies(counters, out);
        json_uses(counters, out);
    } else {
        print_drops(counters, out);
        print_carried(counters, out);
        print_policies(counters, out);
        print_uses(counters, out);
        print_refusals(counters, out);
    }
    return fflush(out) == EOF || ferror(out) ? -EIO : 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/dump_nat.h"

#include <egressgw/nat_state.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/address.h"
#include "common/log.h"
#include "common/options.h"
#include "common/protocol_name.h"
#include "loader/collector.h"

struct row {
    const struct nat_key *flow;
    const struct nat_forward *mapping;
    struct nat_use answers; /* zero where there is no claim */
    const char *state, *policy;
    uint32_t age, idle; /* seconds */
};

static uint32_t seconds_of(uint32_t ticks)
{
    return (uint32_t)(((uint64_t)ticks << DATAPATH_TICK_SHIFT) / 1000000000U);
}

static int flows_compare(const void *a, const void *b)
{
    const struct nat_key *first = *(struct nat_key *const *)a,
                         *second = *(struct nat_key *const *)b;
    int order = address_compare(&first->local, &second->local);

    if (!order && first->protocol != second->protocol)
        order = first->protocol < second->protocol ? -1 : 1;
    if (!order)
        order = memcmp(&first->local_port_be, &second->local_port_be, sizeof(__be16));
    if (!order)
        order = address_compare(&first->remote, &second->remote);
    return order ? order : memcmp(&first->remote_port_be, &second->remote_port_be, sizeof(__be16));
}

static const char *state_word(const struct row *row, const struct dump_nat *dump)
{
    static const char *const words[] = {[NAT_NEW] = "new",
                                        [NAT_OPENING] = "opening",
                                        [NAT_ESTABLISHED] = "established",
                                        [NAT_CLOSING] = "closing",
                                        [NAT_CLOSED] = "closed"};
    uint8_t protocol = row->flow->protocol;
    enum nat_state state = nat_state_of(protocol, row->mapping->use.seen, row->answers.seen);

    if (nat_is_idle(protocol, &row->mapping->use, &row->answers, dump->timeouts, dump->now))
        return "expired"; /* dead, and not collected yet */
    if (protocol == IPPROTO_TCP)
        return words[state];
    return state == NAT_NEW ? "unanswered" : "answered";
}

static void row_make(const struct dump_nat *dump, const struct nat_key *flow,
                     const struct nat_forward *mapping, struct row *row)
{
    struct nat_key key = *flow;
    struct entry *claim, *policy = entries_find(dump->policies, &mapping->policy);
    uint32_t since = nat_ticks_since(mapping->use.last_seen, dump->now);

    *row = (struct row){.flow = flow, .mapping = mapping};
    row->answers.last_seen = mapping->use.last_seen;
    key.local = mapping->egress;
    key.local_port_be = mapping->egress_port_be;
    claim = entries_find(dump->reverse, &key);
    if (claim)
        row->answers = ((struct nat_reverse *)entry_value(dump->reverse, claim))->use;
    if (nat_ticks_since(row->answers.last_seen, dump->now) < since)
        since = nat_ticks_since(row->answers.last_seen, dump->now);
    row->state = state_word(row, dump);
    row->age = seconds_of(nat_ticks_since(mapping->created, dump->now));
    row->idle = seconds_of(since);
    row->policy = policy ? ((struct policy_name *)entry_value(dump->policies, policy))->text : NULL;
}

static void print_text(const struct row *row, FILE *out)
{
    bool ports = row->flow->local_port_be || row->flow->remote_port_be;
    char pod[ADDRESS_PORT_TEXT_SIZE], remote[ADDRESS_PORT_TEXT_SIZE];
    char egress[ADDRESS_PORT_TEXT_SIZE], protocol[PROTOCOL_NAME_SIZE], number[16];

    snprintf(number, sizeof(number), "%u", row->mapping->policy);
    fprintf(out, "%-22s %-22s %-22s %-8s %-11s %7u %7u %10" PRIu64 " %12" PRIu64 " %s\n",
            address_port_format(&row->flow->local, row->flow->local_port_be, ports, pod),
            address_port_format(&row->flow->remote, row->flow->remote_port_be,
                                ports && row->flow->remote_port_be, remote),
            address_port_format(&row->mapping->egress, row->mapping->egress_port_be, ports, egress),
            protocol_name(row->flow->protocol, protocol), row->state, row->age, row->idle,
            (uint64_t)(row->mapping->use.packets + row->answers.packets),
            (uint64_t)(row->mapping->use.bytes + row->answers.bytes),
            row->policy ? row->policy : number);
}

static void print_json(const struct row *row, FILE *out)
{
    char pod[ADDRESS_TEXT_SIZE], remote[ADDRESS_TEXT_SIZE], egress[ADDRESS_TEXT_SIZE];
    char protocol[PROTOCOL_NAME_SIZE];

    fprintf(out,
            "{\"PodIP\": \"%s\", \"PodPort\": %u, \"RemoteIP\": \"%s\", \"RemotePort\": %u, "
            "\"EgressIP\": \"%s\", \"EgressPort\": %u, \"Protocol\": \"%s\", \"State\": \"%s\", ",
            address_format(&row->flow->local, pod), ntohs(row->flow->local_port_be),
            address_format(&row->flow->remote, remote), ntohs(row->flow->remote_port_be),
            address_format(&row->mapping->egress, egress), ntohs(row->mapping->egress_port_be),
            protocol_name(row->flow->protocol, protocol), row->state);
    fprintf(out,
            "\"AgeSeconds\": %u, \"IdleSeconds\": %u, \"PacketsOut\": %" PRIu64
            ", \"BytesOut\": %" PRIu64 ", \"PacketsIn\": %" PRIu64 ", \"BytesIn\": %" PRIu64
            ", \"Policy\": \"%s\"}",
            row->age, row->idle, (uint64_t)row->mapping->use.packets,
            (uint64_t)row->mapping->use.bytes, (uint64_t)row->answers.packets,
            (uint64_t)row->answers.bytes, row->policy ? row->policy : "");
}

static void rows_print(const struct dump_nat *dump, const struct nat_key **flows, size_t count,
                       enum show_format format, FILE *out)
{
    if (format == SHOW_JSON)
        fputs("[", out);
    else
        fprintf(out, "%-22s %-22s %-22s %-8s %-11s %7s %7s %10s %12s %s\n", "Pod", "Remote",
                "Egress IP", "Protocol", "State", "Age/s", "Idle/s", "Packets", "Bytes", "Policy");
    for (size_t i = 0; i < count; i++) {
        struct entry *entry = entries_find(dump->forward, flows[i]);
        struct row row;

        row_make(dump, flows[i], entry_value(dump->forward, entry), &row);
        if (format == SHOW_JSON) {
            fputs(i ? ",\n " : "\n ", out);
            print_json(&row, out);
        } else {
            print_text(&row, out);
        }
    }
    if (format == SHOW_JSON)
        fputs(count ? "\n]\n" : "]\n", out);
}

int dump_nat_print(const struct dump_nat *dump, enum show_format format, FILE *out)
{
    _cleanup_free_ const struct nat_key **flows =
        calloc(dump->forward->count + 1, sizeof(flows[0]));
    size_t count = 0, cursor = 0;
    struct entry *entry;

    if (!flows)
        return -ENOMEM;
    while ((entry = entries_next(dump->forward, &cursor)))
        flows[count++] = (const void *)entry->key;
    qsort(flows, count, sizeof(flows[0]), flows_compare);
    rows_print(dump, flows, count, format, out);
    return fflush(out) || ferror(out) ? -EIO : 0;
}

int dump_nat_run(const struct config *config, enum show_format format, FILE *out)
{
    _cleanup_entries_ struct entries forward = {0}, reverse = {0}, policies = {0};
    struct dump_nat dump = {&forward, &reverse, &policies, {0}, collector_now()};
    int error = show_check_layout(config);

    for (unsigned timeout = 0; timeout < NAT_TIMEOUTS; timeout++)
        dump.timeouts[timeout] = nat_ticks(config->nat.timeouts[timeout]);
    if (!error)
        error = show_read(config, BACKEND_NAT_FORWARD, &forward);
    if (!error)
        error = show_read(config, BACKEND_NAT_REVERSE, &reverse);
    if (!error)
        error = show_read(config, TABLE_POLICIES, &policies);
    if (error)
        return EXIT_FAILED;
    error = dump_nat_print(&dump, format, out);
    if (error)
        log_error("the dump cannot be written", log_errno(error));
    return error ? EXIT_FAILED : EXIT_DONE;
}

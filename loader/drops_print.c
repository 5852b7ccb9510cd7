/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <time.h>

#include "common/address.h"
#include "ipc/reasons.h"
#include "loader/drops.h"
#include "common/protocol_name.h"

enum { TIME_SIZE = 40 };

#define NS_PER_SECOND 1000000000ULL
#define NS_PER_MS     1000000ULL

/* Local time of day for people, UTC with its date for programs. */
static const char *time_format(uint64_t time, enum show_format format, char buffer[TIME_SIZE])
{
    time_t seconds = (time_t)(time / NS_PER_SECOND);
    unsigned ms = (unsigned)(time % NS_PER_SECOND / NS_PER_MS);
    struct tm fields = {0};
    size_t length;

    if (format == SHOW_JSON)
        gmtime_r(&seconds, &fields);
    else
        localtime_r(&seconds, &fields);
    length = strftime(buffer, TIME_SIZE, format == SHOW_JSON ? "%Y-%m-%dT%H:%M:%S" : "%H:%M:%S",
                      &fields);
    snprintf(buffer + length, TIME_SIZE - length, ".%03u%s", ms, format == SHOW_JSON ? "Z" : "");
    return buffer;
}

static bool protocol_is_icmp(uint8_t protocol)
{
    return protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6;
}

static bool record_has_ports(const struct drop_record *record)
{
    return !protocol_is_icmp(record->protocol) &&
           (record->source_port_be || record->destination_port_be);
}

static void print_text(const struct drop_line *line, FILE *out)
{
    const struct drop_record *record = line->record;
    char time[TIME_SIZE], protocol[PROTOCOL_NAME_SIZE], source[ADDRESS_PORT_TEXT_SIZE],
        destination[ADDRESS_PORT_TEXT_SIZE];
    bool has_ports = record_has_ports(record);

    fprintf(out, "%s %-16s %s %s -> %s", time_format(line->time, SHOW_TEXT, time),
            reason_of_drop(record->reason)->name, protocol_name(record->protocol, protocol),
            address_port_format(&record->source, record->source_port_be, has_ports, source),
            address_port_format(&record->destination, record->destination_port_be, has_ports,
                                destination));
    if (protocol_is_icmp(record->protocol) &&
        (record->source_port_be | record->destination_port_be))
        fprintf(out, " id=%u", ntohs(record->source_port_be | record->destination_port_be));
    if (line->policy[0])
        fprintf(out, " policy=%s", line->policy);
    fprintf(out, " interface=%s hook=%s%s length=%u\n", line->interface,
            record->flags & DROP_RECORD_EGRESS ? "egress" : "ingress",
            record->flags & DROP_RECORD_TUNNEL ? " tunnel" : "", record->length);
}

static void print_json(const struct drop_line *line, FILE *out)
{
    const struct drop_record *record = line->record;
    char time[TIME_SIZE], protocol[PROTOCOL_NAME_SIZE];
    char source[ADDRESS_TEXT_SIZE], destination[ADDRESS_TEXT_SIZE];

    fprintf(out, "{\"time\": \"%s\", \"reason\": \"%s\", \"protocol\": \"%s\", \"source\": \"%s\"",
            time_format(line->time, SHOW_JSON, time), reason_of_drop(record->reason)->name,
            protocol_name(record->protocol, protocol), address_format(&record->source, source));
    fprintf(out, ", \"sourcePort\": %u, \"destination\": \"%s\", \"destinationPort\": %u",
            ntohs(record->source_port_be), address_format(&record->destination, destination),
            ntohs(record->destination_port_be));
    fprintf(out, ", \"policy\": \"%s\", \"interface\": \"%s\", \"hook\": \"%s\"", line->policy,
            line->interface, record->flags & DROP_RECORD_EGRESS ? "egress" : "ingress");
    fprintf(out, ", \"tunnel\": %s, \"length\": %u}\n",
            record->flags & DROP_RECORD_TUNNEL ? "true" : "false", record->length);
}

void drops_print(const struct drop_line *line, enum show_format format, FILE *out)
{
    if (format == SHOW_JSON)
        print_json(line, out);
    else
        print_text(line, out);
}

void drops_print_suppressed(unsigned reason, uint64_t packets, uint64_t time,
                            enum show_format format, FILE *out)
{
    char text[TIME_SIZE];

    time_format(time, format, text);
    if (format == SHOW_JSON)
        fprintf(out, "{\"time\": \"%s\", \"reason\": \"%s\", \"suppressed\": %" PRIu64 "}\n", text,
                reason_of_drop(reason)->name, packets);
    else
        fprintf(out, "%s %-16s and %" PRIu64 " more that are not shown one by one\n", text,
                reason_of_drop(reason)->name, packets);
}

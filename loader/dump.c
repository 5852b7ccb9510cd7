/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/dump.h"

#include <errno.h>
#include <string.h>

#include "ipc/tables.h"

enum { COLUMNS = 4 };

static const char *const titles[COLUMNS] = {"Source IP", "Destination CIDR", "Egress IP",
                                            "Gateway IP"};
static const char *const json_names[COLUMNS] = {"SourceIP", "DestCIDR", "EgressIP", "GatewayIP"};
/* Columns are as wide as IPv4 needs; longer addresses widen them. */
static const size_t least_widths[COLUMNS] = {16, 20, 17, 0};

struct dump_route {
    uint32_t profile;
    struct ip_prefix prefix;
    const struct route *route;
};

struct dump_source {
    const struct ip_addr *address;
    const struct endpoint *endpoint;
};

struct dump {
    struct dump_route *routes; /* sorted by profile, then prefix */
    size_t route_count;
    struct dump_source *sources; /* sorted by address */
    size_t source_count;
    const struct entries *gateways;
};

/* One row as text. */
struct dump_row {
    char columns[COLUMNS][PREFIX_TEXT_SIZE];
};

typedef int (*row_handler)(void *context, const struct dump_row *row);

static int routes_compare(const void *a, const void *b)
{
    const struct dump_route *first = a, *second = b;

    if (first->profile != second->profile)
        return first->profile < second->profile ? -1 : 1;
    return prefix_compare(&first->prefix, &second->prefix);
}

static int sources_compare(const void *a, const void *b)
{
    const struct dump_source *first = a, *second = b;

    return address_compare(first->address, second->address);
}

static void routes_index(struct dump *dump, const struct entries *routes)
{
    size_t cursor = 0;
    struct entry *entry;

    while ((entry = entries_next(routes, &cursor))) {
        struct dump_route *route = &dump->routes[dump->route_count];

        if (route_key_read((const void *)entry->key, &route->profile, &route->prefix) < 0 ||
            route->profile < PROFILE_FIRST)
            continue;
        route->route = entry_value(routes, entry);
        dump->route_count++;
    }
    qsort(dump->routes, dump->route_count, sizeof(dump->routes[0]), routes_compare);
}

static void sources_index(struct dump *dump, const struct entries *endpoints)
{
    size_t cursor = 0;
    struct entry *entry;

    while ((entry = entries_next(endpoints, &cursor))) {
        const struct endpoint *endpoint = entry_value(endpoints, entry);

        if (endpoint->profile < PROFILE_FIRST)
            continue;
        dump->sources[dump->source_count++] =
            (struct dump_source){(const struct ip_addr *)entry->key, endpoint};
    }
    qsort(dump->sources, dump->source_count, sizeof(dump->sources[0]), sources_compare);
}

/* The first route of a profile, or the place where it would be. */
static size_t routes_find(const struct dump *dump, uint32_t profile)
{
    size_t low = 0, high = dump->route_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (dump->routes[middle].profile < profile)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void row_fill_gateway(const struct dump *dump, const struct endpoint *endpoint,
                             const struct route *route, struct dump_row *row)
{
    struct gateway_key key = {route->group, endpoint->hash % route->slots};
    struct entry *entry = entries_find(dump->gateways, &key);
    const struct gateway *gateway = entry ? entry_value(dump->gateways, entry) : NULL;

    if (!gateway) {
        strcpy(row->columns[3], "Not Found");
        return;
    }
    if ((gateway->flags & GATEWAY_LOCAL) && !ip_addr_is_none(&gateway->egress))
        address_format(&gateway->egress, row->columns[2]);
    address_format(&gateway->node, row->columns[3]);
}

static void row_fill(const struct dump *dump, const struct dump_source *source,
                     const struct dump_route *route, struct dump_row *row)
{
    address_format(source->address, row->columns[0]);
    prefix_format(&route->prefix, row->columns[1]);
    strcpy(row->columns[2], ip_addr_is_v4(source->address) ? "0.0.0.0" : "::");
    if (route->route->action == ROUTE_EXCLUDED)
        strcpy(row->columns[3], "Excluded CIDR");
    else if (route->route->action == ROUTE_GATEWAY && route->route->slots > 0)
        row_fill_gateway(dump, source->endpoint, route->route, row);
    else
        strcpy(row->columns[3], "Not Found");
}

static int rows_walk(const struct dump *dump, row_handler handle, void *context)
{
    for (size_t i = 0; i < dump->source_count; i++) {
        const struct dump_source *source = &dump->sources[i];

        for (size_t j = routes_find(dump, source->endpoint->profile);
             j < dump->route_count && dump->routes[j].profile == source->endpoint->profile; j++) {
            struct dump_row row;
            int error;

            if (ip_addr_is_v4(&dump->routes[j].prefix.address) != ip_addr_is_v4(source->address))
                continue;
            row_fill(dump, source, &dump->routes[j], &row);
            error = handle(context, &row);
            if (error)
                return error;
        }
    }
    return 0;
}

struct printer {
    FILE *out;
    size_t widths[COLUMNS];
    bool started;
};

static int row_measure(void *context, const struct dump_row *row)
{
    struct printer *printer = context;

    for (size_t i = 0; i < COLUMNS - 1; i++) {
        size_t length = strlen(row->columns[i]) + 1;

        if (length > printer->widths[i])
            printer->widths[i] = length;
    }
    return 0;
}

static int columns_print(struct printer *printer, const char *const columns[COLUMNS])
{
    for (size_t i = 0; i < COLUMNS; i++) {
        if (fprintf(printer->out, "%-*s", (int)printer->widths[i], columns[i]) < 0)
            return -EIO;
    }
    return putc('\n', printer->out) == EOF ? -EIO : 0;
}

static int row_print_text(void *context, const struct dump_row *row)
{
    const char *const columns[COLUMNS] = {row->columns[0], row->columns[1], row->columns[2],
                                          row->columns[3]};

    return columns_print(context, columns);
}

/* Addresses and our own words need no escapes. */
static int row_print_json(void *context, const struct dump_row *row)
{
    struct printer *printer = context;
    const char *separator = printer->started ? ",\n  {" : "\n  {";

    printer->started = true;
    for (size_t i = 0; i < COLUMNS; i++) {
        if (fprintf(printer->out, "%s\"%s\": \"%s\"", i ? ", " : separator, json_names[i],
                    row->columns[i]) < 0)
            return -EIO;
    }
    return putc('}', printer->out) == EOF ? -EIO : 0;
}

static int print_text(const struct dump *dump, FILE *out)
{
    struct printer printer = {.out = out};
    int error;

    memcpy(printer.widths, least_widths, sizeof(least_widths));
    error = rows_walk(dump, row_measure, &printer);
    if (!error)
        error = columns_print(&printer, titles);
    return error ? error : rows_walk(dump, row_print_text, &printer);
}

static int print_json(const struct dump *dump, FILE *out)
{
    struct printer printer = {.out = out};
    int error;

    if (putc('[', out) == EOF)
        return -EIO;
    error = rows_walk(dump, row_print_json, &printer);
    if (error)
        return error;
    return fputs(printer.started ? "\n]\n" : "]\n", out) == EOF ? -EIO : 0;
}

int dump_print(const struct entries *endpoints, const struct entries *routes,
               const struct entries *gateways, enum show_format format, FILE *out)
{
    struct dump dump = {.gateways = gateways};
    int error = -ENOMEM;

    dump.routes = calloc(routes->count + 1, sizeof(dump.routes[0]));
    dump.sources = calloc(endpoints->count + 1, sizeof(dump.sources[0]));
    if (dump.routes && dump.sources) {
        routes_index(&dump, routes);
        sources_index(&dump, endpoints);
        error = format == SHOW_JSON ? print_json(&dump, out) : print_text(&dump, out);
    }
    if (!error && fflush(out) == EOF)
        error = -EIO;
    free(dump.routes);
    free(dump.sources);
    return error;
}

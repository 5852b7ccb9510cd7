/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/reconcile_watch.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const char *const destinations[] = {"10.1.2.3", "10.1.9.9", "10.9.9.9", "20.1.1.1",
                                           "30.1.1.1"};

struct ip_addr watch_source(unsigned number)
{
    return ip_addr_from_v4(htonl(100U << 24 | (number + 1)));
}

void tables_open(struct tables *tables)
{
    for (unsigned table = 0; table < TABLES; table++)
        tables->maps[table] = ENTRIES(table_shapes[table].key_size, table_shapes[table].value_size);
}

void tables_close(struct tables *tables)
{
    for (unsigned table = 0; table < TABLES; table++)
        entries_release(&tables->maps[table]);
}

void tables_copy(struct entries to[TABLES], const struct entries from[TABLES])
{
    for (unsigned table = 0; table < TABLES; table++) {
        size_t cursor = 0;
        struct entry *entry;

        entries_release(&to[table]);
        while ((entry = entries_next(&from[table], &cursor)))
            assert_int_equal(
                entries_put(&to[table], entry->key, entry_value(&from[table], entry), ENTRY_SET),
                0);
    }
}

static bool profile_has_routes(const struct entries *routes, uint32_t profile)
{
    size_t cursor = 0;
    struct entry *entry;

    while ((entry = entries_next(routes, &cursor))) {
        const struct route_key *key = (const void *)entry->key;

        if ((ntohl(key->scope_be) & ~ROUTE_SCOPE_IPV6) == profile)
            return true;
    }
    return false;
}

static bool profile_is_used(const struct entries *endpoints, uint32_t profile)
{
    size_t cursor = 0;
    struct entry *entry;

    while ((entry = entries_next(endpoints, &cursor))) {
        if (((const struct endpoint *)entry_value(endpoints, entry))->profile == profile)
            return true;
    }
    return false;
}

/* Longest prefix match, as the kernel does it: zero where nothing matches. */
static struct route lookup(const struct entries *routes, uint32_t profile,
                           const struct ip_addr *destination)
{
    struct route found = {0};
    int longest = -1;
    size_t cursor = 0;
    struct entry *entry;

    while ((entry = entries_next(routes, &cursor))) {
        struct ip_prefix prefix;
        uint32_t of;

        assert_int_equal(route_key_read((const void *)entry->key, &of, &prefix), 0);
        if (of == profile && prefix_contains(&prefix, destination) && prefix.length > longest) {
            longest = prefix.length;
            memcpy(&found, entry_value(routes, entry), sizeof(found));
        }
    }
    return found;
}

/* A key that was there and will be there is there. */
static void check_presence(const struct watch *watch)
{
    for (unsigned table = 0; table < TABLES; table++) {
        size_t cursor = 0;
        struct entry *entry;

        while ((entry = entries_next(&watch->before->maps[table], &cursor))) {
            if (entries_find(&watch->after->maps[table], entry->key))
                assert_non_null(entries_find(&watch->fake->maps[table], entry->key));
        }
    }
}

static void check_references(const struct watch *watch)
{
    const struct entries *maps = watch->fake->maps;
    size_t cursor = 0;
    struct entry *entry;

    while ((entry = entries_next(&maps[TABLE_ROUTES], &cursor))) {
        const struct route *route = entry_value(&maps[TABLE_ROUTES], entry);

        for (uint32_t slot = 0; route->action == ROUTE_GATEWAY && slot < route->slots; slot++) {
            struct gateway_key key = {route->group, slot};

            assert_non_null(entries_find(&maps[TABLE_GATEWAYS], &key));
        }
    }
    cursor = 0;
    while ((entry = entries_next(&maps[TABLE_GATEWAYS], &cursor))) {
        const struct gateway *gateway = entry_value(&maps[TABLE_GATEWAYS], entry);

        assert_non_null(entries_find(&maps[TABLE_NODES], &gateway->node));
    }
}

static bool verdict_is(const struct route *seen, const struct entries *routes, uint32_t profile,
                       const struct ip_addr *destination)
{
    struct route route = lookup(routes, profile, destination);

    return memcmp(&route, seen, sizeof(route)) == 0;
}

/* An endpoint that was and will be there sees its old profile or its new one, each with its old or
 * its new routes, but never a profile that is only half made or half taken away. */
static void check_verdict(const struct watch *watch, const struct ip_addr *source,
                          const struct ip_addr *destination)
{
    const struct tables *states[] = {watch->before, watch->after};
    const struct entries *endpoints = &watch->fake->maps[TABLE_ENDPOINTS];
    const struct endpoint *now = entry_value(endpoints, entries_find(endpoints, source));
    struct route seen = lookup(&watch->fake->maps[TABLE_ROUTES], now->profile, destination);
    bool allowed = false;

    for (unsigned i = 0; i < 2; i++) {
        const struct entries *entries = &states[i]->maps[TABLE_ENDPOINTS];
        const struct endpoint *endpoint = entry_value(entries, entries_find(entries, source));

        for (unsigned j = 0; j < 2; j++) {
            const struct entries *routes = &states[j]->maps[TABLE_ROUTES];

            if (i == j || profile_has_routes(routes, endpoint->profile))
                allowed |= verdict_is(&seen, routes, endpoint->profile, destination);
        }
    }
    assert_true(allowed);
}

static void check_verdicts(const struct watch *watch)
{
    for (unsigned i = 0; i < WATCH_SOURCES; i++) {
        struct ip_addr source = watch_source(i);

        if (!entries_find(&watch->before->maps[TABLE_ENDPOINTS], &source) ||
            !entries_find(&watch->after->maps[TABLE_ENDPOINTS], &source))
            continue;
        for (size_t j = 0; j < ARRAY_SIZE(destinations); j++) {
            struct ip_addr destination;

            assert_int_equal(address_parse(text_of(destinations[j]), &destination), 0);
            check_verdict(watch, &source, &destination);
        }
    }
}

/*
 * A packet that has met an endpoint, a route or a gateway as they were when packets were last
 * waited for, and looks for the next thing only now: it finds the old or the new one.
 */
static void check_slow_packet(const struct watch *watch, uint32_t profile,
                              const struct ip_addr *destination)
{
    const struct tables *states[] = {watch->before, watch->after};
    const struct entries *maps = watch->fake->maps;
    struct route met = lookup(&watch->met.maps[TABLE_ROUTES], profile, destination);
    struct route seen = lookup(&maps[TABLE_ROUTES], profile, destination);
    bool allowed = false;

    for (unsigned i = 0; i < 2; i++) {
        if (profile_has_routes(&states[i]->maps[TABLE_ROUTES], profile))
            allowed |= verdict_is(&seen, &states[i]->maps[TABLE_ROUTES], profile, destination);
        else
            allowed |= profile_is_used(&states[i]->maps[TABLE_ENDPOINTS], profile);
    }
    assert_true(allowed);
    for (uint32_t slot = 0; met.action == ROUTE_GATEWAY && slot < met.slots; slot++) {
        struct gateway_key key = {met.group, slot};

        assert_non_null(entries_find(&maps[TABLE_GATEWAYS], &key));
    }
}

static void check_slow_packets(const struct watch *watch)
{
    const struct entries *endpoints = &watch->met.maps[TABLE_ENDPOINTS];
    const struct entries *gateways = &watch->met.maps[TABLE_GATEWAYS];
    size_t cursor = 0;
    struct entry *entry;

    while ((entry = entries_next(endpoints, &cursor))) {
        const struct endpoint *endpoint = entry_value(endpoints, entry);

        for (size_t j = 0; j < ARRAY_SIZE(destinations); j++) {
            struct ip_addr destination;

            assert_int_equal(address_parse(text_of(destinations[j]), &destination), 0);
            check_slow_packet(watch, endpoint->profile, &destination);
        }
    }
    cursor = 0;
    while ((entry = entries_next(gateways, &cursor))) {
        const struct gateway *gateway = entry_value(gateways, entry);

        assert_non_null(entries_find(&watch->fake->maps[TABLE_NODES], &gateway->node));
    }
}

static void watch_written(void *context)
{
    const struct watch *watch = context;

    check_presence(watch);
    check_references(watch);
    check_verdicts(watch);
    check_slow_packets(watch);
}

/* All packets have passed: those of now are the slow ones from here on. */
static void watch_settled(void *context)
{
    struct watch *watch = context;

    tables_copy(watch->met.maps, watch->fake->maps);
}

void watch_begin(struct watch *watch, struct fake_backend *fake, const struct tables *before,
                 const struct tables *after)
{
    *watch = (struct watch){.fake = fake, .before = before, .after = after};
    tables_open(&watch->met);
    watch_settled(watch);
    fake->written = watch_written;
    fake->settled = watch_settled;
    fake->context = watch;
}

void watch_end(struct watch *watch)
{
    watch->fake->written = NULL;
    watch->fake->settled = NULL;
    tables_close(&watch->met);
}

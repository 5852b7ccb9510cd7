/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Table entries in records: [table, remove, key fields, value fields]; an entry that is removed has
 * no value fields. Bytes that are always zero are not sent.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "ipc/codec.h"

/* Fields of a key and of a value. */
static const struct {
    uint8_t key;
    uint8_t value;
} shapes[TABLES] = {
    [TABLE_SETTINGS] = {0, 3}, [TABLE_NODES] = {1, 1},     [TABLE_GATEWAYS] = {2, 4},
    [TABLE_ROUTES] = {3, 4},   [TABLE_ENDPOINTS] = {1, 4}, [TABLE_POLICIES] = {1, 1},
};

static void put_key(struct codec_writer *writer, const struct table_entry *entry)
{
    const struct route_key *route = &entry->key.route;
    struct ip_addr address;

    switch (entry->table) {
    case TABLE_NODES:
    case TABLE_ENDPOINTS:
        codec_put_address(writer, &entry->key.address);
        break;
    case TABLE_GATEWAYS:
        codec_put_unsigned(writer, entry->key.gateway.group);
        codec_put_unsigned(writer, entry->key.gateway.slot);
        break;
    case TABLE_ROUTES:
        memcpy(address.bytes, route->address, sizeof(address.bytes));
        codec_put_unsigned(writer, route->prefix_length);
        codec_put_unsigned(writer, ntohl(route->scope_be));
        codec_put_address(writer, &address);
        break;
    case TABLE_POLICIES:
        codec_put_unsigned(writer, entry->key.policy);
        break;
    case TABLE_SETTINGS:
    case TABLES:
        break;
    }
}

static void put_value(struct codec_writer *writer, const struct table_entry *entry)
{
    const union table_value *value = &entry->value;

    switch (entry->table) {
    case TABLE_SETTINGS:
        codec_put_address(writer, &value->settings.node_v4);
        codec_put_address(writer, &value->settings.node_v6);
        codec_put_unsigned(writer, value->settings.flags);
        break;
    case TABLE_NODES:
        codec_put_unsigned(writer, value->node.flags);
        break;
    case TABLE_GATEWAYS:
        codec_put_address(writer, &value->gateway.node);
        codec_put_address(writer, &value->gateway.egress);
        codec_put_unsigned(writer, value->gateway.ifindex);
        codec_put_unsigned(writer, value->gateway.flags);
        break;
    case TABLE_ROUTES:
        codec_put_unsigned(writer, value->route.group);
        codec_put_unsigned(writer, value->route.policy);
        codec_put_unsigned(writer, value->route.slots);
        codec_put_unsigned(writer, value->route.action);
        break;
    case TABLE_ENDPOINTS:
        codec_put_address(writer, &value->endpoint.node);
        codec_put_unsigned(writer, value->endpoint.profile);
        codec_put_unsigned(writer, value->endpoint.hash);
        codec_put_unsigned(writer, value->endpoint.flags);
        break;
    case TABLE_POLICIES:
        codec_put_text(writer, text_of(value->policy.text));
        break;
    case TABLES:
        break;
    }
}

size_t record_entry_size(enum table table)
{
    /* Numbers have at most a byte more than in the map, addresses two, a name three; and there are
     * the array, the table and the flag. */
    return table_shapes[table].key_size + table_shapes[table].value_size + 16;
}

void codec_put_entries(struct codec_writer *writer, const struct table_entry *items, size_t count)
{
    const char *why;

    if (count > RECORD_ENTRIES_LIMIT) {
        writer->error = -EINVAL;
        return;
    }
    codec_put_array(writer, count);
    for (size_t i = 0; i < count; i++) {
        const struct table_entry *entry = &items[i];

        if (table_entry_check(entry, &why) < 0) {
            writer->error = -EINVAL;
            return;
        }
        codec_put_array(writer, 2U + shapes[entry->table].key +
                                    (entry->remove ? 0U : shapes[entry->table].value));
        codec_put_unsigned(writer, entry->table);
        codec_put_bool(writer, entry->remove);
        put_key(writer, entry);
        if (!entry->remove)
            put_value(writer, entry);
    }
}

static uint32_t get_u32(struct codec_fields *fields)
{
    return (uint32_t)codec_get_unsigned(fields, UINT32_MAX);
}

static void get_key(struct codec_fields *fields, struct table_entry *entry)
{
    struct route_key *route = &entry->key.route;
    struct ip_addr address;

    switch (entry->table) {
    case TABLE_NODES:
    case TABLE_ENDPOINTS:
        entry->key.address = codec_get_address(fields);
        break;
    case TABLE_GATEWAYS:
        entry->key.gateway.group = get_u32(fields);
        entry->key.gateway.slot = get_u32(fields);
        break;
    case TABLE_ROUTES:
        route->prefix_length = get_u32(fields);
        route->scope_be = htonl(get_u32(fields));
        address = codec_get_address(fields);
        memcpy(route->address, address.bytes, sizeof(route->address));
        break;
    case TABLE_POLICIES:
        entry->key.policy = get_u32(fields);
        break;
    case TABLE_SETTINGS:
    case TABLES:
        break;
    }
}

static void get_value(struct codec_fields *fields, struct table_entry *entry)
{
    union table_value *value = &entry->value;

    switch (entry->table) {
    case TABLE_SETTINGS:
        value->settings.node_v4 = codec_get_address(fields);
        value->settings.node_v6 = codec_get_address(fields);
        value->settings.flags = get_u32(fields);
        break;
    case TABLE_NODES:
        value->node.flags = get_u32(fields);
        break;
    case TABLE_GATEWAYS:
        value->gateway.node = codec_get_address(fields);
        value->gateway.egress = codec_get_address(fields);
        value->gateway.ifindex = get_u32(fields);
        value->gateway.flags = get_u32(fields);
        break;
    case TABLE_ROUTES:
        value->route.group = get_u32(fields);
        value->route.policy = get_u32(fields);
        value->route.slots = (uint16_t)codec_get_unsigned(fields, UINT16_MAX);
        value->route.action = (uint8_t)codec_get_unsigned(fields, UINT8_MAX);
        break;
    case TABLE_ENDPOINTS:
        value->endpoint.node = codec_get_address(fields);
        value->endpoint.profile = get_u32(fields);
        value->endpoint.hash = get_u32(fields);
        value->endpoint.flags = get_u32(fields);
        break;
    case TABLE_POLICIES:
        if (policy_name_make(codec_get_text(fields, LIMIT_NAME), &value->policy) < 0)
            codec_refuse(fields->reader, "policies: the value is no name of an object");
        break;
    case TABLES:
        break;
    }
}

static void get_entry(struct codec_fields *list, struct table_entry *entry)
{
    struct codec_fields fields = codec_get_any_array(list);
    const char *why;

    entry->table = (enum table)codec_get_unsigned(&fields, TABLES - 1);
    entry->remove = codec_get_bool(&fields);
    if (list->reader->error)
        return;
    get_key(&fields, entry);
    if (!entry->remove)
        get_value(&fields, entry);
    if (fields.left)
        codec_refuse(list->reader, "an array has the wrong number of fields");
    if (!list->reader->error && table_entry_check(entry, &why) < 0)
        codec_refuse(list->reader, why);
}

void codec_get_entries(struct codec_fields *fields, struct table_entry **items, size_t *count)
{
    struct codec_fields list;

    *items = codec_get_list(fields, RECORD_ENTRIES_LIMIT, sizeof(**items), &list, count);
    for (size_t i = 0; i < *count; i++)
        get_entry(&list, &(*items)[i]);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "record_samples.h"

uint32_t sample_number(uint64_t *seed, uint32_t below)
{
    *seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return below ? (uint32_t)(*seed >> 33) % below : 0;
}

static bool some(uint64_t *seed)
{
    return sample_number(seed, 2);
}

static void *take(struct arena *arena, size_t count, size_t size)
{
    void *memory = arena_allocate(arena, count, size);

    assert_non_null(memory);
    return memory;
}

/* `index` makes it differ from its neighbours, and keeps their order. */
static struct text name(struct arena *arena, uint64_t *seed, size_t index, size_t limit)
{
    size_t length = 4 + sample_number(seed, (uint32_t)limit - 3);
    char *data = take(arena, length + 1, 1);

    snprintf(data, length + 1, "n%03zu", index);
    for (size_t i = 4; i < length; i++)
        data[i] = (char)('a' + sample_number(seed, 26));
    return (struct text){data, length};
}

static struct ip_addr address(uint64_t *seed)
{
    struct ip_addr result = ip_addr_from_v4(0);

    if (some(seed)) {
        result.bytes[0] = 0x20;
        for (int i = 1; i < 12; i++)
            result.bytes[i] = (uint8_t)sample_number(seed, 256);
    }
    result.bytes[12] = 10;
    for (int i = 13; i < 16; i++)
        result.bytes[i] = (uint8_t)sample_number(seed, 256);
    return result;
}

static struct ip_prefix prefix(uint64_t *seed)
{
    struct ip_prefix result = {.address = address(seed)};

    result.length = (uint8_t)sample_number(seed, address_bits(&result.address) + 1);
    result.address = address_mask(&result.address, result.length);
    return result;
}

static struct ip_addr *addresses(struct arena *arena, uint64_t *seed, size_t limit, size_t *count)
{
    struct ip_addr *items;

    *count = sample_number(seed, (uint32_t)limit);
    items = take(arena, *count, sizeof(*items));
    for (size_t i = 0; i < *count; i++)
        items[i] = address(seed);
    return items;
}

static struct ip_prefix *prefixes(struct arena *arena, uint64_t *seed, size_t least, size_t *count)
{
    struct ip_prefix *items;

    *count = least + sample_number(seed, 5);
    items = take(arena, *count, sizeof(*items));
    for (size_t i = 0; i < *count; i++)
        items[i] = prefix(seed);
    return items;
}

static struct labels labels(struct arena *arena, uint64_t *seed)
{
    struct labels result = {.count = sample_number(seed, 6)};

    result.items = take(arena, result.count, sizeof(*result.items));
    for (size_t i = 0; i < result.count; i++) {
        result.items[i].key = name(arena, seed, i, 63);
        if (some(seed))
            result.items[i].value = name(arena, seed, i, 63);
    }
    return result;
}

static struct selector selector(struct arena *arena, uint64_t *seed, bool present)
{
    struct selector result = {.present = present};

    if (!present)
        return result;
    result.count = sample_number(seed, 4);
    result.requirements = take(arena, result.count, sizeof(*result.requirements));
    for (size_t i = 0; i < result.count; i++) {
        struct requirement *requirement = &result.requirements[i];

        requirement->key = name(arena, seed, i, 63);
        requirement->match = (enum match_operator)sample_number(seed, 4);
        if (requirement->match <= MATCH_NOT_IN)
            requirement->value_count = 1 + sample_number(seed, 3);
        requirement->values = take(arena, requirement->value_count, sizeof(struct text));
        for (size_t j = 0; j < requirement->value_count; j++)
            requirement->values[j] = name(arena, seed, j, 63);
    }
    return result;
}

static struct policy policy(struct arena *arena, uint64_t *seed)
{
    struct policy result = {.name = name(arena, seed, 0, 253)};

    if (some(seed))
        result.uid = name(arena, seed, 0, 128);
    result.created = (int64_t)sample_number(seed, UINT32_MAX) - 1000000;
    result.rule_count = sample_number(seed, 4);
    result.rules = take(arena, result.rule_count, sizeof(*result.rules));
    for (size_t i = 0; i < result.rule_count; i++) {
        bool pods = some(seed);

        result.rules[i].namespaces = selector(arena, seed, !pods || some(seed));
        result.rules[i].pods = selector(arena, seed, pods);
        result.rules[i].nodes = selector(arena, seed, some(seed));
    }
    result.destinations = prefixes(arena, seed, 1, &result.destination_count);
    result.excluded = prefixes(arena, seed, 0, &result.excluded_count);
    result.gateways_from_list = some(seed);
    result.gateway_count = result.gateways_from_list ? 1 + sample_number(seed, 3) : 1;
    result.gateways = take(arena, result.gateway_count, sizeof(*result.gateways));
    for (size_t i = 0; i < result.gateway_count; i++) {
        result.gateways[i].nodes = selector(arena, seed, true);
        if (some(seed))
            result.gateways[i].interface = name(arena, seed, i, 15);
        else if (some(seed))
            result.gateways[i].egress_ip = address(seed);
    }
    return result;
}

static struct pod pod(struct arena *arena, uint64_t *seed)
{
    struct pod result = {
        .namespace = name(arena, seed, 0, 63),
        .name = name(arena, seed, 0, 253),
        .uid = name(arena, seed, 0, 128),
        .created = sample_number(seed, UINT32_MAX),
        .labels = labels(arena, seed),
        .host_network = some(seed),
        .ended = some(seed),
    };

    if (some(seed))
        result.node = name(arena, seed, 0, 253);
    if (some(seed))
        result.service_account = name(arena, seed, 0, 253);
    result.addresses = addresses(arena, seed, LIMIT_POD_ADDRESSES, &result.address_count);
    return result;
}

static struct node node(struct arena *arena, uint64_t *seed)
{
    struct node result = {
        .name = name(arena, seed, 0, 253),
        .uid = name(arena, seed, 0, 128),
        .labels = labels(arena, seed),
        .ready = some(seed),
    };

    result.internal = addresses(arena, seed, 4, &result.internal_count);
    result.others = addresses(arena, seed, 4, &result.other_count);
    result.pod_cidrs = prefixes(arena, seed, 0, &result.pod_cidr_count);
    return result;
}

static struct link link_sample(struct arena *arena, uint64_t *seed)
{
    struct link result = {
        .ifindex = 1 + sample_number(seed, INT32_MAX),
        .name = name(arena, seed, 0, 15),
        .up = some(seed),
        .address_count = sample_number(seed, 5),
        .default_route_v4 = some(seed),
        .default_route_v6 = some(seed),
    };

    result.addresses = take(arena, result.address_count, sizeof(*result.addresses));
    for (size_t i = 0; i < result.address_count; i++)
        result.addresses[i] = (struct link_address){address(seed), some(seed)};
    return result;
}

struct object sample_object(struct arena *arena, uint64_t *seed, enum object_kind kind)
{
    struct object object = {.kind = kind};

    switch (kind) {
    case KIND_POLICY:
        object.policy = policy(arena, seed);
        break;
    case KIND_POD:
        object.pod = pod(arena, seed);
        break;
    case KIND_NAMESPACE:
        object.namespace.name = name(arena, seed, 0, 63);
        object.namespace.uid = name(arena, seed, 0, 128);
        object.namespace.labels = labels(arena, seed);
        break;
    case KIND_NODE:
        object.node = node(arena, seed);
        break;
    case KIND_LINK:
        object.link = link_sample(arena, seed);
        break;
    case KINDS:
        fail();
    }
    return object;
}

static struct route route(uint64_t *seed, uint32_t profile)
{
    struct route result = {.action = ROUTE_EXCLUDED};

    if (profile == PROFILE_CLUSTER)
        result.action = ROUTE_CLUSTER;
    else if (profile == PROFILE_COVERED)
        result.action = ROUTE_COVERED;
    else if (profile == PROFILE_POD_RANGES)
        result.action = ROUTE_POD_RANGE;
    else
        result.policy = sample_number(seed, UINT32_MAX);
    if (profile >= PROFILE_FIRST && some(seed)) {
        result.action = ROUTE_GATEWAY;
        result.group = sample_number(seed, UINT32_MAX);
        result.slots = (uint16_t)(1 + sample_number(seed, GATEWAY_SLOTS));
    }
    return result;
}

static void gateway(uint64_t *seed, struct table_entry *entry)
{
    entry->key.gateway.group = sample_number(seed, UINT32_MAX);
    entry->key.gateway.slot = sample_number(seed, GATEWAY_SLOTS);
    entry->value.gateway.node = address(seed);
    if (some(seed)) {
        entry->value.gateway.flags = GATEWAY_LOCAL;
        entry->value.gateway.egress = address(seed);
        entry->value.gateway.ifindex = 1 + sample_number(seed, 1000);
    }
}

static void settings(uint64_t *seed, struct table_entry *entry)
{
    entry->remove = false;
    entry->value.settings.node_v4 = ip_addr_from_v4(0x0100000a);
    if (some(seed)) {
        entry->value.settings.node_v6.bytes[0] = 0x20;
        entry->value.settings.node_v6.bytes[15] = (uint8_t)sample_number(seed, 256);
    }
    entry->value.settings.flags = sample_number(seed, 2) ? SETTINGS_POD_RANGES_KNOWN : 0;
}

struct table_entry sample_entry(uint64_t *seed, enum table table)
{
    static const uint32_t profiles[] = {PROFILE_CLUSTER, PROFILE_COVERED, PROFILE_POD_RANGES,
                                        PROFILE_FIRST, PROFILE_LIMIT - 1};
    struct table_entry entry = {.table = table, .remove = some(seed)};
    uint32_t profile = profiles[sample_number(seed, ARRAY_SIZE(profiles))];
    struct ip_prefix destination = prefix(seed);

    switch (table) {
    case TABLE_SETTINGS:
        settings(seed, &entry);
        break;
    case TABLE_NODES:
        entry.key.address = address(seed);
        entry.value.node.flags = sample_number(seed, 8);
        break;
    case TABLE_GATEWAYS:
        gateway(seed, &entry);
        break;
    case TABLE_ROUTES:
        entry.key.route = route_key_make(profile, &destination);
        entry.value.route = route(seed, profile);
        break;
    case TABLE_ENDPOINTS:
        entry.key.address = address(seed);
        entry.value.endpoint.node = address(seed);
        entry.value.endpoint.profile = PROFILE_NONE + sample_number(seed, 1000);
        entry.value.endpoint.hash = sample_number(seed, UINT32_MAX);
        entry.value.endpoint.flags = sample_number(seed, 2);
        break;
    case TABLE_POLICIES:
        entry.key.policy = 1 + sample_number(seed, POLICIES_COUNTED - 1);
        assert_int_equal(
            policy_name_make(text_of(some(seed) ? "a-policy.example" : "b"), &entry.value.policy),
            0);
        break;
    case TABLES:
        fail();
    }
    if (entry.remove)
        entry.value = (union table_value){0};
    return entry;
}

static struct status_entry sample_status(struct arena *arena, uint64_t *seed)
{
    struct status_entry entry = {.kind = (enum status_kind)sample_number(seed, STATUS_KINDS),
                                 .values = {(uint64_t)sample_number(seed, UINT32_MAX) << 30}};

    if (entry.kind == STATUS_DROP)
        entry.number = sample_number(seed, DROP_REASONS_MOST);
    if (entry.kind == STATUS_COUNT)
        entry.number = DROP_REASONS_MOST + sample_number(seed, COUNTERS - DROP_REASONS_MOST);
    if (entry.kind == STATUS_GAUGE)
        entry.number = sample_number(seed, GAUGES);
    else
        entry.values[1] = (uint64_t)sample_number(seed, UINT32_MAX) << 31;
    if (entry.kind == STATUS_POLICY)
        entry.name = arena_text(arena, some(seed) ? TEXT("a-policy.example") : TEXT("b"));
    if (entry.kind == STATUS_REFUSED)
        entry.address = address(seed);
    if (entry.kind == STATUS_EGRESS) {
        entry.address = address(seed);
        entry.number = sample_number(seed, 256);
        entry.values[0] = sample_number(seed, 65537);
        entry.values[1] = entry.values[0] + sample_number(seed, 1000000);
    }
    return entry;
}

struct record sample_record(struct arena *arena, uint64_t *seed, enum record_type type)
{
    struct record record = {.type = type,
                            .generation = (uint64_t)sample_number(seed, UINT32_MAX)
                                          << sample_number(seed, 33)};
    struct object object = sample_object(arena, seed, (enum object_kind)sample_number(seed, KINDS));

    switch (type) {
    case RECORD_SYNC_BEGIN:
    case RECORD_SYNC_END:
        record.kind = object.kind;
        break;
    case RECORD_OBJECT:
        record.object = object;
        break;
    case RECORD_DELETE:
        record.identity = object_identity(&object);
        break;
    case RECORD_SCOPE:
        record.all_pods = some(seed);
        break;
    case RECORD_ENTRIES:
        record.entries.count = sample_number(seed, 20);
        record.entries.items = take(arena, record.entries.count, sizeof(struct table_entry));
        for (size_t i = 0; i < record.entries.count; i++)
            record.entries.items[i] = sample_entry(seed, (enum table)sample_number(seed, TABLES));
        break;
    case RECORD_STATUS:
        record.status.count = sample_number(seed, STATUS_RECORD_LIMIT + 1);
        record.status.items = take(arena, record.status.count, sizeof(struct status_entry));
        for (size_t i = 0; i < record.status.count; i++)
            record.status.items[i] = sample_status(arena, seed);
        record.status.first = some(seed);
        record.status.last = some(seed);
        break;
    case RECORD_REFUSE:
        record.refusal.error = 1 + (int)sample_number(seed, 100);
        record.refusal.text = name(arena, seed, 0, RECORD_TEXT_LIMIT);
        break;
    default:
        break;
    }
    return record;
}

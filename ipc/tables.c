/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/tables.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "ipc/names.h"

enum { V4_BYTES = 4, V4_OFFSET = 12 }; /* of an IPv4 address in struct ip_addr */

const struct table_shape table_shapes[TABLES] = {
    [TABLE_SETTINGS] = {MAP_SETTINGS, sizeof(uint32_t), sizeof(struct settings)},
    [TABLE_NODES] = {MAP_NODES, sizeof(struct ip_addr), sizeof(struct node_entry)},
    [TABLE_GATEWAYS] = {MAP_GATEWAYS, sizeof(struct gateway_key), sizeof(struct gateway)},
    [TABLE_ROUTES] = {MAP_ROUTES, sizeof(struct route_key), sizeof(struct route)},
    [TABLE_ENDPOINTS] = {MAP_ENDPOINTS, sizeof(struct ip_addr), sizeof(struct endpoint)},
    [TABLE_POLICIES] = {MAP_POLICIES, sizeof(uint32_t), sizeof(struct policy_name)},
};

static uint32_t route_key_profile(const struct route_key *key)
{
    return ntohl(key->scope_be) & ~ROUTE_SCOPE_IPV6;
}

unsigned table_entry_step(const struct table_entry *entry)
{
    static const unsigned steps[TABLES] = {
        [TABLE_SETTINGS] = 0, [TABLE_NODES] = 1,     [TABLE_GATEWAYS] = 2,
        [TABLE_ROUTES] = 4,   [TABLE_ENDPOINTS] = 5, [TABLE_POLICIES] = 7,
    };

    if (entry->table == TABLE_ROUTES) {
        switch (route_key_profile(&entry->key.route)) {
        case PROFILE_CLUSTER:
            return 3;
        case PROFILE_COVERED:
        case PROFILE_POD_RANGES:
            return 6;
        }
    }
    return steps[entry->table];
}

struct route_key route_key_make(uint32_t profile, const struct ip_prefix *prefix)
{
    struct route_key key = {.prefix_length = ROUTE_SCOPE_BITS + prefix->length};

    if (ip_addr_is_v4(&prefix->address)) {
        key.scope_be = htonl(profile);
        memcpy(key.address, prefix->address.bytes + V4_OFFSET, V4_BYTES);
    } else {
        key.scope_be = htonl(profile | ROUTE_SCOPE_IPV6);
        memcpy(key.address, prefix->address.bytes, sizeof(key.address));
    }
    return key;
}

int route_key_read(const struct route_key *key, uint32_t *profile, struct ip_prefix *prefix)
{
    bool v6 = ntohl(key->scope_be) & ROUTE_SCOPE_IPV6;
    unsigned length = key->prefix_length - ROUTE_SCOPE_BITS;
    struct ip_prefix result = {.length = (uint8_t)length};
    struct route_key again;
    struct ip_addr masked;

    if (key->prefix_length < ROUTE_SCOPE_BITS || length > (v6 ? 128 : 32))
        return -EINVAL;
    if (v6) {
        memcpy(result.address.bytes, key->address, sizeof(key->address));
    } else {
        __be32 v4_be;

        memcpy(&v4_be, key->address, V4_BYTES);
        result.address = ip_addr_from_v4(v4_be);
    }
    masked = address_mask(&result.address, length);
    if (!ip_addr_equal(&masked, &result.address))
        return -EINVAL;
    /* What is left: bytes behind an IPv4 address, and IPv6 prefixes that would read as IPv4. */
    again = route_key_make(route_key_profile(key), &result);
    if (memcmp(&again, key, sizeof(again)) != 0)
        return -EINVAL;
    *profile = route_key_profile(key);
    *prefix = result;
    return 0;
}

static const char *settings_check(const struct table_entry *entry)
{
    const struct settings *settings = &entry->value.settings;

    if (entry->key.zero != 0)
        return "the key of settings is not 0";
    if (entry->remove)
        return "settings are never removed";
    if (!ip_addr_is_none(&settings->node_v4) &&
        (!ip_addr_is_v4(&settings->node_v4) || !address_is_unicast(&settings->node_v4)))
        return "settings: the node's IPv4 address is none";
    if (!ip_addr_is_none(&settings->node_v6) &&
        (ip_addr_is_v4(&settings->node_v6) || !address_is_unicast(&settings->node_v6)))
        return "settings: the node's IPv6 address is none";
    if ((settings->flags & ~(unsigned)SETTINGS_POD_RANGES_KNOWN) || settings->reserved)
        return "settings: unknown flags";
    return NULL;
}

static const char *node_check(const struct table_entry *entry)
{
    if (!address_is_unicast(&entry->key.address))
        return "nodes: the key is no unicast address";
    if (!entry->remove &&
        (entry->value.node.flags & ~(unsigned)(NODE_SELF | NODE_GATEWAY | NODE_NOT_READY)))
        return "nodes: unknown flags";
    return NULL;
}

static const char *gateway_check(const struct table_entry *entry)
{
    const struct gateway *gateway = &entry->value.gateway;
    bool has_egress = !ip_addr_is_none(&gateway->egress);

    if (entry->key.gateway.slot >= GATEWAY_SLOTS)
        return "gateways: the slot is out of range";
    if (entry->remove)
        return NULL;
    if (!address_is_unicast(&gateway->node))
        return "gateways: the node is no unicast address";
    if (gateway->flags & ~(unsigned)(GATEWAY_LOCAL | GATEWAY_DEDICATED))
        return "gateways: unknown flags";
    if (gateway->flags & GATEWAY_DEDICATED && !has_egress)
        return "gateways: no egress IP is dedicated";
    if (!(gateway->flags & GATEWAY_LOCAL) && (has_egress || gateway->ifindex))
        return "gateways: an egress IP or interface on a node that is not the gateway";
    if (has_egress && !address_is_unicast(&gateway->egress))
        return "gateways: the egress IP is no unicast address";
    if (has_egress ? gateway->ifindex == 0 || gateway->ifindex > INT32_MAX : gateway->ifindex != 0)
        return "gateways: egress IP and interface go together";
    return NULL;
}

/* Whether routes of this profile may have this action. */
static bool route_action_fits(uint32_t profile, uint8_t action)
{
    switch (profile) {
    case PROFILE_CLUSTER:
        return action == ROUTE_CLUSTER;
    case PROFILE_COVERED:
        return action == ROUTE_COVERED;
    case PROFILE_POD_RANGES:
        return action == ROUTE_POD_RANGE;
    default:
        return action == ROUTE_GATEWAY || action == ROUTE_EXCLUDED || action == ROUTE_NO_GATEWAY;
    }
}

static const char *route_check(const struct table_entry *entry)
{
    const struct route *route = &entry->value.route;
    struct ip_prefix prefix;
    uint32_t profile;

    if (route_key_read(&entry->key.route, &profile, &prefix) < 0)
        return "routes: the key is no prefix";
    if (profile >= PROFILE_LIMIT || profile == PROFILE_NONE)
        return "routes: a profile that has no routes";
    if (entry->remove)
        return NULL;
    if (!route_action_fits(profile, route->action))
        return "routes: an action that the profile cannot have";
    if (route->action == ROUTE_GATEWAY ? route->slots == 0 || route->slots > GATEWAY_SLOTS
                                       : route->slots != 0 || route->group != 0)
        return "routes: group or slots do not fit the action";
    if (profile < PROFILE_FIRST && route->policy)
        return "routes: a policy in a profile that belongs to none";
    if (route->reserved)
        return "routes: unused bytes are not zero";
    return NULL;
}

static const char *endpoint_check(const struct table_entry *entry)
{
    const struct endpoint *endpoint = &entry->value.endpoint;

    if (!address_is_unicast(&entry->key.address))
        return "endpoints: the key is no unicast address";
    if (entry->remove)
        return NULL;
    /* A pod may be known before its node's address is. */
    if (!ip_addr_is_none(&endpoint->node) && !address_is_unicast(&endpoint->node))
        return "endpoints: the node is no unicast address";
    if (endpoint->profile < PROFILE_NONE || endpoint->profile >= PROFILE_LIMIT)
        return "endpoints: the profile is out of range";
    if (endpoint->flags & ~(unsigned)ENDPOINT_LOCAL)
        return "endpoints: unknown flags";
    if (endpoint->reserved)
        return "endpoints: unused bytes are not zero";
    return NULL;
}

int policy_name_make(struct text text, struct policy_name *name)
{
    *name = (struct policy_name){0};
    if (!names_is_subdomain(text))
        return -EINVAL;
    memcpy(name->text, text.data, text.length);
    return 0;
}

int policy_name_check(const struct policy_name *name)
{
    struct text text = {name->text, strnlen(name->text, sizeof(name->text))};
    struct policy_name again;

    /* What stands behind the name is zero. */
    return policy_name_make(text, &again) == 0 && memcmp(&again, name, sizeof(again)) == 0
               ? 0
               : -EINVAL;
}

static const char *policy_check(const struct table_entry *entry)
{
    if (entry->key.policy == 0 || entry->key.policy >= POLICIES_COUNTED)
        return "policies: the number is out of range";
    if (!entry->remove && policy_name_check(&entry->value.policy) < 0)
        return "policies: the value is no name of an object";
    return NULL;
}

int table_entry_check(const struct table_entry *entry, const char **why)
{
    static const char *(*const checks[TABLES])(const struct table_entry *) = {
        [TABLE_SETTINGS] = settings_check,  [TABLE_NODES] = node_check,
        [TABLE_GATEWAYS] = gateway_check,   [TABLE_ROUTES] = route_check,
        [TABLE_ENDPOINTS] = endpoint_check, [TABLE_POLICIES] = policy_check,
    };
    const char *wrong =
        (unsigned)entry->table < TABLES ? checks[entry->table](entry) : "no such table";

    if (!wrong)
        return 0;
    *why = wrong;
    return -EINVAL;
}

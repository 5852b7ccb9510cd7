/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IPC_TABLES_H
#define IPC_TABLES_H

/*
 * What the planner tells the loader: entries of the maps of <egressgw/layout.h>.
 */

#include <egressgw/layout.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/address.h"
#include "common/macros.h"

/* The order in which entries may be added so that no packet meets a reference to something that is
 * missing; removals go the other way. ROUTES has several places in it: see
 * table_entry_step(). */
enum table {
    TABLE_SETTINGS,
    TABLE_NODES,
    TABLE_GATEWAYS,
    TABLE_ROUTES,
    TABLE_ENDPOINTS,
    TABLE_POLICIES,
    TABLES,
};

union table_key {
    struct ip_addr address; /* nodes, endpoints */
    struct gateway_key gateway;
    struct route_key route;
    uint32_t zero;   /* settings */
    uint32_t policy; /* policies: the number */
};

union table_value {
    struct settings settings;
    struct node_entry node;
    struct gateway gateway;
    struct route route;
    struct endpoint endpoint;
    struct policy_name policy;
};

struct table_entry {
    enum table table;
    bool remove; /* `value` is not used */
    union table_key key;
    union table_value value;
};

/* Name and sizes of a table, as its map has them. */
struct table_shape {
    const char *name;
    size_t key_size;
    size_t value_size;
};
extern const struct table_shape table_shapes[TABLES];

/*
 * Steps of adding: 0 settings, 1 nodes, 2 gateways, 3 routes of PROFILE_CLUSTER, 4 routes of
 * profiles, 5 endpoints, 6 routes of PROFILE_COVERED and PROFILE_POD_RANGES (they make traffic of
 * unknown endpoints be dropped, so they come when all endpoints are there), 7 names of policies,
 * which no packet needs.
 */
enum { TABLE_STEPS = 8 };
unsigned table_entry_step(const struct table_entry *entry);

/* The route key of a prefix in a profile, and back. -EINVAL: no such key can have been made. */
struct route_key route_key_make(uint32_t profile, const struct ip_prefix *prefix);
int route_key_read(const struct route_key *key, uint32_t *profile,
                   struct ip_prefix *prefix) _must_check_;

/* The name of a policy as a value of its table; -EINVAL: no name of an object. And whether a value,
 * from a peer or from a map, is such a name. */
int policy_name_make(struct text text, struct policy_name *name) _must_check_;
int policy_name_check(const struct policy_name *name) _must_check_;

/* Whether an entry means something on its own: addresses unicast, numbers in range, unused bytes
 * zero, key bits behind the prefix zero. -EINVAL with `why` set to a constant text. */
int table_entry_check(const struct table_entry *entry, const char **why) _must_check_;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/object_maps.h"

#include <bpf/bpf.h>
#include <egressgw/layout.h>
#include <errno.h>
#include <string.h>

#include "common/log.h"

/* Gateways and nodes have no limit of their own: a group of several takes GATEWAY_SLOTS. Maps
 * without preallocation cost only what they hold. */
enum { GATEWAYS_MOST = 262144, NODES_MOST = 65536, FLOWS_LEAST = 65536 };

struct map_rule {
    const char *name;
    const char *limit; /* key of the configuration, NULL: the size is fixed */
    uint32_t (*size)(const struct config *config);
};

static uint32_t size_endpoints(const struct config *config)
{
    return config->limits.endpoints;
}

static uint32_t size_routes(const struct config *config)
{
    return config->limits.routes;
}

static uint32_t size_gateways(const struct config *config)
{
    (void)config;
    return GATEWAYS_MOST;
}

static uint32_t size_nodes(const struct config *config)
{
    (void)config;
    return NODES_MOST;
}

static uint32_t size_nat(const struct config *config)
{
    return config->limits.nat;
}

static uint32_t size_flows(const struct config *config)
{
    return config->limits.nat / 4 > FLOWS_LEAST ? config->limits.nat / 4 : FLOWS_LEAST;
}

static const struct map_rule map_rules[] = {
    {MAP_ENDPOINTS, "limits.endpoints", size_endpoints},
    {MAP_ROUTES, "limits.routes", size_routes},
    {MAP_GATEWAYS, NULL, size_gateways},
    {MAP_NODES, NULL, size_nodes},
    {MAP_SETTINGS, NULL, NULL},
    {MAP_NAT_FORWARD, "limits.nat", size_nat},
    {MAP_NAT_REVERSE, "limits.nat", size_nat},
    {MAP_NAT_MADE, "limits.endpoints", size_endpoints},
    {MAP_NAT_ENDED, "limits.endpoints", size_endpoints},
    {MAP_FLOWS, "limits.nat", size_flows},
    {MAP_COUNTERS, NULL, NULL},
    {MAP_POLICIES, NULL, NULL},
    {MAP_POLICY_COUNTERS, NULL, NULL},
    {MAP_DROP_LOG, NULL, NULL},
    {MAP_DROP_STATE, NULL, NULL},
    {MAP_EGRESS_REFUSED, NULL, NULL},
};

/* Whether the pinned map is of the kind that the programs expect; its size may differ. */
static int map_adopt(struct bpf_map *map, const struct map_rule *rule, int fd)
{
    struct bpf_map_info info = {0};
    __u32 size = sizeof(info);
    uint32_t wanted = bpf_map__max_entries(map);
    int error = bpf_obj_get_info_by_fd(fd, &info, &size);

    if (error)
        return error;
    if (info.type != bpf_map__type(map) || info.key_size != bpf_map__key_size(map) ||
        info.value_size != bpf_map__value_size(map) || info.map_flags != bpf_map__map_flags(map) ||
        (!rule->size && info.max_entries != wanted)) {
        log_error("a pinned map is not of the shape that this program needs: run egressgw-loader "
                  "--detach (it ends the datapath until the next start) and start again",
                  log_string("map", rule->name));
        return -EINVAL;
    }
    if (info.max_entries != wanted)
        log_warning("a map keeps its size: a changed limit takes effect after egressgw-loader "
                    "--detach",
                    log_string("map", rule->name),
                    log_string("limit", rule->limit ? rule->limit : "none"),
                    log_number("entries", info.max_entries), log_number("wanted", wanted));
    return bpf_map__reuse_fd(map, fd);
}

static int map_prepare(struct bpf_object *object, const struct map_rule *rule,
                       const struct config *config, const struct pins *pins)
{
    struct bpf_map *map = bpf_object__find_map_by_name(object, rule->name);
    _cleanup_close_ int fd = -1;
    int error = 0;

    if (!map) {
        log_error("the datapath object lacks a map", log_string("map", rule->name));
        return -ENOENT;
    }
    if (rule->size)
        error = bpf_map__set_max_entries(map, rule->size(config));
    if (error)
        return error;
    fd = pins_get(pins->root, "maps", rule->name, false);
    if (fd >= 0)
        return map_adopt(map, rule, fd);
    if (fd != -ENOENT)
        log_error("a pinned map cannot be opened", log_string("map", rule->name), log_errno(fd));
    return fd == -ENOENT ? 0 : fd;
}

static bool maps_are_pinned(const struct pins *pins)
{
    for (size_t i = 0; i < ARRAY_SIZE(map_rules); i++) {
        char path[PATH_MAX];

        if (pins_path(pins->root, "maps", map_rules[i].name, path) == 0 && access(path, F_OK) == 0)
            return true;
    }
    return false;
}

/* The version is pinned before any map, so that maps without one can only be foreign. */
static int layout_create(const struct pins *pins)
{
    const __u32 key = 0, version = LAYOUT_VERSION;
    _cleanup_close_ int fd =
        bpf_map_create(BPF_MAP_TYPE_ARRAY, PIN_LAYOUT, sizeof(key), sizeof(version), 1, NULL);
    int error = fd < 0 ? fd : bpf_map_update_elem(fd, &key, &version, BPF_ANY);

    if (!error)
        error = pins_pin(pins, fd, "maps", PIN_LAYOUT);
    if (error)
        log_error("cannot make the map that records the layout: CAP_BPF is needed",
                  log_errno(error));
    return error;
}

static int layout_check(const struct pins *pins)
{
    unsigned version = 0;
    int error = pins_layout(pins->root, false, &version);

    if (error == -ENOENT && !maps_are_pinned(pins))
        return layout_create(pins);
    if (error && error != -ENOENT) {
        log_error("the layout of the pinned maps cannot be read", log_string("path", pins->root),
                  log_errno(error));
        return error;
    }
    if (version == LAYOUT_VERSION)
        return 0;
    log_error("the pinned maps are of another layout and are left as they are: run egressgw-loader "
              "--detach (it ends the datapath until the next start) and start again",
              log_string("path", pins->root), log_number("layout", version),
              log_number("wanted", LAYOUT_VERSION));
    return -EPROTONOSUPPORT;
}

int maps_prepare(struct bpf_object *object, const struct config *config, const struct pins *pins)
{
    int error = layout_check(pins);

    for (size_t i = 0; !error && i < ARRAY_SIZE(map_rules); i++)
        error = map_prepare(object, &map_rules[i], config, pins);
    return error;
}

int maps_pin(struct bpf_object *object, const struct pins *pins)
{
    for (size_t i = 0; i < ARRAY_SIZE(map_rules); i++) {
        const char *name = map_rules[i].name;
        char path[PATH_MAX];
        int error = pins_path(pins->root, "maps", name, path);

        if (!error && access(path, F_OK) == 0)
            continue;
        if (!error)
            error = pins_pin(pins, bpf_object__find_map_fd_by_name(object, name), "maps", name);
        if (error) {
            log_error("cannot pin a map", log_string("map", name), log_errno(error));
            return error;
        }
    }
    return 0;
}

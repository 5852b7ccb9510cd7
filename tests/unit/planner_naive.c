/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/planner_naive.h"

#include <stdio.h>

#include "planner/gateway_identity.h"
#include "planner/memory.h"
#include "planner/selector.h"
#include "planner/slots.h"
#include "planner/stable_hash.h"

struct naive {
    const struct world *world;
    const struct plan_config *config;
    struct ip_addr gateways[256]; /* tunnel addresses in groups */
    size_t gateway_count;
};

/* Goes over the objects of a kind that are there. */
#define EACH(naive, kind_number, object_pointer)                                                   \
    for (unsigned each_slot = 0; each_slot < world_counts[kind_number]; each_slot++)               \
        if ((naive)->world->slots[kind_number][each_slot].present &&                               \
            ((object_pointer) = &(naive)->world->slots[kind_number][each_slot].object))

/* ---- Selection ---- */

static bool naive_requirement_holds(const struct requirement *requirement,
                                    const struct label *labels, size_t count)
{
    const struct label *found = NULL;
    bool listed = false;

    for (size_t i = 0; i < count; i++)
        if (text_equal(labels[i].key, requirement->key))
            found = &labels[i];
    for (size_t i = 0; found && i < requirement->value_count; i++)
        listed |= text_equal(requirement->values[i], found->value);
    return requirement->match == MATCH_IN       ? found && listed
           : requirement->match == MATCH_NOT_IN ? !found || !listed
           : requirement->match == MATCH_EXISTS ? found != NULL
                                                : found == NULL;
}

bool naive_selector_matches(const struct selector *selector, const struct label *labels,
                            size_t count)
{
    for (size_t i = 0; i < selector->count; i++)
        if (!naive_requirement_holds(&selector->requirements[i], labels, count))
            return false;
    return true;
}

static const struct node *naive_node(const struct naive *naive, struct text name)
{
    const struct object *object;

    EACH(naive, KIND_NODE, object)
    if (text_equal(object->node.name, name))
        return &object->node;
    return NULL;
}

static struct labels naive_namespace_labels(const struct naive *naive, struct text name)
{
    const struct object *object;

    EACH(naive, KIND_NAMESPACE, object)
    if (text_equal(object->namespace.name, name))
        return object->namespace.labels;
    return (struct labels){0};
}

/* The labels that a podSelector sees; returns how many. */
static size_t naive_pod_labels(const struct naive *naive, const struct pod *pod,
                               struct label labels[32], char texts[8][64])
{
    struct labels of_namespace = naive_namespace_labels(naive, pod->namespace);
    size_t count = 0;

    for (size_t i = 0; i < pod->labels.count; i++)
        labels[count++] = pod->labels.items[i];
    labels[count++] = (struct label){TEXT(LABEL_NAMESPACE), pod->namespace};
    labels[count++] = (struct label){TEXT(LABEL_CLUSTER), naive->config->cluster};
    if (pod->service_account.length)
        labels[count++] = (struct label){TEXT(LABEL_SERVICE_ACCOUNT), pod->service_account};
    for (size_t i = 0; i < of_namespace.count; i++) {
        snprintf(texts[i], sizeof(texts[i]), LABEL_NAMESPACE_PREFIX "%.*s",
                 TEXT_ARG(of_namespace.items[i].key));
        labels[count++] = (struct label){text_of(texts[i]), of_namespace.items[i].value};
    }
    return count;
}

static bool naive_rule_selects(const struct naive *naive, const struct policy_rule *rule,
                               const struct pod *pod)
{
    struct labels of_namespace = naive_namespace_labels(naive, pod->namespace);
    const struct node *node = naive_node(naive, pod->node);
    struct label labels[32];
    char texts[8][64];
    size_t count = naive_pod_labels(naive, pod, labels, texts);

    if (rule->pods.present && !naive_selector_matches(&rule->pods, labels, count))
        return false;
    if (rule->namespaces.present &&
        !naive_selector_matches(&rule->namespaces, of_namespace.items, of_namespace.count))
        return false;
    return !rule->nodes.present ||
           naive_selector_matches(&rule->nodes, node ? node->labels.items : NULL,
                                  node ? node->labels.count : 0);
}

static bool naive_policy_selects(const struct naive *naive, const struct policy *policy,
                                 const struct pod *pod)
{
    for (size_t i = 0; i < policy->rule_count; i++)
        if (naive_rule_selects(naive, &policy->rules[i], pod))
            return true;
    return false;
}

/* ---- Nodes ---- */

static struct ip_addr naive_first(const struct node *node, bool v4)
{
    for (size_t i = 0; node && i < node->internal_count; i++)
        if (ip_addr_is_v4(&node->internal[i]) == v4)
            return node->internal[i];
    return (struct ip_addr){0};
}

static bool naive_has(const struct node *node, bool v4)
{
    struct ip_addr first = naive_first(node, v4);

    return !ip_addr_is_none(&first);
}

static struct ip_addr naive_tunnel(const struct naive *naive, const struct node *node)
{
    const struct node *self = naive_node(naive, naive->config->node);
    bool self_unknown = !self || self->internal_count == 0;

    if (naive_has(node, true) && (self_unknown || naive_has(self, true)))
        return naive_first(node, true);
    if (naive_has(node, false) && (self_unknown || naive_has(self, false)))
        return naive_first(node, false);
    return (struct ip_addr){0};
}

static bool naive_is_self(const struct naive *naive, const struct node *node)
{
    return text_equal(node->name, naive->config->node);
}

static bool naive_prefixes_hold(const struct ip_prefix *prefixes, size_t count,
                                const struct ip_addr *address)
{
    for (size_t i = 0; i < count; i++)
        if (prefix_contains(&prefixes[i], address))
            return true;
    return false;
}

static bool naive_addresses_hold(const struct ip_addr *addresses, size_t count,
                                 const struct ip_addr *address)
{
    for (size_t i = 0; i < count; i++)
        if (ip_addr_equal(&addresses[i], address))
            return true;
    return false;
}

/* Whether an address is in the ranges of the cluster, or in those of pods alone. */
static bool naive_ranges_hold(const struct naive *naive, bool cluster,
                              const struct ip_addr *address)
{
    const struct prefix_list *list =
        cluster ? &naive->config->cluster_cidrs : &naive->config->pod_cidrs;
    const struct object *object;

    if (naive_prefixes_hold(list->items, list->count, address))
        return true;
    EACH(naive, KIND_NODE, object)
    {
        const struct node *node = &object->node;

        if (naive_prefixes_hold(node->pod_cidrs, node->pod_cidr_count, address))
            return true;
        if (cluster && (naive_addresses_hold(node->internal, node->internal_count, address) ||
                        naive_addresses_hold(node->others, node->other_count, address)))
            return true;
    }
    return false;
}

static bool naive_pod_lives(const struct pod *pod)
{
    return !pod->host_network && !pod->ended && pod->address_count;
}

/* Whether some pod has an address outside of them. */
static bool naive_has_strays(const struct naive *naive, bool cluster)
{
    const struct object *object;

    EACH(naive, KIND_POD, object)
    for (size_t i = 0; naive_pod_lives(&object->pod) && naive_node(naive, object->pod.node) &&
                       i < object->pod.address_count;
         i++)
        if (!naive_ranges_hold(naive, cluster, &object->pod.addresses[i]))
            return true;
    return false;
}

static bool naive_cluster_unknown(const struct naive *naive)
{
    bool any = false, ready_without = false;
    const struct object *object;

    EACH(naive, KIND_NODE, object)
    {
        any |= object->node.pod_cidr_count > 0;
        ready_without |= object->node.ready && object->node.pod_cidr_count == 0;
    }
    return naive_has_strays(naive, true) ||
           (naive->config->cluster_cidrs.count == 0 && (!any || ready_without));
}

/* ---- Gateways ---- */

static bool naive_is_better(const struct node *node, const struct node *best)
{
    if (!best || node->ready != best->ready)
        return !best || node->ready;
    return text_compare(node->name, best->name) < 0;
}

static const struct node *naive_choose(const struct naive *naive,
                                       const struct policy_gateway *gateway)
{
    const struct object *object;
    const struct node *best = NULL;

    EACH(naive, KIND_NODE, object)
    if (object->node.internal_count &&
        naive_selector_matches(&gateway->nodes, object->node.labels.items,
                               object->node.labels.count) &&
        naive_is_better(&object->node, best))
        best = &object->node;
    return best;
}

static bool naive_link_has(const struct link *link, const struct ip_addr *address)
{
    for (size_t i = 0; i < link->address_count; i++)
        if (link->addresses[i].usable && ip_addr_equal(&link->addresses[i].address, address))
            return true;
    return false;
}

static const struct link *naive_link(const struct naive *naive,
                                     const struct policy_gateway *gateway, bool v4)
{
    const struct object *object;

    EACH(naive, KIND_LINK, object)
    {
        const struct link *link = &object->link;
        bool meant = !ip_addr_is_none(&gateway->egress_ip)
                         ? naive_link_has(link, &gateway->egress_ip)
                     : gateway->interface.length ? text_equal(link->name, gateway->interface)
                     : v4                        ? link->default_route_v4
                                                 : link->default_route_v6;

        if (link->up && meant)
            return link;
    }
    return NULL;
}

/* The node's own connections have the first address of each interface with a default route. */
static bool naive_is_used(const struct naive *naive, const struct ip_addr *egress, bool v4)
{
    const struct object *object;

    EACH(naive, KIND_LINK, object)
    {
        const struct link *link = &object->link;
        size_t i = 0;

        while (i < link->address_count &&
               !(link->addresses[i].usable && ip_addr_is_v4(&link->addresses[i].address) == v4 &&
                 address_is_global(&link->addresses[i].address)))
            i++;
        if (i < link->address_count && (v4 ? link->default_route_v4 : link->default_route_v6) &&
            ip_addr_equal(&link->addresses[i].address, egress))
            return true;
    }
    return false;
}

static void naive_resolve(const struct naive *naive, const struct policy_gateway *gateway, bool v4,
                          struct gateway *entry)
{
    const struct link *link = naive_link(naive, gateway, v4);

    for (size_t i = 0; link && i < link->address_count; i++) {
        const struct link_address *address = &link->addresses[i];

        if (address->usable && ip_addr_is_v4(&address->address) == v4 &&
            address_is_global(&address->address) && ip_addr_is_none(&entry->egress)) {
            entry->egress = address->address;
            entry->ifindex = link->ifindex;
        }
    }
    if (link && !ip_addr_is_none(&gateway->egress_ip) && ip_addr_is_v4(&gateway->egress_ip) == v4) {
        entry->egress = gateway->egress_ip;
        entry->ifindex = link->ifindex;
    }
    if (!ip_addr_is_none(&entry->egress) && !naive_is_used(naive, &entry->egress, v4))
        entry->flags |= GATEWAY_DEDICATED;
}

/* Fills the entries that are in use and returns how many those are. */
static size_t naive_entries(const struct naive *naive, const struct policy *policy, bool v4,
                            struct gateway *entries, bool *in_use)
{
    bool ready = false;
    size_t count = 0;

    for (size_t i = 0; i < policy->gateway_count; i++) {
        const struct node *node = naive_choose(naive, &policy->gateways[i]);

        ready |= node && node->ready;
    }
    for (size_t i = 0; i < policy->gateway_count; i++) {
        const struct node *node = naive_choose(naive, &policy->gateways[i]);

        entries[i] = (struct gateway){0};
        if (node)
            entries[i].node = naive_tunnel(naive, node);
        in_use[i] = node && !ip_addr_is_none(&entries[i].node) && (node->ready || !ready);
        count += in_use[i];
        if (in_use[i] && naive_is_self(naive, node)) {
            entries[i].flags = GATEWAY_LOCAL;
            naive_resolve(naive, &policy->gateways[i], v4, &entries[i]);
        }
    }
    return count;
}

/* The slots of a policy's group; returns how many, 0: there is no gateway. */
static size_t naive_slots(const struct naive *naive, const struct policy *policy, bool v4,
                          struct gateway *slots)
{
    struct gateway entries[LIMIT_GATEWAYS];
    bool in_use[LIMIT_GATEWAYS];
    uint64_t identities[LIMIT_GATEWAYS];
    uint8_t owners[GATEWAY_SLOTS];
    size_t used = naive_entries(naive, policy, v4, entries, in_use);

    if (used == 0)
        return 0;
    gateway_identities(policy->gateways, policy->gateway_count, identities);
    slots_fill(policy->gateway_count, identities, in_use, owners);
    for (size_t i = 0; i < GATEWAY_SLOTS; i++)
        slots[i] = entries[owners[i]];
    return used == 1 ? 1 : GATEWAY_SLOTS;
}

static bool naive_is_gateway(const struct naive *naive, const struct policy *policy)
{
    struct gateway entries[LIMIT_GATEWAYS];
    bool in_use[LIMIT_GATEWAYS];

    (void)naive_entries(naive, policy, true, entries, in_use);
    for (size_t i = 0; i < policy->gateway_count; i++)
        if (in_use[i] && entries[i].flags & GATEWAY_LOCAL)
            return true;
    return false;
}

/* ---- Pods ---- */

static bool naive_pod_has(const struct pod *pod, const struct ip_addr *address)
{
    for (size_t i = 0; naive_pod_lives(pod) && i < pod->address_count; i++)
        if (ip_addr_equal(&pod->addresses[i], address))
            return true;
    return false;
}

static const struct pod *naive_holder(const struct naive *naive, const struct ip_addr *address)
{
    const struct object *object;
    const struct pod *holder = NULL;

    EACH(naive, KIND_POD, object)
    {
        const struct pod *pod = &object->pod;

        if (naive_pod_has(pod, address) &&
            (!holder || pod->created > holder->created ||
             (pod->created == holder->created && text_compare(pod->uid, holder->uid) > 0)))
            holder = pod;
    }
    return holder;
}

/* ---- Routes ---- */

struct naive_route {
    struct ip_prefix prefix;
    const struct policy *policy;
    bool excluded;
};

/* Whether `a` decides about a prefix that both have. */
static bool naive_decides(const struct naive_route *a, const struct naive_route *b)
{
    if (a->policy == b->policy)
        return a->excluded && !b->excluded;
    if (a->policy->created != b->policy->created)
        return a->policy->created < b->policy->created;
    return text_compare(a->policy->name, b->policy->name) < 0;
}

static void naive_add_route(struct naive_route *routes, size_t *count,
                            const struct naive_route *route)
{
    for (size_t i = 0; i < *count; i++)
        if (prefix_equal(&routes[i].prefix, &route->prefix)) {
            if (naive_decides(route, &routes[i]))
                routes[i] = *route;
            return;
        }
    routes[(*count)++] = *route;
}

static void naive_write_route(const struct naive *naive, const struct naive_route *route,
                              struct lines *lines)
{
    struct gateway slots[GATEWAY_SLOTS];
    _cleanup_free_ char *group = NULL;
    char name[64];
    unsigned action = ROUTE_EXCLUDED;

    if (!route->excluded) {
        size_t count =
            naive_slots(naive, route->policy, ip_addr_is_v4(&route->prefix.address), slots);

        action = count ? ROUTE_GATEWAY : ROUTE_NO_GATEWAY;
        if (count)
            group = lines_group(slots, count);
    }
    snprintf(name, sizeof(name), "%.*s", TEXT_ARG(route->policy->name));
    lines_add_route(lines, &route->prefix, action, name, group ? group : "");
}

/* The routes of a pod as one text, to be freed. NULL: no policy selects it. */
static char *naive_routes(const struct naive *naive, const struct pod *pod)
{
    struct naive_route routes[64];
    struct lines lines = {0};
    const struct object *object;
    bool selected = false;
    size_t count = 0;
    char *text;

    EACH(naive, KIND_POLICY, object)
    {
        const struct policy *policy = &object->policy;

        if (!naive_policy_selects(naive, policy, pod))
            continue;
        selected = true;
        for (size_t i = 0; i < policy->destination_count; i++)
            naive_add_route(routes, &count,
                            &(struct naive_route){policy->destinations[i], policy, false});
        for (size_t i = 0; i < policy->excluded_count; i++)
            naive_add_route(routes, &count,
                            &(struct naive_route){policy->excluded[i], policy, true});
    }
    if (!selected)
        return NULL;
    for (size_t i = 0; i < count; i++)
        naive_write_route(naive, &routes[i], &lines);
    lines_sort(&lines);
    text = lines_join(&lines);
    lines_clear(&lines);
    return text;
}

/* ---- Tables ---- */

static bool naive_pod_passes_here(const struct naive *naive, const struct pod *pod)
{
    const struct object *object;

    EACH(naive, KIND_POLICY, object)
    if (naive_policy_selects(naive, &object->policy, pod) &&
        naive_is_gateway(naive, &object->policy))
        return true;
    return false;
}

static bool naive_pod_is_local(const struct naive *naive, const struct pod *pod)
{
    return text_equal(pod->node, naive->config->node);
}

static void naive_write_endpoint(const struct naive *naive, const struct ip_addr *address,
                                 struct lines *lines)
{
    const struct pod *pod = naive_holder(naive, address);
    bool local = naive_pod_is_local(naive, pod), passes = naive_pod_passes_here(naive, pod);
    const struct node *node = naive_node(naive, pod->node);
    _cleanup_free_ char *routes = local || passes ? naive_routes(naive, pod) : NULL;
    struct endpoint endpoint = {
        .hash = (uint32_t)stable_hash_mix(
            stable_hash_bytes(STABLE_HASH_START, pod->uid.data, pod->uid.length)),
        .flags = local ? ENDPOINT_LOCAL : 0,
    };

    if (!local && !passes && !naive_cluster_unknown(naive))
        return;
    if (node)
        endpoint.node = naive_tunnel(naive, node);
    lines_add_endpoint(lines, address, &endpoint, routes ? routes : "none");
}

static void naive_write_endpoints(const struct naive *naive, struct lines *lines)
{
    const struct object *object;

    EACH(naive, KIND_POD, object)
    for (size_t i = 0; naive_pod_lives(&object->pod) && i < object->pod.address_count; i++)
        naive_write_endpoint(naive, &object->pod.addresses[i], lines);
}

/* Whether some pod with routes here has the policy. */
static bool naive_policy_is_used(const struct naive *naive, const struct policy *policy)
{
    const struct object *object;

    EACH(naive, KIND_POD, object)
    {
        const struct pod *pod = &object->pod;

        for (size_t i = 0; naive_pod_lives(pod) && i < pod->address_count; i++)
            if (naive_holder(naive, &pod->addresses[i]) == pod &&
                naive_policy_selects(naive, policy, pod) &&
                (naive_pod_is_local(naive, pod) || naive_pod_passes_here(naive, pod)))
                return true;
    }
    return false;
}

static bool naive_policy_has_family(const struct policy *policy, bool v4)
{
    for (size_t i = 0; i < policy->destination_count; i++)
        if (ip_addr_is_v4(&policy->destinations[i].address) == v4)
            return true;
    return false;
}

static void naive_write_group(struct naive *naive, const struct policy *policy, bool v4,
                              struct lines *lines)
{
    struct gateway slots[GATEWAY_SLOTS], entries[LIMIT_GATEWAYS];
    bool in_use[LIMIT_GATEWAYS];
    size_t count = naive_slots(naive, policy, v4, slots);
    _cleanup_free_ char *group = NULL;

    if (count == 0)
        return;
    group = lines_group(slots, count);
    lines_add(lines, "group %s", group);
    (void)naive_entries(naive, policy, v4, entries, in_use);
    for (size_t i = 0; i < policy->gateway_count; i++)
        if (in_use[i])
            naive->gateways[naive->gateway_count++] = entries[i].node;
}

static void naive_write_groups(struct naive *naive, struct lines *lines)
{
    const struct object *object;

    EACH(naive, KIND_POLICY, object)
    if (naive_policy_is_used(naive, &object->policy))
        for (int v4 = 0; v4 < 2; v4++)
            if (naive_policy_has_family(&object->policy, v4))
                naive_write_group(naive, &object->policy, v4, lines);
}

static bool naive_in_group(const struct naive *naive, const struct ip_addr *address)
{
    for (size_t i = 0; i < naive->gateway_count; i++)
        if (ip_addr_equal(&naive->gateways[i], address))
            return true;
    return false;
}

/* Addresses that a reserved profile has. */
struct naive_set {
    struct ip_prefix prefixes[256];
    size_t count;
};

static void naive_set_add(struct naive_set *set, const struct ip_prefix *prefixes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        set->prefixes[set->count++] = prefixes[i];
}

static void naive_set_add_addresses(struct naive_set *set, const struct ip_addr *addresses,
                                    size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct ip_prefix prefix = {addresses[i], (uint8_t)address_bits(&addresses[i])};

        naive_set_add(set, &prefix, 1);
    }
}

static bool naive_same_family(const struct ip_prefix *a, const struct ip_prefix *b)
{
    return ip_addr_is_v4(&a->address) == ip_addr_is_v4(&b->address);
}

/* Makes one prefix of two where that changes nothing: one holds the other, or they are halves. */
static bool naive_set_join(struct ip_prefix *a, const struct ip_prefix *b)
{
    struct ip_prefix whole = {.length = a->length - 1};

    if (!naive_same_family(a, b))
        return false;
    if (a->length <= b->length && prefix_contains(a, &b->address))
        return true;
    if (a->length != b->length || a->length == 0)
        return false;
    whole.address = address_mask(&a->address, whole.length);
    if (!prefix_contains(&whole, &b->address))
        return false;
    *a = whole;
    return true;
}

static void naive_set_write(struct naive_set *set, unsigned profile, unsigned action,
                            struct lines *lines)
{
    bool changed = true;

    while (changed) {
        changed = false;
        for (size_t i = 0; i < set->count; i++)
            for (size_t j = 0; j < set->count; j++)
                if (i != j && naive_set_join(&set->prefixes[i], &set->prefixes[j])) {
                    set->prefixes[j] = set->prefixes[--set->count];
                    changed = true;
                    i = j = set->count; /* start again: items have moved */
                }
    }
    for (size_t i = 0; i < set->count; i++)
        lines_add_range(lines, profile, &set->prefixes[i], action);
}

static void naive_write_ranges(const struct naive *naive, struct lines *lines)
{
    struct naive_set cluster = {0}, covered = {0}, pods = {0};
    const struct object *object;

    naive_set_add(&cluster, naive->config->cluster_cidrs.items, naive->config->cluster_cidrs.count);
    naive_set_add(&pods, naive->config->pod_cidrs.items, naive->config->pod_cidrs.count);
    EACH(naive, KIND_NODE, object)
    {
        const struct node *node = &object->node;

        naive_set_add_addresses(&cluster, node->internal, node->internal_count);
        naive_set_add_addresses(&cluster, node->others, node->other_count);
        naive_set_add(&cluster, node->pod_cidrs, node->pod_cidr_count);
        naive_set_add(&pods, node->pod_cidrs, node->pod_cidr_count);
    }
    EACH(naive, KIND_POLICY, object)
    naive_set_add(&covered, object->policy.destinations, object->policy.destination_count);
    naive_set_write(&cluster, PROFILE_CLUSTER, ROUTE_CLUSTER, lines);
    naive_set_write(&covered, PROFILE_COVERED, ROUTE_COVERED, lines);
    naive_set_write(&pods, PROFILE_POD_RANGES, ROUTE_POD_RANGE, lines);
}

/* Whether a node with this address is Ready; two may have it for a while. */
static bool naive_address_ready(const struct naive *naive, const struct ip_addr *address)
{
    const struct object *object;
    bool ready = false;

    EACH(naive, KIND_NODE, object)
    for (size_t i = 0; i < object->node.internal_count; i++)
        ready |= object->node.ready && ip_addr_equal(&object->node.internal[i], address);
    return ready;
}

static void naive_write_node(const struct naive *naive, const struct node *node,
                             struct lines *lines)
{
    const struct node *self = naive_node(naive, naive->config->node);

    for (size_t i = 0; i < node->internal_count; i++) {
        const struct ip_addr *address = &node->internal[i];
        unsigned flags = naive_in_group(naive, address) ? NODE_GATEWAY : 0;

        flags |= naive_address_ready(naive, address) ? 0 : NODE_NOT_READY;
        for (size_t j = 0; self && j < self->internal_count; j++)
            if (ip_addr_equal(&self->internal[j], address))
                flags |= NODE_SELF;
        lines_add_node(lines, address, flags);
    }
}

static void naive_write_settings(const struct naive *naive, struct lines *lines)
{
    const struct node *self = naive_node(naive, naive->config->node);
    struct settings settings = {.node_v4 = naive_first(self, true),
                                .node_v6 = naive_first(self, false)};
    const struct object *object;
    bool any = false, all = true;

    EACH(naive, KIND_NODE, object)
    {
        any = true;
        all &= object->node.pod_cidr_count > 0;
    }
    if ((naive->config->pod_cidrs.count || (any && all)) && !naive_has_strays(naive, false))
        settings.flags = SETTINGS_POD_RANGES_KNOWN;
    lines_add_settings(lines, &settings);
}

void naive_compute(const struct world *world, const struct plan_config *config, struct lines *lines)
{
    struct naive naive = {.world = world, .config = config};
    const struct object *object;

    naive_write_groups(&naive, lines);
    naive_write_settings(&naive, lines);
    EACH(&naive, KIND_POLICY, object)
    lines_add(lines, "policy %.*s", TEXT_ARG(object->policy.name));
    EACH(&naive, KIND_NODE, object)
    naive_write_node(&naive, &object->node, lines);
    naive_write_ranges(&naive, lines);
    naive_write_endpoints(&naive, lines);
    lines_sort(lines);
}

bool naive_needs_all_pods(const struct world *world, const struct plan_config *config)
{
    struct naive naive = {.world = world, .config = config};
    const struct object *object;

    if (naive_cluster_unknown(&naive))
        return true;
    EACH(&naive, KIND_POLICY, object)
    if (naive_is_gateway(&naive, &object->policy))
        return true;
    return false;
}

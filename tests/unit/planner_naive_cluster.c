/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/planner_naive_cluster.h"

#include "planner/gateway_identity.h"
#include "planner/selector.h"
#include "planner/slots.h"

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

const struct node *naive_node(const struct naive *naive, struct text name)
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

bool naive_policy_selects(const struct naive *naive, const struct policy *policy,
                          const struct pod *pod)
{
    for (size_t i = 0; i < policy->rule_count; i++)
        if (naive_rule_selects(naive, &policy->rules[i], pod))
            return true;
    return false;
}

/* ---- Nodes ---- */

struct ip_addr naive_first(const struct node *node, bool v4)
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

struct ip_addr naive_tunnel(const struct naive *naive, const struct node *node)
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

bool naive_pod_lives(const struct pod *pod)
{
    return !pod->host_network && !pod->ended && pod->address_count;
}

bool naive_has_strays(const struct naive *naive, bool cluster)
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

bool naive_cluster_unknown(const struct naive *naive)
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

size_t naive_entries(const struct naive *naive, const struct policy *policy, bool v4,
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

size_t naive_slots(const struct naive *naive, const struct policy *policy, bool v4,
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

bool naive_is_gateway(const struct naive *naive, const struct policy *policy)
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

const struct pod *naive_holder(const struct naive *naive, const struct ip_addr *address)
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

/* SPDX-License-Identifier: Apache-2.0 */
/* What a policy may say, and hardly means to. */
#include <stdarg.h>
#include <string.h>

#include "watcher/check_private.h"

/* A policy and who hears about it. */
struct policy_check {
    struct check *check;
    const struct manifest_item *item;
    const json_t *spec;
};

/* One of its lists of CIDRs. */
struct cidr_list {
    const char *name;
    const struct ip_prefix *items;
    size_t count;
};

static void policy_tell(const struct policy_check *of, enum check_severity severity,
                        const char *field, const char *value, const char *reason)
{
    struct object_error error = {0};

    snprintf(error.field, sizeof(error.field), "%s", field);
    snprintf(error.value, sizeof(error.value), "%s", value);
    snprintf(error.reason, sizeof(error.reason), "%s", reason);
    check_report(of->check, severity, of->item, &error);
}

/* The CIDR as it is written. */
static const char *cidr_text(const struct policy_check *of, const struct cidr_list *list,
                             size_t index)
{
    return json_string_value(json_array_get(json_object_get(of->spec, list->name), index));
}

static void _format_(4, 5) cidr_tell(const struct policy_check *of, const struct cidr_list *list,
                                     size_t index, const char *format, ...)
{
    char field[64], reason[160];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(reason, sizeof(reason), format, arguments);
    va_end(arguments);
    snprintf(field, sizeof(field), "spec.%s[%zu]", list->name, index);
    policy_tell(of, CHECK_WARNING, field, cidr_text(of, list, index), reason);
}

/* Position of a prefix among the first `count` of the list, or `count`. */
static size_t cidr_find(const struct cidr_list *list, const struct ip_prefix *prefix, size_t count)
{
    size_t i = 0;

    while (i < count && !prefix_equal(&list->items[i], prefix))
        i++;
    return i;
}

/* Each CIDR by itself: host bits, and whether the list has it before. */
static void check_cidrs(const struct policy_check *of, const struct cidr_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        const char *text = cidr_text(of, list, i);
        struct ip_addr address;
        char masked[PREFIX_TEXT_SIZE];
        size_t same = cidr_find(list, &list->items[i], i);

        if (address_parse((struct text){text, strcspn(text, "/")}, &address) == 0 &&
            !ip_addr_equal(&address, &list->items[i].address))
            cidr_tell(of, list, i, "has host bits set: it means %s",
                      prefix_format(&list->items[i], masked));
        if (same < i)
            cidr_tell(of, list, i, "has no effect: is the same as spec.%s[%zu]", list->name, same);
    }
}

/* `outer` holds `inner` and more. */
static bool prefix_is_wider(const struct ip_prefix *outer, const struct ip_prefix *inner)
{
    return ip_addr_is_v4(&outer->address) == ip_addr_is_v4(&inner->address) &&
           outer->length < inner->length && prefix_contains(outer, &inner->address);
}

/* An excluded CIDR takes something out of a destination that is as wide or wider: the longest
 * prefix decides. */
static void check_excluded(const struct policy_check *of, const struct cidr_list *destinations,
                           const struct cidr_list *excluded, size_t index)
{
    const struct ip_prefix *prefix = &excluded->items[index];
    size_t same = cidr_find(destinations, prefix, destinations->count);
    bool wider = false;

    if (same < destinations->count)
        cidr_tell(of, destinations, same, "has no effect: spec.excludedCIDRs[%zu] excludes it",
                  index);
    for (size_t i = 0; i < destinations->count; i++) {
        if (i == same || prefix_is_wider(&destinations->items[i], prefix))
            return;
        wider |= prefix_is_wider(prefix, &destinations->items[i]);
    }
    if (wider)
        cidr_tell(of, excluded, index,
                  "excludes none of the destinationCIDRs: those inside it are longer prefixes, "
                  "which win");
    else
        cidr_tell(of, excluded, index, "excludes nothing: lies outside of all destinationCIDRs");
}

/* Keys of labels that the other kind of object has. */
static void check_keys(const struct policy_check *of, const char *field,
                       const struct selector *selector, struct text wrong, const char *reason)
{
    for (size_t i = 0; i < selector->count; i++) {
        if (text_equal(selector->requirements[i].key, wrong))
            policy_tell(of, CHECK_WARNING, field, wrong.data, reason);
    }
}

static void check_rules(const struct policy_check *of, const struct policy *policy)
{
    char field[64];

    if (policy->rule_count == 0)
        policy_tell(of, CHECK_WARNING, "spec.selectors", "",
                    "is empty: the policy selects no pod; podSelector: {} selects all");
    for (size_t i = 0; i < policy->rule_count; i++) {
        snprintf(field, sizeof(field), "spec.selectors[%zu].namespaceSelector", i);
        check_keys(of, field, &policy->rules[i].namespaces, TEXT("io.kubernetes.pod.namespace"),
                   "is no label of namespaces: use kubernetes.io/metadata.name here, or a "
                   "podSelector");
        snprintf(field, sizeof(field), "spec.selectors[%zu].podSelector", i);
        check_keys(of, field, &policy->rules[i].pods, TEXT("kubernetes.io/metadata.name"),
                   "is a label of namespaces: use io.kubernetes.pod.namespace here, or a "
                   "namespaceSelector");
    }
}

static void check_gateways(const struct policy_check *of, const struct policy *policy)
{
    char field[64] = "spec.egressGateway.nodeSelector";
    bool single = !json_is_null(json_object_get(of->spec, "egressGateway")) &&
                  json_object_get(of->spec, "egressGateway");

    if (!single)
        policy_tell(of, CHECK_WARNING, "spec.egressGateway", "",
                    "is missing: the API server wants it also where egressGateways replaces it");
    else if (policy->gateways_from_list)
        policy_tell(of, CHECK_NOTE, "spec.egressGateway", "",
                    "is not used: the list egressGateways replaces it");
    for (size_t i = 0; i < policy->gateway_count; i++) {
        if (policy->gateways_from_list)
            snprintf(field, sizeof(field), "spec.egressGateways[%zu].nodeSelector", i);
        if (policy->gateways[i].nodes.count == 0)
            policy_tell(of, CHECK_WARNING, field, "",
                        "matches every node: only one becomes the gateway, the first by name that "
                        "is ready");
    }
}

void check_policy(struct check *check, const struct manifest_item *item,
                  const struct policy *policy)
{
    struct policy_check of = {check, item, json_object_get(item->value, "spec")};
    struct cidr_list destinations = {"destinationCIDRs", policy->destinations,
                                     policy->destination_count};
    struct cidr_list excluded = {"excludedCIDRs", policy->excluded, policy->excluded_count};

    check_rules(&of, policy);
    check_cidrs(&of, &destinations);
    check_cidrs(&of, &excluded);
    for (size_t i = 0; i < excluded.count; i++) {
        /* What is there twice was told. */
        if (cidr_find(&excluded, &excluded.items[i], i) == i)
            check_excluded(&of, &destinations, &excluded, i);
    }
    check_gateways(&of, policy);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "planner/policy_body.h"

#include "planner/gateway_identity.h"
#include "planner/pools.h"

struct rule *rules_new(struct plan *plan, struct plan_policy *policy, const struct policy *object)
{
    struct text cluster = strings_text(&plan->strings, plan->cluster);
    struct rule *rules = memory_new(object->rule_count, sizeof(*rules));

    for (size_t i = 0; i < object->rule_count; i++) {
        const struct policy_rule *rule = &object->rules[i];
        struct conditions *conditions = &rules[i].conditions;

        rules[i].policy = policy;
        conditions_add(conditions, &plan->strings, cluster, SCOPE_POD, &rule->pods);
        conditions_add(conditions, &plan->strings, cluster, SCOPE_NAMESPACE, &rule->namespaces);
        conditions_add(conditions, &plan->strings, cluster, SCOPE_NODE, &rule->nodes);
    }
    return rules;
}

void rules_free(struct plan *plan, struct rule *rules, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        conditions_clear(&rules[i].conditions, &plan->strings);
    free(rules);
}

bool rules_equal(const struct rule *a, uint32_t a_count, const struct rule *b, uint32_t b_count)
{
    if (a_count != b_count)
        return false;
    for (uint32_t i = 0; i < a_count; i++)
        if (!conditions_equal(&a[i].conditions, &b[i].conditions))
            return false;
    return true;
}

struct policy_body *policy_body_new(struct plan *plan, const struct policy *object)
{
    struct policy_body *body = memory_new(1, sizeof(*body));
    uint64_t identities[LIMIT_GATEWAYS];

    gateway_identities(object->gateways, object->gateway_count, identities);
    body->created = object->created;
    body->destinations =
        memory_copy(object->destinations, object->destination_count, sizeof(struct ip_prefix));
    body->destination_count = (uint32_t)object->destination_count;
    body->excluded =
        memory_copy(object->excluded, object->excluded_count, sizeof(struct ip_prefix));
    body->excluded_count = (uint32_t)object->excluded_count;
    body->gateways_from_list = object->gateways_from_list;
    body->gateway_count = (uint32_t)object->gateway_count;
    body->gateways = memory_new(object->gateway_count, sizeof(*body->gateways));
    for (size_t i = 0; i < object->gateway_count; i++) {
        const struct policy_gateway *gateway = &object->gateways[i];

        body->gateways[i].pool = pool_acquire(plan, &gateway->nodes);
        body->gateways[i].egress_ip = gateway->egress_ip;
        body->gateways[i].identity = identities[i];
        if (gateway->interface.length)
            body->gateways[i].interface = strings_acquire(&plan->strings, gateway->interface);
    }
    for (size_t i = 0; i < object->destination_count; i++)
        body->families[address_family(&object->destinations[i].address)] = true;
    return body;
}

static void policy_body_clear_gateways(struct plan *plan, struct policy_body *body)
{
    for (uint32_t i = 0; i < body->gateway_count; i++) {
        strings_release(&plan->strings, body->gateways[i].interface);
        pool_release(plan, body->gateways[i].pool);
    }
    free(body->gateways);
    body->gateways = NULL;
    body->gateway_count = 0;
}

void policy_body_free(struct plan *plan, struct policy_body *body)
{
    if (!body)
        return;
    policy_body_clear_gateways(plan, body);
    free(body->destinations);
    free(body->excluded);
    free(body);
}

static bool prefixes_equal(const struct ip_prefix *a, uint32_t a_count, const struct ip_prefix *b,
                           uint32_t b_count)
{
    if (a_count != b_count)
        return false;
    for (uint32_t i = 0; i < a_count; i++)
        if (!prefix_equal(&a[i], &b[i]))
            return false;
    return true;
}

static bool gateway_choice_equal(const struct gateway_choice *a, const struct gateway_choice *b)
{
    return a->pool == b->pool && a->interface == b->interface &&
           ip_addr_equal(&a->egress_ip, &b->egress_ip);
}

bool policy_body_equal(const struct policy_body *a, const struct policy_body *b)
{
    if (a->created != b->created || a->gateway_count != b->gateway_count ||
        a->gateways_from_list != b->gateways_from_list ||
        !prefixes_equal(a->destinations, a->destination_count, b->destinations,
                        b->destination_count) ||
        !prefixes_equal(a->excluded, a->excluded_count, b->excluded, b->excluded_count))
        return false;
    for (uint32_t i = 0; i < a->gateway_count; i++)
        if (!gateway_choice_equal(&a->gateways[i], &b->gateways[i]))
            return false;
    return true;
}

void policy_body_attach(struct plan_policy *policy, struct policy_body *body)
{
    for (uint32_t i = 0; i < body->gateway_count; i++)
        pool_add_policy(body->gateways[i].pool, policy);
}

void policy_body_detach(struct plan *plan, struct plan_policy *policy, struct policy_body *body)
{
    for (uint32_t i = 0; i < body->gateway_count; i++)
        pool_remove_policy(body->gateways[i].pool, policy);
    policy_body_clear_gateways(plan, body);
}

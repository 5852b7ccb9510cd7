/* SPDX-License-Identifier: Apache-2.0 */
#include "planner/gateways.h"

#include "planner/links.h"
#include "planner/report.h"

static enum gateway_state choice_state(const struct gateway_choice *choice)
{
    const struct pool *pool = choice->pool;

    if (pool->nodes.count == 0)
        return GATEWAY_NO_NODE;
    if (!pool->chosen)
        return GATEWAY_NO_ADDRESS;
    if (ip_addr_is_none(&pool->chosen->tunnel))
        return GATEWAY_UNREACHABLE;
    if (!pool->chosen->ready)
        return GATEWAY_NOT_READY;
    return pool->nodes.count > 1 ? GATEWAY_SEVERAL : GATEWAY_FINE;
}

/* One entry is Ready: those that are not are left out. */
static bool body_has_ready(const struct policy_body *body)
{
    for (uint32_t i = 0; i < body->gateway_count; i++) {
        const struct plan_node *chosen = body->gateways[i].pool->chosen;

        if (chosen && chosen->ready)
            return true;
    }
    return false;
}

static struct gateway gateway_make(const struct plan *plan, const struct gateway_choice *choice,
                                   enum family family, enum egress_state *egress)
{
    const struct plan_node *node = choice->pool->chosen;
    struct gateway gateway = {.node = node->tunnel};

    if (node->self) {
        gateway.flags = GATEWAY_LOCAL;
        if (!links_resolve(plan, choice, family, &gateway))
            *egress = plan->pod_addresses[family] ? EGRESS_MISSING : EGRESS_UNWANTED;
    }
    return gateway;
}

void gateways_resolve(struct plan *plan, struct plan_policy *policy, struct gateways *gateways)
{
    const struct policy_body *body = policy->body;
    bool ready = body && body_has_ready(body);

    memset(gateways, 0, sizeof(*gateways));
    for (uint32_t i = 0; body && i < body->gateway_count; i++) {
        const struct gateway_choice *choice = &body->gateways[i];
        const struct plan_node *node = choice->pool->chosen;
        struct gateway_report report = {choice_state(choice), node ? node->name : STRING_NONE};
        bool in_use = node && !ip_addr_is_none(&node->tunnel) && (node->ready || !ready);

        for (int family = 0; in_use && family < FAMILIES; family++)
            if (body->families[family])
                gateways->entries[family][i] =
                    gateway_make(plan, choice, family, &report.egress[family]);
        gateways->identities[i] = choice->identity;
        gateways->local |= in_use && node->self;
        gateways->count++;
        report_gateway(plan, policy, i, &report);
    }
}

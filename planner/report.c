/* SPDX-License-Identifier: Apache-2.0 */
#include "planner/report.h"

#include "common/log.h"
#include "planner/stable_hash.h"

/* ---- Gateways ---- */

static struct gateway_report *report_of(struct plan_policy *policy, uint32_t entry)
{
    while (policy->report_count <= entry) {
        policy->reports =
            memory_resize(policy->reports, policy->report_count + 1, sizeof(*policy->reports));
        policy->reports[policy->report_count++] = (struct gateway_report){.state = GATEWAY_FINE};
    }
    return &policy->reports[entry];
}

void report_forget_policy(struct plan *plan, struct plan_policy *policy)
{
    for (uint32_t i = 0; i < policy->report_count; i++)
        strings_release(&plan->strings, policy->reports[i].node);
    free(policy->reports);
    policy->reports = NULL;
    policy->report_count = 0;
}

/* "spec.egressGateways[1].interface" */
static const char *gateway_field(const struct policy_body *body, uint32_t entry, const char *name,
                                 char *field, size_t size)
{
    if (body->gateways_from_list)
        snprintf(field, size, "spec.egressGateways[%u].%s", entry, name);
    else
        snprintf(field, size, "spec.egressGateway.%s", name);
    return field;
}

static const struct {
    enum log_level level;
    const char *message;
} gateway_messages[] = {
    [GATEWAY_FINE] = {LEVEL_INFO, "the gateway can be used"},
    [GATEWAY_SEVERAL] = {LEVEL_INFO, "several nodes match, the first Ready one by name is the "
                                     "gateway"},
    [GATEWAY_NO_NODE] = {LEVEL_WARNING, "no node matches: where no other gateway is left, the "
                                        "policy's traffic is dropped; label a node or correct the "
                                        "selector"},
    [GATEWAY_NO_ADDRESS] = {LEVEL_WARNING, "no node that matches has an InternalIP: where no other "
                                           "gateway is left, the policy's traffic is dropped"},
    [GATEWAY_UNREACHABLE] = {LEVEL_WARNING, "the gateway has no InternalIP of a family that this "
                                            "node has: where no other gateway is left, the "
                                            "policy's traffic is dropped"},
    [GATEWAY_NOT_READY] = {LEVEL_WARNING, "no node that matches is Ready: other gateways of the "
                                          "policy take over, without any this one is used all the "
                                          "same"},
};

static void report_gateway_state(const struct plan *plan, const struct plan_policy *policy,
                                 uint32_t entry, const struct gateway_report *now)
{
    char field[64];

    gateway_field(policy->body, entry, "nodeSelector", field, sizeof(field));
    LOG_AT(gateway_messages[now->state].level, gateway_messages[now->state].message,
           log_text("policy", strings_text(&plan->strings, policy->name)),
           log_string("field", field), log_text("node", strings_text(&plan->strings, now->node)));
}

static const char *egress_field_name(const struct gateway_choice *choice)
{
    if (!ip_addr_is_none(&choice->egress_ip))
        return "egressIP";
    return choice->interface ? "interface" : "nodeSelector";
}

static const char *egress_missing_message(const struct gateway_choice *choice)
{
    if (!ip_addr_is_none(&choice->egress_ip))
        return "this gateway has no usable egress IP for the family on an interface that is up: "
               "the policy's traffic through it is dropped; add the address to the node";
    if (choice->interface)
        return "this gateway's interface is missing, down or without a global address of the "
               "family: the policy's traffic through it is dropped";
    return "this gateway's default route has no interface with a global address of the family: "
           "the policy's traffic through it is dropped; set interface or egressIP";
}

static void report_egress(const struct plan *plan, const struct plan_policy *policy, uint32_t entry,
                          enum family family, bool missing)
{
    const struct gateway_choice *choice = &policy->body->gateways[entry];
    struct log_field value = {0}; /* ends the list */
    char field[64];

    gateway_field(policy->body, entry, egress_field_name(choice), field, sizeof(field));
    if (!ip_addr_is_none(&choice->egress_ip))
        value = log_address("egress-ip", choice->egress_ip);
    else if (choice->interface)
        value = log_text("interface", strings_text(&plan->strings, choice->interface));
    LOG_AT(missing ? LEVEL_WARNING : LEVEL_INFO,
           missing ? egress_missing_message(choice) : "this gateway has its egress IP again",
           log_text("policy", strings_text(&plan->strings, policy->name)),
           log_string("field", field), log_string("family", family == FAMILY_V4 ? "IPv4" : "IPv6"),
           value);
}

void report_gateway(struct plan *plan, struct plan_policy *policy, uint32_t entry,
                    const struct gateway_report *now)
{
    struct gateway_report *last = report_of(policy, entry);
    struct gateway_report before = *last;

    *last = *now;
    strings_share(&plan->strings, now->node);
    if (now->state != before.state ||
        (now->state != GATEWAY_FINE && before.node && now->node != before.node))
        report_gateway_state(plan, policy, entry, now);
    for (int family = 0; family < FAMILIES; family++)
        if (now->egress_missing[family] != before.egress_missing[family])
            report_egress(plan, policy, entry, family, now->egress_missing[family]);
    strings_release(&plan->strings, before.node);
}

/* ---- Selection ---- */

void report_selection(const struct plan *plan, struct plan_policy *policy)
{
    bool unused = policy->selected == 0;

    if (!plan->pods_complete || unused == policy->reported_unused)
        return;
    policy->reported_unused = unused;
    if (unused)
        log_info("the policy selects no pod",
                 log_text("policy", strings_text(&plan->strings, policy->name)),
                 log_string("field", "spec.selectors"));
}

/* ---- Policies with a prefix in common ---- */

struct reported_conflict {
    const struct plan_policy *winner;
    const struct plan_policy *loser;
    uint32_t profiles;
};

static bool reported_conflict_equal(const void *item, const void *key)
{
    const struct reported_conflict *reported = item;
    const struct conflict *conflict = key;

    return reported->winner == conflict->winner && reported->loser == conflict->loser;
}

void report_init(struct plan *plan)
{
    plan->conflicts = HASH_TABLE(reported_conflict_equal);
}

void report_clear(struct plan *plan)
{
    hash_clear(&plan->conflicts, free);
}

static uint64_t conflict_hash(const struct conflict *conflict)
{
    return stable_hash_mix((uint64_t)conflict->winner->number << 32 | conflict->loser->number);
}

void report_conflict(struct plan *plan, const struct conflict *conflict)
{
    uint64_t hash = conflict_hash(conflict);
    struct reported_conflict *reported = hash_find(&plan->conflicts, hash, conflict);

    if (!reported) {
        reported = memory_new(1, sizeof(*reported));
        reported->winner = conflict->winner;
        reported->loser = conflict->loser;
        memory_hash_add(&plan->conflicts, hash, reported);
        log_warning("another policy decides for pods that both select: it is older, or as old and "
                    "first by name",
                    log_text("policy", strings_text(&plan->strings, conflict->loser->name)),
                    log_text("decides", strings_text(&plan->strings, conflict->winner->name)),
                    log_prefix("prefix", conflict->prefix));
    }
    reported->profiles++;
}

void report_conflict_over(struct plan *plan, const struct conflict *conflict)
{
    uint64_t hash = conflict_hash(conflict);
    struct reported_conflict *reported = hash_find(&plan->conflicts, hash, conflict);

    if (--reported->profiles == 0)
        free(hash_remove(&plan->conflicts, hash, conflict));
}

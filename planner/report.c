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
    [GATEWAY_SEVERAL] = {LEVEL_WARNING, "several nodes match and one is used, the first Ready one "
                                        "by name: select a single node; to use all of them, give "
                                        "each an entry in egressGateways"},
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

static const char *egress_missing_message(const struct gateway_choice *choice, enum family family)
{
    if (!ip_addr_is_none(&choice->egress_ip) && address_family(&choice->egress_ip) == family)
        return "no interface of this gateway that is up has the egress IP: the policy's traffic "
               "through it is dropped; add the address to the node, or, where a NAT gateway or "
               "load balancer holds it, use the node's own address that leads there";
    if (!ip_addr_is_none(&choice->egress_ip))
        return "no interface of this gateway that is up has the egress IP together with a global "
               "address of this family: the policy's traffic of the family through it is dropped; "
               "add such an address, or give each family a policy of its own";
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
    LOG_AT(
        missing ? LEVEL_WARNING : LEVEL_INFO,
        missing ? egress_missing_message(choice, family) : "this gateway has its egress IP again",
        log_text("policy", strings_text(&plan->strings, policy->name)), log_string("field", field),
        log_string("family", family == FAMILY_V4 ? "IPv4" : "IPv6"), value);
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
        if ((now->egress[family] == EGRESS_MISSING) != (before.egress[family] == EGRESS_MISSING) &&
            now->egress[family] != EGRESS_UNWANTED)
            report_egress(plan, policy, entry, family, now->egress[family] == EGRESS_MISSING);
    strings_release(&plan->strings, before.node);
}

/* ---- Selection ---- */

void report_selection(const struct plan *plan, struct plan_policy *policy)
{
    bool unused = policy->selected == 0, asked = policy->selection_asked;

    if (!plan->pods_complete)
        return;
    policy->selection_asked = false;
    if (unused == policy->reported_unused && !(unused && asked))
        return;
    policy->reported_unused = unused;
    if (!unused)
        return;
    /* Somebody who just wrote the policy should know; pods that come and go are no mistake. */
    LOG_AT(asked ? LEVEL_WARNING : LEVEL_INFO,
           asked ? "the policy selects no pod: compare its selectors with the labels of pods, "
                   "namespaces and nodes"
                 : "the policy selects no pod any more",
           log_text("policy", strings_text(&plan->strings, policy->name)),
           log_string("field", "spec.selectors"));
}

/* ---- Policies with a prefix in common ---- */

struct reported_conflict {
    const struct plan_policy *winner;
    const struct plan_policy *loser;
    struct ip_prefix prefix;
    uint32_t profiles;
    bool said;
    TAILQ_ENTRY(reported_conflict) unsaid;
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
    TAILQ_INIT(&plan->unsaid_conflicts);
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
        reported->prefix = conflict->prefix;
        memory_hash_add(&plan->conflicts, hash, reported);
        TAILQ_INSERT_TAIL(&plan->unsaid_conflicts, reported, unsaid);
    }
    reported->profiles++;
}

static bool profile_has_conflict(const struct profile *profile,
                                 const struct reported_conflict *reported)
{
    for (uint32_t i = 0; i < profile->conflict_count; i++)
        if (reported_conflict_equal(reported, &profile->conflicts[i]))
            return true;
    return false;
}

/* A pod that has the profile in this node's table. */
static const struct plan_pod *profile_example(const struct plan *plan,
                                              const struct profile *profile)
{
    const struct plan_pod *pod;

    LIST_FOREACH(pod, &profile->pods, of_profile)
    if (pod->node == plan->self || profile->gateway_here)
        return pod;
    return NULL;
}

static void report_say_conflict(const struct plan *plan, const struct reported_conflict *reported)
{
    const struct membership *member;
    const struct plan_pod *pod = NULL;
    uint32_t endpoints = 0;

    LIST_FOREACH(member, &reported->loser->profiles, link)
    if (profile_has_conflict(member->profile, reported)) {
        endpoints += member->profile->users;
        if (!pod)
            pod = profile_example(plan, member->profile);
    }
    log_warning("another policy decides about a prefix for the endpoints that both select: it is "
                "older, or as old and first by name",
                log_text("policy", strings_text(&plan->strings, reported->loser->name)),
                log_text("decides", strings_text(&plan->strings, reported->winner->name)),
                log_prefix("prefix", reported->prefix), log_number("endpoints", endpoints),
                pod ? log_address("endpoint", pod->addresses[0].address) : (struct log_field){0});
}

void report_conflicts(struct plan *plan)
{
    struct reported_conflict *reported;

    while ((reported = TAILQ_FIRST(&plan->unsaid_conflicts))) {
        TAILQ_REMOVE(&plan->unsaid_conflicts, reported, unsaid);
        reported->said = true;
        report_say_conflict(plan, reported);
    }
}

void report_conflict_over(struct plan *plan, const struct conflict *conflict)
{
    uint64_t hash = conflict_hash(conflict);
    struct reported_conflict *reported = hash_find(&plan->conflicts, hash, conflict);

    if (--reported->profiles > 0)
        return;
    if (!reported->said)
        TAILQ_REMOVE(&plan->unsaid_conflicts, reported, unsaid);
    free(hash_remove(&plan->conflicts, hash, conflict));
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "planner/pods.h"

#include "planner/endpoints.h"
#include "planner/index.h"
#include "planner/namespaces.h"
#include "planner/nodes.h"
#include "planner/profiles.h"

static bool plan_pod_equal(const void *item, const void *key)
{
    return text_equal(((const struct plan_pod *)item)->uid, *(const struct text *)key);
}

void pods_init(struct plan *plan)
{
    plan->pods = HASH_TABLE(plan_pod_equal);
    TAILQ_INIT(&plan->marked_pods);
}

static struct plan_pod *pod_find(const struct plan *plan, struct text uid)
{
    return hash_find(&plan->pods, hash_bytes(uid.data, uid.length), &uid);
}

void pod_mark(struct plan *plan, struct plan_pod *pod, unsigned marks)
{
    if (pod->marks == 0)
        TAILQ_INSERT_TAIL(&plan->marked_pods, pod, mark);
    pod->marks |= marks;
}

void pods_mark_all(struct plan *plan, unsigned marks)
{
    struct plan_pod *pod;
    size_t cursor = 0;

    while ((pod = hash_next(&plan->pods, &cursor)))
        pod_mark(plan, pod, marks);
}

/* The labels that selectors see. */
static struct label_set *pod_labels(struct plan *plan, const struct pod *object)
{
    struct label extras[2] = {{TEXT(LABEL_NAMESPACE), object->namespace},
                              {TEXT(LABEL_SERVICE_ACCOUNT), object->service_account}};

    return label_set_acquire(&plan->labels, &object->labels, extras,
                             object->service_account.length ? 2 : 1);
}

static bool pod_has_address(const struct plan_pod *pod, const struct ip_addr *address)
{
    for (uint32_t i = 0; i < pod->address_count; i++)
        if (ip_addr_equal(&pod->addresses[i].address, address))
            return true;
    return false;
}

/* A pod that stands in no list yet. Takes the reference to `labels`. */
static struct plan_pod *pod_new(struct plan *plan, const struct pod *object,
                                struct label_set *labels)
{
    size_t addresses = object->address_count * sizeof(struct pod_address);
    struct plan_pod *pod = memory_new(1, sizeof(*pod) + addresses + object->uid.length);
    char *uid = (char *)pod->addresses + addresses;

    memcpy(uid, object->uid.data, object->uid.length);
    pod->uid = (struct text){uid, object->uid.length};
    pod->created = object->created;
    pod->labels = labels;
    for (size_t i = 0; i < object->address_count; i++)
        if (!pod_has_address(pod, &object->addresses[i]))
            pod->addresses[pod->address_count++] =
                (struct pod_address){.address = object->addresses[i], .pod = pod};
    pod->namespace = namespace_of(plan, object->namespace);
    if (object->node.length)
        pod->node = node_of(plan, object->node);
    return pod;
}

static void pod_link(struct plan *plan, struct plan_pod *pod)
{
    memory_hash_add(&plan->pods, hash_bytes(pod->uid.data, pod->uid.length), pod);
    LIST_INSERT_HEAD(&pod->namespace->pods, pod, of_namespace);
    LIST_INSERT_HEAD(&pod->labels->pods, pod, of_labels);
    if (pod->node)
        LIST_INSERT_HEAD(&pod->node->pods, pod, of_node);
    for (uint32_t i = 0; i < pod->address_count; i++)
        endpoint_claim(plan, &pod->addresses[i]);
    pod_mark(plan, pod, MARK_SELECT | MARK_ENDPOINT);
}

static void pod_free(struct plan *plan, struct plan_pod *pod)
{
    label_set_release(&plan->labels, pod->labels);
    namespace_release(plan, pod->namespace);
    if (pod->node)
        node_release(plan, pod->node);
    free(pod);
}

static void pod_unlink(struct plan *plan, struct plan_pod *pod)
{
    for (uint32_t i = 0; i < pod->address_count; i++)
        endpoint_yield(plan, &pod->addresses[i]);
    profile_leave(plan, pod);
    if (pod->marks)
        TAILQ_REMOVE(&plan->marked_pods, pod, mark);
    if (pod->node)
        LIST_REMOVE(pod, of_node);
    LIST_REMOVE(pod, of_labels);
    LIST_REMOVE(pod, of_namespace);
    hash_remove(&plan->pods, hash_bytes(pod->uid.data, pod->uid.length), &pod->uid);
}

static void pod_drop(struct plan *plan, struct plan_pod *pod)
{
    pod_unlink(plan, pod);
    pod_free(plan, pod);
}

static bool pod_same(const struct plan_pod *a, const struct plan_pod *b)
{
    if (a->created != b->created || a->node != b->node || a->namespace != b->namespace ||
        a->labels != b->labels || a->address_count != b->address_count)
        return false;
    for (uint32_t i = 0; i < a->address_count; i++)
        if (!ip_addr_equal(&a->addresses[i].address, &b->addresses[i].address))
            return false;
    return true;
}

void pod_apply(struct plan *plan, const struct pod *object)
{
    struct plan_pod *old = pod_find(plan, object->uid);
    struct plan_pod *pod;

    if (object->host_network || object->ended || object->address_count == 0) {
        if (old)
            pod_drop(plan, old);
        return;
    }
    pod = pod_new(plan, object, pod_labels(plan, object));
    pod->seen = plan->epochs[KIND_POD];
    if (old && pod_same(old, pod)) {
        old->seen = pod->seen;
        pod_free(plan, pod);
        return;
    }
    /* What only the two of them refer to must not go away in between. */
    if (old)
        pod_unlink(plan, old);
    pod_link(plan, pod);
    if (old)
        pod_free(plan, old);
}

void pod_remove(struct plan *plan, struct text uid)
{
    struct plan_pod *pod = pod_find(plan, uid);

    if (pod)
        pod_drop(plan, pod);
}

void pods_sweep(struct plan *plan)
{
    struct pointers gone = {0};
    struct plan_pod *pod;
    size_t cursor = 0;

    while ((pod = hash_next(&plan->pods, &cursor)))
        if (pod->seen != plan->epochs[KIND_POD])
            pointers_append(&gone, pod);
    for (uint32_t i = 0; i < gone.count; i++)
        pod_drop(plan, gone.items[i]);
    pointers_clear(&gone);
}

/* Pods with the same labels in one namespace are selected by the same policies, as long as no
 * policy asks for the node: the first of them in an update answers for all. */
static void pod_select(struct plan *plan, struct plan_pod *pod, struct pointers *policies)
{
    struct label_set *set = pod->labels;

    if (set->selected != plan->pod_updates || set->selected_namespace != pod->namespace ||
        plan->rules_on[SCOPE_NODE]) {
        policies->count = 0;
        index_select(plan, pod, policies);
        set->selected_profile = profile_of(plan, policies);
        set->selected_namespace = pod->namespace;
        set->selected = plan->pod_updates;
    }
    profile_join(plan, pod, set->selected_profile);
}

void pods_update(struct plan *plan)
{
    struct pointers policies = {0};
    struct plan_pod *pod;

    plan->pod_updates++;
    while ((pod = TAILQ_FIRST(&plan->marked_pods))) {
        TAILQ_REMOVE(&plan->marked_pods, pod, mark);
        if (pod->marks & MARK_SELECT)
            pod_select(plan, pod, &policies);
        pod->marks = 0;
        for (uint32_t i = 0; i < pod->address_count; i++)
            endpoint_refresh(plan, &pod->addresses[i].address);
    }
    pointers_clear(&policies);
}

void pods_clear(struct plan *plan)
{
    plan->epochs[KIND_POD]++;
    pods_sweep(plan);
    hash_clear(&plan->pods, NULL);
}

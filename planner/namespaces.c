/* SPDX-License-Identifier: Apache-2.0 */
#include "planner/namespaces.h"

#include "planner/pods.h"
#include "planner/stable_hash.h"

static bool plan_namespace_equal(const void *item, const void *key)
{
    return ((const struct plan_namespace *)item)->name == *(const string_id *)key;
}

void namespaces_init(struct plan *plan)
{
    plan->namespaces = HASH_TABLE(plan_namespace_equal);
}

static struct plan_namespace *namespace_find(const struct plan *plan, struct text name)
{
    string_id id = strings_find(&plan->strings, name);

    return id ? hash_find(&plan->namespaces, stable_hash_mix(id), &id) : NULL;
}

struct plan_namespace *namespace_of(struct plan *plan, struct text name)
{
    struct plan_namespace *namespace = namespace_find(plan, name);

    if (namespace)
        return namespace;
    namespace = memory_new(1, sizeof(*namespace));
    namespace->name = strings_acquire(&plan->strings, name);
    memory_hash_add(&plan->namespaces, stable_hash_mix(namespace->name), namespace);
    return namespace;
}

void namespace_release(struct plan *plan, struct plan_namespace *namespace)
{
    if (namespace->present || !LIST_EMPTY(&namespace->pods))
        return;
    hash_remove(&plan->namespaces, stable_hash_mix(namespace->name), &namespace->name);
    strings_release(&plan->strings, namespace->name);
    free(namespace);
}

/* Takes the reference to `labels`. */
static void namespace_set_labels(struct plan *plan, struct plan_namespace *namespace,
                                 struct label_set *labels)
{
    struct plan_pod *pod;

    if (namespace->labels == labels) {
        label_set_release(&plan->labels, labels);
        return;
    }
    if (namespace->labels) {
        LIST_REMOVE(namespace, of_labels);
        label_set_release(&plan->labels, namespace->labels);
    }
    namespace->labels = labels;
    if (labels)
        LIST_INSERT_HEAD(&labels->namespaces, namespace, of_labels);
    if (plan->rules_on[SCOPE_NAMESPACE])
        LIST_FOREACH(pod, &namespace->pods, of_namespace)
    pod_mark(plan, pod, MARK_SELECT);
}

void namespace_apply(struct plan *plan, const struct namespace *object)
{
    struct plan_namespace *namespace = namespace_of(plan, object->name);

    namespace->seen = plan->epochs[KIND_NAMESPACE];
    namespace->present = true;
    namespace_set_labels(plan, namespace,
                         label_set_acquire(&plan->labels, &object->labels, NULL, 0));
}

static void namespace_drop(struct plan *plan, struct plan_namespace *namespace)
{
    namespace->present = false;
    namespace_set_labels(plan, namespace, NULL);
    namespace_release(plan, namespace);
}

void namespace_remove(struct plan *plan, struct text name)
{
    struct plan_namespace *namespace = namespace_find(plan, name);

    if (namespace && namespace->present)
        namespace_drop(plan, namespace);
}

void namespaces_sweep(struct plan *plan)
{
    struct pointers gone = {0};
    struct plan_namespace *namespace;
    size_t cursor = 0;

    while ((namespace = hash_next(&plan->namespaces, &cursor)))
        if (namespace->present && namespace->seen != plan->epochs[KIND_NAMESPACE])
            pointers_append(&gone, namespace);
    for (uint32_t i = 0; i < gone.count; i++)
        namespace_drop(plan, gone.items[i]);
    pointers_clear(&gone);
}

void namespaces_clear(struct plan *plan)
{
    plan->epochs[KIND_NAMESPACE]++;
    namespaces_sweep(plan);
    hash_clear(&plan->namespaces, NULL);
}

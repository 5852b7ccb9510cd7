/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/planner_objects.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void scene_log(enum log_level level _unused_, const char *line, void *context)
{
    struct scene *scene = context;
    int length = snprintf(scene->log + scene->log_length, sizeof(scene->log) - scene->log_length,
                          "%s\n", line);

    assert_true((size_t)length < sizeof(scene->log) - scene->log_length);
    scene->log_length += (size_t)length;
}

void scene_forget_log(struct scene *scene)
{
    scene->log_length = 0;
    scene->log[0] = '\0';
}

unsigned scene_logged(const struct scene *scene, const char *text)
{
    unsigned count = 0;

    for (const char *found = scene->log; (found = strstr(found, text)); found++)
        count++;
    return count;
}

void scene_start(struct scene *scene, const char *cluster_cidrs)
{
    struct plan_config config = {.node = TEXT("self"), .cluster = TEXT("default")};

    *scene = (struct scene){0};
    if (cluster_cidrs)
        config.cluster_cidrs.items =
            scene_prefixes(scene, cluster_cidrs, &config.cluster_cidrs.count);
    log_set_sink(scene_log, scene);
    scene->plan = plan_new(&config);
    plan_set_pods_complete(scene->plan, true);
    for (int kind = 0; kind < KINDS; kind++) {
        plan_sync_begin(scene->plan, (enum object_kind)kind);
        plan_sync_end(scene->plan, (enum object_kind)kind);
    }
    plan_update(scene->plan);
    assert_true(plan_ready(scene->plan));
}

void scene_stop(struct scene *scene)
{
    plan_free(scene->plan);
    arena_clear(&scene->arena);
    log_set_sink(NULL, NULL);
}

/* The next item of a list, up to one of `ends`; false: no more. */
static bool scene_next(const char **list, const char *ends, struct text *item)
{
    *list += strspn(*list, ends);
    *item = (struct text){*list, strcspn(*list, ends)};
    *list += item->length;
    return item->length > 0;
}

static void *scene_allocate(struct scene *scene, size_t count, size_t size)
{
    void *memory = arena_allocate(&scene->arena, count, size);

    assert_non_null(memory);
    return memory;
}

static size_t scene_count(const char *list)
{
    struct text item;
    size_t count = 0;

    while (scene_next(&list, " ", &item))
        count++;
    return count;
}

static struct text scene_text(struct scene *scene, struct text text)
{
    struct text copy = arena_text(&scene->arena, text);

    assert_non_null(copy.data);
    return copy;
}

static struct requirement scene_requirement(struct scene *scene, struct text item)
{
    struct text text = scene_text(scene, item), value;
    struct requirement requirement = {.match = MATCH_EXISTS};
    const char *values = strchr(text.data, '=');

    if (text.data[0] == '!') {
        requirement.match = MATCH_DOES_NOT_EXIST;
        requirement.key = text_of(text.data + 1);
        return requirement;
    }
    requirement.key = (struct text){text.data, strcspn(text.data, "!=")};
    if (!values)
        return requirement;
    requirement.match = values > text.data && values[-1] == '!' ? MATCH_NOT_IN : MATCH_IN;
    requirement.values = scene_allocate(scene, 8, sizeof(struct text));
    values++;
    while (scene_next(&values, ",", &value))
        requirement.values[requirement.value_count++] = value;
    if (requirement.value_count == 0)
        requirement.values[requirement.value_count++] = TEXT("");
    return requirement;
}

struct selector scene_selector(struct scene *scene, const char *text)
{
    struct selector selector = {.present = text != NULL};
    struct text item;

    if (!text)
        return selector;
    selector.requirements = scene_allocate(scene, scene_count(text), sizeof(struct requirement));
    while (scene_next(&text, " ", &item))
        selector.requirements[selector.count++] = scene_requirement(scene, item);
    return selector;
}

struct labels scene_labels(struct scene *scene, const char *text)
{
    struct labels labels = {0};
    struct text item;

    labels.items = scene_allocate(scene, scene_count(text), sizeof(struct label));
    while (scene_next(&text, " ", &item)) {
        struct text copy = scene_text(scene, item);
        size_t key = strcspn(copy.data, "=");

        assert_int_equal(copy.data[key], '=');
        labels.items[labels.count++] =
            (struct label){{copy.data, key}, text_of(copy.data + key + 1)};
    }
    return labels;
}

struct ip_addr scene_address(const char *text)
{
    struct ip_addr address;

    assert_int_equal(address_parse(text_of(text), &address), 0);
    return address;
}

struct ip_prefix scene_prefix(const char *text)
{
    struct ip_prefix prefix;

    assert_int_equal(prefix_parse(text_of(text), &prefix), 0);
    return prefix;
}

struct ip_prefix *scene_prefixes(struct scene *scene, const char *text, size_t *count)
{
    struct ip_prefix *prefixes = scene_allocate(scene, scene_count(text), sizeof(*prefixes));
    struct text item;

    for (*count = 0; scene_next(&text, " ", &item); (*count)++)
        assert_int_equal(prefix_parse(item, &prefixes[*count]), 0);
    return prefixes;
}

struct ip_addr *scene_addresses(struct scene *scene, const char *text, size_t *count)
{
    struct ip_addr *addresses = scene_allocate(scene, scene_count(text), sizeof(*addresses));
    struct text item;

    for (*count = 0; scene_next(&text, " ", &item); (*count)++)
        assert_int_equal(address_parse(item, &addresses[*count]), 0);
    return addresses;
}

struct object scene_pod(struct scene *scene, const char *uid, const char *addresses,
                        const char *labels)
{
    struct object object = {.kind = KIND_POD};

    object.pod.namespace = TEXT("default");
    object.pod.name = object.pod.uid = text_of(uid);
    object.pod.node = TEXT("self");
    object.pod.labels = scene_labels(scene, labels);
    object.pod.addresses = scene_addresses(scene, addresses, &object.pod.address_count);
    return object;
}

struct object scene_node(struct scene *scene, const char *name, const char *addresses,
                         const char *labels)
{
    struct object object = {.kind = KIND_NODE};

    object.node.name = object.node.uid = text_of(name);
    object.node.labels = scene_labels(scene, labels);
    object.node.internal = scene_addresses(scene, addresses, &object.node.internal_count);
    object.node.ready = true;
    return object;
}

struct object scene_namespace(struct scene *scene, const char *name, const char *labels)
{
    struct object object = {.kind = KIND_NAMESPACE};

    object.namespace.name = object.namespace.uid = text_of(name);
    object.namespace.labels = scene_labels(scene, labels);
    return object;
}

static void scene_add_gateway(struct scene *scene, struct policy *policy, struct text item)
{
    struct policy_gateway *gateway = &policy->gateways[policy->gateway_count++];
    char *text = (char *)scene_text(scene, item).data;
    char *slash = strchr(text, '/');

    if (slash)
        *slash = '\0';
    gateway->nodes = scene_selector(scene, strcmp(text, "{}") == 0 ? "" : text);
    if (slash && address_parse(text_of(slash + 1), &gateway->egress_ip) < 0)
        gateway->interface = text_of(slash + 1);
}

struct object scene_policy(struct scene *scene, const char *name, const char *pods,
                           const char *destinations, const char *gateways)
{
    struct object object = {.kind = KIND_POLICY};
    struct policy *policy = &object.policy;
    struct text item;

    policy->name = policy->uid = text_of(name);
    policy->rules = scene_allocate(scene, 1, sizeof(struct policy_rule));
    policy->rules[0].pods = scene_selector(scene, pods);
    policy->rule_count = 1;
    policy->destinations = scene_prefixes(scene, destinations, &policy->destination_count);
    policy->gateways = scene_allocate(scene, scene_count(gateways), sizeof(struct policy_gateway));
    while (scene_next(&gateways, " ", &item))
        scene_add_gateway(scene, policy, item);
    policy->gateways_from_list = policy->gateway_count > 1;
    return object;
}

struct object scene_link(struct scene *scene, uint32_t ifindex, const char *name,
                         const char *addresses)
{
    struct object object = {.kind = KIND_LINK};
    size_t count;
    struct ip_addr *list = scene_addresses(scene, addresses, &count);

    object.link = (struct link){.ifindex = ifindex, .name = text_of(name), .up = true};
    object.link.addresses = scene_allocate(scene, count, sizeof(struct link_address));
    for (object.link.address_count = 0; object.link.address_count < count;
         object.link.address_count++)
        object.link.addresses[object.link.address_count] =
            (struct link_address){list[object.link.address_count], true};
    return object;
}

void scene_apply(struct scene *scene, const struct object *object)
{
    struct object copy = *object;
    struct object_error error;

    if (object_check(&copy, &error) < 0)
        fail_msg("%s: %s", error.field, error.reason);
    plan_apply(scene->plan, &copy);
}

void scene_remove(struct scene *scene, const struct object *object)
{
    struct object_identity identity = object_identity(object);

    plan_remove(scene->plan, &identity);
}

static const union table_value *scene_find(struct scene *scene, enum table table,
                                           union table_key key)
{
    plan_update(scene->plan);
    return desired_find(&scene->plan->desired, table, &key);
}

const struct endpoint *scene_endpoint(struct scene *scene, const char *address)
{
    const union table_value *value =
        scene_find(scene, TABLE_ENDPOINTS, (union table_key){.address = scene_address(address)});

    return value ? &value->endpoint : NULL;
}

const struct route *scene_route(struct scene *scene, uint32_t profile, const char *text)
{
    struct ip_prefix prefix = scene_prefix(text);
    const union table_value *value = scene_find(
        scene, TABLE_ROUTES, (union table_key){.route = route_key_make(profile, &prefix)});

    return value ? &value->route : NULL;
}

const struct route *scene_endpoint_route(struct scene *scene, const char *address,
                                         const char *prefix)
{
    const struct endpoint *endpoint = scene_endpoint(scene, address);

    assert_non_null(endpoint);
    return scene_route(scene, endpoint->profile, prefix);
}

const struct gateway *scene_gateway(struct scene *scene, const struct route *route, uint32_t slot)
{
    const union table_value *value;

    assert_non_null(route);
    assert_int_equal(route->action, ROUTE_GATEWAY);
    value = scene_find(scene, TABLE_GATEWAYS,
                       (union table_key){.gateway = {route->group, slot % route->slots}});
    assert_non_null(value);
    return &value->gateway;
}

const struct node_entry *scene_node_entry(struct scene *scene, const char *address)
{
    const union table_value *value =
        scene_find(scene, TABLE_NODES, (union table_key){.address = scene_address(address)});

    return value ? &value->node : NULL;
}

const struct settings *scene_settings(struct scene *scene)
{
    const union table_value *value =
        scene_find(scene, TABLE_SETTINGS, (union table_key){.zero = 0});

    assert_non_null(value);
    return &value->settings;
}

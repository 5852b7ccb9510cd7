/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/record_equal.h"

static void equal_text(struct text a, struct text b)
{
    assert_true(text_equal(a, b));
}

static void equal_labels(const struct labels *a, const struct labels *b)
{
    assert_int_equal(a->count, b->count);
    for (size_t i = 0; i < a->count; i++) {
        equal_text(a->items[i].key, b->items[i].key);
        equal_text(a->items[i].value, b->items[i].value);
    }
}

static void equal_addresses(const struct ip_addr *a, size_t a_count, const struct ip_addr *b,
                            size_t b_count)
{
    assert_int_equal(a_count, b_count);
    for (size_t i = 0; i < a_count; i++)
        assert_true(ip_addr_equal(&a[i], &b[i]));
}

static void equal_prefixes(const struct ip_prefix *a, size_t a_count, const struct ip_prefix *b,
                           size_t b_count)
{
    assert_int_equal(a_count, b_count);
    for (size_t i = 0; i < a_count; i++)
        assert_true(prefix_equal(&a[i], &b[i]));
}

static void equal_selectors(const struct selector *a, const struct selector *b)
{
    assert_int_equal(a->present, b->present);
    assert_int_equal(a->count, b->count);
    for (size_t i = 0; i < a->count; i++) {
        const struct requirement *x = &a->requirements[i], *y = &b->requirements[i];

        equal_text(x->key, y->key);
        assert_int_equal(x->match, y->match);
        assert_int_equal(x->value_count, y->value_count);
        for (size_t j = 0; j < x->value_count; j++)
            equal_text(x->values[j], y->values[j]);
    }
}

static void equal_policies(const struct policy *a, const struct policy *b)
{
    equal_text(a->name, b->name);
    equal_text(a->uid, b->uid);
    assert_true(a->created == b->created);
    assert_int_equal(a->rule_count, b->rule_count);
    for (size_t i = 0; i < a->rule_count; i++) {
        equal_selectors(&a->rules[i].namespaces, &b->rules[i].namespaces);
        equal_selectors(&a->rules[i].pods, &b->rules[i].pods);
        equal_selectors(&a->rules[i].nodes, &b->rules[i].nodes);
    }
    equal_prefixes(a->destinations, a->destination_count, b->destinations, b->destination_count);
    equal_prefixes(a->excluded, a->excluded_count, b->excluded, b->excluded_count);
    assert_int_equal(a->gateway_count, b->gateway_count);
    for (size_t i = 0; i < a->gateway_count; i++) {
        equal_selectors(&a->gateways[i].nodes, &b->gateways[i].nodes);
        equal_text(a->gateways[i].interface, b->gateways[i].interface);
        assert_true(ip_addr_equal(&a->gateways[i].egress_ip, &b->gateways[i].egress_ip));
    }
    assert_int_equal(a->gateways_from_list, b->gateways_from_list);
}

static void equal_pods(const struct pod *a, const struct pod *b)
{
    equal_text(a->namespace, b->namespace);
    equal_text(a->name, b->name);
    equal_text(a->uid, b->uid);
    equal_text(a->node, b->node);
    equal_text(a->service_account, b->service_account);
    assert_true(a->created == b->created);
    equal_labels(&a->labels, &b->labels);
    equal_addresses(a->addresses, a->address_count, b->addresses, b->address_count);
    assert_int_equal(a->host_network, b->host_network);
    assert_int_equal(a->ended, b->ended);
}

static void equal_nodes(const struct node *a, const struct node *b)
{
    equal_text(a->name, b->name);
    equal_text(a->uid, b->uid);
    equal_labels(&a->labels, &b->labels);
    equal_addresses(a->internal, a->internal_count, b->internal, b->internal_count);
    equal_addresses(a->others, a->other_count, b->others, b->other_count);
    equal_prefixes(a->pod_cidrs, a->pod_cidr_count, b->pod_cidrs, b->pod_cidr_count);
    assert_int_equal(a->ready, b->ready);
}

static void equal_links(const struct link *a, const struct link *b)
{
    assert_int_equal(a->ifindex, b->ifindex);
    equal_text(a->name, b->name);
    assert_int_equal(a->up, b->up);
    assert_int_equal(a->address_count, b->address_count);
    for (size_t i = 0; i < a->address_count; i++) {
        assert_true(ip_addr_equal(&a->addresses[i].address, &b->addresses[i].address));
        assert_int_equal(a->addresses[i].usable, b->addresses[i].usable);
    }
    assert_int_equal(a->default_route_v4, b->default_route_v4);
    assert_int_equal(a->default_route_v6, b->default_route_v6);
}

static void equal_objects(const struct object *a, const struct object *b)
{
    assert_int_equal(a->kind, b->kind);
    switch (a->kind) {
    case KIND_POLICY:
        equal_policies(&a->policy, &b->policy);
        break;
    case KIND_POD:
        equal_pods(&a->pod, &b->pod);
        break;
    case KIND_NAMESPACE:
        equal_text(a->namespace.name, b->namespace.name);
        equal_text(a->namespace.uid, b->namespace.uid);
        equal_labels(&a->namespace.labels, &b->namespace.labels);
        break;
    case KIND_NODE:
        equal_nodes(&a->node, &b->node);
        break;
    case KIND_LINK:
        equal_links(&a->link, &b->link);
        break;
    case KINDS:
        fail();
    }
}

static void equal_entries(const struct table_entry *a, const struct table_entry *b)
{
    assert_int_equal(a->table, b->table);
    assert_int_equal(a->remove, b->remove);
    assert_memory_equal(&a->key, &b->key, table_shapes[a->table].key_size);
    assert_memory_equal(&a->value, &b->value, table_shapes[a->table].value_size);
}

void assert_records_equal(const struct record *a, const struct record *b)
{
    assert_int_equal(a->type, b->type);
    assert_true(a->generation == b->generation);
    switch (a->type) {
    case RECORD_SYNC_BEGIN:
    case RECORD_SYNC_END:
        assert_int_equal(a->kind, b->kind);
        break;
    case RECORD_OBJECT:
        equal_objects(&a->object, &b->object);
        break;
    case RECORD_DELETE:
        assert_int_equal(a->identity.kind, b->identity.kind);
        assert_int_equal(a->identity.ifindex, b->identity.ifindex);
        equal_text(a->identity.name, b->identity.name);
        break;
    case RECORD_SCOPE:
        assert_int_equal(a->all_pods, b->all_pods);
        break;
    case RECORD_ENTRIES:
        assert_int_equal(a->entries.count, b->entries.count);
        for (size_t i = 0; i < a->entries.count; i++)
            equal_entries(&a->entries.items[i], &b->entries.items[i]);
        break;
    case RECORD_STATUS:
        assert_int_equal(a->status.first, b->status.first);
        assert_int_equal(a->status.last, b->status.last);
        assert_int_equal(a->status.count, b->status.count);
        for (size_t i = 0; i < a->status.count; i++) {
            assert_int_equal(status_entry_compare(&a->status.items[i], &b->status.items[i]), 0);
            assert_memory_equal(a->status.items[i].values, b->status.items[i].values,
                                sizeof(a->status.items[i].values));
        }
        break;
    case RECORD_REFUSE:
        assert_int_equal(a->refusal.error, b->refusal.error);
        equal_text(a->refusal.text, b->refusal.text);
        break;
    default:
        break;
    }
}

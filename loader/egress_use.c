/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/egress_use.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "common/address.h"

enum { PORTS = 65536, BITS = 64, CAPACITY_FIRST = 8 };

static bool use_is(const struct egress_use *use, const struct nat_key *key)
{
    return use->protocol == key->protocol && ip_addr_equal(&use->egress, &key->local);
}

/* Keys of one egress IP seldom come one after the other, and there are few egress IPs. */
static struct egress_use *use_find(const struct egress_uses *uses, const struct nat_key *key)
{
    for (size_t i = 0; i < uses->count; i++) {
        if (use_is(&uses->items[i], key))
            return &uses->items[i];
    }
    return NULL;
}

static struct egress_use *use_new(struct egress_uses *uses, const struct nat_key *key)
{
    struct egress_use use = {.egress = key->local, .protocol = key->protocol};

    if (uses->count == uses->capacity) {
        size_t capacity = uses->capacity ? 2 * uses->capacity : CAPACITY_FIRST;
        struct egress_use *items = reallocarray(uses->items, capacity, sizeof(*items));

        if (!items)
            return NULL;
        uses->items = items;
        uses->capacity = capacity;
    }
    use.seen = calloc(PORTS / BITS, sizeof(*use.seen));
    if (!use.seen)
        return NULL;
    uses->items[uses->count] = use;
    return &uses->items[uses->count++];
}

int egress_uses_add(struct egress_uses *uses, const struct nat_key *key)
{
    struct egress_use *use = use_find(uses, key);
    unsigned port = ntohs(key->local_port_be);
    uint64_t bit = 1ULL << port % BITS;

    if (!use)
        use = use_new(uses, key);
    if (!use)
        return -ENOMEM;
    use->connections++;
    if (!(use->seen[port / BITS] & bit))
        use->ports++;
    use->seen[port / BITS] |= bit;
    return 0;
}

static int uses_compare(const void *a, const void *b)
{
    const struct egress_use *first = a, *second = b;
    int order = address_compare(&first->egress, &second->egress);

    return order ? order : first->protocol - second->protocol;
}

void egress_uses_sort(struct egress_uses *uses)
{
    if (uses->count)
        qsort(uses->items, uses->count, sizeof(uses->items[0]), uses_compare);
}

void egress_uses_clear(struct egress_uses *uses)
{
    for (size_t i = 0; i < uses->count; i++)
        free(uses->items[i].seen);
    free(uses->items);
    *uses = (struct egress_uses){0};
}

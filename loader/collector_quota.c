/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "loader/collector.h"

static int pods_read(struct collector *collector, struct entries *made)
{
    _cleanup_free_ struct ip_addr *keys = calloc(BACKEND_BATCH, sizeof(keys[0]));
    _cleanup_free_ uint32_t *values = calloc(BACKEND_BATCH, sizeof(values[0]));
    struct backend_cursor cursor = {0};

    entries_release(made);
    if (!keys || !values)
        return -ENOMEM;
    while (!cursor.ended) {
        size_t count = BACKEND_BATCH;
        int error = collector->backend->read(collector->backend, BACKEND_NAT_MADE, &cursor, keys,
                                             values, &count);

        for (size_t i = 0; !error && i < count; i++)
            error = entries_put(made, &keys[i], &values[i], ENTRY_SET);
        if (error)
            return error;
    }
    return 0;
}

int quota_begin(struct collector *collector, uint32_t now)
{
    entries_release(&collector->live);
    collector->started = now;
    return pods_read(collector, &collector->made);
}

int quota_count(struct collector *collector, const struct nat_key *flow,
                const struct nat_forward *mapping)
{
    struct entry *entry;
    uint32_t one = 1;

    /* What was made since then is not in `made` either. */
    if ((int32_t)(mapping->created - collector->started) > 0)
        return 0;
    entry = entries_find(&collector->live, &flow->local);
    if (!entry)
        return entries_put(&collector->live, &flow->local, &one, ENTRY_SET);
    ++*(uint32_t *)entry_value(&collector->live, entry);
    return 0;
}

static int ended_write(struct collector *collector, const void *pod, uint32_t ended)
{
    uint32_t before;
    size_t one = 1;
    int error = collector->backend->lookup(collector->backend, BACKEND_NAT_ENDED, pod, &before);

    if (error && error != -ENOENT)
        return error;
    if (!error && before == ended)
        return 0;
    return collector->backend->update(collector->backend, BACKEND_NAT_ENDED, pod, &ended, &one);
}

/* A pod that is gone and has no mapping is forgotten. The smaller number goes last, so that nobody
 * is refused in between. */
static int pod_forget(struct collector *collector, const void *pod)
{
    size_t one = 1;
    int error = collector->backend->remove(collector->backend, BACKEND_NAT_MADE, pod, &one);

    if (error)
        return error;
    one = 1;
    return collector->backend->remove(collector->backend, BACKEND_NAT_ENDED, pod, &one);
}

int quota_end(struct collector *collector)
{
    struct entry *entry;
    size_t cursor = 0;

    while ((entry = entries_next(&collector->made, &cursor))) {
        struct entry *live = entries_find(&collector->live, entry->key);
        uint32_t count = live ? *(uint32_t *)entry_value(&collector->live, live) : 0;
        uint32_t made = *(uint32_t *)entry_value(&collector->made, entry);
        int error;

        if (!count && collector->endpoints && !entries_find(collector->endpoints, entry->key))
            error = pod_forget(collector, entry->key);
        else
            error = ended_write(collector, entry->key, made - count);
        if (error)
            return error;
    }
    return 0;
}

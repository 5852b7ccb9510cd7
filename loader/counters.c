/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/counters.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "common/address.h"
#include "common/log.h"
#include "common/options.h"

static int policies_compare(const void *a, const void *b)
{
    return strcmp(((const struct policy_count *)a)->name, ((const struct policy_count *)b)->name);
}

static int policies_list(const struct entries *names, struct counters *counters)
{
    size_t cursor = 0;
    struct entry *entry;

    counters->policies = calloc(names->count + 1, sizeof(counters->policies[0]));
    if (!counters->policies)
        return -ENOMEM;
    while ((entry = entries_next(names, &cursor))) {
        struct policy_count *policy = &counters->policies[counters->policy_count];
        const struct policy_name *name = entry_value(names, entry);

        if (policy_name_check(name) < 0)
            continue;
        memcpy(&policy->number, entry->key, sizeof(policy->number));
        memcpy(policy->name, name->text, sizeof(policy->name));
        counters->policy_count++;
    }
    qsort(counters->policies, counters->policy_count, sizeof(counters->policies[0]),
          policies_compare);
    return 0;
}

static int refusals_compare(const void *a, const void *b)
{
    return address_compare(&((const struct egress_refusal *)a)->egress,
                           &((const struct egress_refusal *)b)->egress);
}

/* Nothing is ever taken out of the map, so the walk by keys cannot be led astray. */
static int refusals_read(struct counters *counters, int map)
{
    struct ip_addr last;
    int error = 0;

    counters->refusals = calloc(EGRESS_REFUSED_MOST, sizeof(counters->refusals[0]));
    if (!counters->refusals)
        return -ENOMEM;
    while (counters->refusal_count < EGRESS_REFUSED_MOST) {
        struct egress_refusal *refusal = &counters->refusals[counters->refusal_count];

        error = bpf_map_get_next_key(map, counters->refusal_count ? &last : NULL, &refusal->egress);
        if (!error)
            error = bpf_map_lookup_elem(map, &refusal->egress, &refusal->total);
        if (error)
            break;
        last = refusal->egress;
        counters->refusal_count++;
    }
    qsort(counters->refusals, counters->refusal_count, sizeof(counters->refusals[0]),
          refusals_compare);
    return error == -ENOENT ? 0 : error;
}

int counters_read(struct counters *counters, struct percpu *percpu, const int maps[WATCHED_MAPS],
                  const struct entries *names)
{
    int map = maps[WATCHED_POLICY_COUNTERS], error = policies_list(names, counters);

    if (!error)
        error = refusals_read(counters, maps[WATCHED_EGRESS_REFUSED]);
    for (uint32_t i = 0; !error && i < COUNTERS; i++)
        error = percpu_sum(percpu, maps[WATCHED_COUNTERS], i, &counters->totals[i]);
    if (!error)
        error = percpu_sum(percpu, map, 0, &counters->others);
    for (size_t i = 0; !error && i < counters->policy_count; i++)
        error = percpu_sum(percpu, map, counters->policies[i].number, &counters->policies[i].total);
    return error;
}

/* The same from the pins. */
static int counters_open(const struct config *config, struct counters *counters)
{
    int maps[WATCHED_MAPS];
    struct entries names = {0};
    struct percpu percpu = {0};
    int error = percpu_open(&percpu, sizeof(struct counter));

    memset(maps, 0xff, sizeof(maps));
    for (unsigned i = 0; !error && i < WATCHED_MAPS; i++) {
        maps[i] = show_open(config, watched_names[i]);
        error = maps[i] < 0 ? maps[i] : 0;
    }
    if (!error)
        error = show_read(config, TABLE_POLICIES, &names);
    if (!error)
        error = counters_read(counters, &percpu, maps, &names);
    for (unsigned i = 0; i < WATCHED_MAPS; i++)
        cleanup_close(&maps[i]);
    entries_release(&names);
    percpu_close(&percpu);
    return error;
}

static int uses_read(const struct config *config, struct counters *counters)
{
    struct entries claims = {0};
    int error = show_read(config, BACKEND_NAT_REVERSE, &claims);
    size_t cursor = 0;
    struct entry *entry;

    while (!error && (entry = entries_next(&claims, &cursor)))
        error = egress_uses_add(&counters->uses, (const struct nat_key *)entry->key);
    egress_uses_sort(&counters->uses);
    entries_release(&claims);
    return error;
}

int counters_run(const struct config *config, enum show_format format, FILE *out)
{
    struct counters counters = {0};
    int error = show_check_layout(config);

    if (error)
        return EXIT_FAILED;
    error = counters_open(config, &counters);
    if (!error)
        error = uses_read(config, &counters);
    if (!error)
        error = counters_print(&counters, format, out);
    if (error)
        log_error("the counters cannot be shown", log_errno(error));
    counters_clear(&counters);
    return error ? EXIT_FAILED : EXIT_DONE;
}

void counters_clear(struct counters *counters)
{
    free(counters->policies);
    free(counters->refusals);
    egress_uses_clear(&counters->uses);
    *counters = (struct counters){0};
}

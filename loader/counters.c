/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/counters.h"

#include <errno.h>
#include <string.h>

#include "common/log.h"
#include "common/options.h"
#include "loader/percpu.h"

static int totals_read(const struct config *config, struct percpu *percpu,
                       struct counters *counters)
{
    _cleanup_close_ int map = show_open(config, MAP_COUNTERS);
    int error = map < 0 ? map : 0;

    for (uint32_t i = 0; !error && i < COUNTERS; i++) {
        error = percpu_sum(percpu, map, i, &counters->totals[i]);
        if (error)
            show_report(config, error, MAP_COUNTERS);
    }
    return error;
}

static int policies_compare(const void *a, const void *b)
{
    return strcmp(((const struct policy_count *)a)->name, ((const struct policy_count *)b)->name);
}

/* Takes over the names. */
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

static int policies_read(const struct config *config, struct percpu *percpu,
                         struct counters *counters)
{
    _cleanup_close_ int map = show_open(config, MAP_POLICY_COUNTERS);
    struct entries names = {0};
    int error = map < 0 ? map : show_read(config, TABLE_POLICIES, &names);

    if (!error)
        error = policies_list(&names, counters);
    entries_release(&names);
    if (!error)
        error = percpu_sum(percpu, map, 0, &counters->others);
    for (size_t i = 0; !error && i < counters->policy_count; i++)
        error = percpu_sum(percpu, map, counters->policies[i].number, &counters->policies[i].total);
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
    struct percpu percpu = {0};
    int error = show_check_layout(config);

    if (error)
        return EXIT_FAILED;
    error = percpu_open(&percpu, sizeof(struct counter));
    if (!error)
        error = totals_read(config, &percpu, &counters);
    if (!error)
        error = policies_read(config, &percpu, &counters);
    if (!error)
        error = uses_read(config, &counters);
    if (!error)
        error = counters_print(&counters, format, out);
    if (error)
        log_error("the counters cannot be shown", log_errno(error));
    percpu_close(&percpu);
    counters_clear(&counters);
    return error ? EXIT_FAILED : EXIT_DONE;
}

void counters_clear(struct counters *counters)
{
    free(counters->policies);
    egress_uses_clear(&counters->uses);
    *counters = (struct counters){0};
}

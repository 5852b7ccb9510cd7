/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time and writes that the loader needs to bring tables into the kernel's maps: from nothing, when
 * nothing has changed, and for a change of one endpoint. Medians of several rounds, by the clock
 * and, for a machine that others share, of the CPU.
 *
 *   bench_loader [ENDPOINTS [ROUNDS]]        root
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "loader/apply.h"
#include "loader/backend.h"

enum { ROUNDS_MOST = 101, PROFILES = 100, CIDRS = 10, CHANGES = 1000 };

enum clock { WALL, CPU, CLOCKS };

struct moment {
    double milliseconds[CLOCKS];
};

struct measure {
    const char *name;
    double milliseconds[CLOCKS][ROUNDS_MOST];
    size_t writes;
};

static struct moment now(void)
{
    static const clockid_t clocks[CLOCKS] = {CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID};
    struct moment moment;
    struct timespec time;

    for (unsigned i = 0; i < CLOCKS; i++) {
        clock_gettime(clocks[i], &time);
        moment.milliseconds[i] = (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
    }
    return moment;
}

static void measure_add(struct measure *measure, unsigned round, struct moment started)
{
    struct moment ended = now();

    for (unsigned i = 0; i < CLOCKS; i++)
        measure->milliseconds[i][round] += ended.milliseconds[i] - started.milliseconds[i];
}

static int double_compare(const void *a, const void *b)
{
    double first = *(const double *)a, second = *(const double *)b;

    return (first > second) - (first < second);
}

static void measure_print(struct measure *measure, unsigned rounds)
{
    for (unsigned i = 0; i < CLOCKS; i++)
        qsort(measure->milliseconds[i], rounds, sizeof(double), double_compare);
    printf("%-34s %9.3f ms %9.3f ms of CPU  %7zu writes\n", measure->name,
           measure->milliseconds[WALL][rounds / 2], measure->milliseconds[CPU][rounds / 2],
           measure->writes);
}

static _Noreturn void die(const char *what, int error)
{
    fprintf(stderr, "bench_loader: %s: %s\n", what, strerror(-error));
    exit(EXIT_FAILURE);
}

/* Maps of the same types as those of the datapath, for this process alone. */
static void maps_create(struct backend_kernel *kernel, uint32_t endpoints)
{
    LIBBPF_OPTS(bpf_map_create_opts, no_preallocation, .map_flags = BPF_F_NO_PREALLOC);
    int error;

    memset(kernel->fds, 0xff, sizeof(kernel->fds));
    for (unsigned table = 0; table < TABLES; table++) {
        const struct table_shape *shape = &table_shapes[table];
        enum bpf_map_type type = table == TABLE_SETTINGS ? BPF_MAP_TYPE_ARRAY
                                 : table == TABLE_ROUTES ? BPF_MAP_TYPE_LPM_TRIE
                                                         : BPF_MAP_TYPE_HASH;

        kernel->fds[table] =
            bpf_map_create(type, NULL, (uint32_t)shape->key_size, (uint32_t)shape->value_size,
                           table == TABLE_SETTINGS ? 1 : endpoints + 16384,
                           table == TABLE_SETTINGS ? NULL : &no_preallocation);
        if (kernel->fds[table] < 0)
            die("cannot create a map (root is needed)", kernel->fds[table]);
    }
    error = backend_kernel_init(kernel);
    if (error)
        die("cannot read the maps", error);
}

static void stage(struct apply *apply, const struct table_entry *entry)
{
    const char *why = NULL;
    int error = apply_stage(apply, entry, 1, &why);

    if (error)
        die(why, error);
}

static struct table_entry endpoint_make(uint32_t number, uint32_t profile)
{
    struct table_entry entry = {.table = TABLE_ENDPOINTS};

    entry.key.address = ip_addr_from_v4(htonl(0x0a000000 + number));
    entry.value.endpoint.profile = PROFILE_FIRST + profile % PROFILES;
    entry.value.endpoint.hash = number;
    return entry;
}

static void stage_routes(struct apply *apply)
{
    struct table_entry node = {.table = TABLE_NODES}, gateway = {.table = TABLE_GATEWAYS};

    node.key.address = gateway.value.gateway.node = ip_addr_from_v4(htonl(0xac100001));
    stage(apply, &node);
    stage(apply, &gateway);
    for (uint32_t profile = 0; profile < PROFILES; profile++) {
        for (uint32_t cidr = 0; cidr < CIDRS; cidr++) {
            struct table_entry route = {.table = TABLE_ROUTES};
            struct ip_prefix prefix = {ip_addr_from_v4(htonl(0x08000000 + (cidr << 16))), 16};

            route.key.route = route_key_make(PROFILE_FIRST + profile, &prefix);
            route.value.route = (struct route){.action = ROUTE_GATEWAY, .slots = 1};
            stage(apply, &route);
        }
    }
}

static void stage_snapshot(struct apply *apply, uint32_t endpoints)
{
    struct table_entry settings = {.table = TABLE_SETTINGS};

    apply_begin(apply, true);
    stage(apply, &settings);
    stage_routes(apply);
    for (uint32_t number = 0; number < endpoints; number++) {
        struct table_entry entry = endpoint_make(number, number);

        stage(apply, &entry);
    }
}

static void commit(struct apply *apply, struct measure *measure, unsigned round,
                   struct moment started)
{
    struct apply_result result;
    int error = apply_commit(apply, &result);

    measure_add(measure, round, started);
    if (error)
        die(result.text, error);
    measure->writes = result.set + result.removed;
}

static void round_run(struct measure *measures, unsigned round, uint32_t endpoints)
{
    struct backend_kernel kernel;
    struct apply apply;
    struct moment started;
    int error;

    maps_create(&kernel, endpoints);
    error = apply_open(&apply, &kernel.backend);
    if (error)
        die("cannot read the maps", error);
    for (unsigned i = 0; i < 2; i++) {
        started = now();
        stage_snapshot(&apply, endpoints);
        if (i == 0)
            measure_add(&measures[2], round, started);
        commit(&apply, &measures[i], round, now());
    }
    for (uint32_t change = 0; change < CHANGES; change++) {
        struct table_entry entry = endpoint_make(change % endpoints, change + 1);

        started = now();
        apply_begin(&apply, false);
        stage(&apply, &entry);
        commit(&apply, &measures[3], round, started);
    }
    for (unsigned i = 0; i < CLOCKS; i++)
        measures[3].milliseconds[i][round] /= CHANGES;
    apply_close(&apply);
    for (unsigned table = 0; table < TABLES; table++)
        close(kernel.fds[table]);
}

int main(int argc, char **argv)
{
    struct measure measures[] = {
        {.name = "snapshot into empty maps"},
        {.name = "the same snapshot again"},
        {.name = "staging it (no kernel)"},
        {.name = "a change of one endpoint"},
    };
    unsigned endpoints = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 100000;
    unsigned rounds = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 5;
    struct rusage usage;

    if (endpoints == 0 || rounds == 0 || rounds > ROUNDS_MOST) {
        fprintf(stderr, "usage: bench_loader [ENDPOINTS [ROUNDS]]\n");
        return 2;
    }
    printf("%u endpoints, %d routes, median of %u rounds\n", endpoints, PROFILES * CIDRS, rounds);
    for (unsigned round = 0; round < rounds; round++)
        round_run(measures, round, endpoints);
    for (size_t i = 0; i < ARRAY_SIZE(measures); i++)
        measure_print(&measures[i], rounds);
    getrusage(RUSAGE_SELF, &usage);
    printf("%-34s %9.1f MB\n", "largest resident size", (double)usage.ru_maxrss / 1024);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What it costs to look over many mappings of the gateway that all live: processor time of one scan
 * over maps in the kernel, and the share of a processor that is, given the rest of 60 times that.
 *
 *   bench_collector [MAPPINGS]          root; 500000
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <egressgw/nat_state.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "loader/collector.h"

enum { SCANS = 5, PODS = 1000, REST_SHARE = 60, REST_LEAST = 5 };

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int maps_open(struct backend_kernel *kernel, uint32_t entries)
{
    LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_NO_PREALLOC);

    memset(kernel->fds, 0xff, sizeof(kernel->fds));
    for (unsigned map = BACKEND_NAT_FORWARD; map < BACKEND_MAPS; map++) {
        const struct table_shape *shape = backend_shape(map);

        kernel->fds[map] = bpf_map_create(BPF_MAP_TYPE_HASH, shape->name, (uint32_t)shape->key_size,
                                          (uint32_t)shape->value_size, entries, &options);
        if (kernel->fds[map] < 0)
            return -1;
    }
    return backend_kernel_init(kernel);
}

/* All of them established, half of them quiet for an hour. */
static int mapping_put(const struct backend_kernel *kernel, uint32_t number, uint32_t now)
{
    struct nat_key key = {.local = ip_addr_from_v4(htonl(0x0a000000 + number % PODS)),
                          .remote = ip_addr_from_v4(htonl(0xc6336401)),
                          .local_port_be = htons((uint16_t)(number / PODS)),
                          .remote_port_be = htons(443),
                          .protocol = IPPROTO_TCP};
    struct nat_forward mapping = {.egress = ip_addr_from_v4(htonl(0xc0000201 + number / 60000)),
                                  .egress_port_be = htons((uint16_t)(1024 + number % 60000)),
                                  .answers = NAT_SEEN_DATA | NAT_SEEN_ACK,
                                  .use.seen = NAT_SEEN_DATA | NAT_SEEN_ACK,
                                  .use.last_seen = now - (number % 2 ? nat_ticks(3600) : 0)};
    struct nat_reverse claim = {
        .pod = key.local, .pod_port_be = key.local_port_be, .use = mapping.use};

    if (bpf_map_update_elem(kernel->fds[BACKEND_NAT_FORWARD], &key, &mapping, BPF_ANY) < 0)
        return -1;
    key.local = mapping.egress;
    key.local_port_be = mapping.egress_port_be;
    return bpf_map_update_elem(kernel->fds[BACKEND_NAT_REVERSE], &key, &claim, BPF_ANY);
}

static double scan(struct collector *collector, uint32_t now)
{
    double begin = seconds();
    bool ended = false;

    while (!ended) {
        if (collector_step(collector, now, &ended) < 0)
            return -1;
    }
    return seconds() - begin;
}

int main(int argc, char **argv)
{
    static const uint32_t timeouts[NAT_TIMEOUTS] = {7440, 240, 10, 300, 30, 60, 600};
    uint32_t count = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 500000;
    uint32_t now = collector_now();
    struct backend_kernel kernel;
    struct collector collector;
    double best = 0;

    if (maps_open(&kernel, count * 2) < 0) {
        perror("bench_collector: maps");
        return EXIT_FAILURE;
    }
    for (uint32_t number = 0; number < count; number++) {
        if (mapping_put(&kernel, number, now) < 0)
            return EXIT_FAILURE;
    }
    if (collector_open(&collector, &kernel.backend, timeouts) < 0)
        return EXIT_FAILURE;
    for (unsigned i = 0; i < SCANS; i++) {
        double took = scan(&collector, now);

        if (took < 0)
            return EXIT_FAILURE;
        best = i == 0 || took < best ? took : best;
    }
    printf("collector: %u mappings, %.0f ms a scan, %.1f %% of a processor, %llu freed\n", count,
           best * 1e3,
           100 * best / (best + (best * REST_SHARE > REST_LEAST ? best * REST_SHARE : REST_LEAST)),
           (unsigned long long)collector.freed);
    collector_close(&collector);
    return EXIT_SUCCESS;
}

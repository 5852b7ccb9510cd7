/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watches the endpoints that a loader has pinned until there are as many as told, and prints how
 * many milliseconds lay between the first change of their number and that.
 *
 *   bench_map PATH ENDPOINTS          root
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/address.h"
#include "egressgw/layout.h"

enum { BATCH = 4096, PATIENCE_MS = 120000, PAUSE_MS = 5 };

static double now_milliseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* Entries of the map, or -1. */
static long map_count(int map)
{
    static struct ip_addr keys[BATCH];
    static struct endpoint values[BATCH];
    uint32_t from = 0, to = 0, count;
    bool first = true;
    long sum = 0;
    int error;

    do {
        count = BATCH;
        error = bpf_map_lookup_batch(map, first ? NULL : &from, &to, keys, values, &count, NULL);
        if (error && errno != ENOENT)
            return -1;
        sum += count;
        from = to;
        first = false;
    } while (!error);
    return sum;
}

int main(int argc, char **argv)
{
    static const struct timespec pause = {0, PAUSE_MS * 1000000};
    int map = argc == 3 ? bpf_obj_get(argv[1]) : -1;
    long wanted = argc == 3 ? strtol(argv[2], NULL, 10) : 0, before = -1, count;
    double begin = now_milliseconds(), changed = 0, now;

    if (map < 0) {
        fprintf(stderr, "usage: bench_map PATH ENDPOINTS (%s)\n", strerror(errno));
        return EXIT_FAILURE;
    }
    while ((count = map_count(map)) != wanted) {
        now = now_milliseconds();
        if (count < 0 || now - begin > PATIENCE_MS) {
            fprintf(stderr, "bench_map: %ld endpoints instead of %ld\n", count, wanted);
            return EXIT_FAILURE;
        }
        if (before >= 0 && count != before && changed == 0)
            changed = now;
        before = count;
        nanosleep(&pause, NULL);
    }
    now = now_milliseconds();
    printf("%.0f\n", changed > 0 ? now - changed : 0.0);
    return EXIT_SUCCESS;
}

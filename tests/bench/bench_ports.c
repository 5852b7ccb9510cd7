/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the gateway takes for the first packet of a flow, by how many ports of a dedicated egress IP
 * are taken towards its destination: nanoseconds by BPF_PROG_TEST_RUN, mean and median over several
 * fillings, and the mean as a ratio to that of an empty table.
 *
 *   bench_ports          root
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/bpf/roles.h"

enum { ROUNDS = 3, WINDOW = 60, PODS = 32, PORTS = 65536 - 1024, LEVELS = 5 };

/* How many flows there are when those that count begin. */
static const struct level {
    const char *name;
    uint32_t flows;
} levels[LEVELS] = {
    {"0", 0},
    {"50", PORTS / 2},
    {"90", PORTS / 10 * 9},
    {"99", PORTS / 100 * 99},
    {"99.9", PORTS - WINDOW - 4},
};

static uint32_t durations[LEVELS][ROUNDS * WINDOW];

/* Flow number `number` of a round: of some pod, with some port of its own that it has not used. */
static void flow_open(struct harness *harness, uint32_t round, uint32_t number)
{
    struct packet_spec spec = gateway_udp_out;
    char pod[INET6_ADDRSTRLEN];

    snprintf(pod, sizeof(pod), "10.244.2.%u", 1 + number % PODS);
    spec.source = pod;
    spec.source_port =
        (uint16_t)(1024 + (number / PODS * 7919U + number % PODS * 9973U + round * 101U) % PORTS);
    gateway_receive(harness, &spec);
    if (!gateway_let_out(harness))
        fail_msg("no port for flow %u", number);
}

static void round_run(struct harness *harness, uint32_t round)
{
    struct datapath_config config = harness_config();
    uint32_t number = 0;
    char pod[INET6_ADDRSTRLEN];

    harness_reload(harness, &config, 70000);
    put_route(harness, TEST_PROFILE, "192.0.2.0", 24, ROUTE_GATEWAY);
    put_gateway(harness, 1, NODE_OWN, EGRESS_IP, GATEWAY_LOCAL | GATEWAY_DEDICATED);
    for (unsigned int i = 1; i <= PODS; i++) {
        snprintf(pod, sizeof(pod), "10.244.2.%u", i);
        put_endpoint(harness, pod, NODE_OTHER, TEST_PROFILE, 0);
    }
    for (size_t level = 0; level < LEVELS; level++) {
        while (number < levels[level].flows)
            flow_open(harness, round, number++);
        for (uint32_t i = 0; i < WINDOW; i++) {
            flow_open(harness, round, number++);
            durations[level][round * WINDOW + i] = harness->duration;
        }
    }
}

static int number_compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static double mean_of(const uint32_t *numbers, size_t count)
{
    double sum = 0;

    for (size_t i = 0; i < count; i++)
        sum += numbers[i];
    return sum / (double)count;
}

static void measure(void **state)
{
    enum { COUNT = ROUNDS * WINDOW };
    double first = 0;

    for (uint32_t round = 0; round < ROUNDS; round++)
        round_run(*state, round);
    printf("%% taken   mean/ns  median/ns   ratio\n");
    for (size_t level = 0; level < LEVELS; level++) {
        double mean = mean_of(durations[level], COUNT);

        qsort(durations[level], COUNT, sizeof(durations[level][0]), number_compare);
        first = level ? first : mean;
        printf("%7s  %8.0f  %9u  %6.2f\n", levels[level].name, mean, durations[level][COUNT / 2],
               mean / first);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(measure, harness_setup, harness_teardown)};

    return cmocka_run_group_tests(tests, harness_network, NULL);
}

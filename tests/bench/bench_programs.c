/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the datapath's programs take for a packet, by the branch that it takes and by how much the
 * tables hold: the median of single runs by BPF_PROG_TEST_RUN, nanoseconds, each with a packet of
 * its own. The first row is what a run takes that does nothing.
 *
 *   bench_programs [FAMILY]          root; 4 or 6
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/bench/programs_frames.h"

enum { SAMPLES = 4096, BATCH = 4096, HOT_FLOWS = 256, PODS_MOST = 131072, FLOWS_MOST = 524288 };

static const struct scene scenes[] = {
    {1000, 1000}, {100000, 1000}, {1000, 500000}, {100000, 500000}};
enum { SCENES = sizeof(scenes) / sizeof(scenes[0]) };

enum pick {
    PICK_SEEN,  /* of a few flows that this tick has seen */
    PICK_FIRST, /* of a flow that it has not */
    PICK_NEW,   /* of a flow that is in no table */
};

struct kind {
    const char *name;
    void (*build)(const struct scene *scene, uint32_t flow, struct frame *frame);
    enum pick pick;
    int egress;
    int protocol;
    uint8_t tcp_flags;
    int marked;
};

/* The rows of the table. */
static const struct kind kinds[] = {
    {.name = "nothing: our own mark", .build = build_own_out, .egress = 1, .marked = 1},
    {.name = "egress, the node's own", .build = build_own_out, .egress = 1},
    {.name = "ingress, the node's own", .build = build_own_back},
    {.name = "worker, out, UDP", .build = build_worker_out, .egress = 1},
    {.name = "the same, first in a tick",
     .build = build_worker_out,
     .egress = 1,
     .pick = PICK_FIRST},
    {.name = "the same, new flow", .build = build_worker_out, .egress = 1, .pick = PICK_NEW},
    {.name = "worker, out, TCP",
     .build = build_worker_out,
     .egress = 1,
     .protocol = IPPROTO_TCP,
     .tcp_flags = 16},
    {.name = "the same, SYN",
     .build = build_worker_out,
     .egress = 1,
     .pick = PICK_NEW,
     .protocol = IPPROTO_TCP,
     .tcp_flags = 2},
    {.name = "worker, back, UDP", .build = build_worker_back},
    {.name = "gateway, out, UDP", .build = build_gateway_out},
    {.name = "the same, first in a tick", .build = build_gateway_out, .pick = PICK_FIRST},
    {.name = "the same, new flow", .build = build_gateway_out, .pick = PICK_NEW},
    {.name = "gateway, back, UDP", .build = build_gateway_back},
    {.name = "the same, first in a tick", .build = build_gateway_back, .pick = PICK_FIRST},
    {.name = "gateway, out, TCP: SYN of a new flow",
     .build = build_gateway_out,
     .pick = PICK_NEW,
     .protocol = IPPROTO_TCP,
     .tcp_flags = 2},
    {.name = "the same, SYN-ACK",
     .build = build_gateway_back,
     .pick = PICK_NEW,
     .protocol = IPPROTO_TCP,
     .tcp_flags = 2},
    {.name = "the same, established, out",
     .build = build_gateway_out,
     .protocol = IPPROTO_TCP,
     .tcp_flags = 16},
    {.name = "the same, established, back",
     .build = build_gateway_back,
     .protocol = IPPROTO_TCP,
     .tcp_flags = 16},
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

/* Runs a program once; returns how many nanoseconds that took. */
static uint32_t run(const struct kind *kind, const struct frame *frame)
{
    struct __sk_buff in = {.mark = kind->marked ? DATAPATH_MARK : 0,
                           .ifindex = (uint32_t)harness->up0};
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame->data,
                .data_size_in = (uint32_t)frame->length, .data_out = harness->out.data,
                .data_size_out = FRAME_SIZE, .ctx_in = &in, .ctx_size_in = sizeof(in), .repeat = 1);
    int program_fd = kind->egress ? harness->programs.egress : harness->programs.ingress;

    if (bpf_prog_test_run_opts(program_fd, &options))
        exit(EXIT_FAILURE);
    if (options.retval == TC_ACT_SHOT) {
        fprintf(stderr, "bench_programs: %s: dropped\n", kind->name ? kind->name : "filling");
        exit(EXIT_FAILURE);
    }
    return options.duration;
}

static void kind_begin(const struct kind *kind)
{
    protocol = kind->protocol ? kind->protocol : IPPROTO_UDP;
    tcp_flags = kind->tcp_flags;
}

static int number_compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static void tick_await(uint32_t since)
{
    static const struct timespec pause = {0, 1000000};

    while (ticks_now() == since)
        nanosleep(&pause, NULL);
}

/* Median nanoseconds of that kind. Flows of PICK_FIRST are spread over all that there are. */
static uint32_t kind_measure(const struct scene *scene, const struct kind *kind)
{
    static uint32_t samples[SAMPLES];
    uint32_t flow = 0, tick = ticks_now(), start = 0;
    struct frame frame;

    kind_begin(kind);
    for (uint32_t i = 0; kind->pick == PICK_SEEN && i < HOT_FLOWS; i++) {
        kind->build(scene, i, &frame);
        run(kind, &frame);
    }
    for (uint32_t i = 0; i < SAMPLES; i++) {
        if (kind->pick == PICK_SEEN)
            flow = i % HOT_FLOWS;
        else if (kind->pick == PICK_NEW)
            flow = scene->flows + i % SAMPLES;
        else
            flow = (uint32_t)((uint64_t)i * 7919 % scene->flows);
        if (kind->pick == PICK_FIRST && (i == start || i - start >= scene->flows)) {
            tick_await(tick);
            tick = ticks_now();
            start = i;
        }
        kind->build(scene, flow, &frame);
        samples[i] = run(kind, &frame);
    }
    qsort(samples, SAMPLES, sizeof(samples[0]), number_compare);
    return samples[SAMPLES / 2];
}

/* Every pod of PODS_OF_PROFILE has policies of its own, with routes of which one is taken. */
static void scene_put(const struct scene *scene)
{
    const char *own = pick_family(NODE_OWN, NODE_OWN6),
               *other = pick_family(NODE_OTHER, NODE_OTHER6);
    char text[INET6_ADDRSTRLEN];

    harness_reload(harness, &harness->config, harness->mappings);
    for (uint32_t pod = 0; pod < scene->pods; pod++)
        put_endpoint_hash(harness, pod_name(pod, text, sizeof(text)), pod % 2 ? other : own,
                          PROFILE_FIRST + pod / PODS_OF_PROFILE, pod % 2 ? 0 : ENDPOINT_LOCAL,
                          pod % 2 ? HASH_GATEWAY : HASH_WORKER);
    for (uint32_t i = 0; i < scene->pods / PODS_OF_PROFILE * ROUTES_OF_PROFILE; i++) {
        uint32_t profile = PROFILE_FIRST + i / ROUTES_OF_PROFILE, network = i % ROUTES_OF_PROFILE;

        snprintf(text, sizeof(text), family == 4 ? "198.51.%u.0" : "2001:db8:%x::", 64 + network);
        put_route(harness, profile, network ? text : pick_family("192.0.2.0", "2001:db8:7::"),
                  family == 4 ? 24 : 48, ROUTE_GATEWAY);
    }
    put_route(harness, PROFILE_COVERED, pick_family("0.0.0.0", "::"), 0, ROUTE_COVERED);
    put_gateway(harness, HASH_WORKER % 2, other, NULL, 0);
    put_gateway(harness, HASH_GATEWAY % 2, own, pick_family(EGRESS_IP, EGRESS_IP6), GATEWAY_LOCAL);
    put_node(harness, other, NODE_GATEWAY);
    put_node(harness, own, NODE_SELF | NODE_GATEWAY);
}

/* The key of a flow, and that of its answers at the gateway. */
static struct nat_key key_of(const struct scene *scene, uint32_t flow, uint32_t odd)
{
    char pod[INET6_ADDRSTRLEN], server[INET6_ADDRSTRLEN];

    pod_name(flow % (scene->pods / 2) * 2 + odd, pod, sizeof(pod));
    return flow_key(IPPROTO_UDP, pod, (uint16_t)(PORT_FIRST + flow / SERVERS),
                    server_name(flow, server, sizeof(server)), 53);
}

static void batch_put(const struct bpf_map *map, const void *keys, const void *values,
                      uint32_t count)
{
    if (bpf_map_update_batch(bpf_map__fd(map), keys, values, &count, NULL)) {
        perror("bench_programs: batch");
        exit(EXIT_FAILURE);
    }
}

/* Flows from `first` on, `count` of them, made after the first flow of all. */
static void scene_fill_batch(const struct scene *scene, uint32_t first, uint32_t count,
                             const struct flow *flow, const struct nat_forward *forward,
                             const struct nat_reverse *reverse)
{
    static struct nat_key worker[BATCH], pod[BATCH], answer[BATCH];
    static struct flow flows[BATCH];
    static struct nat_forward forwards[BATCH];
    static struct nat_reverse reverses[BATCH];

    for (uint32_t i = 0; i < count; i++) {
        worker[i] = key_of(scene, first + i, 0);
        pod[i] = answer[i] = key_of(scene, first + i, 1);
        answer[i].local = forward->egress;
        flows[i] = *flow;
        forwards[i] = *forward;
        forwards[i].egress_port_be = pod[i].local_port_be;
        reverses[i] = *reverse;
        reverses[i].pod = pod[i].local;
        reverses[i].pod_port_be = pod[i].local_port_be;
    }
    batch_put(harness->skeleton->maps.flows, worker, flows, count);
    batch_put(harness->skeleton->maps.nat_forward, pod, forwards, count);
    batch_put(harness->skeleton->maps.nat_reverse, answer, reverses, count);
}

/* The first flow comes into the tables as it does in life, the others as its copies. */
static void scene_fill(const struct scene *scene)
{
    static const struct kind ways[] = {{.build = build_worker_out, .egress = 1},
                                       {.build = build_gateway_out},
                                       {.build = build_gateway_back}};
    struct nat_key worker = key_of(scene, 0, 0), pod = key_of(scene, 0, 1), answer = pod;
    struct nat_forward forward;
    struct nat_reverse reverse;
    struct frame frame;
    struct flow flow;

    answer.local = address_of(pick_family(EGRESS_IP, EGRESS_IP6));
    for (size_t way = 0; way < sizeof(ways) / sizeof(ways[0]); way++) {
        kind_begin(&ways[way]);
        ways[way].build(scene, 0, &frame);
        run(&ways[way], &frame);
    }
    if (get_flow(harness, &worker, &flow) || get_forward(harness, &pod, &forward) ||
        get_reverse(harness, &answer, &reverse)) {
        fprintf(stderr, "bench_programs: the first flow is not in the tables\n");
        exit(EXIT_FAILURE);
    }
    for (uint32_t first = 1; first < scene->flows; first += BATCH)
        scene_fill_batch(scene, first, scene->flows - first < BATCH ? scene->flows - first : BATCH,
                         &flow, &forward, &reverse);
}

/* Established connections of the few flows that are taken again and again. */
static void scene_connect(const struct scene *scene)
{
    static const struct {
        void (*build)(const struct scene *scene, uint32_t flow, struct frame *frame);
        int egress;
    } ways[] = {{build_worker_out, 1}, {build_gateway_out, 0}, {build_gateway_back, 0}};
    static const uint8_t flags[] = {2, 16};
    struct frame frame;

    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]) * 2; i++) {
        struct kind kind = {
            .egress = ways[i % 3].egress, .protocol = IPPROTO_TCP, .tcp_flags = flags[i / 3]};

        kind_begin(&kind);
        for (uint32_t flow = 0; flow < HOT_FLOWS; flow++) {
            ways[i % 3].build(scene, flow, &frame);
            run(&kind, &frame);
        }
    }
}

/* Loads the programs with empty tables; to empty large ones would take longer. */
static void programs_load(void)
{
    struct datapath_config config = harness_config();
    struct egressgw_bpf *skeleton = egressgw_bpf__open();

    if (!skeleton)
        exit(EXIT_FAILURE);
    skeleton->rodata->config = config;
    bpf_map__set_max_entries(skeleton->maps.endpoints, PODS_MOST);
    bpf_map__set_max_entries(skeleton->maps.flows, FLOWS_MOST);
    if (kept_load(skeleton, FLOWS_MOST, &harness->programs))
        exit(EXIT_FAILURE);
    egressgw_bpf__destroy(harness->skeleton);
    harness->skeleton = skeleton;
    harness->config = config;
    harness->mappings = FLOWS_MOST;
}

int main(int argc, char **argv)
{
    static uint32_t figures[KINDS][SCENES];
    void *state;

    if (argc > 1)
        family = atoi(argv[1]) == 6 ? 6 : 4;
    if (harness_network(&state))
        return EXIT_FAILURE;
    harness = state;
    for (int scene = 0; scene < SCENES; scene++) {
        programs_load();
        scene_put(&scenes[scene]);
        scene_fill(&scenes[scene]);
        scene_connect(&scenes[scene]);
        for (int kind = 0; kind < KINDS; kind++)
            figures[kind][scene] = kind_measure(&scenes[scene], &kinds[kind]);
    }
    printf("| IPv%d |", family);
    for (int scene = 0; scene < SCENES; scene++)
        printf(" %u pods, %u flows |", scenes[scene].pods, scenes[scene].flows);
    printf("\n|---|---:|---:|---:|---:|\n");
    for (int kind = 0; kind < KINDS; kind++) {
        printf("| %s |", kinds[kind].name);
        for (int scene = 0; scene < SCENES; scene++)
            printf(" %u |", figures[kind][scene]);
        printf("\n");
    }
    return EXIT_SUCCESS;
}

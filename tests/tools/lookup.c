/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lookup PINS DESTINATION POD...
 *
 * Looks the way of each pod's packets to the destination up in the pinned maps, again and again, by
 * the datapath's own look-ups in the kernel: endpoint, route, gateway, with a while between them.
 * Says "started" after the first round, and when a line is read from stdin looked N gaps N, where a
 * gap is a look-up that found nothing or led elsewhere than to a gateway. Ends with 1 where there
 * was one, and says which was the first.
 */
#include <bpf/bpf.h>
#include <limits.h>
#include <poll.h>

#include "tests/tools/lookup.h"
#include "tests/tools/lookup.skel.h"
#include "tests/tools/tool.h"

enum { PAUSE_NS = 200000, ROUNDS = 100000, FRAME = 256 };

static struct {
    struct lookup_bpf *skeleton;
    int program;
    struct ip_addr destination;
    unsigned long looked, gaps;
} it;

/* The program on the daemon's maps; what it does not need is not made. */
static void program_load(const char *pins)
{
    static const char *const names[] = {MAP_ENDPOINTS, MAP_ROUTES, MAP_GATEWAYS};
    struct lookup_bpf *skeleton = lookup_bpf__open();
    struct bpf_map *map;

    if (!skeleton)
        tool_fail("the program cannot be opened");
    bpf_object__for_each_map(map, skeleton->obj)
        bpf_map__set_autocreate(map, bpf_map__is_internal(map));
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[PATH_MAX];
        int fd;

        snprintf(path, sizeof(path), "%s/maps/%s", pins, names[i]);
        fd = bpf_obj_get(path);
        map = bpf_object__find_map_by_name(skeleton->obj, names[i]);
        if (fd < 0 || !map || bpf_map__reuse_fd(map, fd) || bpf_map__set_autocreate(map, true))
            tool_fail("%s: %s", path, strerror(errno));
    }
    if (lookup_bpf__load(skeleton))
        tool_fail("the program cannot be loaded");
    it.skeleton = skeleton;
    it.program = bpf_program__fd(skeleton->progs.lookup_way);
}

static struct ip_addr ipv4_parse(const char *text)
{
    return ip_addr_from_v4(tool_address_parse(text, 0).v4.sin_addr.s_addr);
}

static void way_look(const char *name)
{
    static const char *const ends[] = {
        [LOOKUP_AT_A_GATEWAY] = "a gateway", [LOOKUP_NO_ENDPOINT] = "no endpoint",
        [LOOKUP_NO_ROUTE] = "no route",      [LOOKUP_NO_REDIRECTION] = "a route to no gateway",
        [LOOKUP_NO_GATEWAY] = "no gateway",
    };
    struct lookup_question question = {
        .pod = ipv4_parse(name), .destination = it.destination, .rounds = ROUNDS};
    unsigned char frame[FRAME] = {0}, out[FRAME];
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame, .data_size_in = sizeof(frame),
                .data_out = out, .data_size_out = sizeof(out), .repeat = 1);

    memcpy(frame + LOOKUP_OFFSET, &question, sizeof(question));
    if (bpf_prog_test_run_opts(it.program, &options) || options.retval)
        tool_fail("the program cannot be run: %s", strerror(errno));
    memcpy(&question, out + LOOKUP_OFFSET, sizeof(question));
    it.looked++;
    if (question.end != LOOKUP_AT_A_GATEWAY && it.gaps++ == 0)
        fprintf(stderr, "%s: %s\n", name, ends[question.end]);
}

int main(int argc, char **argv)
{
    const struct timespec pause = {.tv_nsec = PAUSE_NS};
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};

    if (argc < 4)
        tool_fail("usage: lookup PINS DESTINATION POD...");
    program_load(argv[1]);
    it.destination = ipv4_parse(argv[2]);
    while (poll(&input, 1, 0) == 0) {
        for (int i = 3; i < argc; i++)
            way_look(argv[i]);
        if (it.looked == (unsigned)argc - 3) {
            puts("started");
            fflush(stdout);
        }
        nanosleep(&pause, NULL);
    }
    lookup_bpf__destroy(it.skeleton);
    printf("looked %lu gaps %lu\n", it.looked, it.gaps);
    return it.gaps != 0;
}

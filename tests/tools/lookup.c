/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lookup PINS DESTINATION POD...
 *
 * Looks the way of each pod's packets to the destination up in the pinned maps, as the datapath
 * does, a few thousand times a second: endpoint, route, gateway. Says "started" after the first
 * round, and when a line is read from stdin looked N gaps N, where a gap is a look-up that found
 * nothing or led elsewhere than to a gateway. Ends with 1 where there was one, and says which was
 * the first.
 */
#include <bpf/bpf.h>
#include <egressgw/layout.h>
#include <limits.h>
#include <poll.h>

#include "ipc/tables.h"
#include "tests/tools/tool.h"

enum { PAUSE_NS = 200000 };

static struct {
    int endpoints, routes, gateways;
    struct ip_prefix destination;
    unsigned long looked, gaps;
} it;

static int pin_open(const char *pins, const char *name)
{
    char path[PATH_MAX];
    int fd;

    snprintf(path, sizeof(path), "%s/maps/%s", pins, name);
    fd = bpf_obj_get(path);
    if (fd < 0)
        tool_fail("%s: %s", path, strerror(-fd));
    return fd;
}

static struct ip_addr ipv4_parse(const char *text)
{
    return ip_addr_from_v4(tool_address_parse(text, 0).v4.sin_addr.s_addr);
}

/* What the way ends at; NULL: at a gateway. */
static const char *way_gap(const struct ip_addr *pod)
{
    struct endpoint endpoint;
    struct gateway gateway;
    struct gateway_key slot = {0};
    struct route_key key;
    struct route route;

    if (bpf_map_lookup_elem(it.endpoints, pod, &endpoint))
        return "no endpoint";
    key = route_key_make(endpoint.profile, &it.destination);
    if (bpf_map_lookup_elem(it.routes, &key, &route))
        return "no route";
    if (route.action != ROUTE_GATEWAY || route.slots == 0)
        return "a route to no gateway";
    slot.group = route.group;
    slot.slot = endpoint.hash % route.slots;
    return bpf_map_lookup_elem(it.gateways, &slot, &gateway) ? "no gateway" : NULL;
}

static void way_look(const char *name)
{
    struct ip_addr pod = ipv4_parse(name);
    const char *gap = way_gap(&pod);

    it.looked++;
    if (gap && it.gaps++ == 0)
        fprintf(stderr, "%s: %s\n", name, gap);
}

int main(int argc, char **argv)
{
    const struct timespec pause = {.tv_nsec = PAUSE_NS};
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};

    if (argc < 4)
        tool_fail("usage: lookup PINS DESTINATION POD...");
    it.endpoints = pin_open(argv[1], MAP_ENDPOINTS);
    it.routes = pin_open(argv[1], MAP_ROUTES);
    it.gateways = pin_open(argv[1], MAP_GATEWAYS);
    it.destination.address = ipv4_parse(argv[2]);
    it.destination.length = 32;
    while (poll(&input, 1, 0) == 0) {
        for (int i = 3; i < argc; i++)
            way_look(argv[i]);
        if (it.looked == (unsigned)argc - 3) {
            puts("started");
            fflush(stdout);
        }
        nanosleep(&pause, NULL);
    }
    printf("looked %lu gaps %lu\n", it.looked, it.gaps);
    return it.gaps != 0;
}

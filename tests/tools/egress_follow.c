/* SPDX-License-Identifier: Apache-2.0 */

/*
 * egress_follow MAP ADDRESS
 *
 * Looks into the pinned map of gateways again and again. Says "ready", then, each time it changes
 * whether any entry has this egress IP, "there" or "away" and the time in microseconds since 1970.
 */
#include <bpf/bpf.h>

#include "common/address.h"
#include "egressgw/layout.h"
#include "tests/tools/tool.h"

enum { LOOK_EVERY_NS = 500000 };

static bool is_there(int map, const struct ip_addr *egress)
{
    struct gateway_key key, *last = NULL;
    struct gateway gateway;

    while (bpf_map_get_next_key(map, last, &key) == 0) {
        if (bpf_map_lookup_elem(map, &key, &gateway) == 0 &&
            address_compare(&gateway.egress, egress) == 0)
            return true;
        last = &key;
    }
    return false;
}

int main(int argc, char **argv)
{
    const struct timespec pause = {.tv_nsec = LOOK_EVERY_NS};
    struct ip_addr egress;
    bool there;
    int map;

    if (argc != 3 || address_parse((struct text){argv[2], strlen(argv[2])}, &egress) < 0)
        tool_fail("usage: egress_follow MAP ADDRESS");
    map = bpf_obj_get(argv[1]);
    if (map < 0)
        tool_fail("%s: %s", argv[1], strerror(-map));
    setvbuf(stdout, NULL, _IOLBF, 0);
    there = is_there(map, &egress);
    for (puts("ready");; nanosleep(&pause, NULL)) {
        struct timespec now;

        if (is_there(map, &egress) == there)
            continue;
        there = !there;
        clock_gettime(CLOCK_REALTIME, &now);
        printf("%s %lld\n", there ? "there" : "away", now.tv_sec * 1000000LL + now.tv_nsec / 1000);
    }
}

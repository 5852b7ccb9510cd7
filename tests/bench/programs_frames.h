/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_BENCH_PROGRAMS_FRAMES_H
#define TESTS_BENCH_PROGRAMS_FRAMES_H

/* Who sends to whom in bench_programs, and the frames of that. */

#include <netinet/in.h>
#include <stdio.h>

#include "tests/bpf/harness.h"

enum {
    SERVERS = 200, /* so that no two flows of a server have the same port */
    PORT_FIRST = 2000,
    HASH_WORKER = 4, /* the slots of pods of this node, and of those that it is the gateway of */
    HASH_GATEWAY = 5,
    PODS_OF_PROFILE = 100,
    ROUTES_OF_PROFILE = 10,
};

/* What the tables hold. */
struct scene {
    uint32_t pods;
    uint32_t flows; /* of a worker and of a gateway each */
};

static struct harness *harness;
static int family = 4, protocol = IPPROTO_UDP;
static uint8_t tcp_flags;

static const char *pick_family(const char *v4, const char *v6)
{
    return family == 4 ? v4 : v6;
}

/* The pod with that number; those with even numbers are of this node. */
static const char *pod_name(uint32_t pod, char *text, size_t size)
{
    if (family == 4)
        snprintf(text, size, "10.%u.%u.%u", 64 + (pod >> 16), pod >> 8 & 255, pod & 255);
    else
        snprintf(text, size, "fd00:10:244:9::%x:%x", pod >> 16, pod & 65535);
    return text;
}

static const char *server_name(uint32_t flow, char *text, size_t size)
{
    snprintf(text, size, family == 4 ? "192.0.2.%u" : "2001:db8:7::%u", 10 + flow % SERVERS);
    return text;
}

/* A packet of the flow from the pod, which is an odd one where `odd` is 1, or back. */
static void frame_of(const struct scene *scene, uint32_t flow, uint32_t odd, int back,
                     const char *pod, struct frame *frame)
{
    char pod_text[INET6_ADDRSTRLEN], server[INET6_ADDRSTRLEN];
    struct packet_spec spec = {
        .source =
            pod ? pod : pod_name(flow % (scene->pods / 2) * 2 + odd, pod_text, sizeof(pod_text)),
        .destination = server_name(flow, server, sizeof(server)),
        .protocol = protocol,
        .source_port = (uint16_t)(PORT_FIRST + flow / SERVERS),
        .destination_port = 53,
        .tcp_flags = tcp_flags,
        .payload = 22,
    };

    if (back) {
        const char *local = spec.source;

        spec.source = spec.destination;
        spec.destination = local;
        spec.destination_port = spec.source_port;
        spec.source_port = 53;
        if (tcp_flags & 2)
            spec.tcp_flags |= 16;
    }
    frame_build(frame, back ? mac_uplink : mac_router, back ? mac_router : mac_uplink, &spec);
}

static void frame_tunnel(struct frame *frame)
{
    frame_encapsulate(frame, mac_uplink, mac_gateway, pick_family(NODE_OTHER, NODE_OTHER6),
                      pick_family(NODE_OWN, NODE_OWN6), 77, 50000, TEST_VNI);
}

static void build_worker_out(const struct scene *scene, uint32_t flow, struct frame *frame)
{
    frame_of(scene, flow, 0, 0, NULL, frame);
}

static void build_worker_back(const struct scene *scene, uint32_t flow, struct frame *frame)
{
    frame_of(scene, flow, 0, 1, NULL, frame);
    frame_tunnel(frame);
    frame_answer(frame);
}

static void build_gateway_out(const struct scene *scene, uint32_t flow, struct frame *frame)
{
    frame_of(scene, flow, 1, 0, NULL, frame);
    frame_tunnel(frame);
}

static void build_gateway_back(const struct scene *scene, uint32_t flow, struct frame *frame)
{
    frame_of(scene, flow, 1, 1, pick_family(EGRESS_IP, EGRESS_IP6), frame);
}

/* The node's own traffic. */
static void build_own_out(const struct scene *scene, uint32_t flow, struct frame *frame)
{
    frame_of(scene, flow, 0, 0, pick_family("10.0.1.1", "fd00:1::1"), frame);
}

static void build_own_back(const struct scene *scene, uint32_t flow, struct frame *frame)
{
    frame_of(scene, flow, 0, 1, pick_family("10.0.1.1", "fd00:1::1"), frame);
}

#endif

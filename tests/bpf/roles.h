/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_BPF_ROLES_H
#define TESTS_BPF_ROLES_H

/* What several programs of the IPv4 tests set up: a worker with a pod, and a gateway for another
 * node's pod. */

#include "harness.h"

enum {
    FIN = 0x01,
    SYN = 0x02,
    RST = 0x04,
    ACK = 0x10,
};

/* What a pod of this node sends. */
extern const struct packet_spec worker_udp_out;

/* A pod of this node whose way out leads to `gateway`. */
void worker_put(struct harness *harness, const char *gateway);
/* The frame in which the pod's packet comes to the uplink's egress. */
void worker_build(struct frame *frame, const struct packet_spec *spec);
/* The egress program puts the packet into the tunnel to NODE_OTHER, or drops and counts it. */
void worker_expect_tunnel(struct harness *harness, const struct packet_spec *spec);
void worker_expect_drop(struct harness *harness, const struct packet_spec *spec,
                        enum drop_reason reason);
/* It drops and counts it, and what comes out is an error for the pod; see test_refuse. */
void worker_expect_refused(struct harness *harness, const struct packet_spec *spec,
                           enum drop_reason reason);

/* What a pod of another node sends; its port is kept, since it is not in the ephemeral range. */
extern const struct packet_spec gateway_udp_out;

/* This node is the gateway for that pod. */
void gateway_put(struct harness *harness);
/* The frame in which the packet comes through the tunnel from `node`. */
void gateway_build(struct frame *frame, const struct packet_spec *spec, const char *node);
/* Gives the ingress program the packet as the pod's own node sends it. */
void gateway_receive(struct harness *harness, const struct packet_spec *spec);
/* Whether the last packet of a pod was let out; else it was dropped, and the pod perhaps told. */
int gateway_let_out(const struct harness *harness);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_BPF_FAMILIES_H
#define TESTS_BPF_FAMILIES_H

/* A gateway for another node's pod, in any mix of families. */

#include "roles.h"

/* What is inside the tunnel and what is around it. */
struct families {
    const char *pod, *server, *prefix, *egress, *own, *worker;
    unsigned int length; /* of the prefix */
    int icmp;            /* IPPROTO_* */
};

extern const struct families families_v4, families_v6;

/* Fills the maps for the gateway's role. */
void families_put(struct harness *harness, const struct families *families);
/* A datagram of the pod to the server; its port is kept. */
struct packet_spec families_udp_out(const struct families *families);
/* Gives the ingress program the packet as the pod's own node sends it. */
void families_receive(struct harness *harness, const struct families *families,
                      const struct packet_spec *spec);
/* The same for a frame that holds the pod's packet alone. */
void families_receive_frame(struct harness *harness, const struct families *families,
                            const struct frame *packet);
/* Gives it a packet from outside. */
void families_answer(struct harness *harness, const struct packet_spec *spec);
/* The egress port of the packet's mapping. */
uint16_t families_port(struct harness *harness, const struct packet_spec *spec);
/* The answer to a packet that left with that port. */
struct packet_spec families_answer_to(const struct families *families,
                                      const struct packet_spec *out, uint16_t port);

/* The last run sent that packet of the pod on, with the egress IP, that port and one hop less. */
void families_assert_sent(struct harness *harness, const struct families *families,
                          const struct packet_spec *spec, uint16_t port);
/* The last run sent that answer to the pod's port through the tunnel. */
void families_assert_answered(struct harness *harness, const struct families *families,
                              const struct packet_spec *in, uint16_t port);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_BPF_HARNESS_H
#define TESTS_BPF_HARNESS_H

/*
 * Runs the datapath's programs on single frames, in a network namespace of the test's own:
 *
 *   up0  10.0.0.1/24     MTU 1500, MAC mac_uplink    default route by 10.0.0.254 (mac_router)
 *        fd00::1/64                                  default route by fe80::fe (mac_router)
 *   up1  10.0.1.1/24     MTU 1500, MAC mac_second
 *        fd00:1::1/64
 *
 * with 10.0.0.2 and fd00::2 (mac_gateway), 10.0.1.2 and fd00:1::2 (mac_second_gateway) as known
 * neighbours, and 10.0.0.9 and fd00::9 as ones that are not resolved. Each test finds the maps
 * empty but for what harness_setup() puts in: this node is 10.0.0.1 and
 * fd00::1, routes of the cluster are 10.0.0.0/16, 10.244.0.0/16, fd00::/64 and fd00:10:244::/48.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <linux/pkt_cls.h>
#include <egressgw/nat_state.h>

#include "bpf/egressgw.skel.h"
#include "frame.h"
#include "kept.h"

#define TEST_VNI       59790
#define TEST_PROFILE   PROFILE_FIRST
#define TEST_GROUP     9
#define TEST_HASH      5    /* of every endpoint */
#define FEW_MAPPINGS   1024 /* one number for all that need few: each is an object of its own */
#define VERDICT_PASS   TC_ACT_UNSPEC
#define NODE_OWN       "10.0.0.1"
#define NODE_OTHER     "10.0.0.2"
#define NODE_UNSEEN    "10.0.0.9"
#define NODE_ELSEWHERE "10.0.1.2"
#define POD            "10.244.1.2"
#define POD_OTHER      "10.244.2.7"
#define SERVER         "192.0.2.10"
#define EGRESS_IP      "10.0.0.100"

#define NODE_OWN6       "fd00::1"
#define NODE_OTHER6     "fd00::2"
#define NODE_UNSEEN6    "fd00::9"
#define NODE_ELSEWHERE6 "fd00:1::2"
#define POD6            "fd00:10:244:1::2"
#define POD_OTHER6      "fd00:10:244:2::7"
#define SERVER6         "2001:db8:7::10"
#define EGRESS_IP6      "fd00::100"

struct harness {
    struct egressgw_bpf *skeleton;
    struct programs programs;
    struct datapath_config config; /* what it was loaded with */
    uint32_t mappings;
    int up0; /* interface indexes */
    int up1;
    /* What the next run gives to the program; harness_teardown() clears it. */
    uint32_t mark;
    uint32_t ingress_ifindex;
    uint32_t gso_size;
    /* What it gave back. */
    int verdict;
    uint32_t mark_out;
    uint32_t duration; /* ns that it took */
    int at_ingress;    /* which program it was; what that sends to a node is for its pods */
    struct frame out;
};

/* For cmocka: the network once a program, the maps once a test; `*state` is struct harness. */
int harness_network(void **state);
int harness_setup(void **state);
int harness_teardown(void **state);

/*
 * Empties the maps, and loads the object anew where it was loaded with another configuration or
 * number of mappings: the verifier's work on each load would take most of the tests' time.
 */
void harness_reload(struct harness *harness, const struct datapath_config *config,
                    uint32_t mappings);
struct datapath_config harness_config(void);

/* Runs one program on a frame at up0. */
void harness_egress(struct harness *harness, const struct frame *frame);
void harness_ingress(struct harness *harness, const struct frame *frame);

/* Contents of maps; addresses as text, NULL for none. */
struct ip_addr address_of(const char *text);
void put_endpoint(struct harness *harness, const char *pod, const char *node, uint32_t profile,
                  uint32_t flags);
/* The same of another pod, by the hash of its UID. */
void put_endpoint_hash(struct harness *harness, const char *pod, const char *node, uint32_t profile,
                       uint32_t flags, uint32_t hash);
void put_route(struct harness *harness, uint32_t profile, const char *network, unsigned int length,
               enum route_action action);
void put_gateway(struct harness *harness, uint32_t slot, const char *node, const char *egress,
                 uint32_t flags);
void put_node(struct harness *harness, const char *node, uint32_t flags);
void put_settings(struct harness *harness, const char *node_v4, const char *node_v6,
                  uint32_t flags);
/* Sets the tick in which each next hop was confirmed, on all processors. */
void put_next_hops(struct harness *harness, uint32_t ticks);
/*
 * Calls `change` for each way that is remembered, on each processor, and stores what it leaves.
 * Returns how many there are.
 */
int change_ways(struct harness *harness, void (*change)(struct way *way));

struct nat_key flow_key(int protocol, const char *local, uint16_t local_port, const char *remote,
                        uint16_t remote_port);
struct nat_key flow_of(const struct packet_spec *spec); /* seen from its source */
struct nat_forward forward_of(struct harness *harness, const struct packet_spec *spec);
int get_forward(struct harness *harness, const struct nat_key *key, struct nat_forward *value);
int get_reverse(struct harness *harness, const struct nat_key *key, struct nat_reverse *value);
int get_flow(struct harness *harness, const struct nat_key *key, struct flow *value);
void put_flow(struct harness *harness, const struct nat_key *key, const struct flow *value);
int map_entries(const struct bpf_map *map);
struct counter get_counter(struct harness *harness, uint32_t index);

/* Now, in the units of `last_seen`. */
uint32_t ticks_now(void);

/* The last run gave this verdict, this frame, and counted this and nothing else. */
#define COUNT_NOTHING UINT32_MAX
void assert_pass(struct harness *harness, const struct frame *frame, uint32_t counted);
void assert_drop(struct harness *harness, enum drop_reason reason);

/*
 * The last run put `inner` into the tunnel between those addresses; what is free to choose there
 * (the IP identification or the flow label, and the UDP source port) is taken from what came out.
 */
void assert_tunnel(struct harness *harness, int verdict, const struct frame *inner,
                   const uint8_t *destination, const uint8_t *source, const char *outer_source,
                   const char *outer_destination);
void assert_frame(const struct frame *frame, const struct frame *expected);
void assert_counted(struct harness *harness, uint32_t index);

#endif

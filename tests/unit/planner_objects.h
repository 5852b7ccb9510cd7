/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_PLANNER_OBJECTS_H
#define TESTS_PLANNER_OBJECTS_H

/*
 * Objects and plans for tests in few words. Lists are written with blanks between items:
 * selectors "app=a tier!=b,c env !old zone=1,2", where NULL is an absent one and "" is {};
 * labels "app=a env=b"; addresses and prefixes as usual.
 */

#include "common/log.h"
#include "planner/plan.h"
#include "planner/state.h"

struct scene {
    struct plan *plan;
    struct arena arena;
    char log[16384]; /* what was logged since scene_start() or scene_forget_log() */
    size_t log_length;
};

/* A plan of node "self" whose every kind was listed, empty, with all pods known. Its ranges are
 * known unless `cluster_cidrs` is NULL. */
void scene_start(struct scene *scene, const char *cluster_cidrs);
void scene_stop(struct scene *scene);
void scene_forget_log(struct scene *scene);
/* How often a text stands in the log. */
unsigned scene_logged(const struct scene *scene, const char *text);

struct selector scene_selector(struct scene *scene, const char *text);
struct labels scene_labels(struct scene *scene, const char *text);
struct ip_prefix *scene_prefixes(struct scene *scene, const char *text, size_t *count);
struct ip_addr *scene_addresses(struct scene *scene, const char *text, size_t *count);
struct ip_addr scene_address(const char *text);
struct ip_prefix scene_prefix(const char *text);

/* Objects to be completed by the test, and given to the plan with scene_apply(). */
struct object scene_pod(struct scene *scene, const char *uid, const char *addresses,
                        const char *labels);
struct object scene_node(struct scene *scene, const char *name, const char *addresses,
                         const char *labels);
struct object scene_namespace(struct scene *scene, const char *name, const char *labels);
/* One rule with this podSelector; gateways by nodeSelector, with '/' and an interface or egress IP
 * behind it: "egress=a/eth1 egress=b/192.0.2.1 egress=c". */
struct object scene_policy(struct scene *scene, const char *name, const char *pods,
                           const char *destinations, const char *gateways);
struct object scene_link(struct scene *scene, uint32_t ifindex, const char *name,
                         const char *addresses);
void scene_apply(struct scene *scene, const struct object *object);
void scene_remove(struct scene *scene, const struct object *object);

/* Entries of the tables after plan_update(); NULL: there is none. */
const struct endpoint *scene_endpoint(struct scene *scene, const char *address);
const struct route *scene_route(struct scene *scene, uint32_t profile, const char *prefix);
/* The route of the profile that the endpoint has. */
const struct route *scene_endpoint_route(struct scene *scene, const char *address,
                                         const char *prefix);
const struct gateway *scene_gateway(struct scene *scene, const struct route *route, uint32_t slot);
const struct node_entry *scene_node_entry(struct scene *scene, const char *address);
const struct settings *scene_settings(struct scene *scene);

#endif

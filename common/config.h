/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COMMON_CONFIG_H
#define COMMON_CONFIG_H

#include <egressgw/layout.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "common/address.h"
#include "common/log.h"

#define CONFIG_DEFAULT_PATH "/etc/egressgw/egressgw.yaml"

enum source_type { SOURCE_NONE, SOURCE_KUBERNETES, SOURCE_MANIFESTS };
enum pods_scope { PODS_AUTO, PODS_LOCAL, PODS_ALL };

struct string_list {
    char **items;
    size_t count;
};

struct prefix_list {
    struct ip_prefix *items;
    size_t count;
};

/* The one configuration of the three daemons, as docs/configuration.md describes it. All strings
 * are owned by the structure. */
struct config {
    char *node;
    char *cluster;
    struct {
        enum source_type type;
        char *kubeconfig; /* NULL with in_cluster */
        bool in_cluster;
        struct string_list directories;
    } source;
    enum pods_scope pods;
    struct string_list uplinks; /* empty: interfaces that hold a default route */
    struct prefix_list cluster_cidrs;
    struct prefix_list pod_cidrs;
    bool unknown_endpoints_drop;
    struct {
        uint16_t port; /* host byte order */
        uint32_t vni;
    } tunnel;
    struct {
        uint32_t endpoints, routes, nat, nat_per_endpoint;
    } limits;
    struct {
        uint32_t timeouts[NAT_TIMEOUTS]; /* seconds */
    } nat;
    struct {
        char *runtime, *bpf;
    } paths;
    struct {
        char *watcher, *planner, *loader; /* a name, or a number that needs no account */
    } users;
    struct {
        struct ip_addr address;
        uint16_t port; /* host byte order; 0: no metrics */
    } metrics;
    enum log_level log_level;
};

/* Reads and checks a file. On failure -EINVAL (or the errno of reading) with one line in
 * `message` that names file, line and key and says what would be right. */
int config_load(const char *path, struct config *config, char *message, size_t size) _must_check_;

/* The same from memory; `name` stands for the file in messages. */
int config_parse(const char *name, const char *data, size_t length, struct config *config,
                 char *message, size_t size) _must_check_;

/* Writes the effective configuration as YAML that config_parse() reads back to the same. */
int config_print(const struct config *config, FILE *out) _must_check_;

void config_clear(struct config *config);

#define _cleanup_config_ _cleanup_(config_clear)

#endif

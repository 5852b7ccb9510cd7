/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/object.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <egressgw/nat_state.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "bpf/egressgw.skel.h"
#include "common/log.h"
#include "loader/object_maps.h"
#include "loader/object_system.h"

const char *const direction_names[DIRECTIONS] = {"egress", "ingress"};
const char *const program_names[DIRECTIONS] = {"egressgw_egress", "egressgw_ingress"};

const char *const watched_names[WATCHED_MAPS] = {
    [WATCHED_COUNTERS] = MAP_COUNTERS,
    [WATCHED_POLICY_COUNTERS] = MAP_POLICY_COUNTERS,
    [WATCHED_EGRESS_REFUSED] = MAP_EGRESS_REFUSED,
};

static void cleanup_skeleton(struct egressgw_bpf **skeleton)
{
    egressgw_bpf__destroy(*skeleton);
}

static int configure(const struct config *config, struct egressgw_bpf *skeleton)
{
    struct datapath_config values = {
        .tunnel_port_be = htons(config->tunnel.port),
        .tunnel_vni = config->tunnel.vni,
        .mark = DATAPATH_MARK,
        .unknown_endpoints_drop = config->unknown_endpoints_drop,
    };
    int error = system_ephemeral_ports(&values.ephemeral_first, &values.ephemeral_last);

    if (error)
        return error;
    values.conntrack = system_knows_conntrack();
    if (!values.conntrack)
        log_info("this kernel's types lack struct nf_conn: pods whose CNI masquerades them at the "
                 "uplink are not recognised; "
                 "a kernel with nf_conntrack in its own BTF is needed for that");
    values.nat_per_endpoint = config->limits.nat_per_endpoint;
    for (unsigned timeout = 0; timeout < NAT_TIMEOUTS; timeout++)
        values.nat_timeouts[timeout] = nat_ticks(config->nat.timeouts[timeout]);
    skeleton->rodata->config = values;
    return 0;
}

/* A descriptor of our own, so that the rest of the object can go. */
static int descriptor_copy(int fd, int *copy)
{
    *copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    return *copy < 0 ? -errno : 0;
}

static int map_take(const struct bpf_object *object, const char *name, int *copy)
{
    return descriptor_copy(bpf_object__find_map_fd_by_name(object, name), copy);
}

static int descriptors_take(const struct bpf_object *object, struct datapath *datapath)
{
    int error = 0;

    for (unsigned map = 0; !error && map < BACKEND_MAPS; map++)
        error = map_take(object, backend_shape(map)->name, &datapath->maps[map]);
    for (unsigned map = 0; !error && map < WATCHED_MAPS; map++)
        error = map_take(object, watched_names[map], &datapath->watched[map]);
    if (error)
        return error;
    for (unsigned i = 0; i < DIRECTIONS; i++) {
        const struct bpf_program *program =
            bpf_object__find_program_by_name(object, program_names[i]);

        error =
            program ? descriptor_copy(bpf_program__fd(program), &datapath->programs[i]) : -ENOENT;
        if (error)
            return error;
    }
    return 0;
}

static int programs_pin(const struct pins *pins, const struct datapath *datapath)
{
    for (unsigned i = 0; i < DIRECTIONS; i++) {
        int error = pins_pin(pins, datapath->programs[i], "programs", program_names[i]);

        if (error) {
            log_error("cannot pin a program", log_string("program", program_names[i]),
                      log_errno(error));
            return error;
        }
    }
    return 0;
}

int datapath_load(const struct config *config, const struct pins *pins, struct datapath *datapath)
{
    _cleanup_(cleanup_skeleton) struct egressgw_bpf *skeleton = NULL;
    struct datapath loaded;
    int error;

    memset(&loaded, 0xff, sizeof(loaded));
    error = system_check();
    if (error)
        return error;
    system_insist_on_types();
    skeleton = egressgw_bpf__open();
    if (!skeleton) {
        error = -errno;
        log_error("the datapath object in this program cannot be read", log_errno(error));
        return error;
    }
    error = maps_prepare(skeleton->obj, config, pins);
    if (!error)
        error = configure(config, skeleton);
    if (error)
        return error;
    error = egressgw_bpf__load(skeleton);
    if (error) {
        system_report_load(error);
        return error;
    }
    error = maps_pin(skeleton->obj, pins);
    if (!error)
        error = descriptors_take(skeleton->obj, &loaded);
    if (!error)
        error = programs_pin(pins, &loaded);
    if (error) {
        datapath_close(&loaded);
        return error;
    }
    *datapath = loaded;
    return 0;
}

void datapath_close(struct datapath *datapath)
{
    for (unsigned map = 0; map < BACKEND_MAPS; map++) {
        cleanup_close(&datapath->maps[map]);
        datapath->maps[map] = -1;
    }
    for (unsigned map = 0; map < WATCHED_MAPS; map++) {
        cleanup_close(&datapath->watched[map]);
        datapath->watched[map] = -1;
    }
    for (unsigned i = 0; i < DIRECTIONS; i++) {
        cleanup_close(&datapath->programs[i]);
        datapath->programs[i] = -1;
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/show.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "common/seal.h"
#include "loader/pins.h"

static void report_permission(const struct config *config)
{
    char number[16];
    const struct group *group;
    uid_t uid;
    gid_t gid;

    if (seal_resolve_user(config->users.loader, &uid, &gid) < 0) {
        log_error("no permission to read the maps: run as root",
                  log_string("path", config->paths.bpf));
        return;
    }
    group = getgrgid(gid);
    snprintf(number, sizeof(number), "%u", gid);
    log_error("no permission to read the maps: a member of this group may, and so may root "
              "(CAP_DAC_OVERRIDE)",
              log_string("group", group ? group->gr_name : number),
              log_string("path", config->paths.bpf));
}

void show_report(const struct config *config, int error, const char *map)
{
    if (error == -ENOENT)
        log_error("nothing to show: no maps are pinned here, egressgw-loader has not run with this "
                  "configuration since the last --detach or boot",
                  log_string("path", config->paths.bpf));
    else if (error == -EACCES || error == -EPERM)
        report_permission(config);
    else
        log_error("a map cannot be read", log_string("map", map), log_errno(error));
}

int show_check_layout(const struct config *config)
{
    unsigned version;
    int error = pins_layout(config->paths.bpf, true, &version);

    if (error) {
        show_report(config, error, PIN_LAYOUT);
        return error;
    }
    if (version == LAYOUT_VERSION)
        return 0;
    log_error("the maps are of another layout: use the egressgw-loader that made them",
              log_number("layout", version), log_number("known", LAYOUT_VERSION));
    return -EPROTONOSUPPORT;
}

int show_open(const struct config *config, const char *name)
{
    int fd = pins_get(config->paths.bpf, "maps", name, true);

    if (fd < 0)
        show_report(config, fd, name);
    return fd;
}

static int map_read(struct backend *backend, unsigned map, struct entries *entries)
{
    const struct table_shape *shape = backend_shape(map);
    _cleanup_free_ char *keys = calloc(BACKEND_BATCH, shape->key_size);
    _cleanup_free_ char *values = calloc(BACKEND_BATCH, shape->value_size);
    struct backend_cursor cursor = {0};

    if (!keys || !values)
        return -ENOMEM;
    while (!cursor.ended) {
        size_t count = BACKEND_BATCH;
        int error = backend->read(backend, map, &cursor, keys, values, &count);

        for (size_t i = 0; !error && i < count; i++)
            error = entries_put(entries, keys + i * shape->key_size, values + i * shape->value_size,
                                ENTRY_SET);
        if (error)
            return error;
    }
    return 0;
}

int show_read(const struct config *config, unsigned map, struct entries *entries)
{
    const struct table_shape *shape = backend_shape(map);
    struct backend_kernel kernel;
    int error;

    memset(kernel.fds, 0xff, sizeof(kernel.fds));
    *entries = ENTRIES(shape->key_size, shape->value_size);
    kernel.fds[map] = show_open(config, shape->name);
    if (kernel.fds[map] < 0)
        return kernel.fds[map];
    error = backend_kernel_init(&kernel);
    if (!error)
        error = map_read(&kernel.backend, map, entries);
    cleanup_close(&kernel.fds[map]);
    if (error)
        show_report(config, error, shape->name);
    return error;
}

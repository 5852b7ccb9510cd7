/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <grp.h>
#include <string.h>

#include "common/log.h"
#include "common/options.h"
#include "common/seal.h"
#include "loader/backend.h"
#include "loader/dump.h"
#include "loader/pins.h"

enum { DUMP_TABLES = 3 };

static const enum table dump_tables[DUMP_TABLES] = {TABLE_ENDPOINTS, TABLE_ROUTES, TABLE_GATEWAYS};

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

static void report(const struct config *config, int error, const char *map)
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

static int layout_check(const struct config *config)
{
    unsigned version;
    int error = pins_layout(config->paths.bpf, true, &version);

    if (error) {
        report(config, error, PIN_LAYOUT);
        return error;
    }
    if (version == LAYOUT_VERSION)
        return 0;
    log_error("the maps are of another layout: use the egressgw-loader that made them",
              log_number("layout", version), log_number("known", LAYOUT_VERSION));
    return -EPROTONOSUPPORT;
}

static int table_read(struct backend *backend, enum table table, struct entries *entries)
{
    const struct table_shape *shape = &table_shapes[table];
    _cleanup_free_ char *keys = calloc(BACKEND_BATCH, shape->key_size);
    _cleanup_free_ char *values = calloc(BACKEND_BATCH, shape->value_size);
    struct backend_cursor cursor = {0};

    if (!keys || !values)
        return -ENOMEM;
    while (!cursor.ended) {
        size_t count = BACKEND_BATCH;
        int error = backend->read(backend, table, &cursor, keys, values, &count);

        for (size_t i = 0; !error && i < count; i++)
            error = entries_put(entries, keys + i * shape->key_size, values + i * shape->value_size,
                                ENTRY_SET);
        if (error)
            return error;
    }
    return 0;
}

/* Fills tables[TABLES] with those that the dump shows. */
static int tables_read(const struct config *config, struct entries *tables)
{
    struct backend_kernel kernel;
    int error = 0;

    memset(kernel.fds, 0xff, sizeof(kernel.fds));
    for (unsigned i = 0; !error && i < DUMP_TABLES; i++) {
        enum table table = dump_tables[i];
        const struct table_shape *shape = &table_shapes[table];

        tables[table] = ENTRIES(shape->key_size, shape->value_size);
        kernel.fds[table] = pins_get(config->paths.bpf, "maps", shape->name, true);
        error = kernel.fds[table] < 0 ? kernel.fds[table] : backend_kernel_init(&kernel);
        if (!error)
            error = table_read(&kernel.backend, table, &tables[table]);
        if (error)
            report(config, error, shape->name);
    }
    for (unsigned i = 0; i < DUMP_TABLES; i++)
        cleanup_close(&kernel.fds[dump_tables[i]]);
    return error;
}

int dump_run(const struct config *config, enum dump_format format, FILE *out)
{
    struct entries tables[TABLES] = {0};
    int error = layout_check(config);

    if (error)
        return EXIT_FAILED;
    error = tables_read(config, tables);
    if (!error) {
        error = dump_print(&tables[TABLE_ENDPOINTS], &tables[TABLE_ROUTES], &tables[TABLE_GATEWAYS],
                           format, out);
        if (error)
            log_error("the dump cannot be written", log_errno(error));
    }
    for (unsigned i = 0; i < TABLES; i++)
        entries_release(&tables[i]);
    return error ? EXIT_FAILED : EXIT_DONE;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "common/log.h"
#include "common/options.h"
#include "loader/dump.h"

static const enum table dump_tables[] = {TABLE_ENDPOINTS, TABLE_ROUTES, TABLE_GATEWAYS};

int dump_run(const struct config *config, enum show_format format, FILE *out)
{
    struct entries tables[TABLES] = {0};
    int error = show_check_layout(config);

    for (unsigned i = 0; !error && i < ARRAY_SIZE(dump_tables); i++)
        error = show_read(config, dump_tables[i], &tables[dump_tables[i]]);
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

/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/semantics_nodes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "common/log.h"
#include "ipc/record.h"
#include "loader/dump.h"
#include "planner/desired.h"

/* ---- From objects to plans, by way of records ---- */

static void plan_receive(struct plan *plan, const struct record *sent)
{
    static struct record_buffer buffer;
    struct arena arena = {0};
    struct record record;
    const char *why = "";

    assert_int_equal(record_pack(sent, &buffer), 0);
    if (record_unpack(buffer.data, buffer.length, &arena, &record, &why) < 0)
        fail_msg("%s", why);
    if (record.type == RECORD_DELETE)
        plan_remove(plan, &record.identity);
    else
        plan_apply(plan, &record.object);
    arena_clear(&arena);
}

static void plan_change(struct plan *plan, enum object_kind kind, const json_t *value, bool removed)
{
    struct record record = {.type = RECORD_OBJECT};
    struct arena arena = {0};
    struct object object;

    model_read(kind, value, &arena, &object);
    record.object = object;
    if (removed) {
        record.type = RECORD_DELETE;
        record.identity = object_identity(&object);
    }
    plan_receive(plan, &record);
    arena_clear(&arena);
}

static void plan_feed(struct plan *plan, const char *node, const struct model *model)
{
    for (int kind = 0; kind < KINDS; kind++) {
        const char *key;
        json_t *value;

        plan_sync_begin(plan, (enum object_kind)kind);
        json_object_foreach(model->objects[kind], key,
                            value) if (kind != KIND_LINK ||
                                       strcmp(model_link_node(value), node) == 0)
            plan_change(plan, (enum object_kind)kind, value, false);
        plan_sync_end(plan, (enum object_kind)kind);
    }
}

static struct plan *plan_start(const struct semantics_nodes *nodes, const char *name,
                               const struct model *model)
{
    struct plan_config config = nodes->config;
    struct plan *plan;

    config.node = text_of(name);
    plan = plan_new(&config);
    plan_set_pods_complete(plan, true);
    plan_feed(plan, name, model);
    return plan;
}

/* ---- Nodes ---- */

static void log_keep(enum log_level level _unused_, const char *line, void *context)
{
    lines_add(context, "%s", line);
}

static void log_drop(enum log_level level _unused_, const char *line _unused_,
                     void *context _unused_)
{
}

void semantics_nodes_start(struct semantics_nodes *nodes, const struct model *model)
{
    const char *name;
    json_t *value;

    json_object_foreach(model->objects[KIND_NODE], name, value)
    {
        struct semantics_node *node = &nodes->items[nodes->count++];

        assert_true(nodes->count <= SEMANTICS_NODES);
        node->name = strdup(name);
        log_set_sink(log_keep, &node->log);
        node->plan = plan_start(nodes, name, model);
    }
    log_set_sink(log_drop, NULL);
}

void semantics_nodes_stop(struct semantics_nodes *nodes)
{
    for (size_t i = 0; i < nodes->count; i++) {
        plan_free(nodes->items[i].plan);
        lines_clear(&nodes->items[i].log);
        free(nodes->items[i].name);
    }
    free(nodes->config.cluster_cidrs.items);
    free(nodes->config.pod_cidrs.items);
    log_set_sink(NULL, NULL);
}

struct semantics_node *semantics_node_find(struct semantics_nodes *nodes, const char *name)
{
    for (size_t i = 0; i < nodes->count; i++)
        if (strcmp(nodes->items[i].name, name) == 0)
            return &nodes->items[i];
    fail_msg("there is no node %s at the start of the case", name);
    return NULL;
}

void semantics_nodes_change(struct semantics_nodes *nodes, enum object_kind kind,
                            const struct model_change *change)
{
    for (size_t i = 0; i < nodes->count; i++) {
        struct semantics_node *node = &nodes->items[i];

        if (kind == KIND_LINK && strcmp(model_link_node(change->object), node->name) != 0)
            continue;
        log_set_sink(log_keep, &node->log);
        plan_change(node->plan, kind, change->object, change->removed);
    }
    log_set_sink(log_drop, NULL);
}

void semantics_nodes_update(struct semantics_nodes *nodes)
{
    for (size_t i = 0; i < nodes->count; i++) {
        log_set_sink(log_keep, &nodes->items[i].log);
        plan_update(nodes->items[i].plan);
        plan_settle(nodes->items[i].plan, plan_generation(nodes->items[i].plan));
    }
    log_set_sink(log_drop, NULL);
}

void semantics_nodes_forget_logs(struct semantics_nodes *nodes)
{
    for (size_t i = 0; i < nodes->count; i++)
        lines_clear(&nodes->items[i].log);
}

/* ---- Dump ---- */

/* The tables as the loader reads them from the kernel. */
static void tables_collect(const struct plan *plan, struct entries tables[TABLES])
{
    struct desired_cursor cursor = {0};
    struct table_entry entry;
    const char *why = "";

    for (int table = 0; table < TABLES; table++)
        tables[table] = ENTRIES(table_shapes[table].key_size, table_shapes[table].value_size);
    while (plan_desired_next(plan, &cursor, &entry)) {
        if (table_entry_check(&entry, &why) < 0)
            fail_msg("%s", why);
        assert_int_equal(entries_put(&tables[entry.table], &entry.key, &entry.value, ENTRY_SET), 0);
    }
}

static void rows_split(char *text, struct lines *rows)
{
    char *line, *word;

    strsep(&text, "\n"); /* the titles */
    while ((line = strsep(&text, "\n"))) {
        char row[256] = "";

        while ((word = strsep(&line, " ")))
            if (*word)
                snprintf(row + strlen(row), sizeof(row) - strlen(row), "%s%s", *row ? " " : "",
                         word);
        if (*row)
            lines_add(rows, "%s", row);
    }
}

void semantics_dump(const struct plan *plan, struct lines *rows)
{
    struct entries tables[TABLES];
    size_t length;
    char *text;
    FILE *out = open_memstream(&text, &length);

    tables_collect(plan, tables);
    assert_int_equal(dump_print(&tables[TABLE_ENDPOINTS], &tables[TABLE_ROUTES],
                                &tables[TABLE_GATEWAYS], SHOW_TEXT, out),
                     0);
    fclose(out);
    rows_split(text, rows);
    free(text);
    for (int table = 0; table < TABLES; table++)
        entries_release(&tables[table]);
}

void semantics_dump_fresh(const struct semantics_nodes *nodes, const char *name,
                          const struct model *model, struct lines *rows)
{
    struct plan *plan = plan_start(nodes, name, model);

    plan_update(plan);
    semantics_dump(plan, rows);
    plan_free(plan);
}

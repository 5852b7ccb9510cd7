/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/semantics_case.h"

#include <libgen.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "planner/memory.h"
#include "tests/unit/semantics_nodes.h"
#include "watcher/manifest_walk.h"
#include "watcher/object_parse.h"

enum { EXPECTED_LOGS = 64 };

struct expected_log {
    char *nodes;
    char *text;
};

struct run {
    const struct semantics_file *file;
    size_t line; /* the next one */
    size_t last;
    struct model model;
    struct semantics_nodes nodes;
    char *cluster; /* its name, where the case gives one */
    bool started;
    bool expects;                /* this step says what comes out */
    struct object_error refusal; /* of the policy above; no reason: none */
    struct lines rows[SEMANTICS_NODES];
    struct expected_log logs[EXPECTED_LOGS];
    size_t log_count;
    unsigned wrong;
};

/* ---- Text ---- */

static bool text_matches(const char *pattern, const char *text)
{
    for (; *pattern != '*'; pattern++, text++) {
        if (*pattern != *text)
            return false;
        if (*pattern == '\0')
            return true;
    }
    do {
        if (text_matches(pattern + 1, text))
            return true;
    } while (*text++);
    return false;
}

static bool line_is_in_block(const struct run *run)
{
    const char *line = run->line < run->last ? run->file->lines[run->line] : "x";

    return line[0] == ' ' || line[0] == '\0';
}

/* The indented lines that follow, each two blanks further to the left. */
static char *run_take_block(struct run *run)
{
    size_t length;
    char *text;
    FILE *out = open_memstream(&text, &length);

    for (; line_is_in_block(run); run->line++)
        if (run->file->lines[run->line][0])
            fprintf(out, "%s\n", run->file->lines[run->line] + 2);
    fclose(out);
    return text;
}

/* ---- Policies ---- */

static void document_object(void *context, enum object_kind kind, const struct manifest_item *item)
{
    struct run *run = context;
    struct arena arena = {0};
    struct object object;
    const char *name = manifest_object_name(item->value);

    assert_int_equal(kind, KIND_POLICY);
    if (object_parse(kind, item->value, &arena, &object, &run->refusal) == 0) {
        struct model_change change = {name, (json_t *)item->value, false};

        model_set_policy(&run->model, name, change.object);
        if (run->started)
            semantics_nodes_change(&run->nodes, kind, &change);
    }
    arena_clear(&arena);
}

static void document_other(void *context _unused_, const struct manifest_item *item _unused_)
{
}

static void document_stray(void *context _unused_, const struct manifest_item *item _unused_)
{
    fail_msg("this is no object of the API");
}

static void run_documents(struct run *run, const char *text)
{
    static const struct manifest_visitor visitor = {document_object, document_other,
                                                    document_stray};
    struct document_list documents = {0};
    struct document_error error = {0};

    if (yaml_tree_read(text, strlen(text), &documents, &error) < 0) {
        snprintf(run->refusal.field, sizeof(run->refusal.field), "line %zu", error.line);
        snprintf(run->refusal.reason, sizeof(run->refusal.reason), "%s", error.reason);
    }
    for (size_t i = 0; i < documents.count; i++)
        manifest_walk(&documents.items[i], &visitor, run);
    document_list_clear(&documents);
}

static void print_default(FILE *out, const char *block, const char *field, const char *value)
{
    const char *found = strstr(block, field);

    if (!found || (found > block && found[-1] != '\n'))
        fprintf(out, "  %s %s\n", field, value);
}

static void print_metadata(FILE *out, const struct words *words)
{
    const char *created = words_value(words, "created");
    char stamp[32] = "";
    struct tm parts;
    time_t when;

    if (created) {
        when = atol(created);
        strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&when, &parts));
    }
    fprintf(out, "metadata: {name: %s, creationTimestamp: %s}\n", words->items[1],
            created ? stamp : "null");
}

static void on_policy(struct run *run, struct words *words)
{
    char *block = run_take_block(run), *text, *rest = block, *line;
    size_t length;
    FILE *out = open_memstream(&text, &length);

    fputs("apiVersion: cilium.io/v2\nkind: CiliumEgressGatewayPolicy\n", out);
    print_metadata(out, words);
    fputs("spec:\n", out);
    print_default(out, block, "selectors:", "[{podSelector: {}}]");
    print_default(out, block, "destinationCIDRs:", "[0.0.0.0/0]");
    print_default(out, block, "egressGateway:", "{nodeSelector: {matchLabels: {gateway: a}}}");
    while ((line = strsep(&rest, "\n")))
        if (*line)
            fprintf(out, "  %s\n", line);
    fclose(out);
    run_documents(run, text);
    free(text);
    free(block);
}

static void on_yaml(struct run *run, struct words *words _unused_)
{
    char *block = run_take_block(run);

    run_documents(run, block);
    free(block);
}

static void on_manifest(struct run *run, struct words *words)
{
    char *copy = strdup(run->file->path), path[512], *data;
    FILE *in;
    size_t length;

    snprintf(path, sizeof(path), "%s/%s", dirname(copy), words->items[1]);
    in = fopen(path, "re");
    if (!in)
        fail_msg("%s cannot be read", path);
    assert_int_equal(manifest_load(fileno(in), &data, &length), 0);
    data = memory_resize(data, length + 1, 1);
    data[length] = '\0';
    run_documents(run, data);
    fclose(in);
    free(data);
    free(copy);
}

static void on_refused(struct run *run, struct words *words)
{
    char reason[256] = "";

    for (size_t i = 2; i < words->count; i++)
        snprintf(reason + strlen(reason), sizeof(reason) - strlen(reason), "%s%s", i > 2 ? " " : "",
                 words->items[i]);
    if (strcmp(run->refusal.field, words->items[1]) != 0 ||
        !text_matches(reason, run->refusal.reason)) {
        print_error("refused %s %s\n", run->refusal.field, run->refusal.reason);
        run->wrong++;
    }
    run->refusal = (struct object_error){0};
}

/* ---- Other objects and the configuration ---- */

static void on_object(struct run *run, struct words *words)
{
    struct model_change change;
    enum object_kind kind = 0;

    while (strcmp(object_kind_name(kind), words->items[0]) != 0)
        kind++;
    if (kind == KIND_POLICY && !words_have(words, "deleted")) {
        on_policy(run, words);
        return;
    }
    change = model_edit(&run->model, kind, words);
    if (run->started)
        semantics_nodes_change(&run->nodes, kind, &change);
    json_decref(change.object);
}

static struct prefix_list prefixes_split(char *text)
{
    struct prefix_list list = {0};
    char *item;

    while ((item = strsep(&text, ","))) {
        list.items = memory_resize(list.items, list.count + 1, sizeof(*list.items));
        assert_int_equal(prefix_parse(text_of(item), &list.items[list.count++]), 0);
    }
    return list;
}

static void on_config(struct run *run, struct words *words)
{
    struct plan_config *config = &run->nodes.config;

    assert_false(run->started);
    if (words_value(words, "cluster")) {
        run->cluster = strdup(words_value(words, "cluster"));
        config->cluster = text_of(run->cluster);
    }
    if (words_value(words, "cluster-cidrs"))
        config->cluster_cidrs = prefixes_split((char *)words_value(words, "cluster-cidrs"));
    if (words_value(words, "pod-cidrs"))
        config->pod_cidrs = prefixes_split((char *)words_value(words, "pod-cidrs"));
}

/* ---- What comes out ---- */

static void run_update(struct run *run)
{
    if (!run->started)
        semantics_nodes_start(&run->nodes, &run->model);
    run->started = true;
    semantics_nodes_update(&run->nodes);
}

static void on_update(struct run *run, struct words *words _unused_)
{
    run_update(run);
}

static void run_expect(struct run *run)
{
    if (!run->expects)
        run_update(run);
    run->expects = true;
}

static void on_dump(struct run *run, struct words *words)
{
    char *block = run_take_block(run), *rest = block, *line;
    struct lines *rows;

    run_expect(run);
    rows = &run->rows[semantics_node_find(&run->nodes, words->items[1]) - run->nodes.items];
    while ((line = strsep(&rest, "\n"))) {
        struct words columns = words_split(line);
        char row[256] = "";

        for (size_t i = 0; i < columns.count; i++)
            snprintf(row + strlen(row), sizeof(row) - strlen(row), "%s%s", i ? " " : "",
                     columns.items[i]);
        if (*row)
            lines_add(rows, "%s", row);
    }
    free(block);
}

static void on_log(struct run *run, struct words *words)
{
    struct expected_log *log = &run->logs[run->log_count++];
    char text[512] = "";

    run_expect(run);
    assert_true(run->log_count <= EXPECTED_LOGS);
    for (size_t i = 2; i < words->count; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", i > 2 ? " " : "",
                 words->items[i]);
    *log = (struct expected_log){strdup(words->items[1]), strdup(text)};
}

static void print_rows(const char *what, const struct lines *rows)
{
    print_error("  %s:\n", what);
    for (size_t i = 0; i < rows->count; i++)
        print_error("  %s\n", rows->items[i]);
}

static bool rows_equal(const struct lines *a, const struct lines *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (strcmp(a->items[i], b->items[i]) != 0)
            return false;
    return true;
}

static void check_rows(struct run *run, size_t index)
{
    const struct semantics_node *node = &run->nodes.items[index];
    struct lines rows = {0}, fresh = {0};

    semantics_dump(node->plan, &rows);
    semantics_dump_fresh(&run->nodes, node->name, &run->model, &fresh);
    if (!rows_equal(&run->rows[index], &rows)) {
        print_error("dump %s\n", node->name);
        print_rows("expected", &run->rows[index]);
        print_rows("is", &rows);
        run->wrong++;
    }
    if (!rows_equal(&rows, &fresh)) {
        print_error("dump %s after its events and from nothing\n", node->name);
        print_rows("events", &rows);
        print_rows("from nothing", &fresh);
        run->wrong++;
    }
    lines_clear(&rows);
    lines_clear(&fresh);
    lines_clear(&run->rows[index]);
}

static bool log_names_node(const struct expected_log *log, const char *node)
{
    char *copy = strdup(log->nodes), *rest = copy, *name;
    bool found = strcmp(log->nodes, "*") == 0;

    while ((name = strsep(&rest, ",")))
        found |= strcmp(name, node) == 0;
    free(copy);
    return found;
}

/* Every expected line is there, and every warning or error is expected. */
static void check_log(struct run *run, const struct semantics_node *node)
{
    bool seen[EXPECTED_LOGS] = {false};

    for (size_t i = 0; i < node->log.count; i++) {
        const char *line = node->log.items[i];
        bool expected = strncmp(line, "info ", 5) == 0 || strncmp(line, "debug ", 6) == 0;

        for (size_t j = 0; j < run->log_count; j++)
            if (log_names_node(&run->logs[j], node->name) && text_matches(run->logs[j].text, line))
                expected = seen[j] = true;
        if (!expected) {
            print_error("log %s, not expected:\n  %s\n", node->name, line);
            run->wrong++;
        }
    }
    for (size_t j = 0; j < run->log_count; j++)
        if (log_names_node(&run->logs[j], node->name) && !seen[j]) {
            print_error("log %s, missing:\n  %s\n", node->name, run->logs[j].text);
            run->wrong++;
        }
}

static void run_end_step(struct run *run)
{
    run_expect(run);
    for (size_t i = 0; i < run->nodes.count; i++) {
        check_rows(run, i);
        check_log(run, &run->nodes.items[i]);
    }
    semantics_nodes_forget_logs(&run->nodes);
    for (size_t i = 0; i < run->log_count; i++) {
        free(run->logs[i].nodes);
        free(run->logs[i].text);
    }
    run->log_count = 0;
    run->expects = false;
}

static void on_then(struct run *run, struct words *words _unused_)
{
    run_end_step(run);
}

/* ---- Lines ---- */

static void on_case(struct run *run _unused_, struct words *words _unused_)
{
}

static const struct {
    const char *word;
    size_t least; /* words */
    bool event;   /* changes something: not behind what is expected */
    void (*handle)(struct run *run, struct words *words);
} line_words[] = {
    {"case", 2, false, on_case},       {"node", 2, true, on_object},
    {"namespace", 2, true, on_object}, {"pod", 2, true, on_object},
    {"link", 3, true, on_object},      {"policy", 2, true, on_object},
    {"yaml", 1, true, on_yaml},        {"manifest", 2, true, on_manifest},
    {"refused", 3, true, on_refused},  {"config", 2, true, on_config},
    {"update", 1, true, on_update},    {"dump", 2, false, on_dump},
    {"log", 3, false, on_log},         {"then", 1, false, on_then},
};

static void run_line(struct run *run, const char *text)
{
    char *copy = strdup(text);
    struct words words = words_split(copy);
    size_t i = 0;

    while (i < ARRAY_SIZE(line_words) && strcmp(line_words[i].word, words.items[0]) != 0)
        i++;
    if (i == ARRAY_SIZE(line_words) || words.count < line_words[i].least)
        fail_msg("%s:%zu: '%s' is no line of a case", run->file->path, run->line, text);
    if (run->expects && line_words[i].event)
        fail_msg("%s:%zu: an event needs 'then' before it", run->file->path, run->line);
    if (run->refusal.reason[0] && line_words[i].handle != on_refused)
        fail_msg("%s:%zu: refused %s %s (%s)", run->file->path, run->line, run->refusal.field,
                 run->refusal.reason, run->refusal.value);
    line_words[i].handle(run, &words);
    free(copy);
}

static void run_lines(struct run *run, size_t first, size_t last)
{
    run->line = first;
    run->last = last;
    while (run->line < last) {
        const char *line = run->file->lines[run->line++];

        if (line[0] && line[0] != '#')
            run_line(run, line);
    }
}

void semantics_case_run(const struct semantics_case *test)
{
    struct run run = {.file = test->file};

    run.nodes.config.cluster = TEXT("default");
    model_init(&run.model);
    run_lines(&run, 0, test->file->header);
    run_lines(&run, test->first, test->last);
    run_line(&run, "then");
    semantics_nodes_stop(&run.nodes);
    model_clear(&run.model);
    free(run.cluster);
    if (run.wrong)
        fail_msg("%s:%zu: %s", test->file->path, test->first + 1, test->title);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <time.h>

#include "common/log.h"
#include "watcher/metrics_private.h"

/* What a client has for its request and our answer. */
static const struct timeval patience = {.tv_sec = 10};

uint64_t metrics_now(void)
{
    struct timespec now = {0};

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec + 1;
}

int metrics_open(const struct config *config, const struct store *store, struct metrics **metrics)
{
    struct metrics *opened = calloc(1, sizeof(*opened));
    char address[ADDRESS_TEXT_SIZE];

    if (!opened)
        return -ENOMEM;
    opened->store = store;
    opened->listener = -1;
    if (config->metrics.port) {
        opened->listener = http_listen(&config->metrics.address, config->metrics.port);
        if (opened->listener < 0)
            log_error("metrics are not served: free this address, or set metrics.listen",
                      log_string("address", address_format(&config->metrics.address, address)),
                      log_number("port", config->metrics.port), log_errno(opened->listener));
    }
    *metrics = opened;
    return 0;
}

void metrics_add_source(struct metrics *metrics, const struct source_operations *operations,
                        const struct source *source)
{
    if (metrics->source_count == METRICS_SOURCES)
        return;
    metrics->sources[metrics->source_count].operations = operations;
    metrics->sources[metrics->source_count].source = source;
    metrics->source_count++;
}

static int metrics_serve(void *context, struct text path, const char **type, FILE *out)
{
    const struct metrics *metrics = context;

    if (text_equal(path, TEXT("/metrics"))) {
        *type = "text/plain; version=0.0.4; charset=utf-8";
        metrics_write(metrics, out);
        return HTTP_OK;
    }
    if (text_equal(path, TEXT("/healthz")))
        return metrics_write_health(metrics, out) ? HTTP_OK : HTTP_UNAVAILABLE;
    return HTTP_NOT_FOUND;
}

int metrics_start(struct metrics *metrics, struct event_base *base)
{
    int error;

    if (metrics->listener < 0)
        return 0;
    error = http_server_open(base, metrics->listener, &patience, metrics_serve, metrics,
                             &metrics->server);
    if (!error)
        metrics->listener = -1; /* the server's */
    return error;
}

void metrics_close(struct metrics *metrics)
{
    if (!metrics)
        return;
    http_server_close(metrics->server);
    cleanup_close(&metrics->listener);
    status_receiver_clear(&metrics->planner);
    free(metrics);
}

int metrics_receive(struct metrics *metrics, const struct record *record)
{
    bool whole;
    int error = status_receive(&metrics->planner, record, &whole);

    if (!error && whole)
        metrics->received = metrics_now();
    return error;
}

/* The last report stays, with its age. */
void metrics_planner_connected(struct metrics *metrics, bool connected)
{
    metrics->planner_connected = connected;
    status_receiver_reset(&metrics->planner);
}

uint64_t metrics_trouble(const struct metrics *metrics, enum object_kind kind)
{
    uint64_t longest = 0;

    for (size_t i = 0; i < metrics->source_count; i++) {
        const struct source_operations *operations = metrics->sources[i].operations;
        uint64_t seconds =
            operations->trouble ? operations->trouble(metrics->sources[i].source, kind) : 0;

        if (seconds > longest)
            longest = seconds;
    }
    return longest;
}

uint64_t metrics_gauge(const struct metrics *metrics, enum status_gauge gauge, uint64_t otherwise)
{
    const struct status_report *report = &metrics->planner.report;

    for (size_t i = report->count; i-- > 0;) {
        const struct status_entry *entry = &report->items[i];

        if (entry->kind != STATUS_GAUGE)
            break; /* they are the last ones */
        if (entry->number == gauge)
            return entry->values[0];
    }
    return otherwise;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/drops_log.h"

#include <errno.h>
#include <string.h>

int drops_log_open(const struct config *config, struct drops_log *log)
{
    int error;

    *log = (struct drops_log){.records = -1, .state = -1};
    log->records = show_open(config, MAP_DROP_LOG);
    if (log->records < 0)
        return log->records;
    log->state = show_open(config, MAP_DROP_STATE);
    if (log->state < 0)
        return log->state;
    error = percpu_open(&log->record_values, sizeof(struct drop_record));
    if (!error)
        error = percpu_open(&log->state_values, sizeof(struct drop_state));
    if (error)
        return error;
    log->seen = calloc(log->state_values.processors, sizeof(log->seen[0]));
    log->items = calloc(log->state_values.processors, DROP_LOG_SIZE * sizeof(log->items[0]));
    return log->seen && log->items ? 0 : -ENOMEM;
}

void drops_log_close(struct drops_log *log)
{
    cleanup_close(&log->records);
    cleanup_close(&log->state);
    percpu_close(&log->record_values);
    percpu_close(&log->state_values);
    free(log->seen);
    free(log->items);
    *log = (struct drops_log){.records = -1, .state = -1};
}

/* Reads a record, twice: what is the same both times was not being written. */
static bool record_read(struct drops_log *log, unsigned processor, uint64_t sequence,
                        struct drop_record *record)
{
    uint32_t slot = (uint32_t)(sequence % DROP_LOG_SIZE);

    if (percpu_read(&log->record_values, log->records, slot) < 0)
        return false;
    memcpy(record, percpu_value(&log->record_values, processor), sizeof(*record));
    return record->sequence == sequence &&
           percpu_read(&log->record_values, log->records, slot) == 0 &&
           memcmp(record, percpu_value(&log->record_values, processor), sizeof(*record)) == 0;
}

static void processor_read(struct drops_log *log, unsigned processor, uint64_t written)
{
    uint64_t next = log->seen[processor] + 1;

    if (written >= DROP_LOG_SIZE && next < written - DROP_LOG_SIZE + 1)
        next = written - DROP_LOG_SIZE + 1;
    for (; next <= written; next++) {
        if (record_read(log, processor, next, &log->items[log->count]))
            log->count++;
        else if (next == written)
            break; /* perhaps it is being written: the next time */
    }
    log->seen[processor] = next - 1;
}

static int records_compare(const void *a, const void *b)
{
    const struct drop_record *first = a, *second = b;

    if (first->time != second->time)
        return first->time < second->time ? -1 : 1;
    return (first->sequence > second->sequence) - (first->sequence < second->sequence);
}

int drops_log_read(struct drops_log *log)
{
    int error = percpu_read(&log->state_values, log->state, 0);

    log->count = 0;
    if (error)
        return error;
    memset(log->suppressed, 0, sizeof(log->suppressed));
    for (unsigned i = 0; i < log->state_values.processors; i++) {
        const struct drop_state *state = percpu_value(&log->state_values, i);

        for (unsigned reason = 0; reason < DROP_REASONS_MOST; reason++)
            log->suppressed[reason] += state->limits[reason].suppressed;
        processor_read(log, i, state->written);
    }
    qsort(log->items, log->count, sizeof(log->items[0]), records_compare);
    return 0;
}

void drops_log_skip(struct drops_log *log, size_t count)
{
    log->count -= count;
    memmove(log->items, log->items + count, log->count * sizeof(log->items[0]));
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "planner/loader_session.h"

#include <errno.h>

#include "common/log.h"
#include "ipc/channel.h"
#include "planner/desired.h"
#include "planner/memory.h"
#include "planner/relay.h"

/* What has to be left of a record for an entry of any table: a name is the largest. */
enum { ENTRY_LARGEST = POLICY_NAME_SIZE + 32 };

enum phase {
    PHASE_NEW,     /* connected, the snapshot is still to be sent */
    PHASE_ENTRIES, /* a generation is being sent */
    PHASE_ANSWER,  /* it was sent, its answer is awaited */
    PHASE_READY,   /* it was answered */
};

struct loader_session {
    struct plan *plan;
    void (*idle)(void *context);
    void *context;
    struct channel_client *client;
    struct channel *channel; /* NULL: not connected */
    struct relay *relay;
    enum phase phase;
    bool snapshot;                /* the generation is one */
    struct desired_cursor cursor; /* of the snapshot */
    uint64_t generation;          /* the one that is sent, or was sent last */
    uint64_t plan_generation;     /* what it holds */
    uint64_t refused;             /* the last one whose refusal was logged */
    bool unsent;                  /* `buffer` is still to be sent */
    struct record_buffer buffer;
    struct table_entry entries[RECORD_ENTRIES_LIMIT];
};

bool loader_session_sending(const struct loader_session *session)
{
    return session->channel && session->phase == PHASE_ENTRIES;
}

static int session_flush(struct loader_session *session)
{
    int error = session->unsent ? channel_send(session->channel, &session->buffer) : 0;

    if (!error)
        session->unsent = false;
    return error;
}

/* Packs a record, which session_flush() sends at once or later. */
static int session_send(struct loader_session *session, struct record *record)
{
    int error;

    record->generation = session->generation;
    error = record_pack(record, &session->buffer);
    if (error) {
        log_error("cannot write a record for the loader",
                  log_string("record", record_type_name(record->type)), log_errno(error));
        channel_close(session->channel, "a record cannot be written");
        return -EPIPE;
    }
    session->unsent = true;
    return session_flush(session);
}

static int session_begin(struct loader_session *session, bool snapshot)
{
    struct record record = {.type = snapshot ? RECORD_SNAPSHOT : RECORD_CHANGE};

    session->generation++;
    session->plan_generation = plan_generation(session->plan);
    session->snapshot = snapshot;
    session->cursor = (struct desired_cursor){0};
    session->phase = PHASE_ENTRIES;
    if (snapshot)
        plan_sent_all(session->plan);
    return session_send(session, &record);
}

static bool session_next_entry(struct loader_session *session, struct table_entry *entry)
{
    if (session->snapshot)
        return plan_desired_next(session->plan, &session->cursor, entry);
    return plan_dirty_next(session->plan, entry);
}

/* The next record of the generation: entries, or the end where there are none left. */
static int session_continue(struct loader_session *session)
{
    struct record record = {.type = RECORD_ENTRIES, .entries.items = session->entries};
    size_t count = 0, room = RECORD_SIZE_LIMIT - RECORD_ENTRIES_HEAD;

    while (count < RECORD_ENTRIES_LIMIT && room >= ENTRY_LARGEST &&
           session_next_entry(session, &session->entries[count]))
        room -= record_entry_size(session->entries[count++].table);
    record.entries.count = count;
    if (count == 0) {
        record = (struct record){.type = RECORD_COMMIT};
        session->phase = PHASE_ANSWER;
    }
    return session_send(session, &record);
}

/* The next record. -ENODATA: there is nothing to say now. */
static int session_step(struct loader_session *session)
{
    if (session->unsent)
        return session_flush(session);
    switch (session->phase) {
    case PHASE_NEW:
        return plan_ready(session->plan) ? session_begin(session, true) : -ENODATA;
    case PHASE_ENTRIES:
        return session_continue(session);
    case PHASE_READY:
        return plan_dirty_count(session->plan) ? session_begin(session, false) : -ENODATA;
    case PHASE_ANSWER:
        break;
    }
    return -ENODATA;
}

void loader_session_pump(struct loader_session *session)
{
    bool was_sending = loader_session_sending(session);
    int error = 0;

    while (!error && session->channel)
        error = session_step(session);
    if (was_sending && !loader_session_sending(session))
        session->idle(session->context);
}

static const char unexpected[] = "it answers a generation that was not sent";

/* Whether a loader can have an answer to this generation: on this connection it was sent one, and
 * not one that is still to come. */
static bool session_expects(const struct loader_session *session, uint64_t generation)
{
    return session->phase != PHASE_NEW && generation <= session->generation;
}

static int on_acknowledge(void *context, const struct record *record)
{
    struct loader_session *session = context;

    if (!session_expects(session, record->generation))
        return channel_explain(session->channel, -EPROTO, unexpected);
    if (record->generation < session->generation || session->phase == PHASE_ENTRIES)
        return 0; /* an earlier generation came through after all */
    plan_settle(session->plan, session->plan_generation);
    session->phase = PHASE_READY;
    session->idle(session->context);
    return 0;
}

/* Once for each generation: the loader may refuse it with each of its tries. */
static void session_note_refusal(struct loader_session *session, const struct record *record)
{
    if (record->generation <= session->refused)
        return;
    session->refused = record->generation;
    log_warning("the loader could not bring the tables into the kernel: what was there stays in "
                "force where nothing else is possible",
                log_text("reason", record->refusal.text), log_errno(record->refusal.error),
                log_number("generation", (int64_t)record->generation));
}

/* The loader keeps a generation that the kernel has no room for and tries again, and closes the
 * connection where it does not keep it: either way the next one can follow. */
static int on_refuse(void *context, const struct record *record)
{
    struct loader_session *session = context;

    if (!session_expects(session, record->generation))
        return channel_explain(session->channel, -EPROTO, unexpected);
    session_note_refusal(session, record);
    if (record->generation == session->generation && session->phase == PHASE_ANSWER) {
        session->phase = PHASE_READY;
        session->idle(session->context);
    }
    return 0;
}

static int on_status(void *context, const struct record *record)
{
    struct loader_session *session = context;
    int error = session->relay ? relay_receive(session->relay, record) : 0;

    if (!error)
        session->idle(session->context);
    return error;
}

static void on_connected(void *context, struct channel *channel)
{
    struct loader_session *session = context;

    session->channel = channel;
    if (session->relay)
        relay_loader_connected(session->relay, true);
    session->phase = PHASE_NEW;
    session->unsent = false;
    session->idle(session->context);
}

static void on_writable(void *context)
{
    loader_session_pump(context);
}

static void on_closed(void *context)
{
    struct loader_session *session = context;

    session->channel = NULL;
    if (session->relay)
        relay_loader_connected(session->relay, false);
    plan_sent_nothing(session->plan);
    session->idle(session->context);
}

static const struct channel_rule rules[] = {
    {RECORD_ACKNOWLEDGE, 1 << 0, on_acknowledge},
    {RECORD_REFUSE, 1 << 0, on_refuse},
    {RECORD_STATUS, 1 << 0, on_status},
};

static const struct channel_callbacks callbacks = {
    .peer = "loader",
    .rules = rules,
    .rule_count = ARRAY_SIZE(rules),
    .connected = on_connected,
    .writable = on_writable,
    .closed = on_closed,
};

int loader_session_open(struct plan *plan, void (*idle)(void *context), void *context,
                        struct loader_session **session)
{
    struct loader_session *opened = calloc(1, sizeof(*opened));

    if (!opened)
        return -ENOMEM;
    opened->plan = plan;
    opened->idle = idle;
    opened->context = context;
    *session = opened;
    return 0;
}

void loader_session_set_relay(struct loader_session *session, struct relay *relay)
{
    session->relay = relay;
}

int loader_session_connect(struct loader_session *session, struct event_base *base,
                           const char *path, uid_t loader)
{
    return channel_connect(base, path, loader, &callbacks, session, &session->client);
}

void loader_session_free(struct loader_session *session)
{
    if (!session)
        return;
    channel_client_free(session->client);
    free(session);
}

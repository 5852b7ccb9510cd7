/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher/session.h"

#include <errno.h>
#include <inttypes.h>

#include "common/log.h"
#include "ipc/channel.h"
#include "watcher/metrics.h"

enum { NO_KIND = -1 };

enum kind_phase { PHASE_WAITING, PHASE_SNAPSHOT, PHASE_CHANGES };

struct session {
    struct event_base *base;
    struct event *wake;
    struct store *store;
    session_scope scope;
    void *context;
    struct channel_client *client;
    struct channel *channel; /* NULL: not connected */
    struct metrics *metrics;
    uint64_t sent; /* generation of the last record */
    uint64_t acknowledged;
    enum kind_phase phases[KINDS];
    bool restart;    /* the snapshot that is being told has to be told once more, from its start */
    int snapshot;    /* the kind whose snapshot is being told, or NO_KIND */
    unsigned scopes; /* that the planner may still ask for: one after each list of pods */
    struct record_buffer buffer;
};

static bool session_window_open(const struct session *session)
{
    return session->sent - session->acknowledged < SESSION_WINDOW;
}

/* Sends what session->buffer holds as the next record. */
static int session_send(struct session *session)
{
    int error;

    record_set_generation(&session->buffer, session->sent + 1);
    error = channel_send(session->channel, &session->buffer);
    if (!error)
        session->sent++;
    return error;
}

static int session_send_sync(struct session *session, enum record_type type, enum object_kind kind)
{
    struct record record = {.type = type, .kind = kind};
    int error = record_pack(&record, &session->buffer);

    return error ? error : session_send(session);
}

static int session_send_entry(struct session *session, struct store_entry *entry)
{
    int error = store_entry_record(entry, &session->buffer);

    if (!error)
        error = session_send(session);
    if (!error)
        store_entry_delivered(session->store, entry);
    return error;
}

static int session_begin(struct session *session, enum object_kind kind)
{
    int error = session_send_sync(session, RECORD_SYNC_BEGIN, kind);

    if (error)
        return error;
    store_snapshot_begin(session->store, kind);
    session->phases[kind] = PHASE_SNAPSHOT;
    session->snapshot = kind;
    return 0;
}

/* One record further in the snapshot. */
static int session_continue(struct session *session)
{
    enum object_kind kind = (enum object_kind)session->snapshot;
    struct store_entry *entry = store_next_fresh(session->store, kind);
    int error;

    if (entry)
        return session_send_entry(session, entry);
    error = session_send_sync(session, RECORD_SYNC_END, kind);
    if (error)
        return error;
    store_snapshot_end(session->store, kind);
    session->phases[kind] = PHASE_CHANGES;
    session->snapshot = NO_KIND;
    session->scopes += kind == KIND_POD;
    if (session->restart)
        session_restart(session, kind);
    session->restart = false;
    return 0;
}

static int session_waiting_kind(const struct session *session)
{
    for (int kind = 0; kind < KINDS; kind++) {
        if (session->phases[kind] == PHASE_WAITING && store_in_sync(session->store, kind))
            return kind;
    }
    return NO_KIND;
}

/* Sends the next record. -ENODATA: there is none. */
static int session_step(struct session *session)
{
    struct store_entry *entry;
    int kind;

    if (session->snapshot != NO_KIND)
        return session_continue(session);
    kind = session_waiting_kind(session);
    if (kind != NO_KIND)
        return session_begin(session, kind);
    entry = store_next_dirty(session->store);
    return entry ? session_send_entry(session, entry) : -ENODATA;
}

/* Tells what there is to tell until the socket or the window is full. */
static void session_pump(struct session *session)
{
    int error = 0;

    while (!error && session->channel && session_window_open(session))
        error = session_step(session);
    if (error == -ENODATA || error == -EAGAIN || error == -EPIPE || error == 0)
        return;
    log_error("cannot write a record to the planner", log_errno(error));
    channel_close(session->channel, "a record cannot be written");
}

static void on_wake(evutil_socket_t fd _unused_, short what _unused_, void *context)
{
    session_pump(context);
}

void session_wake(struct session *session)
{
    if (session->channel)
        event_active(session->wake, EV_TIMEOUT, 0);
}

void session_restart(struct session *session, enum object_kind kind)
{
    if (session->phases[kind] == PHASE_SNAPSHOT)
        session->restart = true;
    if (session->phases[kind] != PHASE_CHANGES)
        return; /* its snapshot is still to come */
    session->phases[kind] = PHASE_WAITING;
    store_snapshot_begin(session->store, kind);
    session_wake(session);
}

static int on_acknowledge(void *context, const struct record *record)
{
    struct session *session = context;

    if (record->generation < session->acknowledged || record->generation > session->sent)
        return channel_explain(session->channel, -EPROTO, "that was not sent, or is settled");
    session->acknowledged = record->generation;
    session_wake(session);
    return 0;
}

/* Each one makes the API server list pods, so that there is only one for each list. */
static int on_scope(void *context, const struct record *record)
{
    struct session *session = context;

    if (session->scopes == 0)
        return channel_explain(session->channel, -EPROTO, "no pods were listed since the last one");
    session->scopes--;
    session->scope(session->context, record->all_pods);
    return 0;
}

static int on_status(void *context, const struct record *record)
{
    struct session *session = context;

    return session->metrics ? metrics_receive(session->metrics, record) : 0;
}

/* The planner at the other end knows nothing. */
static void session_reset(struct session *session, struct channel *channel)
{
    session->channel = channel;
    session->sent = 0;
    session->acknowledged = 0;
    session->snapshot = NO_KIND;
    session->restart = false;
    session->scopes = 0;
    memset(session->phases, 0, sizeof(session->phases));
    store_forget_delivery(session->store);
    if (session->metrics)
        metrics_planner_connected(session->metrics, channel != NULL);
}

static void on_connected(void *context, struct channel *channel)
{
    session_reset(context, channel);
    session_wake(context);
}

static void on_writable(void *context)
{
    session_pump(context);
}

static void on_closed(void *context)
{
    session_reset(context, NULL);
}

int session_open(struct event_base *base, struct store *store, session_scope scope, void *context,
                 struct session **session)
{
    struct session *created = calloc(1, sizeof(*created));

    if (!created)
        return -ENOMEM;
    created->base = base;
    created->store = store;
    created->scope = scope;
    created->context = context;
    created->snapshot = NO_KIND;
    created->wake = event_new(base, -1, 0, on_wake, created);
    if (!created->wake) {
        free(created);
        return -ENOMEM;
    }
    *session = created;
    return 0;
}

int session_connect(struct session *session, const char *path, uid_t planner)
{
    static const struct channel_rule rules[] = {
        {RECORD_ACKNOWLEDGE, 1 << 0, on_acknowledge},
        {RECORD_SCOPE, 1 << 0, on_scope},
        {RECORD_STATUS, 1 << 0, on_status},
    };
    static const struct channel_callbacks callbacks = {
        .peer = "planner",
        .rules = rules,
        .rule_count = ARRAY_SIZE(rules),
        .connected = on_connected,
        .writable = on_writable,
        .closed = on_closed,
    };

    return channel_connect(session->base, path, planner, &callbacks, session, &session->client);
}

void session_set_metrics(struct session *session, struct metrics *metrics)
{
    session->metrics = metrics;
}

void session_free(struct session *session)
{
    if (!session)
        return;
    if (session->client)
        channel_client_free(session->client);
    event_free(session->wake);
    free(session);
}

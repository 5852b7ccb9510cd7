/* SPDX-License-Identifier: Apache-2.0 */
#include "planner/watcher_session.h"

#include <errno.h>

#include "ipc/channel.h"
#include "planner/memory.h"
#include "planner/relay.h"

enum session_state { STATE_CHANGES, STATE_SNAPSHOT };

/* How far the agreement about the scope of pods has come. */
enum scope_phase {
    SCOPE_UNLISTED, /* the first list of pods has not ended: a SCOPE now might be overtaken by it */
    SCOPE_UNKNOWN,  /* which pods the watcher lists is not known yet */
    SCOPE_ASKED,    /* SCOPE was sent */
    SCOPE_ANSWERED, /* the snapshot that answers it has begun */
    SCOPE_AGREED,
};

struct watcher_session {
    struct plan *plan;
    enum pods_scope pods;
    void (*work)(void *context);
    void *context;
    struct channel_server *server;
    struct channel *channel; /* NULL: not connected */
    struct relay *relay;
    uint64_t received; /* generation of the last record */
    uint64_t acknowledged;
    enum object_kind snapshot; /* in STATE_SNAPSHOT: of which kind */
    enum scope_phase phase;
    bool all_pods; /* from SCOPE_ASKED on: what was asked for */
};

/* Every record carries the next generation. */
static int session_count(struct watcher_session *session, const struct record *record)
{
    if (record->generation != session->received + 1)
        return channel_explain(session->channel, -EPROTO, "its generation is not the next one");
    session->received = record->generation;
    session->work(session->context);
    return 0;
}

static int on_sync_begin(void *context, const struct record *record)
{
    struct watcher_session *session = context;
    int error = session_count(session, record);

    if (error)
        return error;
    session->snapshot = record->kind;
    if (record->kind == KIND_POD && session->phase == SCOPE_ASKED)
        session->phase = SCOPE_ANSWERED;
    plan_sync_begin(session->plan, record->kind);
    channel_set_state(session->channel, STATE_SNAPSHOT);
    return 0;
}

static int on_object(void *context, const struct record *record)
{
    struct watcher_session *session = context;

    if (channel_state(session->channel) == STATE_SNAPSHOT &&
        record->object.kind != session->snapshot)
        return -EPROTO;
    int error = session_count(session, record);

    if (error)
        return error;
    plan_apply(session->plan, &record->object);
    return 0;
}

static int on_delete(void *context, const struct record *record)
{
    struct watcher_session *session = context;
    int error = session_count(session, record);

    if (error)
        return error;
    plan_remove(session->plan, &record->identity);
    return 0;
}

static void session_end_pods(struct watcher_session *session)
{
    if (session->pods != PODS_AUTO) {
        plan_set_pods_complete(session->plan, session->pods == PODS_ALL);
    } else if (session->phase == SCOPE_ANSWERED) {
        session->phase = SCOPE_AGREED;
        plan_set_pods_complete(session->plan, session->all_pods);
    } else if (session->phase == SCOPE_UNLISTED) {
        session->phase = SCOPE_UNKNOWN;
        if (plan_needs_all_pods(session->plan))
            return; /* perhaps this node's pods only: the others stay */
    }
    plan_sync_end(session->plan, KIND_POD);
}

static int on_sync_end(void *context, const struct record *record)
{
    struct watcher_session *session = context;

    if (record->kind != session->snapshot)
        return -EPROTO;
    int error = session_count(session, record);

    if (error)
        return error;
    if (record->kind == KIND_POD)
        session_end_pods(session);
    else
        plan_sync_end(session->plan, record->kind);
    channel_set_state(session->channel, STATE_CHANGES);
    return 0;
}

/* Asks for the pods that the plan needs, where it has planned already and has asked for nothing
 * or something else so far. */
static int session_send_scope(struct watcher_session *session)
{
    bool all_pods = plan_needs_all_pods(session->plan);
    struct record record = {.type = RECORD_SCOPE, .all_pods = all_pods};
    int error;

    if (session->pods != PODS_AUTO || plan_generation(session->plan) == 0)
        return 0;
    if (session->phase != SCOPE_UNKNOWN &&
        !(session->phase == SCOPE_AGREED && session->all_pods != all_pods))
        return 0;
    error = channel_send_record(session->channel, &record);
    if (!error) {
        session->all_pods = all_pods;
        session->phase = SCOPE_ASKED;
    }
    return error;
}

static int session_send_acknowledge(struct watcher_session *session)
{
    struct record record = {.type = RECORD_ACKNOWLEDGE, .generation = session->received};
    int error;

    if (session->acknowledged == session->received)
        return 0;
    error = channel_send_record(session->channel, &record);
    if (!error)
        session->acknowledged = session->received;
    return error;
}

/* What cannot be sent now is sent when the socket has room: on_writable(). */
void watcher_session_pump(struct watcher_session *session)
{
    if (!session->channel || session_send_acknowledge(session) < 0)
        return;
    if (session_send_scope(session) == 0 && session->relay)
        (void)!relay_send(session->relay, session->channel);
}

static void on_connected(void *context, struct channel *channel)
{
    struct watcher_session *session = context;

    session->channel = channel;
    session->received = session->acknowledged = 0;
    if (session->relay)
        relay_watcher_changed(session->relay);
    session->phase = SCOPE_UNLISTED;
}

static void on_writable(void *context)
{
    watcher_session_pump(context);
}

static void on_closed(void *context)
{
    struct watcher_session *session = context;

    session->channel = NULL;
    if (session->relay)
        relay_watcher_changed(session->relay);
}

/* What fills the memory came from this peer, and goes by a new start alone. */
static void on_exhausted(void *context _unused_)
{
    memory_exhausted();
}

static const struct channel_rule rules[] = {
    {RECORD_SYNC_BEGIN, 1 << STATE_CHANGES, on_sync_begin},
    {RECORD_OBJECT, 1 << STATE_CHANGES | 1 << STATE_SNAPSHOT, on_object},
    {RECORD_DELETE, 1 << STATE_CHANGES, on_delete},
    {RECORD_SYNC_END, 1 << STATE_SNAPSHOT, on_sync_end},
};

static const struct channel_callbacks callbacks = {
    .peer = "watcher",
    .rules = rules,
    .rule_count = ARRAY_SIZE(rules),
    .connected = on_connected,
    .writable = on_writable,
    .closed = on_closed,
    .exhausted = on_exhausted,
};

int watcher_session_open(struct plan *plan, enum pods_scope pods, void (*work)(void *context),
                         void *context, struct watcher_session **session)
{
    struct watcher_session *opened = calloc(1, sizeof(*opened));

    if (!opened)
        return -ENOMEM;
    opened->plan = plan;
    opened->pods = pods;
    opened->work = work;
    opened->context = context;
    *session = opened;
    return 0;
}

void watcher_session_set_relay(struct watcher_session *session, struct relay *relay)
{
    session->relay = relay;
}

int watcher_session_serve(struct watcher_session *session, struct event_base *base, int listener,
                          uid_t watcher)
{
    return channel_serve(base, listener, watcher, &callbacks, session, &session->server);
}

void watcher_session_free(struct watcher_session *session)
{
    if (!session)
        return;
    channel_server_free(session->server);
    free(session);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/session.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "ipc/channel.h"

enum {
    RETRY_FIRST_SECONDS = 1,
    RETRY_MOST_SECONDS = 30,
    SHRINK_LEAST = 64, /* entries, from where on it is worth a word that they go */
};

enum session_state {
    STATE_NEW, /* nothing but a snapshot makes sense */
    STATE_IN_SNAPSHOT,
    STATE_READY, /* between generations */
    STATE_IN_CHANGE,
};

struct session {
    struct apply *apply;
    struct channel_server *server;
    struct channel *channel; /* NULL: no planner is connected */
    struct event *retry;
    time_t retry_seconds;
    uint64_t generation; /* that is being staged, or was the last one */
    bool answer_due;     /* could not be sent yet */
    struct apply_result answer;
    struct status_sender status;
    bool reported;                   /* to this planner */
    char problem[RECORD_TEXT_LIMIT]; /* the last one that was logged */
};

static void session_send_answer(struct session *session)
{
    const struct apply_result *answer = &session->answer;
    struct record record = {.type = RECORD_ACKNOWLEDGE, .generation = session->generation};
    int error;

    if (!session->channel || !session->answer_due)
        return;
    if (answer->error) {
        record.type = RECORD_REFUSE;
        record.refusal.error = -answer->error;
        record.refusal.text = text_of(answer->text);
    }
    error = channel_send_record(session->channel, &record);
    if (error != -EAGAIN)
        session->answer_due = false;
    if (error && error != -EAGAIN && error != -EPIPE)
        log_error("cannot answer the planner", log_errno(error));
}

static void session_answer(struct session *session, const struct apply_result *result)
{
    session->answer = *result;
    session->answer_due = true;
    session_send_answer(session);
}

/* Says what is wrong once, and once that it is over. */
static void session_report(struct session *session, const struct apply_result *result)
{
    if (result->error && strcmp(session->problem, result->text) != 0) {
        log_error("the tables are not all in the kernel, what was there stays in force",
                  log_string("reason", result->text),
                  log_number("generation", (int64_t)session->generation),
                  log_number("waiting", (int64_t)result->held));
    } else if (!result->error && session->problem[0]) {
        log_info("the tables are in the kernel again",
                 log_number("generation", (int64_t)session->generation));
    }
    snprintf(session->problem, sizeof(session->problem), "%s", result->error ? result->text : "");
}

static void session_schedule_retry(struct session *session)
{
    struct timeval pause = {.tv_sec = session->retry_seconds};

    if (!apply_is_pending(session->apply)) {
        session->retry_seconds = RETRY_FIRST_SECONDS;
        evtimer_del(session->retry);
        return;
    }
    if (evtimer_pending(session->retry, NULL))
        return;
    if (evtimer_add(session->retry, &pause) < 0)
        log_error("cannot start a timer: pending tables wait for the next change");
    session->retry_seconds *= 2;
    if (session->retry_seconds > RETRY_MOST_SECONDS)
        session->retry_seconds = RETRY_MOST_SECONDS;
}

static void session_on_retry(evutil_socket_t fd, short events, void *context)
{
    struct session *session = context;
    struct apply_result result;

    (void)fd;
    (void)events;
    /* In the middle of a generation its commit will try what is pending, too. */
    if (session->channel && (channel_state(session->channel) == STATE_IN_SNAPSHOT ||
                             channel_state(session->channel) == STATE_IN_CHANGE)) {
        session_schedule_retry(session);
        return;
    }
    /* A planner that has only just connected does not know the generation yet. */
    if (apply_retry(session->apply, &result) == 0 && session->channel &&
        channel_state(session->channel) == STATE_READY)
        session_answer(session, &result);
    session_report(session, &result);
    session_schedule_retry(session);
}

static int session_begin(struct session *session, const struct record *record, bool snapshot)
{
    if (record->generation <= session->generation && channel_state(session->channel) != STATE_NEW)
        return channel_explain(session->channel, -EBADMSG, "its generation does not grow");
    session->generation = record->generation;
    session->answer_due = false;
    apply_begin(session->apply, snapshot);
    channel_set_state(session->channel, snapshot ? STATE_IN_SNAPSHOT : STATE_IN_CHANGE);
    return 0;
}

static int session_on_snapshot(void *context, const struct record *record)
{
    return session_begin(context, record, true);
}

static int session_on_change(void *context, const struct record *record)
{
    return session_begin(context, record, false);
}

static const char another_generation[] = "it belongs to another generation";

static int session_on_entries(void *context, const struct record *record)
{
    struct session *session = context;
    const char *why = NULL;
    int error;

    if (record->generation != session->generation)
        return channel_explain(session->channel, -EBADMSG, another_generation);
    error = apply_stage(session->apply, record->entries.items, record->entries.count, &why);
    return error ? channel_explain(session->channel, error, why) : 0;
}

static size_t session_entries(const struct session *session)
{
    return session->apply->mirror[TABLE_ENDPOINTS].count +
           session->apply->mirror[TABLE_ROUTES].count;
}

/* What was deleted in the cluster must go at once, and nothing here tells that from a planner that
 * has gone wrong: it is done, and said. */
static void session_note_shrink(const struct session *session, size_t before)
{
    size_t now = session_entries(session);

    if (before >= SHRINK_LEAST && now < before / 2)
        log_warning("more than half of the endpoints and routes are gone in one step: check "
                    "whether policies, namespaces or nodes were deleted",
                    log_number("before", (int64_t)before), log_number("now", (int64_t)now));
}

static int session_on_commit(void *context, const struct record *record)
{
    struct session *session = context;
    size_t before = session_entries(session);
    bool snapshot = channel_state(session->channel) == STATE_IN_SNAPSHOT;
    struct apply_result result;
    int error;

    if (record->generation != session->generation)
        return channel_explain(session->channel, -EBADMSG, another_generation);
    error = apply_commit(session->apply, &result);
    channel_set_state(session->channel, STATE_READY);
    session_answer(session, &result);
    session_report(session, &result);
    session_note_shrink(session, before);
    session_schedule_retry(session);
    if (!error)
        log_write(
            snapshot ? LEVEL_INFO : LEVEL_DEBUG,
            snapshot ? "the maps hold the planner's snapshot" : "the maps hold a change",
            (const struct log_field[]){
                log_number("generation", (int64_t)session->generation),
                log_number("endpoints", (int64_t)session->apply->mirror[TABLE_ENDPOINTS].count),
                log_number("routes", (int64_t)session->apply->mirror[TABLE_ROUTES].count),
                log_number("set", (int64_t)result.set),
                log_number("removed", (int64_t)result.removed),
                {0}});
    return result.taken ? 0 : error;
}

static void session_on_connected(void *context, struct channel *channel)
{
    struct session *session = context;

    session->channel = channel;
    session->answer_due = false;
    session->reported = false;
    status_send_start(&session->status, NULL);
}

static void session_send_status(struct session *session)
{
    int error = session->channel ? status_send(&session->status, session->channel) : 0;

    if (error && error != -EAGAIN && error != -EPIPE)
        log_error("cannot report to the planner", log_errno(error));
    if (error && error != -EAGAIN)
        status_send_start(&session->status, NULL);
}

static void session_on_writable(void *context)
{
    session_send_answer(context);
    session_send_status(context);
}

static void session_on_closed(void *context)
{
    struct session *session = context;

    session->channel = NULL;
    session->answer_due = false;
    status_send_start(&session->status, NULL);
    apply_begin(session->apply, false); /* forget a generation that is not whole */
}

static const struct channel_rule session_rules[] = {
    {RECORD_SNAPSHOT, 1 << STATE_NEW | 1 << STATE_READY, session_on_snapshot},
    {RECORD_CHANGE, 1 << STATE_READY, session_on_change},
    {RECORD_ENTRIES, 1 << STATE_IN_SNAPSHOT | 1 << STATE_IN_CHANGE, session_on_entries},
    {RECORD_COMMIT, 1 << STATE_IN_SNAPSHOT | 1 << STATE_IN_CHANGE, session_on_commit},
};

static const struct channel_callbacks session_callbacks = {
    .peer = "planner",
    .rules = session_rules,
    .rule_count = ARRAY_SIZE(session_rules),
    .connected = session_on_connected,
    .writable = session_on_writable,
    .closed = session_on_closed,
};

int planner_session_open(struct event_base *base, int listener, uid_t planner, struct apply *apply,
                         struct session **session)
{
    struct session *opened = calloc(1, sizeof(*opened));
    int error;

    if (!opened)
        return -ENOMEM;
    opened->apply = apply;
    opened->retry_seconds = RETRY_FIRST_SECONDS;
    opened->retry = evtimer_new(base, session_on_retry, opened);
    error = opened->retry ? channel_serve(base, listener, planner, &session_callbacks, opened,
                                          &opened->server)
                          : -ENOMEM;
    if (error) {
        planner_session_close(opened);
        return error;
    }
    *session = opened;
    return 0;
}

void planner_session_report(struct session *session, const struct status_report *report)
{
    if (!session->channel)
        return;
    session->reported = true;
    status_send_start(&session->status, report);
    session_send_status(session);
}

bool planner_session_is_reporting(const struct session *session)
{
    return session->status.report != NULL;
}

bool planner_session_wants_report(const struct session *session)
{
    return session->channel && !session->reported;
}

uint64_t planner_session_generation(const struct session *session)
{
    return session->generation;
}

void planner_session_close(struct session *session)
{
    if (!session)
        return;
    if (session->server)
        channel_server_free(session->server);
    if (session->retry)
        event_free(session->retry);
    free(session);
}

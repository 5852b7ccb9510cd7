/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "common/log.h"
#include "watcher/kube_watch_state.h"

enum {
    ERROR_BODY_LIMIT = 16384,
    TROUBLE_REMINDER_MS = 600000,
};

void kube_watch_trouble(struct kube_watch *watch, const char *what, const char *reason)
{
    uint64_t now = kube_now();
    bool same = watch->trouble_since && watch->trouble == what;

    if (!watch->trouble_since)
        watch->trouble_since = now;
    if (same && now - watch->trouble_logged < TROUBLE_REMINDER_MS)
        return;
    watch->trouble = what;
    watch->trouble_logged = now;
    log_warning(
        what, log_string("resource", watch->resource->name),
        log_string("verb", watch->phase == LISTING || watch->phase == PROBING ? "list" : "watch"),
        log_string("server", kube_client_server(watch->client)), log_string("reason", reason),
        log_number("since_seconds", (int64_t)(now - watch->trouble_since) / 1000));
}

void kube_watch_well(struct kube_watch *watch)
{
    kube_client_note_back(watch->client);
    watch->backoff.failures = 0;
    watch->denied.failures = 0;
    if (!watch->trouble_since)
        return;
    log_info("resource is followed again", log_string("resource", watch->resource->name),
             log_number("after_seconds", (int64_t)(kube_now() - watch->trouble_since) / 1000));
    watch->trouble_since = 0;
}

void kube_response_reset(struct kube_watch *watch)
{
    kube_buffer_clear(&watch->response.error_body);
    kube_lines_clear(&watch->response.lines);
    kube_list_clear(&watch->response.list);
    memset(&watch->response, 0, sizeof(watch->response));
}

int kube_response_refuse(struct kube_watch *watch, const char *reason)
{
    if (reason)
        snprintf(watch->response.reason, sizeof(watch->response.reason), "%s", reason);
    return -EBADMSG;
}

int kube_response_head(void *context, long status, const char *type)
{
    static const char json[] = "application/json";
    struct kube_watch *watch = context;
    char reason[KUBE_TEXT_SIZE];

    watch->response.status = status;
    if (status != 200)
        return 0;
    if (strncasecmp(type, json, sizeof(json) - 1)) {
        snprintf(reason, sizeof(reason), "content type is \"%.100s\" instead of %s", type, json);
        return kube_response_refuse(watch, reason);
    }
    if (watch->phase == STREAMING || (watch->phase == LISTING && !watch->next))
        watch->sink->list_begin(watch->sink->context, watch->resource->kind);
    if (watch->phase == WATCHING)
        kube_watch_well(watch);
    return 0;
}

static int item_received(void *context, const char *data, size_t length)
{
    struct kube_watch *watch = context;

    if (watch->phase == PROBING)
        return 0;
    return kube_item_read(watch->resource->kind, data, length, watch->sink, watch->response.reason);
}

bool kube_version_is_older(const char *a, const char *b)
{
    size_t digits_a = strspn(a, "0123456789"), digits_b = strspn(b, "0123456789");

    if (a[digits_a] || b[digits_b])
        return false;
    return digits_a != digits_b ? digits_a < digits_b : strcmp(a, b) < 0;
}

static void stream_synced(struct kube_watch *watch)
{
    watch->sink->list_end(watch->sink->context, watch->resource->kind);
    watch->phase = WATCHING;
    watch->resumes = 0;
    kube_watch_well(watch);
}

static int line_received(void *context, const char *data, size_t length)
{
    struct kube_watch *watch = context;
    struct kube_event event;
    int error = kube_event_read(watch->resource->kind, data, length, watch->sink, &event,
                                watch->response.reason);

    if (error)
        return error;
    if (event.type == KUBE_ERROR) {
        watch->response.code = event.code;
        return kube_response_refuse(watch, event.reason);
    }
    /* The initial events come in the order of names: only what follows them counts. */
    if (watch->phase == STREAMING && !event.initial_end)
        return 0;
    if (watch->phase == WATCHING && kube_version_is_older(event.version, watch->version)) {
        watch->response.code = 410;
        return kube_response_refuse(watch, "resourceVersion went backwards");
    }
    snprintf(watch->version, sizeof(watch->version), "%s", event.version);
    watch->response.progress = true;
    if (watch->phase == STREAMING)
        stream_synced(watch);
    return 0;
}

/* Lines as they come. One that grows by a byte now and then never ends by itself. */
static int lines_body(struct kube_watch *watch, const char *data, size_t length)
{
    uint64_t now = kube_now();
    bool ends = memchr(data, '\n', length) != NULL;
    int error = kube_lines_feed(&watch->response.lines, data, length, line_received, watch);

    if (error)
        return error;
    if (watch->response.lines.buffer.length == 0)
        watch->response.line_since = 0;
    else if (ends || !watch->response.line_since)
        watch->response.line_since = now;
    else if (now - watch->response.line_since > watch->client->timing.silence)
        return kube_response_refuse(watch, "an object takes too long to arrive");
    return 0;
}

int kube_response_body(void *context, const char *data, size_t length)
{
    struct kube_watch *watch = context;
    int error;

    if (watch->response.status != 200) { /* the beginning of an error is enough */
        size_t room = ERROR_BODY_LIMIT - watch->response.error_body.length;

        return kube_buffer_add(&watch->response.error_body, data, length < room ? length : room,
                               ERROR_BODY_LIMIT);
    }
    if (watch->phase == LISTING || watch->phase == PROBING)
        error = kube_list_feed(&watch->response.list, data, length, item_received, watch);
    else
        error = lines_body(watch, data, length);
    if (error && !watch->response.reason[0])
        kube_response_refuse(watch, error == -EFBIG
                                        ? "an object of more than 4 MiB, or a list's own fields of "
                                          "more than 64 KiB"
                                    : error == -ENOMEM ? "out of memory"
                                                       : "invalid JSON: brackets do not match");
    return error;
}

int kube_response_envelope(struct kube_watch *watch, struct kube_envelope *envelope)
{
    struct kube_list *list = &watch->response.list;

    if (!list->whole)
        return kube_response_refuse(watch, "the list is truncated");
    return kube_envelope_read(list->envelope.data, list->envelope.length, envelope,
                              watch->response.reason);
}

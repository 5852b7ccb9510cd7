/* SPDX-License-Identifier: Apache-2.0 */
/* What the API server may say in one JSON value: an item, an event, an envelope, a status. */
#include "fuzz.h"

#include <errno.h>

#include "common/log.h"
#include "ipc/record.h"
#include "watcher/kube_event.h"
#include "watcher/kube_prune.h"

static void sink_object(void *context _unused_, const struct object *object)
{
    static struct record_buffer buffer;
    const struct record record = {.type = RECORD_OBJECT, .generation = 1, .object = *object};
    int error = record_pack(&record, &buffer);

    FUZZ_CHECK(error == 0 || error == -EMSGSIZE);
}

static void sink_identity(void *context _unused_, const struct object_identity *identity)
{
    FUZZ_CHECK(identity->kind < KINDS);
}

static void sink_line(enum log_level level _unused_, const char *line, void *context _unused_)
{
    FUZZ_CHECK(strlen(line) < LOG_LINE_SIZE && !strchr(line, '\n'));
}

static const struct source_sink sink = {
    .object = sink_object, .remove = sink_identity, .keep = sink_identity};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t choice = fuzz_byte(&data, &size);
    enum object_kind kind = choice / 4 % KIND_LINK; /* the API has no links */
    _cleanup_free_ char *copy = fuzz_copy(data, size);
    char reason[KUBE_TEXT_SIZE] = "";
    struct kube_envelope envelope = {0};
    struct kube_event event = {0};
    int error = 0;

    log_set_sink(sink_line, NULL);
    switch (choice % 4) {
    case 0:
        error = kube_item_read(kind, copy, size, &sink, reason);
        break;
    case 1:
        error = kube_event_read(kind, copy, size, &sink, &event, reason);
        break;
    case 2:
        error = kube_envelope_read(copy, size, &envelope, reason);
        break;
    default:
        kube_status_read(copy, size, reason);
    }
    FUZZ_CHECK(error == 0 || error == -EBADMSG);
    FUZZ_CHECK(!error || reason[0]);
    FUZZ_CHECK(memchr(reason, '\0', sizeof(reason)));
    return 0;
}

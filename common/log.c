/* SPDX-License-Identifier: Apache-2.0 */
#include "common/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Room at the end that is kept for the mark of a line that was cut. */
#define LOG_CUT "..."

struct log_line {
    char data[LOG_LINE_SIZE];
    size_t length;
    bool cut;
};

static const struct {
    const char *name;
    const char *priority; /* as sd-daemon(3) */
} log_levels[] = {
    [LEVEL_ERROR] = {"error", "<3>"},
    [LEVEL_WARNING] = {"warning", "<4>"},
    [LEVEL_INFO] = {"info", "<6>"},
    [LEVEL_DEBUG] = {"debug", "<7>"},
};

static enum log_level log_threshold = LEVEL_INFO;
static void (*log_sink)(enum log_level level, const char *line, void *context);
static void *log_sink_context;

/* Whether stderr is the stream that $JOURNAL_STREAM names: a child whose stderr was redirected
 * inherits the variable all the same. */
static bool log_is_journal(void)
{
    static enum { UNKNOWN, NO, YES } journal;
    const char *stream;
    struct stat status;
    char expected[64];

    if (journal == UNKNOWN) {
        journal = NO;
        stream = getenv("JOURNAL_STREAM");
        if (stream && fstat(STDERR_FILENO, &status) == 0) {
            snprintf(expected, sizeof(expected), "%ju:%ju", (uintmax_t)status.st_dev,
                     (uintmax_t)status.st_ino);
            journal = strcmp(stream, expected) == 0 ? YES : NO;
        }
    }
    return journal == YES;
}

void log_set_level(enum log_level level)
{
    log_threshold = level;
    (void)log_is_journal(); /* while the process may still look */
}

void log_set_sink(void (*sink)(enum log_level level, const char *line, void *context),
                  void *context)
{
    log_sink = sink;
    log_sink_context = context;
}

/* Appends all of it; where it does not fit, nothing from here on. */
static void log_append(struct log_line *line, const char *data, size_t length)
{
    /* one byte is left for the newline or the NUL */
    if (line->cut || length > sizeof(line->data) - line->length - sizeof(LOG_CUT)) {
        line->cut = true;
        return;
    }
    memcpy(line->data + line->length, data, length);
    line->length += length;
}

static void log_append_string(struct log_line *line, const char *string)
{
    log_append(line, string, strlen(string));
}

/* One byte, escaped where it could end or forge a line. */
static void log_append_byte(struct log_line *line, unsigned char byte, bool quoted)
{
    char escaped[8];

    if (byte >= 0x20 && byte < 0x7f && !(quoted && (byte == '"' || byte == '\\')))
        log_append(line, (const char *)&byte, 1);
    else if (byte == '\n')
        log_append_string(line, "\\n");
    else if (byte == '\t')
        log_append_string(line, "\\t");
    else if (byte == '"' || byte == '\\')
        log_append(line, (const char[]){'\\', (char)byte}, 2);
    else
        log_append(line, escaped, (size_t)snprintf(escaped, sizeof(escaped), "\\x%02x", byte));
}

static bool log_is_plain(struct text text)
{
    for (size_t i = 0; i < text.length; i++)
        if (text.data[i] <= ' ' || text.data[i] >= 0x7f || strchr("\"\\=", text.data[i]))
            return false;
    return text.length > 0;
}

static void log_append_text(struct log_line *line, struct text text)
{
    bool quoted = !log_is_plain(text);

    if (quoted)
        log_append_string(line, "\"");
    for (size_t i = 0; i < text.length && !line->cut; i++)
        log_append_byte(line, (unsigned char)text.data[i], quoted);
    if (quoted)
        log_append_string(line, "\"");
}

static void log_append_error(struct log_line *line, int error)
{
    char number[32];
    const char *description = strerrordesc_np(error < 0 ? -error : error);

    if (!description) {
        snprintf(number, sizeof(number), "error %d", error);
        description = number;
    }
    log_append_text(line, text_of(description));
}

static void log_append_field(struct log_line *line, const struct log_field *field)
{
    char buffer[PREFIX_TEXT_SIZE];

    log_append_string(line, " ");
    log_append_string(line, field->key);
    log_append_string(line, "=");
    switch (field->type) {
    case LOG_FIELD_TEXT:
        log_append_text(line, field->text);
        break;
    case LOG_FIELD_SIGNED:
        snprintf(buffer, sizeof(buffer), "%" PRId64, field->number);
        log_append_string(line, buffer);
        break;
    case LOG_FIELD_ERRNO:
        log_append_error(line, (int)field->number);
        break;
    case LOG_FIELD_ADDRESS:
        log_append_string(line, address_format(&field->address, buffer));
        break;
    case LOG_FIELD_PREFIX:
        log_append_string(line, prefix_format(&field->prefix, buffer));
        break;
    }
}

/* The whole line in one call, so that lines of several processes do not mix. */
static void log_emit(struct log_line *line)
{
    ssize_t written;

    line->data[line->length++] = '\n';
    do
        written = write(STDERR_FILENO, line->data, line->length);
    while (written < 0 && errno == EINTR);
}

void log_write(enum log_level level, const char *message, const struct log_field *fields)
{
    struct log_line line = {.length = 0};
    int saved = errno;

    if (level > log_threshold)
        return;
    if (!log_sink && log_is_journal())
        log_append_string(&line, log_levels[level].priority);
    log_append_string(&line, log_levels[level].name);
    log_append_string(&line, " ");
    for (const char *c = message; *c; c++)
        log_append_byte(&line, (unsigned char)*c, false);
    for (const struct log_field *field = fields; field && field->key; field++)
        log_append_field(&line, field);
    if (line.cut) {
        memcpy(line.data + line.length, LOG_CUT, strlen(LOG_CUT));
        line.length += strlen(LOG_CUT);
    }
    line.data[line.length] = '\0';
    if (log_sink)
        log_sink(level, line.data, log_sink_context);
    else
        log_emit(&line);
    errno = saved;
}

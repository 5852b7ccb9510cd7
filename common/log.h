/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stdint.h>

#include "common/address.h"
#include "common/text.h"

/*
 * One line to stderr for each message: `LEVEL message key=value ...`. Values are quoted where they
 * hold anything but plain printable characters, so that nothing from outside can forge a line.
 * Lines start with a priority prefix where stderr is the journal ($JOURNAL_STREAM). What does not
 * fit into LOG_LINE_SIZE bytes is cut, with "..." at the end.
 *
 *   log_warning("policy is invalid, its last valid version stays in force",
 *               log_text("policy", name), log_string("field", "spec.selectors"));
 */
enum log_level { LEVEL_ERROR, LEVEL_WARNING, LEVEL_INFO, LEVEL_DEBUG };

#define LOG_LINE_SIZE 2048

struct log_field {
    const char *key; /* NULL ends the list */
    enum {
        LOG_FIELD_TEXT,
        LOG_FIELD_SIGNED,
        LOG_FIELD_ERRNO,
        LOG_FIELD_ADDRESS,
        LOG_FIELD_PREFIX
    } type;
    union {
        struct text text;
        int64_t number;
        struct ip_addr address;
        struct ip_prefix prefix;
    };
};

static inline struct log_field log_text(const char *key, struct text value)
{
    return (struct log_field){.key = key, .type = LOG_FIELD_TEXT, .text = value};
}

static inline struct log_field log_string(const char *key, const char *value)
{
    return log_text(key, text_of(value));
}

static inline struct log_field log_number(const char *key, int64_t value)
{
    return (struct log_field){.key = key, .type = LOG_FIELD_SIGNED, .number = value};
}

/* `error` is an errno value, of either sign; printed as error="No such file or directory". */
static inline struct log_field log_errno(int error)
{
    return (struct log_field){.key = "error", .type = LOG_FIELD_ERRNO, .number = error};
}

static inline struct log_field log_address(const char *key, struct ip_addr value)
{
    return (struct log_field){.key = key, .type = LOG_FIELD_ADDRESS, .address = value};
}

static inline struct log_field log_prefix(const char *key, struct ip_prefix value)
{
    return (struct log_field){.key = key, .type = LOG_FIELD_PREFIX, .prefix = value};
}

/* Sets the level from which on messages are printed; LEVEL_INFO before. To be called before the
 * process is sealed: it looks where stderr leads, too. */
void log_set_level(enum log_level level);

/* Gets each line instead of stderr (tests); NULL: stderr again. */
void log_set_sink(void (*sink)(enum log_level level, const char *line, void *context),
                  void *context);

void log_write(enum log_level level, const char *message, const struct log_field *fields);

#define LOG_AT(level, message, ...)                                                                \
    log_write(level, message, (const struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){0}})
#define log_error(message, ...)   LOG_AT(LEVEL_ERROR, message, __VA_ARGS__)
#define log_warning(message, ...) LOG_AT(LEVEL_WARNING, message, __VA_ARGS__)
#define log_info(message, ...)    LOG_AT(LEVEL_INFO, message, __VA_ARGS__)
#define log_debug(message, ...)   LOG_AT(LEVEL_DEBUG, message, __VA_ARGS__)

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher/check_private.h"

#include <stdio.h>

void check_write(FILE *out, const char *text)
{
    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;

        if (byte < 0x20 || byte == 0x7f)
            fprintf(out, "\\x%02x", byte);
        else
            fputc(byte, out);
    }
}

static void report_start(struct check *check, enum check_severity severity, size_t line)
{
    static const char *const names[] = {"note", "warning", "error"};

    check->findings[severity]++;
    check_write(check->out, check->file);
    fprintf(check->out, ":%zu: %s: ", line, names[severity]);
}

void check_report_line(struct check *check, enum check_severity severity, size_t line,
                       const char *reason)
{
    report_start(check, severity, line);
    check_write(check->out, reason);
    fputc('\n', check->out);
}

void check_report(struct check *check, enum check_severity severity,
                  const struct manifest_item *item, const struct object_error *error)
{
    report_start(check, severity, manifest_line(item, error));
    check_write(check->out, item->kind);
    fputc('/', check->out);
    check_write(check->out, manifest_object_name(item->value));
    fputs(": ", check->out);
    if (error->field[0]) {
        check_write(check->out, error->field);
        fputs(": ", check->out);
    }
    check_write(check->out, error->reason);
    if (error->value[0]) {
        fputs(" (value ", check->out);
        check_write(check->out, error->value);
        fputc(')', check->out);
    }
    fputc('\n', check->out);
}

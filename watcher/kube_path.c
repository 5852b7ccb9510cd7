/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher/kube_path.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* Adds "&name=value" with everything but unreserved characters encoded. */
static void add_parameter(FILE *out, const char *name, const char *value)
{
    if (!value || !*value)
        return;
    fprintf(out, "&%s=", name);
    for (; *value; value++) {
        unsigned char byte = (unsigned char)*value;

        if ((byte < 0x80 && isalnum(byte)) || strchr("-._~", byte))
            fputc(byte, out);
        else
            fprintf(out, "%%%02X", byte);
    }
}

char *kube_path_format(const struct kube_path *path)
{
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);

    if (!out)
        return NULL;
    if (path->watch_seconds)
        fprintf(out, "%s?watch=true&allowWatchBookmarks=true&timeoutSeconds=%u", path->resource,
                path->watch_seconds);
    else
        fprintf(out, "%s?limit=%u", path->resource, path->limit);
    if (path->initial_events)
        fputs("&sendInitialEvents=true&resourceVersionMatch=NotOlderThan", out);
    add_parameter(out, "resourceVersion", path->version);
    add_parameter(out, "fieldSelector", path->selector);
    add_parameter(out, "continue", path->next);
    if (fclose(out)) {
        free(text);
        return NULL;
    }
    return text;
}

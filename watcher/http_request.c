/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher/http_request.h"

#include <string.h>

/* The end of the head, or NULL. A bare LF ends a line too, as RFC 9112 allows. */
static const char *head_end(const char *data, size_t length)
{
    const char *end = data + length;

    for (const char *line = memchr(data, '\n', length); line;
         line = memchr(line + 1, '\n', (size_t)(end - line - 1))) {
        if (line + 1 < end && line[1] == '\n')
            return line + 2;
        if (line + 2 < end && line[1] == '\r' && line[2] == '\n')
            return line + 3;
        if (line + 1 == end)
            break;
    }
    return NULL;
}

/* Takes the next word of a line; words are divided by exactly one blank. */
static struct text word_take(struct text *line)
{
    const char *blank = line->length ? memchr(line->data, ' ', line->length) : NULL;
    struct text word = {line->data, blank ? (size_t)(blank - line->data) : line->length};
    size_t taken = word.length + (blank != NULL);

    line->data += taken;
    line->length -= taken;
    return word;
}

/* Nothing in the line but what can be seen, and blanks. */
static bool line_is_clean(struct text line)
{
    for (size_t i = 0; i < line.length; i++) {
        if (line.data[i] < ' ' || line.data[i] > '~')
            return false;
    }
    return true;
}

static int line_parse(struct text line, struct http_request *request)
{
    struct text method = word_take(&line), target = word_take(&line), version = line;
    const char *query;

    if (!method.length || !target.length || !version.length ||
        memchr(version.data, ' ', version.length))
        return HTTP_BAD_REQUEST;
    if (!text_starts_with(version, TEXT("HTTP/")))
        return HTTP_BAD_REQUEST;
    if (version.length != 8 || !text_starts_with(version, TEXT("HTTP/1.")))
        return HTTP_VERSION;
    if (target.data[0] != '/')
        return HTTP_BAD_REQUEST;
    request->head = text_equal(method, TEXT("HEAD"));
    if (!request->head && !text_equal(method, TEXT("GET")))
        return HTTP_METHOD_NOT_ALLOWED;
    query = memchr(target.data, '?', target.length);
    request->path =
        (struct text){target.data, query ? (size_t)(query - target.data) : target.length};
    return HTTP_OK;
}

int http_request_parse(const char *data, size_t length, struct http_request *request)
{
    const char *newline = memchr(data, '\n', length);
    struct text line;

    if (!head_end(data, length))
        return HTTP_INCOMPLETE;
    line = (struct text){data, (size_t)(newline - data)};
    if (line.length && line.data[line.length - 1] == '\r')
        line.length--;
    return line_is_clean(line) ? line_parse(line, request) : HTTP_BAD_REQUEST;
}

const char *http_status_text(int status)
{
    switch (status) {
    case HTTP_OK:
        return "OK";
    case HTTP_BAD_REQUEST:
        return "Bad Request";
    case HTTP_NOT_FOUND:
        return "Not Found";
    case HTTP_METHOD_NOT_ALLOWED:
        return "Method Not Allowed";
    case HTTP_TOO_LARGE:
        return "Request Header Fields Too Large";
    case HTTP_UNAVAILABLE:
        return "Service Unavailable";
    case HTTP_VERSION:
        return "HTTP Version Not Supported";
    }
    return "Error";
}

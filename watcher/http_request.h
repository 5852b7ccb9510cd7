/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WATCHER_HTTP_REQUEST_H
#define WATCHER_HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#include "common/macros.h"
#include "common/text.h"

/* What is served needs of a request: its method and its path. Header fields are not looked at. */
struct http_request {
    bool head;        /* HEAD, else GET */
    struct text path; /* without the query; points into the request */
};

enum {
    HTTP_INCOMPLETE = 0, /* the head has not come to its end yet */
    HTTP_OK = 200,
    HTTP_BAD_REQUEST = 400,
    HTTP_NOT_FOUND = 404,
    HTTP_METHOD_NOT_ALLOWED = 405,
    HTTP_TOO_LARGE = 431,
    HTTP_UNAVAILABLE = 503,
    HTTP_VERSION = 505,
};

/* HTTP_OK with `request` filled, HTTP_INCOMPLETE, or the status to refuse it with. Reads no byte
 * behind the head. */
int http_request_parse(const char *data, size_t length, struct http_request *request);

/* "Not Found"; for statuses that are none of the above "Error". */
const char *http_status_text(int status);

#endif

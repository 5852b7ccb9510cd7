/* SPDX-License-Identifier: Apache-2.0 */
/* What a client of the metrics may say: the path that is read lies inside the request, and more
 * bytes do not change an answer that was given. */
#include "fuzz.h"

#include "watcher/http_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_free_ char *copy = fuzz_copy(data, size);
    struct http_request request = {0};
    int first = HTTP_INCOMPLETE;

    for (size_t length = 0; length <= size; length++) {
        int status = http_request_parse(copy, length, &request);

        FUZZ_CHECK(first == HTTP_INCOMPLETE || status == first);
        first = status;
        if (status == HTTP_OK)
            FUZZ_CHECK(request.path.data > copy &&
                       request.path.data + request.path.length < copy + length);
        if (status != HTTP_INCOMPLETE)
            FUZZ_CHECK(strcmp(http_status_text(status), "Error") != 0);
    }
    return 0;
}

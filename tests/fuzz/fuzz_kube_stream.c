/* SPDX-License-Identifier: Apache-2.0 */
/* Lists and lines of the API server: the same pieces wherever the bytes are cut. */
#include "fuzz.h"

#include <errno.h>

#include "watcher/kube_decode.h"

static int piece_take(void *context, const char *data, size_t length)
{
    struct kube_buffer *pieces = context;

    FUZZ_CHECK(kube_buffer_add(pieces, data, length, SIZE_MAX) == 0);
    FUZZ_CHECK(kube_buffer_add(pieces, "\n", 1, SIZE_MAX) == 0);
    return 0;
}

static int list_feed(const char *data, size_t size, size_t step, struct kube_buffer *pieces)
{
    struct kube_list list = {0};
    int error = 0;

    for (size_t at = 0; at < size && !error; at += step)
        error = kube_list_feed(&list, data + at, size - at < step ? size - at : step, piece_take,
                               pieces);
    if (!error)
        FUZZ_CHECK(kube_buffer_add(pieces, list.envelope.data, list.envelope.length, SIZE_MAX) ==
                   0);
    kube_list_clear(&list);
    return error;
}

static int lines_feed(const char *data, size_t size, size_t step, struct kube_buffer *pieces)
{
    struct kube_lines lines = {0};
    int error = 0;

    for (size_t at = 0; at < size && !error; at += step)
        error = kube_lines_feed(&lines, data + at, size - at < step ? size - at : step, piece_take,
                                pieces);
    kube_lines_clear(&lines);
    return error;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t choice = fuzz_byte(&data, &size);
    size_t step = 1 + choice / 2;
    _cleanup_free_ char *copy = fuzz_copy(data, size);
    int (*feed)(const char *, size_t, size_t, struct kube_buffer *) =
        choice & 1 ? list_feed : lines_feed;
    struct kube_buffer whole = {0}, parts = {0};
    int error = feed(copy, size, size ? size : 1, &whole);

    FUZZ_CHECK(feed(copy, size, step, &parts) == error);
    FUZZ_CHECK(error == 0 || error == -EBADMSG);
    FUZZ_CHECK(whole.length == parts.length);
    FUZZ_CHECK(!whole.length || memcmp(whole.data, parts.data, whole.length) == 0);
    kube_buffer_clear(&whole);
    kube_buffer_clear(&parts);
    return 0;
}

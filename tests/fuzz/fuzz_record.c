/* SPDX-License-Identifier: Apache-2.0 */
/* Any datagram of a peer: refused with a reason, or a record that packs to one that is read the
 * same. */
#include "fuzz.h"

#include <errno.h>

#include "ipc/record.h"

enum { ARENA_LIMIT = 1 << 20 };

static void record_check_packs(const struct record *record)
{
    static struct record_buffer first, second;
    _cleanup_arena_ struct arena arena = {0};
    struct record again;
    const char *why;

    FUZZ_CHECK(record_pack(record, &first) == 0);
    FUZZ_CHECK(record_unpack(first.data, first.length, &arena, &again, &why) == 0);
    FUZZ_CHECK(record_pack(&again, &second) == 0);
    FUZZ_CHECK(first.length == second.length);
    FUZZ_CHECK(memcmp(first.data, second.data, first.length) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_arena_ struct arena arena = {0};
    _cleanup_free_ void *copy = fuzz_copy(data, size);
    const char *why = NULL;
    struct record record;
    int error = record_unpack(copy, size, &arena, &record, &why);

    FUZZ_CHECK(arena.used <= ARENA_LIMIT);
    if (error) {
        FUZZ_CHECK(error == -EBADMSG || error == -EPROTONOSUPPORT);
        FUZZ_CHECK(why);
    } else {
        record_check_packs(&record);
    }
    return 0;
}

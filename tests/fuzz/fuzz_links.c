/* SPDX-License-Identifier: Apache-2.0 */
/* The watcher's reading of rtnetlink: what it takes in is an object that can be sent. */
#include "fuzz.h"

#include <errno.h>
#include <linux/netlink.h>

#include "ipc/record.h"
#include "watcher/links.h"

static void link_send(const struct links_tables *tables, size_t index)
{
    static struct record_buffer buffer;
    _cleanup_arena_ struct arena arena = {0};
    struct record record = {.type = RECORD_OBJECT, .generation = 1};
    struct object_error error = {0};
    int result;

    if (links_tables_object(tables, index, &arena, &record.object) < 0 ||
        object_check(&record.object, &error) < 0)
        return;
    result = record_pack(&record, &buffer);
    FUZZ_CHECK(result == 0 || result == -EMSGSIZE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct links_tables tables = {0};

    /* Messages one behind the other, as their lengths say. */
    while (size > 0) {
        struct nlmsghdr header;
        size_t length = size;
        void *copy;
        int error;

        if (size >= sizeof(header)) {
            memcpy(&header, data, sizeof(header));
            if (header.nlmsg_len >= sizeof(header) && header.nlmsg_len < size)
                length = header.nlmsg_len;
        }
        copy = fuzz_copy(data, length);
        links_event_matters(&tables, copy, length);
        error = links_tables_add(&tables, copy, length);
        FUZZ_CHECK(error == 0 || error == -EBADMSG);
        free(copy);
        data += length;
        size -= length;
    }
    for (size_t i = 0; i < tables.interface_count; i++)
        link_send(&tables, i);
    links_tables_clear(&tables);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The attach helper's reading of rtnetlink: names end, indexes are some, errors are errors. */
#include "fuzz.h"

#include "loader/attach_netlink.h"

static void handle_link(void *context _unused_, uint32_t ifindex, const char *name,
                        bool gone _unused_)
{
    FUZZ_CHECK(ifindex > 0 && ifindex <= INT32_MAX);
    FUZZ_CHECK(memchr(name, '\0', IF_NAMESIZE));
}

static void handle_route(void *context, uint32_t ifindex, bool gone)
{
    uint32_t *sum = context;

    *sum += ifindex + gone;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t sum = 0;
    const struct netlink_handler handler = {handle_link, handle_route, &sum};
    _cleanup_free_ void *copy = fuzz_copy(data, size);
    bool interrupted = false;

    FUZZ_CHECK(netlink_parse(copy, size, &handler, &interrupted) <= 1);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOADER_ATTACH_HELPER_H
#define LOADER_ATTACH_HELPER_H

/* Inside of attach: what attach.c (which interfaces, and attaching) and attach_helper.c (the
 * process that follows events) share. */

#include "loader/attach.h"
#include "loader/attach_hooks.h"
#include "loader/attach_netlink.h"

struct uplink {
    uint32_t ifindex;
    bool wanted;
    bool attached[DIRECTIONS];
    bool failed;                          /* and it was logged */
    char pins[DIRECTIONS][LINK_PIN_SIZE]; /* tcx: names of the pinned links */
};

enum { DEFAULTS_MOST = 64 };

struct attach {
    const struct string_list *patterns;
    const struct pins *pins;
    const struct datapath *datapath;
    bool tcx;
    bool retry; /* something could not be attached */
    int events; /* netlink sockets */
    int dumps;
    struct uplink *uplinks;
    size_t uplink_count;
    uint32_t defaults[DEFAULTS_MOST]; /* interfaces that hold default routes */
    size_t default_count;
};

struct uplink *attach_find(struct attach *attach, uint32_t ifindex);

/* Handles a link that is there, changed, or is gone. */
void attach_on_link(void *context, uint32_t ifindex, const char *name, bool gone);

/* Looks at all links and default routes anew. */
int attach_scan(struct attach *attach) _must_check_;

#endif

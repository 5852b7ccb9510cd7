/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOADER_OBJECT_H
#define LOADER_OBJECT_H

#include "common/config.h"
#include "loader/backend.h"
#include "loader/pins.h"

enum direction { DIRECTION_EGRESS, DIRECTION_INGRESS, DIRECTIONS };

/* "egress", "ingress" */
extern const char *const direction_names[DIRECTIONS];
/* Names of the programs, in the object and as pins. */
extern const char *const program_names[DIRECTIONS];

/* Maps that the daemon reads beside those of its backend. */
enum watched_map {
    WATCHED_COUNTERS,
    WATCHED_POLICY_COUNTERS,
    WATCHED_EGRESS_REFUSED,
    WATCHED_MAPS
};
extern const char *const watched_names[WATCHED_MAPS];

/* What stays of the object after it was loaded: descriptors. */
struct datapath {
    int maps[BACKEND_MAPS];
    int watched[WATCHED_MAPS];
    int programs[DIRECTIONS];
};

/*
 * Loads the programs with maps that are pinned already or, where there are none, new ones, and
 * pins both. Maps of another layout are refused and left alone. Every failure is logged with what
 * to do.
 */
int datapath_load(const struct config *config, const struct pins *pins,
                  struct datapath *datapath) _must_check_;
void datapath_close(struct datapath *datapath);

#endif

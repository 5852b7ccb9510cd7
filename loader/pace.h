/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOADER_PACE_H
#define LOADER_PACE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * When the collector works and when it rests. After a scan it rests for 60 times as long as that
 * has worked, so that it takes little of a processor. A pod that leaves ends the rest, since its
 * mappings have to go: then it rests for as long as it has worked, and a scan that is under way
 * hurries to its end. So pods that come and go all the time cost half a processor at most.
 *
 * All times are in us, of one clock that only goes forward.
 */
struct pace {
    bool resting;
    bool hurried;  /* the scan that is under way is for pods that have left */
    int64_t until; /* it rests */
    int64_t least; /* it rests even where a pod has left */
    int64_t work;  /* of the scan that is under way */
    uint64_t left; /* pods, when that began */
};

/* Whether the collector is to do nothing `now`. `left`: pods that have left since the start. */
bool pace_rests(struct pace *pace, uint64_t left, int64_t now);

/*
 * Takes note of a step from `started` to `now`; `ended`: the scan's last, `pressed`: the table is
 * nearly full. Returns how long to wait before the next look.
 */
int64_t pace_note(struct pace *pace, uint64_t left, int64_t started, int64_t now, bool ended,
                  bool pressed);

/* How long to wait for the next look while it rests. */
int64_t pace_watch(void);

#endif

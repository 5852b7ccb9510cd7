/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/pace.h"

enum {
    PAUSE_US = 20000, /* within a scan of many entries */
    PAUSE_HURRIED_US = 1000,
    WATCH_US = 250000,          /* between looks whether the rest is over */
    REST_US = 5000000,          /* at least */
    REST_PRESSED_US = 15000000, /* at most, while the table is nearly full */
    REST_SHARE = 60,            /* times as long as the scan has worked */
};

int64_t pace_watch(void)
{
    return WATCH_US;
}

bool pace_rests(struct pace *pace, uint64_t left, int64_t now)
{
    if (!pace->resting)
        return false;
    if (now < (left == pace->left ? pace->until : pace->least))
        return true;
    pace->resting = false;
    pace->hurried = left != pace->left;
    pace->left = left;
    return false;
}

int64_t pace_note(struct pace *pace, uint64_t left, int64_t started, int64_t now, bool ended,
                  bool pressed)
{
    int64_t rest;

    pace->work += now - started;
    if (!ended)
        return pace->hurried || left != pace->left ? PAUSE_HURRIED_US : PAUSE_US;
    rest = pace->work * REST_SHARE;
    if (pressed && rest > REST_PRESSED_US)
        rest = REST_PRESSED_US;
    pace->until = now + (rest > REST_US ? rest : REST_US);
    pace->least = now + pace->work;
    pace->work = 0;
    pace->resting = true;
    return WATCH_US;
}

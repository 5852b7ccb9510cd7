/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Preloaded into a daemon: the time of day jumps by a year, forth or back, each time somebody
 * looks. The clocks that only go forward are left alone.
 */
#include <dlfcn.h>
#include <sys/time.h>
#include <time.h>

enum { YEAR_S = 365 * 24 * 3600 };

static time_t jump(void)
{
    static unsigned looks;

    return looks++ % 2 ? YEAR_S : -YEAR_S;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int (*next)(clockid_t, struct timespec *) =
        (__typeof__(&clock_gettime))dlsym(RTLD_NEXT, "clock_gettime");
    int error = next(clock, now);

    if (!error && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += jump();
    return error;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec at;

    (void)zone;
    clock_gettime(CLOCK_REALTIME, &at);
    *now = (struct timeval){at.tv_sec, at.tv_nsec / 1000};
    return 0;
}

time_t time(time_t *seconds)
{
    struct timespec at;

    clock_gettime(CLOCK_REALTIME, &at);
    if (seconds)
        *seconds = at.tv_sec;
    return at.tv_sec;
}

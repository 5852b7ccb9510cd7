/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/fake_clock.h"

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long ahead_ms;

void fake_clock_forward(unsigned milliseconds)
{
    ahead_ms += milliseconds;
}

/* In place of the C library's, for this program and the libraries that it uses. */
int clock_gettime(clockid_t clock, struct timespec *now)
{
    int status = (int)syscall(SYS_clock_gettime, clock, now);

    if (status)
        return status;
    now->tv_sec += ahead_ms / 1000;
    now->tv_nsec += ahead_ms % 1000 * 1000000;
    if (now->tv_nsec >= 1000000000) {
        now->tv_nsec -= 1000000000;
        now->tv_sec++;
    }
    return 0;
}

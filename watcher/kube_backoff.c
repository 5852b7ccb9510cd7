/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher/kube_backoff.h"

#include <event2/util.h>

uint32_t kube_random(void)
{
    uint32_t random;

    evutil_secure_rng_get_bytes(&random, sizeof(random));
    return random;
}

unsigned kube_spread(unsigned limit, uint32_t random)
{
    return (unsigned)((uint64_t)random * limit >> 32);
}

unsigned kube_backoff_next(struct kube_backoff *backoff, uint32_t random)
{
    unsigned bound = KUBE_BACKOFF_FIRST;

    for (unsigned i = 0; i < backoff->failures && bound < KUBE_BACKOFF_LAST; i++)
        bound *= 2;
    if (bound > KUBE_BACKOFF_LAST)
        bound = KUBE_BACKOFF_LAST;
    if (backoff->failures < 1000)
        backoff->failures++;
    return kube_spread(bound, random);
}

unsigned kube_backoff_after(long seconds, uint32_t random)
{
    unsigned wait;

    if (seconds < 0)
        seconds = 0;
    if (seconds > KUBE_RETRY_AFTER_LIMIT)
        seconds = KUBE_RETRY_AFTER_LIMIT;
    wait = (unsigned)seconds * 1000;
    return wait + kube_spread(wait / 4 + KUBE_BACKOFF_FIRST, random);
}

unsigned kube_backoff_slow(uint32_t random)
{
    return KUBE_BACKOFF_LAST / 2 + kube_spread(KUBE_BACKOFF_LAST / 2, random);
}

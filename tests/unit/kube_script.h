/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_KUBE_SCRIPT_H
#define TESTS_KUBE_SCRIPT_H

#include <event2/event.h>
#include <stddef.h>
#include <stdint.h>

/* A server on loopback that expects the requests of a script, one after the other, and gives its
 * answers. Another request than the next one fails the test; one more than there are ends the loop.
 */

enum { KUBE_SCRIPT_STEPS = 16 };

/* One request that is expected, and its answer. */
struct kube_step {
    const char *request; /* a part of its head */
    const char *answer;
    enum { CLOSE, HOLD } then;
    void (*before)(void); /* runs before the answer is sent */
};

struct kube_script {
    struct event_base *base;
    struct evconnlistener *listener;
    const struct kube_step *steps; /* set before the first request */
    size_t count, done;
    struct bufferevent *held[KUBE_SCRIPT_STEPS]; /* connections that stay */
    size_t held_count;
    char requests[KUBE_SCRIPT_STEPS][2048]; /* the heads that came */
    uint64_t times[KUBE_SCRIPT_STEPS];      /* and when, as kube_now() has it */
};

/* Its port, in host byte order. */
uint16_t kube_script_open(struct kube_script *script, struct event_base *base);
void kube_script_close(struct kube_script *script);

#endif

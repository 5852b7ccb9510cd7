/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TESTS_TOOLS_LOOKUP_H
#define TESTS_TOOLS_LOOKUP_H

/* What tests/tools/lookup asks its program, in the frame behind the Ethernet header. */

#include <egressgw/layout.h>

#define LOOKUP_OFFSET 64

enum lookup_end {
    LOOKUP_AT_A_GATEWAY,
    LOOKUP_NO_ENDPOINT,
    LOOKUP_NO_ROUTE,
    LOOKUP_NO_REDIRECTION, /* a route to no gateway */
    LOOKUP_NO_GATEWAY,
};

struct lookup_question {
    struct ip_addr pod;
    struct ip_addr destination;
    __u32 rounds; /* to turn between two look-ups */
    __u32 end;    /* enum lookup_end */
};

#endif

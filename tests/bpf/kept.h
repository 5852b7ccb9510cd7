/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_BPF_KEPT_H
#define TESTS_BPF_KEPT_H

/*
 * Loaded objects that outlive a test program: on an emulated machine the verifier works for many
 * seconds on each load, and the programs of tests/bpf want the same few. EGRESSGW_KEPT is a
 * directory of a BPF file system where they are pinned; without it each program loads its own.
 */

#include <stdint.h>

#include <egressgw/nat_state.h>

#include "bpf/egressgw.skel.h"

/* The two programs: descriptors, open for as long as the process is. */
struct programs {
    int egress;
    int ingress;
};

/*
 * Loads the object, or takes over what a program before this one loaded with the same configuration
 * and number of mappings; its maps are then as that one left them. 0, else it has said why not.
 */
int kept_load(struct egressgw_bpf *skeleton, uint32_t mappings, struct programs *programs);

#endif

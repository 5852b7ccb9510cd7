/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOADER_OBJECT_SYSTEM_H
#define LOADER_OBJECT_SYSTEM_H

#include <stdbool.h>
#include <stdint.h>

#include "common/macros.h"

/* What this host offers to the datapath. */

/* Kernel version, BTF and our capabilities. What is missing is logged in one line. */
int system_check(void) _must_check_;

/* The ports that the host itself uses for outgoing connections in this network namespace. */
int system_ephemeral_ports(uint16_t *first, uint16_t *last) _must_check_;

/* Whether the kernel's own types have a packet's conntrack entry. */
bool system_knows_conntrack(void);

/* From now on libbpf's output goes to our log; the end of the longest message is kept. */
void system_log_libbpf(void);

/* No object that libbpf opens from now on gets a program loaded whose BTF the kernel has not taken
 * whole. */
void system_insist_on_types(void);

/* Says why the kernel did not take the programs, with the end of what the verifier said. */
void system_report_load(int error);

#endif

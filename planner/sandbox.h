/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PLANNER_SANDBOX_H
#define PLANNER_SANDBOX_H

#include "common/seal.h"

/* The system calls of the planner beside those of every daemon: it accepts the watcher and connects
 * to the loader, both by Unix sockets, and opens nothing. */
extern const struct seccomp_rule planner_rules[];
extern const size_t planner_rule_count;

#endif

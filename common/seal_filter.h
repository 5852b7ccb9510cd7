/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COMMON_SEAL_FILTER_H
#define COMMON_SEAL_FILTER_H

/* Private to the sealing: the system call filter. */

#include "common/seal.h"

/* Allows the caller's rules and those of every daemon, kills the process at anything else, and
 * verifies that the filter is in force. Needs no_new_privs. -EINVAL: a rule that makes no sense. */
int seal_filter_load(const struct seccomp_rule *rules, size_t count) _must_check_;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOADER_SANDBOX_H
#define LOADER_SANDBOX_H

#include "common/seal.h"

/* What the two processes of the loader keep after their start: tables of system calls,
 * capabilities, limits. Failures have been logged. */

extern const struct seccomp_rule loader_rules[], helper_rules[];
extern const size_t loader_rule_count, helper_rule_count;

/* The daemon: element commands of bpf(2) on maps that are open, no capability. */
int sandbox_seal_loader(const char *user) _must_check_;

/* The attach helper: netlink, links and their pins below `pins`, CAP_NET_ADMIN. */
int sandbox_seal_helper(const char *user, const char *pins) _must_check_;

#endif

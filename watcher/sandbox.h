/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WATCHER_SANDBOX_H
#define WATCHER_SANDBOX_H

#include <stddef.h>

#include "common/seal.h"

/* What the watcher may do beside what every daemon may: read files, watch directories, connect to
 * the planner and to the API server. */
extern const struct seccomp_rule watcher_rules[];
extern const size_t watcher_rule_count;

#endif

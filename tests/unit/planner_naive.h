/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_PLANNER_NAIVE_H
#define TESTS_PLANNER_NAIVE_H

/*
 * The meaning of policies a second time, straight from their description: no index, no sharing, no
 * memory of what was before. It goes over everything for each question.
 */

#include "tests/unit/planner_lines.h"
#include "tests/unit/planner_world.h"

void naive_compute(const struct world *world, const struct plan_config *config,
                   struct lines *lines);
bool naive_needs_all_pods(const struct world *world, const struct plan_config *config);

/* Whether a selector matches labels, among which a key stands once at most. */
bool naive_selector_matches(const struct selector *selector, const struct label *labels,
                            size_t count);

#endif

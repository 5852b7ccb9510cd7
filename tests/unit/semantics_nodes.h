/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SEMANTICS_NODES_H
#define TESTS_SEMANTICS_NODES_H

/*
 * A plan for each node of a case, fed with the same records that the daemons exchange, and what it
 * prints: the rows of `egressgw-loader --dump`, and the log.
 */

#include "planner/plan.h"
#include "tests/unit/planner_lines.h"
#include "tests/unit/semantics_model.h"

enum { SEMANTICS_NODES = 16 };

struct semantics_node {
    char *name;
    struct plan *plan;
    struct lines log; /* since the last step */
};

struct semantics_nodes {
    struct plan_config config; /* but its `node` */
    struct semantics_node items[SEMANTICS_NODES];
    size_t count;
};

/* Plans for all nodes of the model, which get everything that is in it. */
void semantics_nodes_start(struct semantics_nodes *nodes, const struct model *model);
void semantics_nodes_stop(struct semantics_nodes *nodes);
struct semantics_node *semantics_node_find(struct semantics_nodes *nodes, const char *name);

/* One event for all of them; a link's for its own node only. */
void semantics_nodes_change(struct semantics_nodes *nodes, enum object_kind kind,
                            const struct model_change *change);
void semantics_nodes_update(struct semantics_nodes *nodes);
void semantics_nodes_forget_logs(struct semantics_nodes *nodes);

/* The rows, with one blank between columns. */
void semantics_dump(const struct plan *plan, struct lines *rows);
/* The rows of a plan that gets the model from nothing. */
void semantics_dump_fresh(const struct semantics_nodes *nodes, const char *name,
                          const struct model *model, struct lines *rows);

#endif

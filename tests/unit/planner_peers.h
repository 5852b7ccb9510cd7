/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_PLANNER_PEERS_H
#define TESTS_PLANNER_PEERS_H

#include "ipc/record.h"
#include "planner/desired.h"
#include "planner/loader_session.h"
#include "planner/watcher_session.h"
#include "tests/unit/planner_objects.h"

/* The sessions of a planner, over real sockets, and both its peers, which the test plays: what
 * these say, what they hear, and what a loader has then in the kernel. Anything unexpected fails
 * the test. */

struct peers {
    char directory[64], watcher_path[96], loader_path[96];
    struct event_base *base;
    struct scene scene; /* its arena, and its log */
    struct plan *plan;
    struct watcher_session *watcher_session;
    struct loader_session *loader_session;
    int loader_listener;
    int watcher; /* our ends; -1: not connected */
    int loader;
    uint64_t watcher_generation;
    struct arena arena; /* of the record that was read last */
    struct desired kernel;
    bool wake;
};

/* Setup and teardown of a test; its state is a struct peers. */
int peers_start(void **state);
int peers_stop(void **state);

/* The daemon has its turns until nothing is left to do. */
void peers_settle(struct peers *it);
void peers_send(int fd, const struct record *record);
/* The planner says nothing to this peer. */
void peers_expect_nothing(struct peers *it, int fd);
/* The planner closed the connection; what it had said before does not matter. */
bool peers_closed_by_planner(struct peers *it, int fd);

/* A watcher that connects, once more where it was connected, and numbers what it says from 1 on. */
void peers_watcher_connect(struct peers *it);
void peers_watcher_send(struct peers *it, struct record *record);
void peers_watcher_begin(struct peers *it, enum object_kind kind);
void peers_watcher_end(struct peers *it, enum object_kind kind);
void peers_watcher_object(struct peers *it, const struct object *object);
void peers_watcher_delete(struct peers *it, const struct object *object);
/* Lists of all kinds, with at most one object of each. */
void peers_watcher_list(struct peers *it, const struct object *const objects[KINDS]);
/* Reads acknowledgements until the last one; the scope that was asked for, or -1. */
int peers_watcher_read(struct peers *it);

/* A loader that the planner connects to, once more where it was connected. */
void peers_loader_accept(struct peers *it);
/* Takes in a generation that starts with a record of this type; its number. */
uint64_t peers_loader_take(struct peers *it, enum record_type type);
void peers_loader_acknowledge(struct peers *it, uint64_t generation);

/* The kernel has exactly what the plan wants. */
void peers_expect_kernel(struct peers *it);
bool peers_kernel_has_endpoint(struct peers *it, const char *address);

#endif

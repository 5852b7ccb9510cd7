/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOADER_APPLY_PASS_H
#define LOADER_APPLY_PASS_H

/* Inside of apply_write(): one pass over what is pending. apply_write.c writes, apply_waits.c says
 * what has to wait. */

#include <arpa/inet.h>

#include "loader/apply.h"

/* The table of each step of table_entry_step(). */
extern const enum table apply_step_tables[TABLE_STEPS];

/* The step of the routes that endpoints use. */
enum { STEP_PROFILES = 4 };

struct pass {
    struct apply *apply;
    struct apply_result *result;
    struct entry **items; /* of the step */
    size_t count;
    struct entries groups;     /* (group, slots) -> 1 whole, 0 not; filled when asked for */
    struct entries blocked;    /* profiles with a route that has to wait */
    struct entries incomplete; /* profiles with routes that could not be set */
    struct entries in_use;     /* profiles of endpoints that could not be moved away from them */
    struct entries referenced; /* what the entries one table up refer to */
    size_t full;               /* sets that found no room */
    enum table full_table;
};

static inline uint32_t route_profile(const struct route_key *key)
{
    return ntohl(key->scope_be) & ~ROUTE_SCOPE_IPV6;
}

/* Whether everything that the value refers to is in the kernel. */
bool pass_set_is_allowed(struct pass *pass, enum table table, const void *value);

/* Whether nothing in the kernel needs the key any more. */
bool pass_removal_is_allowed(struct pass *pass, unsigned step, const void *key);

/* Fill the sets of struct pass that these two look at. -ENOMEM. */
int pass_find_incomplete(struct pass *pass) _must_check_;
int pass_find_in_use(struct pass *pass) _must_check_;
int pass_find_referenced_groups(struct pass *pass) _must_check_;
int pass_find_referenced_nodes(struct pass *pass) _must_check_;

#endif

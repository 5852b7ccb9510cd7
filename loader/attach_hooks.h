/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOADER_ATTACH_HOOKS_H
#define LOADER_ATTACH_HOOKS_H

#include <net/if.h>
#include <stdint.h>

#include "loader/object.h"

/*
 * Two ways to hook a program to an interface: tcx links (Linux 6.6), which live as long as their
 * pin, and clsact filters, which live as long as the interface. Both stay when the daemon ends.
 */

/* Name of the pin of a link: the interface's name (for people) and its index (for us). Dots are
 * not allowed on a bpffs and become underscores. */
#define LINK_PIN_SIZE (IF_NAMESIZE + 32)
void link_pin_name(const char *interface, uint32_t ifindex, enum direction direction,
                   char name[LINK_PIN_SIZE]);
/* -EINVAL: not such a name. */
int link_pin_read(const char *name, uint32_t *ifindex, enum direction *direction) _must_check_;

/* Whether this kernel has tcx. */
bool tcx_is_known(int program);

/* Attaches a program in front of all others at this hook, and pins the link as `pin`. -ENODEV: the
 * interface is gone. */
int tcx_attach(const struct pins *pins, uint32_t ifindex, enum direction direction, int program,
               const char *pin) _must_check_;

/* Puts another program in the place of the one that a pinned link holds, in one step. -ENODEV: its
 * interface is gone. */
int tcx_update(const struct pins *pins, const char *pin, int program) _must_check_;

/* Attaches a program as a clsact filter with a handle of our own, in place of an earlier one. */
int clsact_attach(uint32_t ifindex, enum direction direction, int program) _must_check_;

/* Removes our filter. -ENOENT: there is none. The qdisc stays: others may use it, and without
 * filters it does nothing. */
int clsact_detach(uint32_t ifindex, enum direction direction) _must_check_;

#endif

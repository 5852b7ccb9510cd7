/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOADER_OBJECT_MAPS_H
#define LOADER_OBJECT_MAPS_H

#include <bpf/libbpf.h>

#include "common/config.h"
#include "loader/pins.h"

/* Before the load: sizes from the limits, and pinned maps in place of new ones. Maps of another
 * layout or shape are refused. */
int maps_prepare(struct bpf_object *object, const struct config *config,
                 const struct pins *pins) _must_check_;

/* After the load: pins the maps that are new. */
int maps_pin(struct bpf_object *object, const struct pins *pins) _must_check_;

#endif

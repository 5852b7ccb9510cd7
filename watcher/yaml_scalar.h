/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WATCHER_YAML_SCALAR_H
#define WATCHER_YAML_SCALAR_H

#include <jansson.h>

#include "common/text.h"

/* A plain scalar by the core schema: null, a boolean, a number, else a string. A new reference;
 * NULL: no memory, or not UTF-8. */
json_t *yaml_scalar_plain(struct text text);

#endif

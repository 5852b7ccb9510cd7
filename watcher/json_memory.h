/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WATCHER_JSON_MEMORY_H
#define WATCHER_JSON_MEMORY_H

/*
 * jansson does not look at each of its allocations: a string that has no room to grow while it is
 * read loses a character and is taken for whole. What is read is another object then, so whoever
 * reads asks whether an allocation failed, and gives up what came of it.
 */

#include <jansson.h>
#include <stdbool.h>

/* From here on failed allocations of jansson's are noted; those of before are forgotten. */
void json_memory_watch(void);
bool json_memory_failed(void);

/* json_loadb(), of which nothing comes where an allocation failed: `error` then says so. */
json_t *json_memory_load(const char *data, size_t length, size_t flags, json_error_t *error);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher/json_memory.h"

#include <stdio.h>
#include <stdlib.h>

static bool failed;

static void *json_allocate(size_t size)
{
    void *memory = malloc(size);

    failed |= !memory;
    return memory;
}

/* What was allocated before went through malloc(), too. */
void json_memory_watch(void)
{
    json_set_alloc_funcs(json_allocate, free);
    failed = false;
}

bool json_memory_failed(void)
{
    return failed;
}

json_t *json_memory_load(const char *data, size_t length, size_t flags, json_error_t *error)
{
    json_t *value;

    json_memory_watch();
    value = json_loadb(data, length, flags, error);
    if (!failed)
        return value;
    json_decref(value);
    snprintf(error->text, sizeof(error->text), "out of memory");
    return NULL;
}

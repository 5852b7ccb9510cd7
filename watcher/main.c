/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher/watcher.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

/*
 * Tokens and keys pass through memory of libcurl, OpenSSL and the C library, which give it back as
 * it is. So nothing is given back before it was overwritten, by whomever: these stand in place of
 * the C library's functions for all of them. The sanitizer has its own.
 */
#ifndef __SANITIZE_ADDRESS__
void __libc_free(void *ptr);

void free(void *ptr)
{
    if (ptr)
        explicit_bzero(ptr, malloc_usable_size(ptr));
    __libc_free(ptr);
}

void *realloc(void *ptr, size_t size)
{
    size_t had = ptr ? malloc_usable_size(ptr) : 0;
    void *moved;

    if (ptr && size <= had && size >= had / 2 && size)
        return ptr;
    moved = malloc(size);
    if (!moved)
        return NULL;
    if (ptr)
        memcpy(moved, ptr, had < size ? had : size);
    free(ptr);
    return moved;
}
#endif

int main(int argc, char **argv)
{
    return watcher_main(argc, argv);
}

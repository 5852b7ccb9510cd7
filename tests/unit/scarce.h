/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SCARCE_H
#define TESTS_SCARCE_H

#include <stdbool.h>

/*
 * Memory that runs out. A program that uses this has an allocator of its own before the C
 * library's; the libraries that it uses get their memory from there, too. Under the address
 * sanitizer it is our own code alone (see Makefile).
 */

/* Between these an allocation may fail: the one that scarce_each() has come to, once. */
void scarce_begin(void);
void scarce_end(void);

/* Allocations that were not given back; under the address sanitizer, which counts better, 0. */
long scarce_live(void);

/*
 * Calls `once`, in which the first allocation fails, then the second, and so on until there are no
 * more; in steps of `step`, or with SOAK=1 of one. `once` says whether what it had to do is done;
 * without a failed allocation it has to be. Nothing may stay allocated. Returns how often one
 * failed.
 */
unsigned scarce_each(unsigned step, bool (*once)(void *context), void *context);

#endif

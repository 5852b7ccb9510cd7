/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_BPF_MAP_CLEAR_H
#define TESTS_BPF_MAP_CLEAR_H

#include <bpf/libbpf.h>

/* Makes every map of a loaded object as it was after the load, if it was empty then; its constants
 * stay. */
void maps_clear(const struct bpf_object *object);

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TESTS_NATIVE_BPF_CORE_READ_H
#define TESTS_NATIVE_BPF_CORE_READ_H

/* Stands in for libbpf's header of this name: the kernel's structures are as bpf/kernel.h has them.
 */

#define bpf_core_field_exists(field)                 (sizeof(field) > 0)
#define bpf_core_read(to, size, from)                native_core_read(to, size, from)
#define BPF_CORE_READ_BITFIELD_PROBED(object, field) ((void)(object)->field, native_##field())

int native_ip_summed(void);
long native_core_read(void *to, __u32 size, const void *from);

#endif

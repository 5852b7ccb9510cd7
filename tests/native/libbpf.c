/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libbpf as the harness of tests/bpf uses it, for the native datapath: these functions come before
 * the library's. Opening an object and asking for its maps' sizes is the library's still.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "native.h"

enum { MAP_FD = 100000, PROGRAM_FD = 200000, PROGRAMS = 64 };

static const char *programs[PROGRAMS];

static int answer(int error)
{
    errno = -error;
    return error ? -1 : 0; /* as libbpf before 1.0 and after it: negative, with errno */
}

int bpf_object__load_skeleton(struct bpf_object_skeleton *skeleton)
{
    native_use_kernel();
    native_load(*skeleton->obj);
    return 0;
}

int native_program_fd(const struct bpf_program *program)
{
    int (*next)(const struct bpf_program *) =
        (int (*)(const struct bpf_program *))dlsym(RTLD_NEXT, "bpf_program__fd");

    return next(program);
}

int bpf_program__fd(const struct bpf_program *program)
{
    const char *name = bpf_program__name(program);

    for (int i = 0; i < PROGRAMS; i++) {
        if (!programs[i])
            programs[i] = strdup(name);
        if (!strcmp(programs[i], name))
            return PROGRAM_FD + i;
    }
    return -ENOENT;
}

int bpf_map__fd(const struct bpf_map *described)
{
    const struct native_map *map = native_map_named(bpf_map__name(described));

    return map ? MAP_FD + native_map_number(map) : -ENOENT;
}

int bpf_map_update_elem(int fd, const void *key, const void *value, __u64 flags)
{
    struct native_map *map = native_map_at(fd - MAP_FD);

    return answer(map ? native_element_put(map, key, value, flags) : -EBADF);
}

int bpf_map_update_batch(int fd, const void *keys, const void *values, __u32 *count,
                         const struct bpf_map_batch_opts *options)
{
    struct native_map *map = native_map_at(fd - MAP_FD);
    int error = map && !options ? 0 : -EINVAL;
    __u32 done = 0;

    while (!error && done < *count) {
        error = native_element_put(map, (const uint8_t *)keys + done * map->key_size,
                                   (const uint8_t *)values + done * native_value_size(map), 0);
        done += !error;
    }
    *count = done;
    return answer(error);
}

int bpf_map_lookup_elem(int fd, const void *key, void *value)
{
    struct native_map *map = native_map_at(fd - MAP_FD);

    return answer(map ? native_element_get(map, key, value) : -EBADF);
}

int bpf_map_delete_elem(int fd, const void *key)
{
    struct native_map *map = native_map_at(fd - MAP_FD);
    int error = map ? native_element_delete(map, key) : -EBADF;

    native_elements_settle();
    return answer(error);
}

int bpf_map_get_next_key(int fd, const void *key, void *next)
{
    struct native_map *map = native_map_at(fd - MAP_FD);

    return answer(map ? native_element_next(map, key, next) : -EBADF);
}

/* Who a frame is for, as the kernel tells by the address of the interface; MACs of the tests. */
static uint32_t packet_type(const uint8_t *frame)
{
    static const uint8_t uplink[] = {2, 0, 0, 0, 0, 0x10}, zero[6];

    if (frame[0] & 1)
        return frame[0] == 0xff ? 1 : 2; /* PACKET_BROADCAST, PACKET_MULTICAST */
    return memcmp(frame, uplink, 6) && memcmp(frame, zero, 6) ? 3 : 0; /* PACKET_OTHERHOST, _HOST */
}

/* EGRESSGW_NATIVE_LINEAR: so many bytes of each packet are in one piece, as those of large ones in
 * the kernel; else all of them are. */
static uint32_t linear_bytes(void)
{
    const char *text = getenv("EGRESSGW_NATIVE_LINEAR");

    return text ? (uint32_t)strtoul(text, NULL, 10) : 0;
}

int bpf_prog_test_run_opts(int fd, struct bpf_test_run_opts *options)
{
    const char *name =
        fd >= PROGRAM_FD && fd < PROGRAM_FD + PROGRAMS ? programs[fd - PROGRAM_FD] : NULL;
    struct native_skb skb = {0};
    int repeat = options->repeat > 1 ? options->repeat : 1;

    if (!name)
        return answer(-EBADF);
    if (options->data_size_in < 14)
        return answer(-EINVAL);
    for (int i = 0; i < repeat; i++) {
        skb = (struct native_skb){0};
        if (options->ctx_in)
            memcpy(&skb.ctx, options->ctx_in, sizeof(skb.ctx));
        native_skb_fill(&skb, options->data_in, options->data_size_in, linear_bytes());
        skb.nfct = native_kernel.nfct;
        skb.ctx.pkt_type = packet_type(options->data_in);
        options->retval = (uint32_t)native_run(name, &skb);
    }
    if (options->data_out) {
        if (skb.ctx.len > options->data_size_out)
            return answer(-ENOSPC);
        memcpy(options->data_out, skb.data, skb.ctx.len);
        options->data_size_out = skb.ctx.len;
    }
    if (options->ctx_out)
        memcpy(options->ctx_out, &skb.ctx, sizeof(skb.ctx));
    return answer(0);
}

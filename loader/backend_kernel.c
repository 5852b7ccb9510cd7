/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/backend.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/membarrier.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/log.h"

/* The kernel's own ENOTSUPP leaks out of bpf(2) where a map type has no batch operations. */
#define KERNEL_ENOTSUPP 524
#define RETRIES         3

static const struct table_shape nat_shapes[] = {
    {MAP_NAT_FORWARD, sizeof(struct nat_key), sizeof(struct nat_forward)},
    {MAP_NAT_REVERSE, sizeof(struct nat_key), sizeof(struct nat_reverse)},
    {MAP_NAT_MADE, sizeof(struct ip_addr), sizeof(uint32_t)},
    {MAP_NAT_ENDED, sizeof(struct ip_addr), sizeof(uint32_t)},
};

const struct table_shape *backend_shape(unsigned map)
{
    return map < TABLES ? &table_shapes[map] : &nat_shapes[map - TABLES];
}

static int kernel_fd(struct backend *backend, unsigned map)
{
    return ((struct backend_kernel *)backend)->fds[map];
}

static bool error_is_no_batch(int error)
{
    return error == -KERNEL_ENOTSUPP || error == -EOPNOTSUPP;
}

/* Errors that the kernel gives for a moment: a signal, a lock that it could not take. */
static bool error_is_passing(int error)
{
    return error == -EINTR || error == -EAGAIN || error == -EBUSY;
}

/* One entry after another, for map types without batches. Only the loader writes to those, so the
 * walk by keys cannot be led astray. */
static int kernel_read_single(int fd, struct backend_cursor *cursor, size_t key_size,
                              size_t value_size, char *keys, char *values, size_t *count)
{
    size_t done = 0;

    while (done < *count) {
        int error = bpf_map_get_next_key(fd, cursor->started ? cursor->position : NULL,
                                         keys + done * key_size);

        if (error == -ENOENT) {
            cursor->ended = true;
            break;
        }
        if (error)
            return error;
        memcpy(cursor->position, keys + done * key_size, key_size);
        cursor->started = true;
        error = bpf_map_lookup_elem(fd, keys + done * key_size, values + done * value_size);
        if (error == -ENOENT)
            continue;
        if (error)
            return error;
        done++;
    }
    *count = done;
    return 0;
}

static int kernel_read(struct backend *backend, unsigned map, struct backend_cursor *cursor,
                       void *keys, void *values, size_t *count)
{
    const struct table_shape *shape = backend_shape(map);
    unsigned char next[sizeof(cursor->position)] = {0};
    __u32 done = (__u32)*count;
    int error;

    error = bpf_map_lookup_batch(kernel_fd(backend, map), cursor->started ? cursor->position : NULL,
                                 next, keys, values, &done, NULL);
    if (error_is_no_batch(error))
        return kernel_read_single(kernel_fd(backend, map), cursor, shape->key_size,
                                  shape->value_size, keys, values, count);
    if (error && error != -ENOENT)
        return error;
    cursor->started = true;
    cursor->ended = error == -ENOENT;
    memcpy(cursor->position, next, sizeof(next));
    *count = done;
    return 0;
}

static int kernel_lookup(struct backend *backend, unsigned map, const void *key, void *value)
{
    return bpf_map_lookup_elem(kernel_fd(backend, map), key, value);
}

/* Writes or, without values, deletes one entry. */
static int kernel_write_single(int fd, const char *key, const char *value)
{
    int error = 0;

    for (int attempt = 0; attempt < RETRIES; attempt++) {
        error = value ? bpf_map_update_elem(fd, key, value, BPF_ANY) : bpf_map_delete_elem(fd, key);
        if (!error_is_passing(error))
            break;
    }
    return !value && error == -ENOENT ? 0 : error;
}

/* A batch ends at its first failure, also at a deleted key that was not there. What the batch left
 * is tried one by one as far as the entry that failed, then the batch goes on behind it. */
static int kernel_write(struct backend *backend, unsigned map, const char *keys, const char *values,
                        size_t *count)
{
    const struct table_shape *shape = backend_shape(map);
    int fd = kernel_fd(backend, map);
    bool batches = true;
    size_t done = 0;
    int error = 0;

    while (done < *count) {
        const char *key = keys + done * shape->key_size;
        const char *value = values ? values + done * shape->value_size : NULL;
        __u32 left = (__u32)(*count - done), written = left;

        if (batches) {
            error = value ? bpf_map_update_batch(fd, key, value, &written, NULL)
                          : bpf_map_delete_batch(fd, key, &written, NULL);
            if (!error) {
                done = *count;
                break;
            }
            batches = !error_is_no_batch(error);
            /* Refused before it started, the kernel leaves the count as it was. */
            if (written < left && batches && written > 0) {
                done += written;
                continue;
            }
        }
        error = kernel_write_single(fd, key, value);
        if (error)
            break;
        done++;
    }
    *count = done;
    return error;
}

static int kernel_update(struct backend *backend, unsigned map, const void *keys,
                         const void *values, size_t *count)
{
    return kernel_write(backend, map, keys, values, count);
}

static int kernel_remove(struct backend *backend, unsigned map, const void *keys, size_t *count)
{
    return kernel_write(backend, map, keys, NULL, count);
}

static size_t kernel_capacity(struct backend *backend, unsigned map)
{
    return ((struct backend_kernel *)backend)->capacities[map];
}

/* membarrier(2) in its slow form is the kernel's synchronize_rcu(), and programs run under RCU. */
static void kernel_settle(struct backend *backend)
{
    if (((struct backend_kernel *)backend)->settles)
        syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
}

/* A kernel some of whose processors run without a timer (nohz_full) has no such form. */
static bool kernel_settles(void)
{
    long commands = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);

    return commands > 0 && commands & MEMBARRIER_CMD_GLOBAL;
}

int backend_kernel_init(struct backend_kernel *kernel)
{
    kernel->backend = (struct backend){
        .read = kernel_read,
        .lookup = kernel_lookup,
        .update = kernel_update,
        .remove = kernel_remove,
        .capacity = kernel_capacity,
        .settle = kernel_settle,
    };
    kernel->settles = kernel_settles();
    if (!kernel->settles)
        log_warning("the kernel cannot wait for packets that are on their way: one that meets a "
                    "change of policies may miss its route");
    for (unsigned map = 0; map < BACKEND_MAPS; map++) {
        struct bpf_map_info info = {0};
        __u32 size = sizeof(info);
        int error;

        if (kernel->fds[map] < 0)
            continue;
        error = bpf_obj_get_info_by_fd(kernel->fds[map], &info, &size);
        if (error)
            return error;
        if (info.key_size != backend_shape(map)->key_size ||
            info.value_size != backend_shape(map)->value_size)
            return -EINVAL;
        kernel->capacities[map] = info.max_entries;
    }
    return 0;
}

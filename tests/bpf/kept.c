// SPDX-License-Identifier: Apache-2.0
#include "kept.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

enum { PATH_LENGTH = 512 };

/* Objects are told apart by what they are loaded with; their directory is named by all of it. */
static void directory_of(char *path, const struct egressgw_bpf *skeleton, uint32_t mappings)
{
    const unsigned char *config = (const unsigned char *)&skeleton->rodata->config;
    int length = snprintf(path, PATH_LENGTH, "%s/%u-", getenv("EGRESSGW_KEPT"), mappings);

    for (size_t i = 0; i < sizeof(skeleton->rodata->config) && length + 3 < PATH_LENGTH; i++)
        length += snprintf(path + length, PATH_LENGTH - (size_t)length, "%02x", config[i]);
}

static const char *below(const char *directory, const char *name)
{
    static char path[PATH_LENGTH + 64];

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    return path;
}

static int take_over(struct egressgw_bpf *skeleton, const char *directory,
                     struct programs *programs)
{
    struct bpf_map *map;

    programs->egress = bpf_obj_get(below(directory, "egress"));
    programs->ingress = bpf_obj_get(below(directory, "ingress"));
    if (programs->egress < 0 || programs->ingress < 0)
        return -1;
    bpf_object__for_each_map(map, skeleton->obj)
    {
        int fd, failed;

        if (bpf_map__is_internal(map))
            continue;
        fd = bpf_obj_get(below(directory, bpf_map__name(map)));
        failed = fd < 0 || bpf_map__reuse_fd(map, fd);
        if (fd >= 0)
            close(fd); /* the map has a copy */
        if (failed)
            return -1;
    }
    return 0;
}

static int keep(const struct egressgw_bpf *skeleton, const char *directory,
                const struct programs *programs)
{
    struct bpf_map *map;

    if (mkdir(directory, 0700))
        return -1;
    bpf_object__for_each_map(map, skeleton->obj)
    {
        if (!bpf_map__is_internal(map) &&
            bpf_obj_pin(bpf_map__fd(map), below(directory, bpf_map__name(map))))
            return -1;
    }
    return bpf_obj_pin(programs->ingress, below(directory, "ingress")) ||
           bpf_obj_pin(programs->egress, below(directory, "egress"));
}

int kept_load(struct egressgw_bpf *skeleton, uint32_t mappings, struct programs *programs)
{
    char directory[PATH_LENGTH] = "";

    if (getenv("EGRESSGW_KEPT")) {
        directory_of(directory, skeleton, mappings);
        if (access(directory, F_OK) == 0) {
            if (take_over(skeleton, directory, programs) == 0)
                return 0;
            fprintf(stderr, "%s cannot be taken over: %s\n", directory, strerror(errno));
            return -1;
        }
    }
    if (egressgw_bpf__load(skeleton))
        return -1; /* libbpf has said why */
    programs->egress = bpf_program__fd(skeleton->progs.egressgw_egress);
    programs->ingress = bpf_program__fd(skeleton->progs.egressgw_ingress);
    if (directory[0] && keep(skeleton, directory, programs)) {
        fprintf(stderr, "%s cannot be kept: %s\n", directory, strerror(errno));
        return -1;
    }
    return 0;
}

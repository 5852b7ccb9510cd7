/* SPDX-License-Identifier: Apache-2.0 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "loader/attach_hooks.h"

/* linux/bpf.h of Linux 6.6; older headers lack them. */
enum { ATTACH_TCX_INGRESS = 46, ATTACH_TCX_EGRESS = 47, LINK_BEFORE = 1 << 3 };

static enum bpf_attach_type attach_type(enum direction direction)
{
    return (enum bpf_attach_type)(direction == DIRECTION_EGRESS ? ATTACH_TCX_EGRESS
                                                                : ATTACH_TCX_INGRESS);
}

void link_pin_name(const char *interface, uint32_t ifindex, enum direction direction,
                   char name[LINK_PIN_SIZE])
{
    snprintf(name, LINK_PIN_SIZE, "%.*s-%u-%s", IF_NAMESIZE - 1, interface, ifindex,
             direction_names[direction]);
    for (char *dot = name; (dot = strchr(dot, '.'));)
        *dot = '_';
}

int link_pin_read(const char *name, uint32_t *ifindex, enum direction *direction)
{
    const char *second = strrchr(name, '-'), *first;
    unsigned long index;
    char *end;

    for (first = second; first && first > name && first[-1] != '-';)
        first--;
    if (strlen(name) >= LINK_PIN_SIZE || !first || first == name || *first < '1' || *first > '9')
        return -EINVAL;
    errno = 0;
    index = strtoul(first, &end, 10);
    if (errno || end != second || index > INT32_MAX)
        return -EINVAL;
    for (unsigned i = 0; i < DIRECTIONS; i++) {
        if (strcmp(second + 1, direction_names[i]) != 0)
            continue;
        *ifindex = (uint32_t)index;
        *direction = (enum direction)i;
        return 0;
    }
    return -EINVAL;
}

/* An interface that cannot exist: a kernel with tcx says so, one without does not get that far. */
bool tcx_is_known(int program)
{
    return bpf_link_create(program, INT32_MAX, attach_type(DIRECTION_EGRESS), NULL) == -ENODEV;
}

int tcx_attach(const struct pins *pins, uint32_t ifindex, enum direction direction, int program,
               const char *pin)
{
    /* "Before" nobody in particular: at the head of the list. */
    LIBBPF_OPTS(bpf_link_create_opts, options, .flags = LINK_BEFORE);
    _cleanup_close_ int link =
        bpf_link_create(program, (int)ifindex, attach_type(direction), &options);

    return link < 0 ? link : pins_pin(pins, link, "links", pin);
}

int tcx_update(const struct pins *pins, const char *pin, int program)
{
    _cleanup_close_ int link = pins_get(pins->root, "links", pin, false);
    int error = link < 0 ? link : bpf_link_update(link, program, NULL);

    return error == -ENOLINK ? -ENODEV : error;
}

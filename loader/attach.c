/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/attach.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "loader/attach_helper.h"
#include "loader/attach_hooks.h"

bool attach_name_matches(const char *pattern, const char *name)
{
    size_t length = strlen(pattern);

    if (length > 0 && pattern[length - 1] == '+')
        return strncmp(pattern, name, length - 1) == 0;
    return strcmp(pattern, name) == 0;
}

struct uplink *attach_find(struct attach *attach, uint32_t ifindex)
{
    for (size_t i = 0; i < attach->uplink_count; i++) {
        if (attach->uplinks[i].ifindex == ifindex)
            return &attach->uplinks[i];
    }
    return NULL;
}

static struct uplink *attach_add(struct attach *attach, uint32_t ifindex)
{
    struct uplink *uplink = attach_find(attach, ifindex);
    struct uplink *more;

    if (uplink)
        return uplink;
    more = reallocarray(attach->uplinks, attach->uplink_count + 1, sizeof(*more));
    if (!more)
        return NULL;
    attach->uplinks = more;
    uplink = &more[attach->uplink_count++];
    *uplink = (struct uplink){.ifindex = ifindex};
    return uplink;
}

static bool attach_is_wanted(const struct attach *attach, uint32_t ifindex, const char *name)
{
    if (attach->patterns->count == 0) {
        for (size_t i = 0; i < attach->default_count; i++) {
            if (attach->defaults[i] == ifindex)
                return true;
        }
        return false;
    }
    for (size_t i = 0; i < attach->patterns->count; i++) {
        if (attach_name_matches(attach->patterns->items[i], name))
            return true;
    }
    return false;
}

static int uplink_attach_one(struct attach *attach, struct uplink *uplink, const char *name,
                             enum direction direction)
{
    int program = attach->datapath->programs[direction];
    char pin[LINK_PIN_SIZE];
    int error;

    if (!attach->tcx)
        return clsact_attach(uplink->ifindex, direction, program);
    link_pin_name(name, uplink->ifindex, direction, pin);
    error = tcx_attach(attach->pins, uplink->ifindex, direction, program, pin);
    if (!error)
        memcpy(uplink->pins[direction], pin, sizeof(pin));
    return error;
}

/* Ingress first: nothing may leave by an interface that could not take the answers. */
static void uplink_attach(struct attach *attach, struct uplink *uplink, const char *name)
{
    static const enum direction order[DIRECTIONS] = {DIRECTION_INGRESS, DIRECTION_EGRESS};

    if (uplink->attached[DIRECTION_EGRESS] && uplink->attached[DIRECTION_INGRESS])
        return;
    for (unsigned i = 0; i < DIRECTIONS; i++) {
        int error = 0;

        if (uplink->attached[order[i]])
            continue;
        error = uplink_attach_one(attach, uplink, name, order[i]);
        if (error == -ENODEV)
            return;
        if (error) {
            attach->retry = true;
            if (!uplink->failed)
                log_error("the datapath cannot be attached to an uplink, it is tried again every "
                          "few seconds",
                          log_string("interface", name),
                          log_string("direction", direction_names[order[i]]), log_errno(error));
            uplink->failed = true;
            return;
        }
        uplink->attached[order[i]] = true;
    }
    uplink->failed = false;
    log_info("the datapath is attached", log_string("interface", name),
             log_number("ifindex", uplink->ifindex),
             log_string("hook", attach->tcx ? "tcx" : "clsact"));
}

static void uplink_forget(struct attach *attach, struct uplink *uplink)
{
    for (unsigned i = 0; i < DIRECTIONS; i++) {
        char path[PATH_MAX];

        if (uplink->pins[i][0] &&
            pins_path(attach->pins->root, "links", uplink->pins[i], path) == 0 &&
            unlink(path) < 0 && errno != ENOENT)
            log_warning("the pin of an interface that is gone cannot be removed",
                        log_string("path", path), log_errno(errno));
    }
    *uplink = attach->uplinks[--attach->uplink_count];
}

void attach_on_link(void *context, uint32_t ifindex, const char *name, bool gone)
{
    struct attach *attach = context;
    struct uplink *uplink = attach_find(attach, ifindex);
    bool wanted = !gone && name[0] && attach_is_wanted(attach, ifindex, name);

    if (gone) {
        if (uplink)
            uplink_forget(attach, uplink);
        return;
    }
    if (uplink && uplink->wanted && !wanted && name[0])
        log_info("the interface is no uplink any more, the datapath stays attached to it",
                 log_string("interface", name));
    if (wanted && !uplink)
        uplink = attach_add(attach, ifindex);
    if (wanted && !uplink)
        attach->retry = true;
    if (!uplink)
        return;
    uplink->wanted = wanted;
    if (wanted)
        uplink_attach(attach, uplink, name);
}

static void attach_on_default(void *context, uint32_t ifindex, bool gone)
{
    struct attach *attach = context;

    (void)gone;
    if (attach->default_count < ARRAY_SIZE(attach->defaults))
        attach->defaults[attach->default_count++] = ifindex;
}

int attach_scan(struct attach *attach)
{
    const struct netlink_handler handler = {attach_on_link, attach_on_default, attach};
    int error = 0;

    attach->retry = false;
    if (attach->patterns->count == 0) {
        attach->default_count = 0;
        error = netlink_dump_routes(attach->dumps, &handler);
    }
    if (!error)
        error = netlink_dump_links(attach->dumps, &handler);
    if (error != -EAGAIN)
        return error;
    attach->retry = true; /* it changes faster than it can be read */
    return 0;
}

/* A link that a predecessor left: the new program takes over in one step, or the pin is removed
 * where its interface is gone. */
static int pin_take_over(struct attach *attach, const char *pin)
{
    enum direction direction;
    struct uplink *uplink;
    char path[PATH_MAX];
    uint32_t ifindex;
    int error;

    if (link_pin_read(pin, &ifindex, &direction) < 0)
        return pins_path(attach->pins->root, "links", pin, path) == 0 && unlink(path) < 0 ? -errno
                                                                                          : 0;
    error = tcx_update(attach->pins, pin, attach->datapath->programs[direction]);
    if (error == -ENODEV) {
        error = pins_path(attach->pins->root, "links", pin, path);
        return error || unlink(path) == 0 ? error : -errno;
    }
    if (error)
        return error;
    uplink = attach_add(attach, ifindex);
    if (!uplink)
        return -ENOMEM;
    uplink->attached[direction] = uplink->wanted = true;
    memcpy(uplink->pins[direction], pin, strlen(pin) + 1);
    log_debug("the program of a pinned link is replaced", log_string("pin", pin));
    return 0;
}

static void cleanup_closedir(DIR **directory)
{
    if (*directory)
        closedir(*directory);
}

static int pins_take_over(struct attach *attach)
{
    _cleanup_(cleanup_closedir) DIR *directory = NULL;
    char path[PATH_MAX];
    struct dirent *entry;
    int error = pins_path(attach->pins->root, "links", NULL, path);

    if (error)
        return error;
    directory = opendir(path);
    if (!directory)
        return -errno;
    while ((entry = readdir(directory))) {
        if (entry->d_name[0] == '.')
            continue;
        error = pin_take_over(attach, entry->d_name);
        if (error) {
            log_error("a program that is attached cannot be replaced",
                      log_string("pin", entry->d_name), log_errno(error));
            return error;
        }
    }
    return 0;
}

static int attach_start(struct attach *attach)
{
    int error;

    attach->events = netlink_open_events(attach->patterns->count == 0);
    attach->dumps = netlink_open_dumps();
    if (attach->events < 0 || attach->dumps < 0) {
        error = attach->events < 0 ? attach->events : attach->dumps;
        log_error("cannot open a netlink socket", log_errno(error));
        return error;
    }
    attach->tcx = tcx_is_known(attach->datapath->programs[DIRECTION_EGRESS]);
    error = attach->tcx ? pins_take_over(attach) : 0;
    if (error)
        return error;
    error = attach_scan(attach);
    if (error)
        log_error("cannot list the interfaces", log_errno(error));
    else if (attach->uplink_count == 0)
        log_warning(attach->patterns->count
                        ? "no interface matches uplinks yet"
                        : "no interface holds a default route yet: set uplinks, "
                          "or wait for one");
    return error;
}

int attach_open(const struct config *config, const struct pins *pins,
                const struct datapath *datapath, struct attach **attach)
{
    struct attach *opened = calloc(1, sizeof(*opened));
    int error;

    if (!opened)
        return -ENOMEM;
    opened->patterns = &config->uplinks;
    opened->pins = pins;
    opened->datapath = datapath;
    opened->events = opened->dumps = -1;
    error = attach_start(opened);
    if (error) {
        attach_close(opened);
        return error;
    }
    *attach = opened;
    return 0;
}

void attach_close(struct attach *attach)
{
    if (!attach)
        return;
    cleanup_close(&attach->events);
    cleanup_close(&attach->dumps);
    free(attach->uplinks);
    free(attach);
}

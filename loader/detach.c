/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/detach.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "common/log.h"
#include "common/options.h"
#include "loader/attach_hooks.h"
#include "loader/attach_netlink.h"
#include "loader/object_system.h"
#include "loader/pins.h"

struct detach {
    unsigned filters; /* removed */
    int error;        /* the first one */
};

static void detach_note(struct detach *detach, int error)
{
    if (!detach->error)
        detach->error = error;
}

static void detach_filters_of(void *context, uint32_t ifindex, const char *name, bool gone)
{
    struct detach *detach = context;

    (void)gone;
    for (unsigned i = 0; i < DIRECTIONS && detach->error != -EPERM; i++) {
        int error = clsact_detach(ifindex, (enum direction)i);

        if (error == -ENOENT || error == -ENODEV)
            continue;
        if (error) {
            log_error("a filter cannot be removed: CAP_NET_ADMIN is needed",
                      log_string("interface", name), log_errno(error));
            detach_note(detach, error);
            continue;
        }
        detach->filters++;
        log_info("the filter is removed", log_string("interface", name),
                 log_string("direction", direction_names[i]));
    }
}

static void detach_filters(struct detach *detach)
{
    const struct netlink_handler handler = {detach_filters_of, NULL, detach};
    _cleanup_close_ int fd = netlink_open_dumps();
    int error = fd < 0 ? fd : netlink_dump_links(fd, &handler);

    if (error) {
        log_error("cannot list the interfaces", log_errno(error));
        detach_note(detach, error);
    }
}

/* Removes the directory and what is pinned in it; returns how many pins there were. */
static unsigned detach_folder(struct detach *detach, const char *root, const char *folder)
{
    char path[PATH_MAX], pin[PATH_MAX];
    DIR *directory;
    struct dirent *entry;
    unsigned removed = 0;
    int error = pins_path(root, folder, NULL, path);

    if (error) {
        detach_note(detach, error);
        return 0;
    }
    directory = opendir(path);
    while (directory && (entry = readdir(directory))) {
        if (entry->d_name[0] == '.' || pins_path(root, folder, entry->d_name, pin) < 0)
            continue;
        if (unlink(pin) == 0)
            removed++;
        else if (errno != ENOENT)
            detach_note(detach, -errno);
    }
    if (directory)
        closedir(directory);
    if (rmdir(path) < 0 && errno != ENOENT) {
        error = errno;
        log_error("cannot remove pins: root or the loader's user can", log_string("path", path),
                  log_errno(error));
        detach_note(detach, -error);
    }
    return removed;
}

int detach_run(const struct config *config)
{
    const char *root = config->paths.bpf;
    struct detach detach = {0};
    unsigned links, programs, maps;

    if (pins_are_used(root))
        log_warning("an egressgw-loader is running: stop it first, or it attaches again when it is "
                    "started anew",
                    log_string("path", root));
    /* Attachments first: a program whose maps are gone would drop or pass at random. */
    links = detach_folder(&detach, root, "links");
    detach_filters(&detach);
    programs = detach_folder(&detach, root, "programs");
    maps = detach_folder(&detach, root, "maps");
    if (rmdir(root) < 0 && errno != ENOENT && errno != EBUSY) {
        int error = errno;

        log_error("cannot remove the directory of the pins", log_string("path", root),
                  log_errno(error));
        detach_note(&detach, -error);
    }
    if (detach.error)
        return EXIT_FAILED;
    if (links + detach.filters + programs + maps == 0)
        log_info("nothing was attached", log_string("path", root));
    else
        log_info("the datapath is detached", log_string("path", root), log_number("links", links),
                 log_number("filters", detach.filters), log_number("programs", programs),
                 log_number("maps", maps));
    return EXIT_DONE;
}

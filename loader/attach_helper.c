/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/attach_helper.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "common/log.h"
#include "loader/sandbox.h"

enum { RETRY_MILLISECONDS = 5000, SEALED = 1 };

struct helper {
    struct attach *attach;
    bool scan; /* events alone do not tell what is wanted now */
};

static void helper_on_link(void *context, uint32_t ifindex, const char *name, bool gone)
{
    struct helper *helper = context;

    attach_on_link(helper->attach, ifindex, name, gone);
}

static void helper_on_default(void *context, uint32_t ifindex, bool gone)
{
    struct helper *helper = context;

    (void)ifindex;
    (void)gone;
    helper->scan = true;
}

/* Handles what waits on the events socket; a lost or strange event leads to a new look at all. */
static int helper_handle(struct helper *helper, bool events)
{
    const struct netlink_handler handler = {helper_on_link, helper_on_default, helper};
    int error = events ? netlink_read_events(helper->attach->events, &handler) : 0;

    if (error && error != -ENOBUFS && error != -EMSGSIZE && error != -EBADMSG)
        return error;
    helper->scan |= error != 0;
    if (!helper->scan)
        return 0;
    helper->scan = false;
    return attach_scan(helper->attach);
}

/* Until the parent is gone. */
static int helper_run(struct attach *attach, int parent)
{
    struct helper helper = {.attach = attach};

    for (;;) {
        struct pollfd fds[] = {{.fd = attach->events, .events = POLLIN},
                               {.fd = parent, .events = POLLIN}};
        int ready = poll(fds, ARRAY_SIZE(fds), attach->retry ? RETRY_MILLISECONDS : -1);
        int error;

        if (ready < 0 && errno != EINTR)
            return -errno;
        if (fds[1].revents)
            return 0;
        helper.scan |= ready == 0;
        error = helper_handle(&helper, ready > 0 && fds[0].revents);
        if (error)
            return error;
    }
}

/* Closes everything but standard error and what the helper works with. */
static int descriptors_keep(const struct attach *attach, int parent)
{
    const int kept[] = {STDERR_FILENO,
                        parent,
                        attach->events,
                        attach->dumps,
                        attach->datapath->programs[DIRECTION_EGRESS],
                        attach->datapath->programs[DIRECTION_INGRESS]};

    for (unsigned from = STDERR_FILENO + 1;;) {
        unsigned next = ~0U;

        for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
            if ((unsigned)kept[i] >= from && (unsigned)kept[i] < next)
                next = (unsigned)kept[i];
        }
        if (next > from && close_range(from, next == ~0U ? next : next - 1, 0) < 0)
            return -errno;
        if (next == ~0U)
            return 0;
        from = next + 1;
    }
}

static int helper_seal(const struct attach *attach, int parent, const struct config *config)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    const char sealed = SEALED;
    int error;

    /* A signal to the whole group ends the parent, and that ends us: in this order. */
    if (sigaction(SIGTERM, &ignore, NULL) < 0 || sigaction(SIGINT, &ignore, NULL) < 0 ||
        sigaction(SIGPIPE, &ignore, NULL) < 0 || prctl(PR_SET_NAME, "egressgw-attach") < 0)
        return -errno;
    error = descriptors_keep(attach, parent);
    if (!error)
        error = sandbox_seal_helper(config->users.loader, config->paths.bpf);
    if (!error && write(parent, &sealed, sizeof(sealed)) != sizeof(sealed))
        error = -EPIPE;
    return error;
}

static _Noreturn void helper_main(struct attach *attach, int parent, const struct config *config)
{
    int error = helper_seal(attach, parent, config);

    if (!error)
        error = helper_run(attach, parent);
    if (error)
        log_error("the attach helper ends", log_errno(error));
    _exit(error ? EXIT_FAILURE : EXIT_SUCCESS);
}

int attach_fork(struct attach *attach, const struct config *config)
{
    _cleanup_close_ int ours = -1;
    int pair[2];
    char sealed;
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    pid = fork();
    if (pid == 0) {
        close(pair[0]);
        helper_main(attach, pair[1], config);
    }
    ours = pair[0];
    close(pair[1]);
    if (pid < 0) {
        log_error("cannot start the attach helper", log_errno(errno));
        return -EAGAIN;
    }
    if (read(ours, &sealed, sizeof(sealed)) != sizeof(sealed)) {
        log_error("the attach helper did not start");
        return -ECHILD;
    }
    return TAKE_FD(ours);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Follows the log of drops. Each processor writes to its own part of it; the reader asks a few
 * times a second how far they are and reads what is new, so it needs to be allowed no more than to
 * read maps, and takes nothing from another reader.
 */
#include "loader/drops.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <inttypes.h>
#include <net/if.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "common/log.h"
#include "common/options.h"
#include "ipc/reasons.h"
#include "loader/drops_log.h"
#include "loader/pins.h"

/* Of what is in the log already, so many are shown at the start. */
enum { HISTORY = 10 };

#define NS_PER_SECOND  1000000000ULL
#define PAUSE_NS       100000000L
#define TURNS_A_SECOND 10

struct follower {
    const struct config *config;
    enum show_format format;
    FILE *out;
    struct drops_log log;
    int names;          /* the map of policies */
    uint64_t explained; /* bits of reasons whose meaning was printed */
    uint64_t suppressed[DROP_REASONS_MOST];
};

static volatile sig_atomic_t ended;

static void on_signal(int number)
{
    (void)number;
    ended = 1;
}

static uint64_t clock_now(clockid_t clock)
{
    struct timespec now = {0};

    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

static const char *policy_format(int names, uint32_t number, char buffer[POLICY_NAME_SIZE])
{
    struct policy_name name;

    buffer[0] = '\0';
    if (number == 0)
        return buffer;
    if (bpf_map_lookup_elem(names, &number, &name) == 0 && policy_name_check(&name) == 0)
        memcpy(buffer, name.text, POLICY_NAME_SIZE);
    else
        snprintf(buffer, POLICY_NAME_SIZE, "%" PRIu32, number);
    return buffer;
}

/* The kernel lets a name hold characters that would need an escape: those are not shown. */
static const char *interface_format(uint32_t ifindex, char buffer[IF_NAMESIZE])
{
    if (!if_indextoname(ifindex, buffer))
        snprintf(buffer, IF_NAMESIZE, "%" PRIu32, ifindex);
    for (char *c = buffer; *c; c++) {
        if (*c < '!' || *c > '~' || *c == '"' || *c == '\\')
            *c = '?';
    }
    return buffer;
}

/* Says once what a reason means. */
static void explain(struct follower *follower, unsigned reason)
{
    uint64_t bit = 1ULL << reason;

    if (follower->format == SHOW_JSON || follower->explained & bit)
        return;
    follower->explained |= bit;
    fprintf(follower->out, "    (%s: %s; %s)\n", reason_of_drop(reason)->name,
            reason_of_drop(reason)->meaning, reason_of_drop(reason)->remedy);
}

static void follower_print(struct follower *follower, const struct drop_record *record)
{
    char policy[POLICY_NAME_SIZE], interface[IF_NAMESIZE];
    struct drop_line line = {
        .record = record,
        .time = record->time + clock_now(CLOCK_REALTIME) - clock_now(CLOCK_MONOTONIC),
        .policy = policy_format(follower->names, record->policy, policy),
        .interface = interface_format(record->ifindex, interface),
    };

    drops_print(&line, follower->format, follower->out);
    explain(follower, record->reason < DROP_REASONS_MOST ? record->reason : DROP_REASONS_MOST - 1);
}

/* What was dropped without a record since the last time. */
static void follower_print_suppressed(struct follower *follower)
{
    for (unsigned reason = 0; reason < DROP_REASONS_MOST; reason++) {
        uint64_t total = follower->log.suppressed[reason];

        if (total > follower->suppressed[reason])
            drops_print_suppressed(reason, total - follower->suppressed[reason],
                                   clock_now(CLOCK_REALTIME), follower->format, follower->out);
        follower->suppressed[reason] = total;
    }
}

/* Whether the maps are still those that are pinned. */
static bool maps_are_pinned(const struct follower *follower)
{
    _cleanup_close_ int fd = pins_get(follower->config->paths.bpf, "maps", MAP_DROP_LOG, true);
    struct bpf_map_info ours = {0}, pinned = {0};
    __u32 size = sizeof(ours);

    return fd >= 0 && bpf_obj_get_info_by_fd(follower->log.records, &ours, &size) == 0 &&
           bpf_obj_get_info_by_fd(fd, &pinned, &size) == 0 && ours.id == pinned.id;
}

static int follow(struct follower *follower)
{
    const struct timespec pause = {.tv_nsec = PAUSE_NS};
    int error = drops_log_read(&follower->log);

    if (follower->log.count > HISTORY)
        drops_log_skip(&follower->log, follower->log.count - HISTORY);
    memcpy(follower->suppressed, follower->log.suppressed, sizeof(follower->suppressed));
    for (unsigned turn = 0; !error && !ended; turn++) {
        for (size_t i = 0; i < follower->log.count; i++)
            follower_print(follower, &follower->log.items[i]);
        if (turn % TURNS_A_SECOND == 0)
            follower_print_suppressed(follower);
        if (fflush(follower->out) == EOF)
            return -EIO;
        if (turn % TURNS_A_SECOND == 0 && !maps_are_pinned(follower)) {
            log_error("the maps are gone: the datapath was ended by --detach");
            return -ENOENT;
        }
        nanosleep(&pause, NULL);
        error = drops_log_read(&follower->log);
    }
    return error;
}

int drops_run(const struct config *config, enum show_format format, FILE *out)
{
    struct follower follower = {.config = config, .format = format, .out = out, .names = -1};
    struct sigaction action = {.sa_handler = on_signal};
    int error = show_check_layout(config);

    if (error)
        return EXIT_FAILED;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    follower.names = show_open(config, MAP_POLICIES);
    error = follower.names < 0 ? follower.names : drops_log_open(config, &follower.log);
    if (!error) {
        error = follow(&follower);
        if (error && error != -ENOENT)
            log_error("the log of drops cannot be shown", log_errno(error));
    }
    drops_log_close(&follower.log);
    cleanup_close(&follower.names);
    return error ? EXIT_FAILED : EXIT_DONE;
}

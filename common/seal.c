/* SPDX-License-Identifier: Apache-2.0 */
#include "common/seal.h"

#include <errno.h>
#include <grp.h>
#include <linux/securebits.h>
#include <pwd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "common/log.h"
#include "common/seal_filter.h"

/* Capabilities in a build of libcap are numbered from 0 to cap_max_bits() - 1. */
#define _cleanup_cap_ _cleanup_(cleanup_cap)

static void cleanup_cap(cap_t *capabilities)
{
    if (*capabilities)
        cap_free(*capabilities);
}

static int user_parse_number(const char *user, uint32_t *number)
{
    char *end;

    if (*user < '0' || *user > '9')
        return -EINVAL;
    errno = 0;
    unsigned long long value = strtoull(user, &end, 10);
    if (errno || *end || value >= UINT32_MAX)
        return -EINVAL;
    *number = (uint32_t)value;
    return 0;
}

int seal_resolve_user(const char *user, uid_t *uid, gid_t *gid)
{
    char buffer[16384];
    struct passwd entry, *found;
    uint32_t number;

    if (user_parse_number(user, &number) == 0) {
        *uid = number;
        *gid = number;
        return 0;
    }
    int result = getpwnam_r(user, &entry, buffer, sizeof(buffer), &found);
    if (!found)
        return result && result != ENOENT ? -result : -ENOENT;
    *uid = entry.pw_uid;
    *gid = entry.pw_gid;
    return 0;
}

static bool has_effective(cap_value_t value)
{
    _cleanup_cap_ cap_t now = cap_get_proc();
    cap_flag_value_t flag = CAP_CLEAR;

    return now && cap_get_flag(now, value, CAP_EFFECTIVE, &flag) == 0 && flag == CAP_SET;
}

static bool capabilities_are(cap_t wanted)
{
    _cleanup_cap_ cap_t now = cap_get_proc();

    return now && cap_compare(now, wanted) == 0;
}

/* Exactly these and, with `extra`, that one; inheritable and ambient are empty. Where there is
 * nothing to change the kernel is not asked: a service manager may have forbidden capset(). */
static int capabilities_set(const struct seal *seal, const cap_value_t *extra)
{
    _cleanup_cap_ cap_t wanted = cap_init();
    static const cap_flag_t flags[] = {CAP_PERMITTED, CAP_EFFECTIVE};

    if (!wanted)
        return -ENOMEM;
    for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
        if (seal->keep_count &&
            cap_set_flag(wanted, flags[i], (int)seal->keep_count, seal->keep, CAP_SET))
            return -errno;
        if (extra && cap_set_flag(wanted, flags[i], 1, extra, CAP_SET))
            return -errno;
    }
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0))
        return -errno;
    if (capabilities_are(wanted))
        return 0;
    if (cap_set_proc(wanted))
        return -errno;
    return capabilities_are(wanted) ? 0 : -EPERM;
}

static int root_change(const char *root)
{
    if (!root)
        return 0;
    return chroot(root) || chdir("/") ? -errno : 0;
}

static int ids_change(uid_t uid, gid_t gid)
{
    if (setgroups(0, NULL))
        return -errno;
    if (setresgid(gid, gid, gid))
        return -errno;
    return setresuid(uid, uid, uid) ? -errno : 0;
}

static bool ids_are(uid_t uid, gid_t gid)
{
    uid_t uids[3];
    gid_t gids[3];

    if (getresuid(&uids[0], &uids[1], &uids[2]) || getresgid(&gids[0], &gids[1], &gids[2]))
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(uids); i++)
        if (uids[i] != uid || gids[i] != gid)
            return false;
    return true;
}

/* From root: what is to be kept survives the change, and CAP_SETPCAP with it until the bounding
 * set is dropped. */
static int become_from_root(const struct seal *seal, uid_t uid, gid_t gid)
{
    static const cap_value_t setpcap = CAP_SETPCAP;
    bool bounding = has_effective(CAP_SETPCAP);
    int result;

    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0))
        return -errno;
    result = root_change(seal->root);
    if (!result)
        result = ids_change(uid, gid);
    if (!result && (!ids_are(uid, gid) || getgroups(0, NULL) != 0))
        result = -EPERM;
    if (!result)
        result = capabilities_set(seal, bounding ? &setpcap : NULL);
    if (!result && prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0))
        result = -errno;
    return result;
}

/* Pages as they are touched, and those of later. With a limit the next allocation would fail: then
 * nothing is locked. Root sets none where it may, a service manager has to. */
static void memory_lock(void)
{
    struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};

    if (setrlimit(RLIMIT_MEMLOCK, &limit) && getrlimit(RLIMIT_MEMLOCK, &limit))
        limit.rlim_cur = 0;
    if (limit.rlim_cur == RLIM_INFINITY && !mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT))
        return;
    log_info(
        "memory is not locked, secrets may be written to swap: LimitMEMLOCK=infinity locks it");
}

int seal_become_user(const struct seal *seal)
{
    uid_t uid;
    gid_t gid;
    int result = seal_resolve_user(seal->user, &uid, &gid);

    if (result) {
        log_error("the user of this daemon does not exist: create the account, or name another "
                  "in the configuration (users)",
                  log_string("user", seal->user), log_errno(result));
        return result;
    }
    if (uid == 0 || gid == 0) {
        log_error("this daemon must not run as root: name another user in the configuration "
                  "(users)",
                  log_string("user", seal->user));
        return -EPERM;
    }
    if (seal->limits.lock_memory)
        memory_lock();
    if (geteuid() != 0) {
        if (ids_are(uid, gid))
            return 0;
        log_error("started as the wrong user: start this daemon as root or as its own user",
                  log_string("user", seal->user), log_number("uid", geteuid()),
                  log_number("gid", getegid()));
        return -EPERM;
    }
    result = become_from_root(seal, uid, gid);
    if (result)
        log_error("cannot change to the user of this daemon: it needs CAP_SETUID, CAP_SETGID, "
                  "CAP_SYS_CHROOT and what it keeps",
                  log_string("user", seal->user), log_errno(result));
    return result;
}

/* Without CAP_SETPCAP (started by a service manager as its own user) the set stays as it is. It
 * only matters to an execve(), which no_new_privs keeps from adding anything. */
static int bounding_drop(void)
{
    if (!has_effective(CAP_SETPCAP))
        return 0;
    for (cap_value_t value = 0; value < cap_max_bits(); value++) {
        int present = cap_get_bound(value);

        if (present < 0)
            return -errno;
        if (present && (cap_drop_bound(value) || cap_get_bound(value) != 0))
            return -EPERM;
    }
    return 0;
}

/* Root's uid means nothing from here on, and none of this can be turned back. */
static int securebits_lock(void)
{
    const unsigned bits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
                          SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
                          SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;

    if (!has_effective(CAP_SETPCAP))
        return 0;
    if (prctl(PR_SET_SECUREBITS, bits, 0, 0, 0))
        return -errno;
    return prctl(PR_GET_SECUREBITS, 0, 0, 0, 0) == (int)bits ? 0 : -EPERM;
}

static int capabilities_drop(const struct seal *seal)
{
    int result = bounding_drop();

    if (!result)
        result = securebits_lock();
    if (!result)
        result = capabilities_set(seal, NULL);
    return result;
}

static int new_privileges_forbid(const struct seal *seal)
{
    (void)seal;
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        return -errno;
    return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1
               ? 0
               : -EPERM;
}

/* Sets soft and hard limit; where the hard limit is lower already, that one stays. */
static int limit_set(__rlimit_resource_t resource, uint64_t value)
{
    struct rlimit limit, now;

    if (getrlimit(resource, &limit))
        return -errno;
    limit.rlim_max = limit.rlim_max < value ? limit.rlim_max : value;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(resource, &limit))
        return -errno;
    if (getrlimit(resource, &now))
        return -errno;
    return now.rlim_cur <= value && now.rlim_max <= value ? 0 : -EPERM;
}

static bool stderr_is_file(void)
{
    struct stat status;

    return fstat(STDERR_FILENO, &status) == 0 && S_ISREG(status.st_mode);
}

static int limits_set(const struct seal *seal)
{
    const struct seal_limits *limits = &seal->limits;
    int result = limit_set(RLIMIT_CORE, 0);

    if (!result)
        result = limit_set(RLIMIT_NOFILE, limits->open_files);
#ifndef __SANITIZE_ADDRESS__ /* its shadow memory takes terabytes of address space */
    if (!result && limits->address_space)
        result = limit_set(RLIMIT_AS, limits->address_space);
#endif
    if (!result && limits->no_file_writes && !stderr_is_file())
        result = limit_set(RLIMIT_FSIZE, 0);
    if (!result && limits->no_processes)
        result = limit_set(RLIMIT_NPROC, 0);
    return result;
}

static int files_forbid(const struct seal *seal)
{
    struct landlock none = {.ruleset = -1};
    int result = seal->landlock ? 0 : landlock_open(&none);

    if (!result)
        result = landlock_enforce(seal->landlock ? seal->landlock : &none);
    landlock_close(&none);
    return result;
}

static int filter_set(const struct seal *seal)
{
    return seal_filter_load(seal->rules, seal->rule_count);
}

int seal_drop_privileges(const struct seal *seal)
{
    static const struct {
        const char *problem;
        int (*take)(const struct seal *seal);
    } steps[] = {
        {"cannot give up capabilities: those to be kept must be there at the start",
         capabilities_drop},
        {"cannot forbid new privileges: the kernel must offer no_new_privs", new_privileges_forbid},
        {"cannot set resource limits", limits_set},
        {"cannot restrict files by Landlock", files_forbid},
        {"cannot filter system calls: the kernel needs CONFIG_SECCOMP_FILTER", filter_set},
    };

    for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
        int result = steps[i].take(seal);

        if (result) {
            log_error(steps[i].problem, log_string("user", seal->user), log_errno(result));
            return result;
        }
    }
    return 0;
}

int seal_process(const struct seal *seal)
{
    int result = seal_become_user(seal);

    return result ? result : seal_drop_privileges(seal);
}

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COMMON_SEAL_H
#define COMMON_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/capability.h>
#include <sys/types.h>

#include "common/landlock.h"
#include "common/macros.h"

/*
 * How a daemon gives up what it does not need. One order for all of them: root directory, groups,
 * gid, uid -> bounding set and capabilities -> no_new_privs -> rlimits -> files -> seccomp. Each
 * step is verified after it was taken; a failure is logged with what to do, and the daemon must
 * end.
 */

/* Up to two rules on arguments of a system call, both of which must hold. The kernel compares all
 * 64 bits: for an int use ARGUMENT_MASKED, as its upper half may hold anything. */
struct seccomp_argument {
    bool used;
    unsigned index; /* 0-5 */
    enum { ARGUMENT_EQUAL, ARGUMENT_MASKED, ARGUMENT_AT_MOST } test;
    uint64_t mask; /* with ARGUMENT_MASKED: (argument & mask) == value */
    uint64_t value;
};

/* A system call that is allowed. The same call may stand in several rows: any of them lets it
 * through. */
struct seccomp_rule {
    int call; /* SCMP_SYS(name); negative pseudo numbers (not on this architecture) are skipped */
    struct seccomp_argument arguments[2];
};

/* Rows and their parts, for a file that includes <seccomp.h>. */
#define SECCOMP_CALL(name)                                                                         \
    {                                                                                              \
        .call = SCMP_SYS(name)                                                                     \
    }
#define SECCOMP_INT(index_, value_)                                                                \
    {                                                                                              \
        .used = true, .index = index_, .test = ARGUMENT_MASKED, .mask = UINT32_MAX,                \
        .value = value_                                                                            \
    }

struct seal_limits {
    uint64_t open_files;
    uint64_t address_space; /* bytes; 0: not limited */
    bool no_file_writes;    /* RLIMIT_FSIZE 0, unless stderr is a file: the log has to go on */
    bool no_processes;      /* RLIMIT_NPROC 0: the process cannot fork */
    bool lock_memory;       /* never written to swap, where nothing limits that */
};

struct seal {
    const char *user;        /* a name or a number; used where the process started as root */
    const char *root;        /* the directory that becomes its root, where it started as root */
    const cap_value_t *keep; /* effective and permitted capabilities that stay */
    size_t keep_count;
    struct seal_limits limits;
    struct landlock *landlock;        /* what stays in reach; NULL: no file and no port */
    const struct seccomp_rule *rules; /* beside those that every daemon has */
    size_t rule_count;                /* what every daemon has: seal_common_rules */
};

extern const struct seccomp_rule seal_common_rules[];
extern const size_t seal_common_rule_count;

/* The uid and gid of a user given by name or number (a number stands for uid and gid alike).
 * -ENOENT: no such user. */
int seal_resolve_user(const char *user, uid_t *uid, gid_t *gid) _must_check_;

/* Seals the process. Started as root it becomes `user`; started as that user already (systemd) it
 * stays; as anybody else it is refused: -EPERM. On failure an error has been logged. */
int seal_process(const struct seal *seal) _must_check_;

/* The same in parts, for the order in which a daemon opens things. */
int seal_become_user(const struct seal *seal) _must_check_;     /* keeps `keep` across the change */
int seal_drop_privileges(const struct seal *seal) _must_check_; /* everything after the user */

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "common/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "tests/unit/sealing.h"

static const struct seal_limits plain_limits = {.open_files = OTHER_LIMIT};

static void resolve_users(void **state)
{
    uid_t uid = 7;
    gid_t gid = 8;

    (void)state;
    assert_int_equal(seal_resolve_user("no-such-user-here", &uid, &gid), -ENOENT);
    assert_int_equal(seal_resolve_user("4294967295", &uid, &gid), -ENOENT);
    assert_int_equal(seal_resolve_user("12x", &uid, &gid), -ENOENT);
    assert_int_equal(uid, 7);
    assert_int_equal(gid, 8);
    assert_int_equal(seal_resolve_user(OTHER_USER, &uid, &gid), 0);
    assert_int_equal(uid, OTHER_UID);
    assert_int_equal(gid, OTHER_UID);
    assert_int_equal(seal_resolve_user("root", &uid, &gid), 0);
    assert_int_equal(uid, 0);
}

static void refuse_users(void **state)
{
    (void)state;
    log_set_sink(keep_log, NULL);
    assert_int_equal(seal_become_user(&(struct seal){.user = "no-such-user-here"}), -ENOENT);
    assert_non_null(strstr(last_log, "user=no-such-user-here"));
    assert_int_equal(seal_become_user(&(struct seal){.user = "root"}), -EPERM);
    assert_int_equal(seal_become_user(&(struct seal){.user = "0"}), -EPERM);
    assert_non_null(strstr(last_log, "must not run as root"));
    if (geteuid() != 0) {
        assert_int_equal(seal_become_user(&(struct seal){.user = OTHER_USER}), -EPERM);
        assert_non_null(strstr(last_log, "wrong user"));
    }
    log_set_sink(NULL, NULL);
}

static int wrong_user(void)
{
    log_set_sink(keep_log, NULL);
    if (setresgid(1, 1, 1) || setresuid(1, 1, 1))
        return 1;
    return seal_process(&(struct seal){.user = OTHER_USER, .limits = plain_limits}) == -EPERM ? 0
                                                                                              : 2;
}

static void refuse_wrong_user(void **state)
{
    (void)state;
    assert_exits(wrong_user, 0);
}

/* A child that has sealed itself and waits, so that what the kernel says of it can be read. */
struct sealed {
    pid_t pid;
    int go[2];
    char status[8192];
    char limits[4096];
};

static struct sealed sealed_child;

/* What a service manager does to a process that it starts as `uid` with an ambient capability. */
static int start_as(uid_t uid)
{
    static const cap_value_t ambient[] = {CAP_NET_ADMIN};
    static const cap_flag_t flags[] = {CAP_PERMITTED, CAP_EFFECTIVE, CAP_INHERITABLE};
    cap_t wanted = cap_init();

    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) || setresgid(uid, uid, uid) || setresuid(uid, uid, uid))
        return -1;
    for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
        cap_set_flag(wanted, flags[i], 1, ambient, CAP_SET);
    return cap_set_proc(wanted) || cap_free(wanted) || cap_set_ambient(ambient[0], CAP_SET);
}

static void read_proc(pid_t pid, const char *name, char *data, size_t size)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t length = read(fd, data, size - 1);
    close(fd);
    assert_true(length > 0);
    data[length] = '\0';
}

static void sealed_start(struct sealed *sealed, const struct seal *seal, uid_t before)
{
    int ready[2];
    char byte = 1;

    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    assert_int_equal(pipe2(sealed->go, O_CLOEXEC), 0);
    sealed->pid = fork();
    assert_true(sealed->pid >= 0);
    if (sealed->pid == 0) {
        /* not a file, whatever the test's own stderr is */
        if (dup2(ready[1], STDERR_FILENO) < 0)
            _exit(1);
        close(sealed->go[1]);
        if (setgroups(1, (const gid_t[]){before ? before : 77}) || (before && start_as(before)))
            _exit(2);
        if (seal_process(seal))
            _exit(3);
        if (write(ready[1], &byte, 1) != 1 || read(sealed->go[0], &byte, 1) != 0)
            _exit(4);
        _exit(0);
    }
    close(ready[1]);
    close(sealed->go[0]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(byte, 1);
    close(ready[0]);
    read_proc(sealed->pid, "status", sealed->status, sizeof(sealed->status));
    if (geteuid() == 0)
        read_proc(sealed->pid, "limits", sealed->limits, sizeof(sealed->limits));
}

/* The child of a test that failed would wait for ever. */
static int sealed_kill(void **state)
{
    (void)state;
    if (sealed_child.pid > 0) {
        kill(sealed_child.pid, SIGKILL);
        waitpid(sealed_child.pid, NULL, 0);
        sealed_child.pid = 0;
    }
    return 0;
}

static void sealed_end(struct sealed *sealed)
{
    int status;

    close(sealed->go[1]);
    assert_int_equal(waitpid(sealed->pid, &status, 0), sealed->pid);
    sealed->pid = 0;
    assert_int_equal(status, 0);
}

/* `line` is one line of /proc/PID/status between its newlines. */
static void assert_status(const struct sealed *sealed, const char *line)
{
    const char *name = line + 1;
    int length = (int)strcspn(name, ":");
    const char *found = strstr(sealed->status, line);

    for (const char *next = sealed->status; !found && next; next = strchr(next + 1, '\n'))
        if (strncmp(next + 1, name, (size_t)length + 1) == 0)
            print_error("%.*s, not%s", (int)strcspn(next + 1, "\n"), next + 1, line);
    assert_non_null(found);
}

static void assert_limit(const struct sealed *sealed, const char *name, uint64_t value)
{
    const char *line = strstr(sealed->limits, name);
    uint64_t soft, hard;

    assert_non_null(line);
    assert_int_equal(sscanf(line + strlen(name), "%" SCNu64 " %" SCNu64, &soft, &hard), 2);
    assert_int_equal(soft, value);
    assert_int_equal(hard, value);
}

static void assert_unprivileged(const struct sealed *sealed)
{
    assert_status(sealed, "\nUid:\t64123\t64123\t64123\t64123\n");
    assert_status(sealed, "\nGid:\t64123\t64123\t64123\t64123\n");
    assert_status(sealed, "\nGroups:\t \n");
    assert_status(sealed, "\nCapInh:\t0000000000000000\n");
    assert_status(sealed, "\nCapAmb:\t0000000000000000\n");
    assert_status(sealed, "\nNoNewPrivs:\t1\n");
    assert_status(sealed, "\nSeccomp:\t2\n");
}

static void seal_from_root(void **state)
{
    const struct seal seal = {
        .user = OTHER_USER,
        .limits = {.open_files = OTHER_LIMIT,
                   .address_space = 1 << 30,
                   .no_file_writes = true,
                   .no_processes = true},
    };

    (void)state;
    sealed_start(&sealed_child, &seal, 0);
    assert_unprivileged(&sealed_child);
    assert_status(&sealed_child, "\nCapPrm:\t0000000000000000\n");
    assert_status(&sealed_child, "\nCapEff:\t0000000000000000\n");
    assert_status(&sealed_child, "\nCapBnd:\t0000000000000000\n");
    assert_limit(&sealed_child, "Max core file size", 0);
    assert_limit(&sealed_child, "Max open files", OTHER_LIMIT);
    assert_limit(&sealed_child, "Max file size", 0);
    assert_limit(&sealed_child, "Max processes", 0);
#ifndef __SANITIZE_ADDRESS__
    assert_limit(&sealed_child, "Max address space", 1 << 30);
#endif
    sealed_end(&sealed_child);
}

static void seal_keeps_capabilities(void **state)
{
    static const cap_value_t keep[] = {CAP_NET_ADMIN};
    const struct seal seal = {
        .user = OTHER_USER, .keep = keep, .keep_count = 1, .limits = plain_limits};

    (void)state;
    sealed_start(&sealed_child, &seal, 0);
    assert_unprivileged(&sealed_child);
    assert_status(&sealed_child, "\nCapPrm:\t0000000000001000\n");
    assert_status(&sealed_child, "\nCapEff:\t0000000000001000\n");
    assert_status(&sealed_child, "\nCapBnd:\t0000000000000000\n");
    sealed_end(&sealed_child);
}

/* As a service manager starts it: the user is right already, CAP_SETPCAP is not there. */
static void seal_as_own_user(void **state)
{
    const struct seal seal = {.user = OTHER_USER, .limits = plain_limits};

    (void)state;
    sealed_start(&sealed_child, &seal, OTHER_UID);
    assert_status(&sealed_child, "\nUid:\t64123\t64123\t64123\t64123\n");
    assert_status(&sealed_child, "\nCapPrm:\t0000000000000000\n");
    assert_status(&sealed_child, "\nCapEff:\t0000000000000000\n");
    assert_status(&sealed_child, "\nCapInh:\t0000000000000000\n");
    assert_status(&sealed_child, "\nCapAmb:\t0000000000000000\n");
    assert_status(&sealed_child, "\nNoNewPrivs:\t1\n");
    assert_status(&sealed_child, "\nSeccomp:\t2\n");
    sealed_end(&sealed_child);
}

static int keep_what_is_missing(void)
{
    static const cap_value_t keep[] = {CAP_NET_ADMIN};
    const struct seal seal = {
        .user = OTHER_USER, .keep = keep, .keep_count = 1, .limits = plain_limits};

    log_set_sink(keep_log, NULL);
    if (geteuid() == 0 && (setresgid(1, 1, 1) || setresuid(1, 1, 1)))
        return 1;
    return seal_drop_privileges(&seal) == -EPERM ? 0 : 2;
}

static void refuse_missing_capability(void **state)
{
    (void)state;
    assert_exits(keep_what_is_missing, 0);
}

/* As the units start the planner and the watcher: without any capability, and without the call
 * that changes them. */
static int drop_without_capset(void)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

    if (geteuid() == 0 && (setresgid(1, 1, 1) || setresuid(1, 1, 1)))
        return 1;
    if (!filter || seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(capset), 0) ||
        seccomp_load(filter))
        return 2;
    seccomp_release(filter);
    return drop_with(NULL, 0) ? 3 : 0;
}

static void seal_where_nothing_is_held(void **state)
{
    (void)state;
    assert_exits(drop_without_capset, 0);
}

static int become_in_parts(void)
{
    static const cap_value_t keep[] = {CAP_NET_ADMIN};
    const struct seal first = {.user = OTHER_USER, .keep = keep, .keep_count = 1};
    const struct seal last = {.user = OTHER_USER, .limits = plain_limits};
    cap_flag_value_t flag = CAP_CLEAR;

    if (seal_become_user(&first))
        return 1;
    cap_t now = cap_get_proc();
    if (cap_get_flag(now, CAP_NET_ADMIN, CAP_EFFECTIVE, &flag) || flag != CAP_SET)
        return 2;
    if (cap_get_flag(now, CAP_SYS_ADMIN, CAP_PERMITTED, &flag) || flag != CAP_CLEAR)
        return 3;
    cap_free(now);
    return seal_drop_privileges(&last) ? 4 : 0;
}

static void seal_in_parts(void **state)
{
    (void)state;
    assert_exits(become_in_parts, 0);
}

/* Writes to a file that was open before; the limit counts, not the filter. */
static int write_file(bool stderr_is_a_file)
{
    char path[] = "/tmp/egressgw-test-seal-XXXXXX";
    const struct seal seal = {.user = OTHER_USER,
                              .limits = {.open_files = OTHER_LIMIT, .no_file_writes = true}};
    int fd = mkstemp(path), ends[2];

    if (fd < 0 || unlink(path) || pipe(ends))
        return -1;
    signal(SIGXFSZ, SIG_IGN);
    if (dup2(stderr_is_a_file ? fd : ends[1], STDERR_FILENO) < 0 || seal_drop_privileges(&seal))
        return -1;
    return write(fd, "x", 1) == 1 ? 0 : errno;
}

static int write_with_pipe(void)
{
    return write_file(false) == EFBIG ? 0 : 1;
}

static int write_with_file(void)
{
    return write_file(true) == 0 ? 0 : 1;
}

static void limit_file_writes(void **state)
{
    (void)state;
    assert_exits(write_with_pipe, 0);
    assert_exits(write_with_file, 0);
}

static int fork_with_filter_open(void)
{
    static const struct seccomp_rule rules[] = {
        {.call = SCMP_SYS(clone)}, {.call = SCMP_SYS(clone3)}, {.call = SCMP_SYS(set_robust_list)}};
    const struct seal seal = {
        .user = OTHER_USER,
        .limits = {.open_files = OTHER_LIMIT, .no_processes = true},
        .rules = rules,
        .rule_count = ARRAY_SIZE(rules),
    };

    if (seal_process(&seal))
        return 1;
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    return child < 0 && errno == EAGAIN ? 0 : 2;
}

static void limit_processes(void **state)
{
    (void)state;
    assert_exits(fork_with_filter_open, 0);
}

/* What comes after is locked as well, or nothing is; it never makes memory run out. */
static int lock_memory(void)
{
    const struct seal seal = {.user = OTHER_USER,
                              .limits = {.open_files = OTHER_LIMIT, .lock_memory = true}};
    struct rlimit limit;
    char status[8192], *line;
    bool wanted;

    log_set_sink(keep_log, NULL);
    if (seal_become_user(&seal) || getrlimit(RLIMIT_MEMLOCK, &limit))
        return 1;
    wanted = limit.rlim_cur == RLIM_INFINITY;
    _cleanup_free_ char *data = malloc(64 << 20);
    if (!data)
        return 2;
    memset(data, 1, 64 << 20);
    read_proc(getpid(), "status", status, sizeof(status));
    line = strstr(status, "VmLck:");
    if (!line || (strtol(line + strlen("VmLck:"), NULL, 10) >= 65536) != wanted)
        return 3;
    return wanted == !strstr(last_log, "not locked") ? 0 : 4;
}

static void lock_where_nothing_limits(void **state)
{
    (void)state;
    assert_exits(lock_memory, 0);
}

static char root[] = "/tmp/egressgw-test-seal-XXXXXX";

static int other_root(void)
{
    const struct seal seal = {.user = OTHER_USER, .root = root, .limits = plain_limits};

    if (seal_become_user(&seal))
        return 1;
    return access("/proc", F_OK) == 0 || access("proc", F_OK) == 0 || access("../tmp", F_OK) == 0
               ? 2
               : 0;
}

static void change_root(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(root));
    assert_int_equal(chmod(root, 0755), 0);
    int status = in_child(other_root);
    rmdir(root);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resolve_users),
        cmocka_unit_test(refuse_users),
        cmocka_unit_test(refuse_missing_capability),
        cmocka_unit_test(seal_where_nothing_is_held),
        cmocka_unit_test(limit_file_writes),
    };
    const struct CMUnitTest root_tests[] = {
        cmocka_unit_test(refuse_wrong_user),
        cmocka_unit_test_teardown(seal_from_root, sealed_kill),
        cmocka_unit_test_teardown(seal_keeps_capabilities, sealed_kill),
        cmocka_unit_test_teardown(seal_as_own_user, sealed_kill),
        cmocka_unit_test(seal_in_parts),
        cmocka_unit_test(limit_processes),
        cmocka_unit_test(lock_where_nothing_limits),
        cmocka_unit_test(change_root),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    if (geteuid() == 0)
        return failed + cmocka_run_group_tests(root_tests, NULL, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(root_tests); i++)
        printf("ok - %s # SKIP needs root\n", root_tests[i].name);
    return failed;
}

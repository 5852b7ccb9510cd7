/* SPDX-License-Identifier: Apache-2.0 */
/* Who has taken over a sealed process tries what is worth having: each of it ends the process, in
 * each process, by its own list of system calls. */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/netlink.h>
#include <sched.h>
#include <seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "common/seal_filter.h"
#include "loader/sandbox.h"
#include "planner/sandbox.h"
#include "watcher/sandbox.h"

#ifdef EGRESSGW_SECCOMP_TRAP
#define REFUSED SIGABRT /* after the call was named */
#else
#define REFUSED SIGSYS
#endif

enum { WATCHER = 1, PLANNER = 2, LOADER = 4, HELPER = 8, NOBODY = 0 };

static const struct {
    const char *name;
    unsigned bit;
    const struct seccomp_rule *rules;
    const size_t *count;
} processes[] = {
    {"watcher", WATCHER, watcher_rules, &watcher_rule_count},
    {"planner", PLANNER, planner_rules, &planner_rule_count},
    {"loader", LOADER, loader_rules, &loader_rule_count},
    {"attach helper", HELPER, helper_rules, &helper_rule_count},
};

#define PATH       (long)"/tmp/egressgw-test-filters"
#define PAGE       4096
#define CALL(name) #name, SYS_##name

/* `but`: whose work this is. What they may reach with it, others tests show. */
static const struct attack {
    const char *name;
    long call;
    long arguments[6];
    unsigned but;
} attacks[] = {
    {CALL(execve), {PATH}, NOBODY},
    {CALL(execveat), {AT_FDCWD, PATH}, NOBODY},
    {CALL(clone), {SIGCHLD}, NOBODY},
    {"clone, a new user namespace", SYS_clone, {CLONE_NEWUSER | SIGCHLD}, NOBODY},
    {CALL(clone3), {0}, NOBODY},
    {CALL(unshare), {CLONE_NEWUSER | CLONE_NEWNET}, NOBODY},
    {CALL(setns), {0, 0}, NOBODY},
    {CALL(ptrace), {0}, NOBODY},
    {CALL(process_vm_readv), {1}, NOBODY},
    {CALL(process_vm_writev), {1}, NOBODY},
    {CALL(pidfd_getfd), {0, 0, 0}, NOBODY},
    {CALL(kill), {1, 0}, NOBODY},
    {"tgkill, another process", SYS_tgkill, {1, 1, SIGABRT}, NOBODY},
    {"openat, for writing", SYS_openat, {AT_FDCWD, PATH, O_WRONLY}, NOBODY},
    {"openat, making a file", SYS_openat, {AT_FDCWD, PATH, O_RDONLY | O_CREAT, 0600}, NOBODY},
    {"openat, for reading", SYS_openat, {AT_FDCWD, PATH, O_RDONLY}, WATCHER},
    {CALL(openat2), {AT_FDCWD, PATH}, NOBODY},
    {CALL(open_by_handle_at), {0}, NOBODY},
    {CALL(memfd_create), {PATH, 0}, NOBODY},
    {CALL(mknodat), {AT_FDCWD, PATH, 0600}, NOBODY},
    {CALL(linkat), {AT_FDCWD, PATH, AT_FDCWD, PATH}, NOBODY},
    {CALL(symlinkat), {PATH, AT_FDCWD, PATH}, NOBODY},
    {CALL(fchownat), {AT_FDCWD, PATH, 0, 0}, NOBODY},
    {CALL(mount), {PATH, PATH}, NOBODY},
    {CALL(umount2), {PATH}, NOBODY},
    {CALL(pivot_root), {PATH, PATH}, NOBODY},
    {CALL(chroot), {PATH}, NOBODY},
    {CALL(fsopen), {PATH}, NOBODY},
    {CALL(setresuid), {0, 0, 0}, NOBODY},
    {CALL(setgroups), {0}, NOBODY},
    {CALL(capset), {0}, NOBODY},
    {CALL(keyctl), {0}, NOBODY},
    {CALL(add_key), {PATH, PATH}, NOBODY},
    {CALL(io_uring_setup), {1, 0}, NOBODY},
    {CALL(userfaultfd), {0}, NOBODY},
    {CALL(perf_event_open), {0}, NOBODY},
    {CALL(init_module), {0}, NOBODY},
    {CALL(finit_module), {0}, NOBODY},
    {CALL(kexec_load), {0}, NOBODY},
    {CALL(reboot), {0}, NOBODY},
    {CALL(seccomp), {0}, NOBODY},
    {"prctl, dumpable again", SYS_prctl, {PR_SET_DUMPABLE, 1}, NOBODY},
    {"prlimit64, more of everything", SYS_prlimit64, {0}, NOBODY},
    {CALL(personality), {0xffffffff}, NOBODY},
    {"mmap, executable",
     SYS_mmap,
     {0, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1},
     NOBODY},
    {"mprotect, executable", SYS_mprotect, {0, PAGE, PROT_READ | PROT_EXEC}, NOBODY},
    {"bpf, load a program", SYS_bpf, {BPF_PROG_LOAD, 0, 0}, NOBODY},
    {"bpf, make a map", SYS_bpf, {BPF_MAP_CREATE, 0, 0}, NOBODY},
    {"bpf, a map by its number", SYS_bpf, {BPF_MAP_GET_FD_BY_ID, 0, 0}, NOBODY},
    {"bpf, what is pinned", SYS_bpf, {BPF_OBJ_GET, 0, 0}, NOBODY},
    {"bpf, attach in the old way", SYS_bpf, {BPF_PROG_ATTACH, 0, 0}, NOBODY},
    {"bpf, detach", SYS_bpf, {BPF_LINK_DETACH, 0, 0}, NOBODY},
    {"bpf, change an entry", SYS_bpf, {BPF_MAP_UPDATE_ELEM, 0, 0}, LOADER},
    {"bpf, make a link", SYS_bpf, {BPF_LINK_CREATE, 0, 0}, HELPER},
    {"socket, packets of an interface", SYS_socket, {AF_PACKET, SOCK_RAW}, NOBODY},
    {"socket, other messages of netlink",
     SYS_socket,
     {AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER},
     NOBODY},
    {"socket, cryptography", SYS_socket, {AF_ALG, SOCK_SEQPACKET}, NOBODY},
    {"socket, of a virtual machine", SYS_socket, {AF_VSOCK, SOCK_STREAM}, NOBODY},
    {"socket, raw IP", SYS_socket, {AF_INET, SOCK_RAW, 1}, NOBODY},
    {"socket, TCP", SYS_socket, {AF_INET, SOCK_STREAM, 0}, WATCHER},
    {CALL(listen), {0, 1}, NOBODY},
};

/* Other processes that the default action would not end make no difference: it is one filter. */
static _Noreturn void attack_run(size_t process, const struct attack *attack)
{
    const long *a = attack->arguments;

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
        seal_filter_load(processes[process].rules, *processes[process].count))
        _exit(100);
    syscall(attack->call, a[0], a[1], a[2], a[3], a[4], a[5]);
    _exit(0);
}

static bool attack_is_fatal(size_t process, const struct attack *attack)
{
    int status;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0)
        attack_run(process, attack);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 100);
    return WIFSIGNALED(status) && WTERMSIG(status) == REFUSED;
}

static void end_whoever_attacks(void **state)
{
    bool all = true;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(attacks); i++) {
        for (size_t process = 0; process < ARRAY_SIZE(processes); process++) {
            bool expected = !(attacks[i].but & processes[process].bit);

            if (attack_is_fatal(process, &attacks[i]) == expected)
                continue;
            print_error("%s: %s is %s\n", processes[process].name, attacks[i].name,
                        expected ? "let through" : "not let through any more");
            all = false;
        }
    }
    assert_true(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(end_whoever_attacks)};

#ifdef __SANITIZE_ADDRESS__
    /* The sanitizers' own calls are allowed in such a build. */
    printf("ok - %s # SKIP a build with sanitizers is allowed more\n", tests[0].name);
    return 0;
#else
    return cmocka_run_group_tests(tests, NULL, NULL);
#endif
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "common/seal_filter.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "common/log.h"

/* Flags: none of the bits in `bits_`. An int argument may carry anything in its upper half. */
#define WITHOUT(name, index_, bits_)                                                               \
    {                                                                                              \
        .call = SCMP_SYS(name), .arguments = {                                                     \
            {.used = true, .index = index_, .test = ARGUMENT_MASKED, .mask = bits_}                \
        }                                                                                          \
    }

/* What every daemon does after its start: use the descriptors that it has, wait, take memory that
 * is not executable, log, end. */
const struct seccomp_rule seal_common_rules[] = {
    SECCOMP_CALL(read),
    SECCOMP_CALL(write),
    SECCOMP_CALL(recvmsg),
    SECCOMP_CALL(sendto),
    SECCOMP_CALL(sendmsg),
    SECCOMP_CALL(close),
    SECCOMP_CALL(epoll_ctl),
#ifdef __NR_epoll_wait
    SECCOMP_CALL(epoll_wait),
#else
    SECCOMP_CALL(epoll_pwait),
#endif
    /* the vDSO falls back to these where the clock source cannot be read in user space */
    SECCOMP_CALL(clock_gettime),
    SECCOMP_CALL(gettimeofday),
    SECCOMP_CALL(brk),
    SECCOMP_CALL(munmap),
    SECCOMP_CALL(mremap),
    WITHOUT(mmap, 2, PROT_EXEC),
    SECCOMP_CALL(sysinfo),      /* qsort() asks once how much memory there is */
    SECCOMP_CALL(rt_sigaction), /* libevent's, and its end */
    SECCOMP_CALL(rt_sigreturn),
    /* abort(), and what the C library says before */
    SECCOMP_CALL(writev),
    SECCOMP_CALL(getpid),
    SECCOMP_CALL(gettid),
    SECCOMP_CALL(rt_sigprocmask),
    SECCOMP_CALL(exit_group),
    {.call = SCMP_SYS(prctl), .arguments = {SECCOMP_INT(0, PR_GET_SECCOMP)}}, /* the verification */
};

const size_t seal_common_rule_count = ARRAY_SIZE(seal_common_rules);

#ifdef __SANITIZE_ADDRESS__
/* A build with sanitizers reads its own maps and binaries to print a report. It never ships. */
static const struct seccomp_rule sanitizer_rules[] = {
    {.call = SCMP_SYS(openat),
     .arguments = {{.used = true, .index = 2, .test = ARGUMENT_MASKED, .mask = 03 | 0100}}},
    {.call = SCMP_SYS(open),
     .arguments = {{.used = true, .index = 1, .test = ARGUMENT_MASKED, .mask = 03 | 0100}}},
    SECCOMP_CALL(madvise),
    WITHOUT(mprotect, 2, PROT_EXEC),
    SECCOMP_CALL(getrandom),
    SECCOMP_CALL(futex),
    SECCOMP_CALL(restart_syscall),
    SECCOMP_CALL(fstat),
    SECCOMP_CALL(newfstatat),
    SECCOMP_CALL(stat),
    SECCOMP_CALL(lseek),
    SECCOMP_CALL(readlink),
    SECCOMP_CALL(readlinkat),
    SECCOMP_CALL(ioctl),
    SECCOMP_CALL(getrlimit),
    SECCOMP_CALL(prlimit64),
    SECCOMP_CALL(sched_yield),
    SECCOMP_CALL(sched_getaffinity),
    SECCOMP_CALL(sigaltstack),
    SECCOMP_CALL(getuid),
    SECCOMP_CALL(geteuid),
    SECCOMP_CALL(getppid),
    SECCOMP_CALL(clock_nanosleep),
    SECCOMP_CALL(nanosleep),
};

/* The leak check at the end needs a second process; a sealed one cannot have it. The sanitizer
 * asks this function where it is defined. */
static int filter_loaded;

int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
    return filter_loaded;
}
#endif

static struct scmp_arg_cmp filter_comparison(const struct seccomp_argument *argument)
{
    switch (argument->test) {
    case ARGUMENT_EQUAL:
        return SCMP_CMP(argument->index, SCMP_CMP_EQ, argument->value);
    case ARGUMENT_MASKED:
        return SCMP_CMP(argument->index, SCMP_CMP_MASKED_EQ, argument->mask, argument->value);
    default:
        return SCMP_CMP(argument->index, SCMP_CMP_LE, argument->value);
    }
}

static int filter_add(scmp_filter_ctx filter, const struct seccomp_rule *rule)
{
    struct scmp_arg_cmp comparisons[ARRAY_SIZE(rule->arguments)];
    unsigned used = 0;

    if (rule->call < 0) /* another architecture has it */
        return 0;
    for (size_t i = 0; i < ARRAY_SIZE(rule->arguments); i++) {
        if (!rule->arguments[i].used)
            continue;
        if (rule->arguments[i].index > 5)
            return -EINVAL;
        comparisons[used++] = filter_comparison(&rule->arguments[i]);
    }
    int result =
        seccomp_rule_add_exact_array(filter, SCMP_ACT_ALLOW, rule->call, used, comparisons);
    return result == -EEXIST ? 0 : result; /* another row lets it through already */
}

static int filter_add_table(scmp_filter_ctx filter, const struct seccomp_rule *rules, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int result = filter_add(filter, &rules[i]);

        if (result) {
            log_error("a rule of the system call filter is wrong",
                      log_number("call", rules[i].call), log_errno(result));
            return result;
        }
    }
    return 0;
}

/* abort() must work, and nothing else that kills: the signal goes to this very process. */
static int filter_add_abort(scmp_filter_ctx filter)
{
    const struct seccomp_rule rule = {
        .call = SCMP_SYS(tgkill),
        .arguments = {SECCOMP_INT(0, (uint32_t)getpid()), SECCOMP_INT(2, SIGABRT)},
    };

    return filter_add(filter, &rule);
}

#ifdef EGRESSGW_SECCOMP_TRAP
#define FILTER_DEFAULT SCMP_ACT_TRAP

/* A development build names what was refused. */
static void filter_trapped(int number, siginfo_t *info, void *context)
{
    char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, info->si_syscall);

    (void)number;
    (void)context;
    log_error("a system call was refused", log_string("call", name ? name : "unknown"),
              log_number("number", info->si_syscall));
    abort();
}

static int filter_prepare(void)
{
    struct sigaction action = {.sa_sigaction = filter_trapped, .sa_flags = SA_SIGINFO};

    return sigaction(SIGSYS, &action, NULL) ? -errno : 0;
}
#else
#define FILTER_DEFAULT SCMP_ACT_KILL_PROCESS

static int filter_prepare(void)
{
    return 0;
}
#endif

static int filter_build(scmp_filter_ctx filter, const struct seccomp_rule *rules, size_t count)
{
    int result = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);

    if (!result)
        result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    if (!result)
        result = filter_add_table(filter, rules, count);
    if (!result)
        result = filter_add_table(filter, seal_common_rules, seal_common_rule_count);
#ifdef __SANITIZE_ADDRESS__
    if (!result)
        result = filter_add_table(filter, sanitizer_rules, ARRAY_SIZE(sanitizer_rules));
#endif
    if (!result)
        result = filter_add_abort(filter);
    return result;
}

int seal_filter_load(const struct seccomp_rule *rules, size_t count)
{
    int result = filter_prepare();

    if (result)
        return result;
    scmp_filter_ctx filter = seccomp_init(FILTER_DEFAULT);
    if (!filter)
        return -ENOMEM;
    result = filter_build(filter, rules, count);
    if (!result)
        result = seccomp_load(filter);
    seccomp_release(filter);
    if (result)
        return result;
#ifdef __SANITIZE_ADDRESS__
    filter_loaded = 1;
#endif
    return prctl(PR_GET_SECCOMP) == SECCOMP_MODE_FILTER ? 0 : -EPERM;
}

/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Preloaded into a daemon: leaves one entry out of the list of system calls that it is sealed with.
 *
 *   EGRESSGW_WITHOUT=COMM:NUMBER    of the process that calls itself COMM, entries counted from 0:
 *                                   its own ones, then those of every process
 *
 * On SIGUSR1 the daemon calls abort(). Says on standard error which call it was, or that the list
 * is shorter.
 */
#include <dlfcn.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

static int number = -1;

/* SIGUSR1: what a failed check of the C library does. */
static void on_signal(int signal_number)
{
    (void)signal_number;
    abort();
}

__attribute__((constructor)) static void signal_prepare(void)
{
    signal(SIGUSR1, on_signal);
}

static int wanted(void)
{
    const char *without = getenv("EGRESSGW_WITHOUT");
    const char *colon = without ? strchr(without, ':') : NULL;
    char comm[16] = "";

    if (!colon || prctl(PR_GET_NAME, comm) || strlen(comm) != (size_t)(colon - without) ||
        memcmp(comm, without, strlen(comm)) != 0)
        return -1;
    return atoi(colon + 1);
}

int seccomp_rule_add_exact_array(scmp_filter_ctx filter, uint32_t action, int call, unsigned count,
                                 const struct scmp_arg_cmp *arguments)
{
    int (*next)(scmp_filter_ctx, uint32_t, int, unsigned, const struct scmp_arg_cmp *) =
        (__typeof__(next))dlsym(RTLD_NEXT, "seccomp_rule_add_exact_array");

    if (++number != wanted())
        return next(filter, action, call, count, arguments);
    char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, call);
    fprintf(stderr, "without entry %d: %s", number, name ? name : "?");
    for (unsigned i = 0; i < count; i++)
        fprintf(stderr, " %u=%llu", arguments[i].arg + 1,
                (unsigned long long)(arguments[i].op == SCMP_CMP_MASKED_EQ ? arguments[i].datum_b
                                                                           : arguments[i].datum_a));
    fputc('\n', stderr);
    free(name);
    return 0;
}

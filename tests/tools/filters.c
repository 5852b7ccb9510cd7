/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Prints the system calls that the sealed processes are allowed, rules on arguments in brackets.
 *
 *   filters            as docs/security.md has them, in alphabetical order
 *   filters PROCESS    the entries of one, a line each, in the order of the filter, where those of
 *                      "every one" come last
 */

#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/membarrier.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "loader/sandbox.h"
#include "planner/sandbox.h"
#include "watcher/sandbox.h"

/* What the numbers of arguments are called. */
#define NAMED(call, index, value)                                                                  \
    {                                                                                              \
        SCMP_SYS(call), index, (uint32_t)(value), #value                                           \
    }

static const struct {
    int call;
    unsigned index;
    uint32_t value;
    const char *name;
} names[] = {
    NAMED(bpf, 0, BPF_MAP_LOOKUP_ELEM),
    NAMED(bpf, 0, BPF_MAP_UPDATE_ELEM),
    NAMED(bpf, 0, BPF_MAP_DELETE_ELEM),
    NAMED(bpf, 0, BPF_MAP_GET_NEXT_KEY),
    NAMED(bpf, 0, BPF_MAP_LOOKUP_BATCH),
    NAMED(bpf, 0, BPF_MAP_UPDATE_BATCH),
    NAMED(bpf, 0, BPF_MAP_DELETE_BATCH),
    NAMED(bpf, 0, BPF_LINK_CREATE),
    NAMED(bpf, 0, BPF_OBJ_PIN),
    NAMED(bpf, 0, BPF_OBJ_GET_INFO_BY_FD),
    NAMED(prctl, 0, PR_GET_SECCOMP),
    NAMED(fcntl, 1, F_SETFD),
    NAMED(fcntl, 1, F_GETFL),
    NAMED(fcntl, 1, F_SETFL),
    NAMED(socket, 0, AF_UNIX),
    NAMED(socket, 0, AF_INET),
    NAMED(socket, 0, AF_INET6),
    NAMED(socket, 0, AF_NETLINK),
    NAMED(socket, 2, NETLINK_ROUTE),
    NAMED(socket, 1, SOCK_STREAM),
    NAMED(socket, 1, SOCK_DGRAM),
    NAMED(socket, 1, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK),
    NAMED(socketpair, 0, AF_UNIX),
    NAMED(getsockopt, 1, SOL_SOCKET),
    NAMED(getsockopt, 2, SO_PEERCRED),
    NAMED(getsockopt, 2, SO_ERROR),
    NAMED(membarrier, 0, MEMBARRIER_CMD_GLOBAL),
    NAMED(setsockopt, 1, SOL_SOCKET),
    NAMED(setsockopt, 2, SO_KEEPALIVE),
    NAMED(setsockopt, 1, IPPROTO_TCP),
    {SCMP_SYS(openat), 2, O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND | (O_TMPFILE & ~O_DIRECTORY),
     "O_WRONLY, O_RDWR, O_CREAT, O_TRUNC, O_APPEND, O_TMPFILE"},
    NAMED(mmap, 2, PROT_EXEC),
    NAMED(mprotect, 2, PROT_EXEC),
};

static const char *value_name(int call, unsigned index, uint64_t value, char number[32])
{
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (names[i].call == call && names[i].index == index && names[i].value == value)
            return names[i].name;
    }
    snprintf(number, 32, "%#llx", (unsigned long long)value);
    return number;
}

enum { WORDS_MOST = 128, WORD_SIZE = 128 };

struct words {
    char text[WORDS_MOST][WORD_SIZE];
    size_t count;
};

/* Arguments are counted from 1 there. */
static void argument_print(char *text, int call, const struct seccomp_argument *argument)
{
    char mask[32], value[32];
    const char *is = value_name(call, argument->index, argument->value, value);
    size_t used = strlen(text);
    unsigned position = argument->index + 1;

    text += used;
    if (argument->test == ARGUMENT_AT_MOST)
        snprintf(text, WORD_SIZE - used, "%u ≤ %s", position, is);
    else if (argument->test == ARGUMENT_MASKED && argument->value == 0 &&
             argument->mask != UINT32_MAX)
        snprintf(text, WORD_SIZE - used, "%u without %s", position,
                 value_name(call, argument->index, argument->mask, mask));
    else
        snprintf(text, WORD_SIZE - used, "%u is %s", position, is);
}

static int word_compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void words_add(struct words *words, const struct seccomp_rule *rule)
{
    char *text = words->text[words->count];
    char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, rule->call);

    if (rule->call < 0 || !name || words->count == WORDS_MOST) {
        free(name); /* of another architecture */
        return;
    }
    snprintf(text, WORD_SIZE, "%s", name);
    free(name);
    for (size_t i = 0; i < ARRAY_SIZE(rule->arguments); i++) {
        if (!rule->arguments[i].used)
            continue;
        strcat(text, strchr(text, '(') ? ", " : " (");
        argument_print(text, rule->call, &rule->arguments[i]);
    }
    if (strchr(text, '('))
        strcat(text, ")");
    words->count++;
}

static void table_print(const char *process, const struct seccomp_rule *rules, size_t count)
{
    static struct words words;

    words.count = 0;
    for (size_t i = 0; i < count; i++)
        words_add(&words, &rules[i]);
    qsort(words.text, words.count, WORD_SIZE, word_compare);
    printf("| %s | ", process);
    for (size_t i = 0; i < words.count; i++)
        printf("%s%s", i ? "; " : "", words.text[i]);
    printf(" |\n");
}

static const struct {
    const char *name;
    const struct seccomp_rule *rules;
    const size_t *count;
} tables[] = {
    {"every one", seal_common_rules, &seal_common_rule_count},
    {"watcher", watcher_rules, &watcher_rule_count},
    {"planner", planner_rules, &planner_rule_count},
    {"loader", loader_rules, &loader_rule_count},
    {"attach helper", helper_rules, &helper_rule_count},
};

/* One a line, in the order in which they are added to the filter. */
static int entries_print(const char *process)
{
    static struct words words;

    for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
        if (strcmp(tables[i].name, process) != 0)
            continue;
        for (size_t rule = 0; rule < *tables[i].count; rule++)
            words_add(&words, &tables[i].rules[rule]);
        for (size_t word = 0; word < words.count; word++)
            puts(words.text[word]);
        return 0;
    }
    return 2;
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return entries_print(argv[1]);
    printf("| process | system calls |\n|---|---|\n");
    for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
        table_print(tables[i].name, tables[i].rules, *tables[i].count);
    return 0;
}

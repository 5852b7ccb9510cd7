/* SPDX-License-Identifier: Apache-2.0 */
/* egressgw-watcher --check: each finding with its line, and how it ends. */
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/macros.h"
#include "watcher/check.h"
#include "watcher/manifest_walk.h"

#define OBJECT(version, kind, name)                                                                \
    "apiVersion: " version "\nkind: " kind "\nmetadata:\n  name: " name "\n"
/* Five lines; `spec:` is the fifth. */
#define POLICY(name) OBJECT("cilium.io/v2", "CiliumEgressGatewayPolicy", name) "spec:\n"
#define ALL_PODS     "  selectors: [{podSelector: {}}]\n"
#define ANYWHERE     "  destinationCIDRs: [0.0.0.0/0]\n"
#define NODE(name)   "{nodeSelector: {matchLabels: {kubernetes.io/hostname: " name "}}}"
#define GATEWAY      "  egressGateway: " NODE("n1") "\n"
#define P            "CiliumEgressGatewayPolicy/p: "

/* The guide's own policies. */
#define GUIDE(selector)                                                                            \
    POLICY("egress-test")                                                                          \
    "  selectors:\n  - podSelector:" selector                                                      \
    "  destinationCIDRs:\n  - \"0.0.0.0/0\"\n  - \"::/0\"\n"
#define GUIDE_FIXED                                                                                \
    "  egressGateway:\n    nodeSelector:\n      matchLabels:\n"                                    \
    "        kubernetes.io/hostname: 172.22.49.119 # egress node name\n"                           \
    "    egressIP: 172.22.49.119\n"
#define GUIDE_GROUP                                                                                \
    "  egressGateway: # This field is required.\n    nodeSelector:\n      matchLabels:\n"          \
    "        kubernetes.io/hostname: 172.22.49.20\n    egressIP: 172.22.49.20\n"                   \
    "  egressGateways:\n  - nodeSelector:\n      matchLabels:\n"                                   \
    "        kubernetes.io/hostname: 172.22.49.147\n    egressIP: 172.22.49.147\n"                 \
    "  - nodeSelector:\n      matchLabels:\n"                                                      \
    "        kubernetes.io/hostname: 172.22.49.119\n    egressIP: 172.22.49.119\n"
#define GUIDE_NGINX                                                                                \
    "\n      matchLabels:\n        app: nginx\n        io.kubernetes.pod.namespace: default\n"
#define GUIDE_NOTE(line)                                                                           \
    "a.yaml:" line ": note: CiliumEgressGatewayPolicy/egress-test: spec.egressGateway: is not "    \
    "used: the list egressGateways replaces it\n"

struct check_case {
    const char *text;
    const char *findings; /* all lines before the summary */
    const char *summary;
};

static const struct check_case guide[] = {
    {GUIDE(GUIDE_NGINX) GUIDE_FIXED, "", "1 objects checked, 0 errors, 0 warnings\n"},
    {GUIDE(GUIDE_NGINX) GUIDE_GROUP, GUIDE_NOTE("14"), "1 objects checked, 0 errors, 0 warnings\n"},
    {GUIDE(" {} # Select all cluster Pods\n") GUIDE_GROUP, GUIDE_NOTE("11"),
     "1 objects checked, 0 errors, 0 warnings\n"},
    {GUIDE("\n      matchLabels:\n        io.kubernetes.pod.namespace: prod\n") GUIDE_FIXED, "",
     "1 objects checked, 0 errors, 0 warnings\n"},
    {GUIDE("\n      matchLabels:\n        business: mall\n") GUIDE_FIXED, "",
     "1 objects checked, 0 errors, 0 warnings\n"},
};

#define CIDR_REASON "has to be a CIDR such as 10.0.0.0/8 or 2001:db8::/32"
#define ONE_ERROR   "1 objects checked, 1 errors, 0 warnings\n"

static const struct check_case errors[] = {
    {POLICY("p") ALL_PODS "  destinationCIDRs:\n  - 10.0.0.0/8\n  - 10.0.0.0\n" GATEWAY,
     "a.yaml:9: error: " P "spec.destinationCIDRs[1]: " CIDR_REASON " (value 10.0.0.0)\n",
     ONE_ERROR},
    {POLICY("p") ALL_PODS GATEWAY, "a.yaml:5: error: " P "spec.destinationCIDRs: is required\n",
     ONE_ERROR},
    {POLICY("p") ALL_PODS "  destinationCIDRs: []\n" GATEWAY,
     "a.yaml:7: error: " P "spec.destinationCIDRs: is missing: give at least one CIDR, 0.0.0.0/0 "
     "means every IPv4 destination\n",
     ONE_ERROR},
    {POLICY("p") ALL_PODS ANYWHERE "  egressGateway:\n    egressIP: 10.0.0.1\n"
                                   "    nodeSelector: {matchLabels: {a: b}}\n"
                                   "    interface: eth1\n",
     "a.yaml:11: error: " P "spec.egressGateway: has both interface and egressIP: give at most "
     "one of them (value eth1)\n",
     ONE_ERROR},
    {POLICY("p") ALL_PODS ANYWHERE, "a.yaml:5: error: " P "spec.egressGateway: is required\n",
     ONE_ERROR},
    {POLICY(
         "p") "  selectors:\n  - podSelector:\n      matchExpressions:\n"
              "      - {key: a, operator: In, values: [b]}\n"
              "      - key: tier\n        operator: Exists\n        values: [x]\n" ANYWHERE GATEWAY,
     "a.yaml:12: error: " P "spec.selectors[0].podSelector.matchExpressions[1].values: is not "
     "empty: operators Exists and DoesNotExist take no values (value a list)\n",
     ONE_ERROR},
    {POLICY("p") "  selectors:\n  - podSelector:\n      matchExpressions:\n"
                 "      - key: tier\n        operator: Equals\n" ANYWHERE GATEWAY,
     "a.yaml:10: error: " P "spec.selectors[0].podSelector.matchExpressions[0].operator: has to "
     "be In, NotIn, Exists or DoesNotExist (value Equals)\n",
     ONE_ERROR},
    {POLICY("p") ALL_PODS ANYWHERE GATEWAY "  egressGatways: []\n",
     "a.yaml:9: error: " P "spec.egressGatways: no such field: check its spelling and its place "
     "(value a list)\n",
     ONE_ERROR},
    {POLICY("''") ALL_PODS ANYWHERE GATEWAY,
     "a.yaml:4: error: CiliumEgressGatewayPolicy/: metadata.name: is required\n", ONE_ERROR},
    /* Everything that is wrong, not the first thing only. */
    {POLICY("p") "  selectorsX: 1\n"
                 "  selectors:\n  - podSelector:\n      matchLabels:\n        k8s:app: x\n"
                 "  - nodeSelector: {}\n"
                 "  destinationCIDRs:\n  - a\n  - 10.0.0.0/8\n  - b\n"
                 "  excludedCIDRs:\n  - \"c\\nd\"\n"
                 "  egressGateway:\n    egressIP: 1.2.3\n    nodeSelector: {}\n"
                 "  egressGateways:\n  - {}\n  - " NODE("n1") "\n  - 7\n",
     "a.yaml:6: error: " P "spec.selectorsX: no such field: check its spelling and its place "
     "(value 1)\n"
     "a.yaml:13: error: " P "spec.destinationCIDRs[0]: " CIDR_REASON " (value a)\n"
     "a.yaml:15: error: " P "spec.destinationCIDRs[2]: " CIDR_REASON " (value b)\n"
     "a.yaml:17: error: " P "spec.excludedCIDRs[0]: " CIDR_REASON " (value c\\x0ad)\n"
     "a.yaml:19: error: " P "spec.egressGateway.egressIP: has to be an IPv4 or IPv6 address "
     "(value 1.2.3)\n"
     "a.yaml:22: error: " P "spec.egressGateways[0].nodeSelector: is required\n"
     "a.yaml:24: error: " P "spec.egressGateways[2]: has to be an object with nodeSelector "
     "(value 7)\n"
     "a.yaml:10: error: " P "spec.selectors[0].podSelector: is no label key: use [DNS name/]name, "
     "the name of at most 63 letters, digits, '-', '_' and '.'; there is no \"k8s:\" before it "
     "(value k8s:app)\n"
     "a.yaml:11: error: " P "spec.selectors[1]: selects nothing by itself: give a podSelector or "
     "a namespaceSelector ({} matches all)\n",
     "1 objects checked, 9 errors, 0 warnings\n"},
    /* Other kinds, in lists too; what follows an error is checked. */
    {"apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n"
     "  metadata: {name: a}\n  status:\n    podIPs:\n    - ip: 10.0.0.1\n    - ip: nope\n"
     "- apiVersion: apps/v1\n  kind: Deployment\n- 3\n---\n" OBJECT("v1", "Namespace", "B"),
     "a.yaml:10: error: Pod/a: status.podIPs[1].ip: has to be an IPv4 or IPv6 address (value "
     "nope)\n"
     "a.yaml:13: error: is no object of the API: it needs apiVersion and kind\n"
     "a.yaml:18: error: Namespace/B: metadata.name: is no namespace: use 1 to 63 lower-case "
     "letters, digits and '-', with a letter or digit at both ends (value B)\n",
     "2 objects checked, 3 errors, 0 warnings (1 of other kinds skipped)\n"},
    {POLICY("p") ALL_PODS "  destinationCIDRs: [\n",
     "a.yaml:8: error: did not find expected node content, while parsing a flow node\n",
     "0 objects checked, 1 errors, 0 warnings\n"},
    {"a: 1\nb: 2\na: 3\n", "a.yaml:3: error: key \"a\" is there twice\n",
     "0 objects checked, 1 errors, 0 warnings\n"},
};

#define ONE_WARNING "1 objects checked, 0 errors, 1 warnings\n"

static const struct check_case warnings[] = {
    {POLICY("p") ALL_PODS "  destinationCIDRs: [10.1.2.3/8,\n    fd00::1/64, 10.0.0.0/9]\n" GATEWAY,
     "a.yaml:7: warning: " P "spec.destinationCIDRs[0]: has host bits set: it means 10.0.0.0/8 "
     "(value 10.1.2.3/8)\n"
     "a.yaml:8: warning: " P "spec.destinationCIDRs[1]: has host bits set: it means fd00::/64 "
     "(value fd00::1/64)\n",
     "1 objects checked, 0 errors, 2 warnings\n"},
    {POLICY("p") ALL_PODS "  destinationCIDRs:\n  - 10.0.0.0/8\n  - 10.0.0.0/9\n"
                          "  - 10.0.0.0/8\n" GATEWAY,
     "a.yaml:10: warning: " P "spec.destinationCIDRs[2]: has no effect: is the same as "
     "spec.destinationCIDRs[0] (value 10.0.0.0/8)\n",
     ONE_WARNING},
    {POLICY("p") ALL_PODS "  destinationCIDRs: [10.0.0.0/8, 192.0.2.0/24, 172.16.1.0/24]\n"
                          "  excludedCIDRs:\n"
                          "  - 10.9.0.0/16\n"   /* 9: takes effect */
                          "  - 11.0.0.0/8\n"    /* 10: outside */
                          "  - ::/0\n"          /* 11: another family */
                          "  - 192.0.2.0/24\n"  /* 12: all of a destination */
                          "  - 172.16.0.0/16\n" /* 13: the destination wins */
                          "  - 11.0.0.0/8\n" GATEWAY,
     "a.yaml:14: warning: " P "spec.excludedCIDRs[5]: has no effect: is the same as "
     "spec.excludedCIDRs[1] (value 11.0.0.0/8)\n"
     "a.yaml:10: warning: " P "spec.excludedCIDRs[1]: excludes nothing: lies outside of all "
     "destinationCIDRs (value 11.0.0.0/8)\n"
     "a.yaml:11: warning: " P "spec.excludedCIDRs[2]: excludes nothing: lies outside of all "
     "destinationCIDRs (value ::/0)\n"
     "a.yaml:7: warning: " P "spec.destinationCIDRs[1]: has no effect: spec.excludedCIDRs[3] "
     "excludes it (value 192.0.2.0/24)\n"
     "a.yaml:13: warning: " P "spec.excludedCIDRs[4]: excludes none of the destinationCIDRs: "
     "those inside it are longer prefixes, which win (value 172.16.0.0/16)\n",
     "1 objects checked, 0 errors, 5 warnings\n"},
    {POLICY("p") "  selectors: []\n" ANYWHERE GATEWAY,
     "a.yaml:6: warning: " P "spec.selectors: is empty: the policy selects no pod; podSelector: "
     "{} selects all\n",
     ONE_WARNING},
    {POLICY("p") "  selectors:\n  - namespaceSelector:\n      matchLabels:\n"
                 "        io.kubernetes.pod.namespace: prod\n"
                 "  - podSelector:\n      matchExpressions:\n"
                 "      - {key: kubernetes.io/metadata.name, operator: Exists}\n" ANYWHERE GATEWAY,
     "a.yaml:9: warning: " P "spec.selectors[0].namespaceSelector: is no label of namespaces: use "
     "kubernetes.io/metadata.name here, or a podSelector (value io.kubernetes.pod.namespace)\n"
     "a.yaml:12: warning: " P "spec.selectors[1].podSelector: is a label of namespaces: use "
     "io.kubernetes.pod.namespace here, or a namespaceSelector (value "
     "kubernetes.io/metadata.name)\n",
     "1 objects checked, 0 errors, 2 warnings\n"},
    {POLICY("p") ALL_PODS ANYWHERE "  egressGateways:\n  - " NODE("n1") "\n  - nodeSelector: {}\n",
     "a.yaml:5: warning: " P "spec.egressGateway: is missing: the API server wants it also where "
     "egressGateways replaces it\n"
     "a.yaml:10: warning: " P "spec.egressGateways[1].nodeSelector: matches every node: only one "
     "becomes the gateway, the first by name that is ready\n",
     "1 objects checked, 0 errors, 2 warnings\n"},
    {POLICY("p") ALL_PODS ANYWHERE GATEWAY "---\n" POLICY("p") ALL_PODS ANYWHERE GATEWAY
     "---\n" OBJECT("v1", "Namespace", "p"),
     "a.yaml:13: warning: " P "metadata.name: the same object is at a.yaml:1 already: only one of "
     "them can be in force\n",
     "3 objects checked, 0 errors, 1 warnings\n"},
    {OBJECT("cilium.io/v2alpha1", "CiliumEgressGatewayPolicy", "p"),
     "a.yaml:1: warning: " P "apiVersion: is a version that is not read, the policy is passed "
     "over: has to be cilium.io/v2 (value cilium.io/v2alpha1)\n",
     "0 objects checked, 0 errors, 1 warnings (1 of other kinds skipped)\n"},
    {OBJECT("apps/v1", "Deployment", "p") "---\n# nothing\n---\n", "",
     "0 objects checked, 0 errors, 0 warnings (1 of other kinds skipped)\n"},
};

static char root[64];
static char *out, *err;
static size_t out_size;

static int setup(void **state)
{
    (void)state;
    strcpy(root, "/tmp/egressgw-check-XXXXXX");
    return mkdtemp(root) && chdir(root) == 0 ? 0 : -1;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

static int teardown(void **state)
{
    (void)state;
    free(out);
    free(err);
    out = err = NULL;
    return chdir("/") || nftw(root, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static void write_file(const char *name, const char *text)
{
    _cleanup_fclose_ FILE *file = fopen(name, "we");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
}

/* Runs the check over the names, ended by NULL, and keeps what it says. */
static int run(char **names)
{
    struct operands files = {.items = names};
    size_t err_size;
    FILE *stream, *saved = stderr;
    int status;

    while (names[files.count])
        files.count++;
    free(out);
    free(err);
    stream = open_memstream(&out, &out_size);
    stderr = open_memstream(&err, &err_size);
    assert_true(stream && stderr);
    status = check_files(&files, stream);
    fclose(stream);
    fclose(stderr);
    stderr = saved;
    return status;
}

static void check_cases(const struct check_case *cases, size_t count, int status)
{
    char *names[] = {(char *)"a.yaml", NULL};

    for (size_t i = 0; i < count; i++) {
        char expected[4096];
        int got;

        snprintf(expected, sizeof(expected), "%s%s", cases[i].findings, cases[i].summary);
        write_file("a.yaml", cases[i].text);
        got = run(names);
        if (got != status || strcmp(out, expected) != 0)
            fail_msg("case %zu ended with %d and said\n%sinstead of\n%s", i, got, out, expected);
        assert_string_equal(err, "");
    }
}

static void test_guide(void **state)
{
    (void)state;
    check_cases(guide, ARRAY_SIZE(guide), EXIT_DONE);
}

static void test_errors(void **state)
{
    (void)state;
    check_cases(errors, ARRAY_SIZE(errors), EXIT_FAILED);
}

static void test_warnings(void **state)
{
    (void)state;
    check_cases(warnings, ARRAY_SIZE(warnings), EXIT_DONE);
}

static void test_json(void **state)
{
    char *names[] = {(char *)"a.json", NULL};

    (void)state;
    write_file("a.json", "{\"apiVersion\": \"cilium.io/v2\",\n"
                         " \"kind\": \"CiliumEgressGatewayPolicy\",\n"
                         " \"metadata\": {\"name\": \"p\"},\n"
                         " \"spec\": {\"selectors\": [{\"podSelector\": {}}],\n"
                         "  \"destinationCIDRs\": [\"10.0.0.0/8\",\n"
                         "    \"10.0.0.0/33\"],\n"
                         "  \"egressGateway\": {\"nodeSelector\":\n"
                         "    {\"matchLabels\": {\"a\": 1}}}}}\n");
    assert_int_equal(run(names), EXIT_FAILED);
    assert_string_equal(out, "a.json:6: error: " P "spec.destinationCIDRs[1]: " CIDR_REASON
                             " (value 10.0.0.0/33)\n"
                             "a.json:8: error: " P "spec.egressGateway.nodeSelector.matchLabels.a: "
                             "has to be a string (in YAML, put it in quotes) (value 1)\n"
                             "1 objects checked, 2 errors, 0 warnings\n");
}

/* Directories are searched as deep as they go, hidden ones and other files are left alone. */
static void test_directories(void **state)
{
    char *names[] = {(char *)"d/", (char *)"odd", NULL};

    (void)state;
    assert_int_equal(mkdir("d", 0700) || mkdir("d/b", 0700) || mkdir("d/.git", 0700), 0);
    assert_int_equal(symlink("..", "d/b/loop"), 0);
    assert_int_equal(mkfifo("d/fifo.yaml", 0600), 0);
    write_file("d/a.yaml", OBJECT("v1", "Namespace", "a"));
    write_file("d/b/c.yml", OBJECT("v1", "Namespace", "a"));
    write_file("d/.git/x.yaml", "}");
    write_file("d/notes.txt", "}");
    write_file("odd", OBJECT("v1", "Namespace", "a")); /* named: whatever its name */
    assert_int_equal(run(names), EXIT_DONE);
    assert_string_equal(out, "d/b/c.yml:4: warning: Namespace/a: metadata.name: the same object is "
                             "at d/a.yaml:1 already: only one of them can be in force\n"
                             "odd:4: warning: Namespace/a: metadata.name: the same object is "
                             "at d/a.yaml:1 already: only one of them can be in force\n"
                             "3 objects checked, 0 errors, 2 warnings\n");
    assert_string_equal(err, "");
}

/* What cannot be read does not keep the rest from being checked. */
static void test_unreadable(void **state)
{
    char *names[] = {(char *)"missing.yaml", (char *)"empty",      (char *)"a.yaml",
                     (char *)"dangling",     (char *)"large.yaml", NULL};
    int fd;

    (void)state;
    assert_int_equal(mkdir("empty", 0700) || mkdir("dangling", 0700), 0);
    assert_int_equal(symlink("nowhere", "dangling/x.yaml"), 0);
    write_file("a.yaml", OBJECT("v1", "Namespace", "A"));
    fd = open("large.yaml", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_int_equal(ftruncate(fd, MANIFEST_SIZE_LIMIT + 1), 0);
    close(fd);
    assert_int_equal(run(names), EXIT_USAGE);
    assert_non_null(strstr(out, "a.yaml:4: error: Namespace/A: metadata.name: "));
    assert_non_null(strstr(out, "large.yaml:1: error: the file is larger than 16 MiB: split it\n"));
    assert_non_null(strstr(out, "\n1 objects checked, 2 errors, 0 warnings\n"));
    assert_string_equal(err, "missing.yaml: No such file or directory\n"
                             "empty: no .yaml, .yml or .json file in this directory\n"
                             "dangling/x.yaml: No such file or directory\n");
}

static void test_standard_input(void **state)
{
    char *names[] = {(char *)"-", NULL};
    int saved = dup(STDIN_FILENO), fd;

    (void)state;
    write_file("a", OBJECT("v1", "Namespace", "A"));
    fd = open("a", O_RDONLY | O_CLOEXEC);
    assert_int_equal(dup2(fd, STDIN_FILENO), STDIN_FILENO);
    close(fd);
    assert_int_equal(run(names), EXIT_FAILED);
    dup2(saved, STDIN_FILENO);
    close(saved);
    assert_int_equal(strncmp(out, "<stdin>:4: error: Namespace/A: ", 31), 0);
}

/* A policy in which everything is wrong does not bury the others. */
static void test_many_errors(void **state)
{
    char *names[] = {(char *)"a.yaml", NULL};
    FILE *file = fopen("a.yaml", "we");

    (void)state;
    fputs(POLICY("p") ALL_PODS GATEWAY "  destinationCIDRs:\n", file);
    for (int i = 0; i < 2000; i++)
        fputs("  - x\n", file);
    fputs("---\n" OBJECT("v1", "Namespace", "N"), file);
    fclose(file);
    assert_int_equal(run(names), EXIT_FAILED);
    assert_non_null(strstr(out, "a.yaml:108: error: " P "spec.destinationCIDRs[99]: "));
    assert_null(strstr(out, "a.yaml:109:"));
    assert_non_null(strstr(out, "a.yaml:1: note: " P "more is wrong: correct this first\n"));
    assert_non_null(strstr(out, "a.yaml:2013: error: Namespace/N: "));
    assert_non_null(strstr(out, "\n2 objects checked, 101 errors, 0 warnings\n"));
}

/* What the planner could not be told is an error here as well. */
static void test_too_large(void **state)
{
    char *names[] = {(char *)"a.yaml", NULL};
    FILE *file = fopen("a.yaml", "we");

    (void)state;
    fputs(POLICY("p") ANYWHERE GATEWAY "  selectors:\n  - podSelector:\n      matchExpressions:\n",
          file);
    for (int i = 0; i < 200; i++) {
        fprintf(file, "      - {key: k%d, operator: In, values: [", i);
        for (int j = 0; j < 50; j++)
            fprintf(file, "%s%s%d", j ? ", " : "", "a-rather-long-value-of-a-label-", j);
        fputs("]}\n", file);
    }
    fclose(file);
    assert_int_equal(run(names), EXIT_FAILED);
    assert_string_equal(out, "a.yaml:1: error: " P "is larger than 64 KiB: split it\n" ONE_ERROR);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_guide),          CASE(test_errors),      CASE(test_warnings),
        CASE(test_json),           CASE(test_directories), CASE(test_unreadable),
        CASE(test_standard_input), CASE(test_many_errors), CASE(test_too_large),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

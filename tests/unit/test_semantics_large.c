/* SPDX-License-Identifier: Apache-2.0 */
/* Policies at their limits: cases as those in files, written here because they are long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/macros.h"
#include "tests/unit/semantics_case.h"

static const char cluster[] = "node w1 ready ip=172.16.0.1 pods=10.0.1.0/24\n"
                              "node g1 ready ip=172.16.0.11 pods=10.0.11.0/24 gateway=a\n"
                              "link g1 eth0 index=2 default4 +ip=172.16.0.11\n"
                              "namespace default\n"
                              "pod default/web on=w1 ip=10.0.1.1 app=web\n"
                              "case large\n"
                              "policy p\n";

/* A text that is written like a file. */
struct script {
    char *text;
    size_t length;
    FILE *out;
};

static void script_start(struct script *script)
{
    script->out = open_memstream(&script->text, &script->length);
    fputs(cluster, script->out);
}

static void script_run(struct script *script)
{
    struct semantics_file *file;

    fclose(script->out);
    file = semantics_file_of("large", script->text);
    assert_int_equal(file->case_count, 1);
    semantics_case_run(&file->cases[0]);
    semantics_file_free(file);
    free(script->text);
}

/* 100.0.0.0/24 and the following ones. */
static void print_cidrs(FILE *out, const char *field, unsigned first, unsigned count)
{
    fprintf(out, "  %s:\n", field);
    for (unsigned i = first; i < first + count; i++)
        fprintf(out, "  - 100.%u.%u.0/24\n", i / 256, i % 256);
}

static void print_rows(FILE *out, unsigned first, unsigned count, const char *rest)
{
    for (unsigned i = first; i < first + count; i++)
        fprintf(out, "  10.0.1.1  100.%u.%u.0/24  %s\n", i / 256, i % 256, rest);
}

static void test_thousand_destinations(void **state _unused_)
{
    struct script script;

    script_start(&script);
    print_cidrs(script.out, "destinationCIDRs", 0, 1000);
    fputs("dump w1\n", script.out);
    print_rows(script.out, 0, 1000, "0.0.0.0  172.16.0.11");
    fputs("dump g1\n", script.out);
    print_rows(script.out, 0, 1000, "172.16.0.11  172.16.0.11");
    script_run(&script);
}

static void test_thousand_excluded(void **state _unused_)
{
    struct script script;

    script_start(&script);
    print_cidrs(script.out, "destinationCIDRs", 0, 1000);
    print_cidrs(script.out, "excludedCIDRs", 500, 1000);
    fputs("dump w1\n", script.out);
    print_rows(script.out, 0, 500, "0.0.0.0  172.16.0.11");
    print_rows(script.out, 500, 1000, "0.0.0.0  Excluded CIDR");
    fputs("dump g1\n", script.out);
    print_rows(script.out, 0, 500, "172.16.0.11  172.16.0.11");
    print_rows(script.out, 500, 1000, "0.0.0.0  Excluded CIDR");
    script_run(&script);
}

static void test_too_many_destinations(void **state _unused_)
{
    struct script script;

    script_start(&script);
    print_cidrs(script.out, "destinationCIDRs", 0, 2049);
    fputs("refused spec.destinationCIDRs *2048*\n", script.out);
    script_run(&script);
}

static void print_gateways(FILE *out, unsigned count)
{
    fputs("  egressGateways:\n", out);
    for (unsigned i = 0; i < count; i++)
        fputs("  - nodeSelector: {matchLabels: {gateway: a}}\n", out);
}

static void test_64_gateways(void **state _unused_)
{
    struct script script;

    script_start(&script);
    print_gateways(script.out, 64);
    fputs("dump w1\n  10.0.1.1  0.0.0.0/0  0.0.0.0  172.16.0.11\n"
          "dump g1\n  10.0.1.1  0.0.0.0/0  172.16.0.11  172.16.0.11\n",
          script.out);
    script_run(&script);
}

static void test_65_gateways(void **state _unused_)
{
    struct script script;

    script_start(&script);
    print_gateways(script.out, 65);
    fputs("refused spec.egressGateways *64*\n", script.out);
    script_run(&script);
}

static void test_many_rules(void **state _unused_)
{
    struct script script;

    script_start(&script);
    fputs("  selectors:\n", script.out);
    for (int i = 0; i < 255; i++)
        fprintf(script.out, "  - podSelector: {matchLabels: {app: other-%d}}\n", i);
    fputs("  - podSelector: {matchLabels: {app: web}}\n"
          "dump w1\n  10.0.1.1  0.0.0.0/0  0.0.0.0  172.16.0.11\n"
          "dump g1\n  10.0.1.1  0.0.0.0/0  172.16.0.11  172.16.0.11\n",
          script.out);
    script_run(&script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_thousand_destinations), cmocka_unit_test(test_thousand_excluded),
        cmocka_unit_test(test_too_many_destinations), cmocka_unit_test(test_64_gateways),
        cmocka_unit_test(test_65_gateways),           cmocka_unit_test(test_many_rules),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a policy means: cases in files, from the text of the objects to the rows of the dump of
 * every node and the lines of its log. See semantics_case.h for how they are written.
 *
 * Runs in the top directory of the sources, as make and tests/run do; a file can be named.
 */
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "planner/memory.h"
#include "tests/unit/semantics_case.h"

struct suite {
    struct CMUnitTest *tests;
    size_t count;
};

static void test_case(void **state)
{
    semantics_case_run(*state);
}

static void suite_add(struct suite *suite, const struct semantics_file *file)
{
    for (size_t i = 0; i < file->case_count; i++) {
        suite->tests = memory_resize(suite->tests, suite->count + 1, sizeof(*suite->tests));
        suite->tests[suite->count++] = (struct CMUnitTest){
            .name = file->cases[i].title,
            .test_func = test_case,
            .initial_state = &file->cases[i],
        };
    }
}

int main(int argc, char **argv)
{
    struct semantics_file **files;
    struct suite suite = {0};
    glob_t found;
    int failed;

    if (glob(argc > 1 ? argv[1] : "tests/unit/semantics/*.cases", 0, NULL, &found)) {
        fprintf(stderr, "no files of cases: run this in the top directory of the sources\n");
        return 1;
    }
    files = memory_new(found.gl_pathc, sizeof(*files));
    for (size_t i = 0; i < found.gl_pathc; i++) {
        files[i] = semantics_file_read(found.gl_pathv[i]);
        suite_add(&suite, files[i]);
    }
    failed = _cmocka_run_group_tests("semantics", suite.tests, suite.count, NULL, NULL);
    for (size_t i = 0; i < found.gl_pathc; i++)
        semantics_file_free(files[i]);
    free(files);
    free(suite.tests);
    globfree(&found);
    return failed;
}

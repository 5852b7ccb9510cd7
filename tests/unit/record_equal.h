/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_RECORD_EQUAL_H
#define TESTS_RECORD_EQUAL_H

#include "ipc/record.h"

/* Fails the test where two records differ in any field. */
void assert_records_equal(const struct record *a, const struct record *b);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SEALING_H
#define TESTS_SEALING_H

/* What the tests of the sealing share: it cannot be taken back, so each of them has a process of
 * its own. */

#include "common/log.h"
#include "common/seal.h"

/* A user that needs no account. */
#define OTHER_USER  "64123"
#define OTHER_UID   64123
#define OTHER_LIMIT 32

/* The last line of the log, once keep_log() is its sink. */
extern char last_log[LOG_LINE_SIZE];
void keep_log(enum log_level level, const char *line, void *context);

/* Gives all privileges up, with these rules beside those that every process has. */
int drop_with(const struct seccomp_rule *rules, size_t count) _must_check_;

/* Runs `body` in a child and returns its wait status. */
int in_child(int (*body)(void));
void assert_exits(int (*body)(void), int expected);

#endif

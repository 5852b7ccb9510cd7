/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_PARSED_H
#define TESTS_PARSED_H

#include "watcher/object_parse.h"
#include "watcher/yaml_tree.h"

/* What a text parses to; everything that it owns. */
struct parsed {
    struct document_list documents;
    struct arena arena;
    struct object object;
    struct object_error error;
    int result;
};

/* Parses one document of YAML, of which `result` is 0, or -EINVAL with an `error`. */
void parsed_try(struct parsed *parsed, enum object_kind kind, const char *text);
/* The same for one that has to be right. */
void parsed_good(struct parsed *parsed, enum object_kind kind, const char *text);
void parsed_clear(struct parsed *parsed);

void parsed_assert_text(struct text text, const char *expected);
void parsed_assert_address(const struct ip_addr *address, const char *expected);
void parsed_assert_prefix(const struct ip_prefix *prefix, const char *expected);

#endif

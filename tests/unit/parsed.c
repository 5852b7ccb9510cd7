/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/parsed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

void parsed_clear(struct parsed *parsed)
{
    arena_clear(&parsed->arena);
    document_list_clear(&parsed->documents);
}

void parsed_try(struct parsed *parsed, enum object_kind kind, const char *text)
{
    struct document_error refused = {0};

    *parsed = (struct parsed){0};
    if (yaml_tree_read(text, strlen(text), &parsed->documents, &refused))
        fail_msg("line %zu: %s", refused.line, refused.reason);
    assert_int_equal(parsed->documents.count, 1);
    parsed->result = object_parse(kind, parsed->documents.items[0].root, &parsed->arena,
                                  &parsed->object, &parsed->error);
}

void parsed_good(struct parsed *parsed, enum object_kind kind, const char *text)
{
    parsed_try(parsed, kind, text);
    if (parsed->result)
        fail_msg("%s: %s", parsed->error.field, parsed->error.reason);
}

void parsed_assert_text(struct text text, const char *expected)
{
    if (!text_equal(text, text_of(expected)))
        fail_msg("\"%.*s\" is not \"%s\"", TEXT_ARG(text), expected);
}

void parsed_assert_address(const struct ip_addr *address, const char *expected)
{
    char text[ADDRESS_TEXT_SIZE];

    assert_string_equal(address_format(address, text), expected);
}

void parsed_assert_prefix(const struct ip_prefix *prefix, const char *expected)
{
    char text[PREFIX_TEXT_SIZE];

    assert_string_equal(prefix_format(prefix, text), expected);
}

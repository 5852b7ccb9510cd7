/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher/yaml_scalar.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/macros.h"

enum { NUMBER_TEXT = 64 }; /* a longer one is no number that anybody meant */

static bool scalar_is(struct text text, const char *const *names)
{
    for (; *names; names++) {
        if (text_equal(text, text_of(*names)))
            return true;
    }
    return false;
}

static size_t digits(const char *text)
{
    return strspn(text, "0123456789");
}

/* [-+]?[0-9]+, 0o[0-7]+ or 0x[0-9a-fA-F]+ */
static bool scalar_is_integer(const char *text, int *base)
{
    if (strncmp(text, "0o", 2) == 0 && text[2]) {
        *base = 8;
        return text[2 + strspn(text + 2, "01234567")] == '\0';
    }
    if (strncmp(text, "0x", 2) == 0 && text[2]) {
        *base = 16;
        return text[2 + strspn(text + 2, "0123456789abcdefABCDEF")] == '\0';
    }
    *base = 10;
    if (*text == '-' || *text == '+')
        text++;
    return *text && text[digits(text)] == '\0';
}

/* [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? */
static bool scalar_is_float(const char *text)
{
    size_t before, after = 0;

    if (*text == '-' || *text == '+')
        text++;
    before = digits(text);
    text += before;
    if (*text == '.') {
        after = digits(text + 1);
        text += 1 + after;
    }
    if (before + after == 0)
        return false;
    if (*text == 'e' || *text == 'E') {
        text++;
        if (*text == '-' || *text == '+')
            text++;
        if (digits(text) == 0)
            return false;
        text += digits(text);
    }
    return *text == '\0';
}

/* NULL: not a number. */
static json_t *scalar_number(const char *text)
{
    int base;

    if (scalar_is_integer(text, &base)) {
        long long number;

        errno = 0;
        number = strtoll(base == 10 ? text : text + 2, NULL, base);
        if (errno == 0)
            return json_integer(number);
    }
    return scalar_is_float(text) ? json_real(strtod(text, NULL)) : NULL;
}

json_t *yaml_scalar_plain(struct text text)
{
    static const char *const null[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const yes[] = {"true", "True", "TRUE", NULL};
    static const char *const no[] = {"false", "False", "FALSE", NULL};
    char copy[NUMBER_TEXT];
    json_t *number = NULL;

    if (scalar_is(text, null))
        return json_null();
    if (scalar_is(text, yes))
        return json_true();
    if (scalar_is(text, no))
        return json_false();
    if (text.length < sizeof(copy) && strchr("-+.0123456789", text.data[0])) {
        memcpy(copy, text.data, text.length);
        copy[text.length] = '\0';
        if (strlen(copy) == text.length)
            number = scalar_number(copy);
    }
    return number ? number : json_stringn(text.data, text.length);
}

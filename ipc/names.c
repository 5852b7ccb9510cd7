/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/names.h"

#include "ipc/objects.h"

enum { LABEL_NAME = 63, DNS_LABEL = 63 };

/* Not isalnum(): the answer must not depend on a locale. */
static bool is_lower_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_letter_or_digit(char c)
{
    return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z');
}

static bool is_dns_part(struct text part)
{
    if (part.length == 0 || !is_lower_or_digit(part.data[0]) ||
        !is_lower_or_digit(part.data[part.length - 1]))
        return false;
    for (size_t i = 0; i < part.length; i++) {
        if (!is_lower_or_digit(part.data[i]) && part.data[i] != '-')
            return false;
    }
    return true;
}

bool names_is_dns_label(struct text name)
{
    return name.length <= DNS_LABEL && is_dns_part(name);
}

bool names_is_subdomain(struct text name)
{
    size_t start = 0;

    if (name.length == 0 || name.length > LIMIT_NAME)
        return false;
    for (size_t i = 0; i <= name.length; i++) {
        if (i < name.length && name.data[i] != '.')
            continue;
        if (!is_dns_part((struct text){name.data + start, i - start}))
            return false;
        start = i + 1;
    }
    return true;
}

static bool is_label_name(struct text name)
{
    if (name.length == 0 || name.length > LABEL_NAME || !is_letter_or_digit(name.data[0]) ||
        !is_letter_or_digit(name.data[name.length - 1]))
        return false;
    for (size_t i = 0; i < name.length; i++) {
        char c = name.data[i];

        if (!is_letter_or_digit(c) && c != '-' && c != '_' && c != '.')
            return false;
    }
    return true;
}

bool names_is_label_key(struct text key)
{
    const char *slash = key.length ? memchr(key.data, '/', key.length) : NULL;
    size_t prefix = slash ? (size_t)(slash - key.data) : 0;

    if (!slash)
        return is_label_name(key);
    return names_is_subdomain((struct text){key.data, prefix}) &&
           is_label_name((struct text){slash + 1, key.length - prefix - 1});
}

bool names_is_label_value(struct text value)
{
    return value.length == 0 || is_label_name(value);
}

bool names_is_interface(struct text name)
{
    if (name.length == 0 || name.length > LIMIT_INTERFACE || text_equal(name, TEXT(".")) ||
        text_equal(name, TEXT("..")))
        return false;
    for (size_t i = 0; i < name.length; i++) {
        unsigned char c = (unsigned char)name.data[i];

        /* The kernel takes any byte but these; 0xa0 is a blank to it, too. */
        if (c == '/' || c == ':' || c == ' ' || c == 0xa0 || (c >= '\t' && c <= '\r') || c == 0)
            return false;
    }
    return true;
}

bool names_is_opaque(struct text name, size_t limit)
{
    if (name.length == 0 || name.length > limit)
        return false;
    for (size_t i = 0; i < name.length; i++) {
        if (name.data[i] <= ' ' || name.data[i] > '~')
            return false;
    }
    return true;
}

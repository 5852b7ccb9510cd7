/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/planner_lines.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/hash.h"
#include "planner/memory.h"

void lines_add(struct lines *lines, const char *format, ...)
{
    va_list arguments;
    char *line;

    va_start(arguments, format);
    if (vasprintf(&line, format, arguments) < 0)
        abort();
    va_end(arguments);
    if (lines->count == lines->capacity) {
        lines->capacity = lines->capacity ? lines->capacity * 2 : 16;
        lines->items = memory_resize(lines->items, lines->capacity, sizeof(char *));
    }
    lines->items[lines->count++] = line;
}

static int line_order(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void lines_sort(struct lines *lines)
{
    size_t used = 0;

    if (lines->count)
        qsort(lines->items, lines->count, sizeof(char *), line_order);
    for (size_t i = 0; i < lines->count; i++) {
        if (used && strcmp(lines->items[used - 1], lines->items[i]) == 0)
            free(lines->items[i]);
        else
            lines->items[used++] = lines->items[i];
    }
    lines->count = used;
}

void lines_clear(struct lines *lines)
{
    for (size_t i = 0; i < lines->count; i++)
        free(lines->items[i]);
    free(lines->items);
    *lines = (struct lines){0};
}

bool lines_equal(const struct lines *a, const struct lines *b)
{
    bool equal = true;
    size_t i = 0, j = 0;

    while (i < a->count || j < b->count) {
        int order = i == a->count ? 1 : j == b->count ? -1 : strcmp(a->items[i], b->items[j]);

        if (order < 0)
            fprintf(stderr, "only in the first:  %s\n", a->items[i]);
        if (order > 0)
            fprintf(stderr, "only in the second: %s\n", b->items[j]);
        equal = equal && order == 0;
        i += order <= 0;
        j += order >= 0;
    }
    return equal;
}

char *lines_join(const struct lines *lines)
{
    size_t length = 1, used = 0;
    char *text;

    for (size_t i = 0; i < lines->count; i++)
        length += strlen(lines->items[i]) + 2;
    text = memory_new(length, 1);
    for (size_t i = 0; i < lines->count; i++)
        used += (size_t)sprintf(text + used, "%s; ", lines->items[i]);
    return text;
}

void lines_add_node(struct lines *lines, const struct ip_addr *address, unsigned flags)
{
    char text[ADDRESS_TEXT_SIZE];

    lines_add(lines, "node %s flags=%u", address_format(address, text), flags);
}

void lines_add_settings(struct lines *lines, const struct settings *settings)
{
    char v4[ADDRESS_TEXT_SIZE], v6[ADDRESS_TEXT_SIZE];

    lines_add(lines, "settings v4=%s v6=%s flags=%u", address_format(&settings->node_v4, v4),
              address_format(&settings->node_v6, v6), settings->flags);
}

void lines_add_range(struct lines *lines, unsigned profile, const struct ip_prefix *prefix,
                     unsigned action)
{
    char text[PREFIX_TEXT_SIZE];

    lines_add(lines, "range profile=%u %s action=%u", profile, prefix_format(prefix, text), action);
}

void lines_add_route(struct lines *lines, const struct ip_prefix *prefix, unsigned action,
                     const char *policy, const char *group)
{
    char text[PREFIX_TEXT_SIZE];

    lines_add(lines, "%s action=%u policy=%s group=%s", prefix_format(prefix, text), action, policy,
              group);
}

void lines_add_endpoint(struct lines *lines, const struct ip_addr *address,
                        const struct endpoint *endpoint, const char *routes)
{
    char text[ADDRESS_TEXT_SIZE], node[ADDRESS_TEXT_SIZE];

    lines_add(lines, "endpoint %s node=%s hash=%u flags=%u routes={%s}",
              address_format(address, text), address_format(&endpoint->node, node), endpoint->hash,
              endpoint->flags, routes);
}

char *lines_group(const struct gateway *slots, size_t count)
{
    char node[ADDRESS_TEXT_SIZE], egress[ADDRESS_TEXT_SIZE];
    uint64_t hash = hash_bytes(slots, count * sizeof(*slots));
    char *text;

    if (asprintf(&text, "%zu/%016llx/%s/%s/%u/%u", count, (unsigned long long)hash,
                 address_format(&slots[0].node, node), address_format(&slots[0].egress, egress),
                 slots[0].ifindex, slots[0].flags) < 0)
        abort();
    return text;
}

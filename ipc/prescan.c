/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msgpack-c reserves memory for whatever count the head of an array claims. So every head is held
 * against the bytes that remain before msgpack-c sees the first of them.
 */
#include "ipc/prescan.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

enum token_class { TOKEN_REFUSED, TOKEN_PLAIN, TOKEN_BYTES, TOKEN_ARRAY, TOKEN_MAP };

struct token {
    enum token_class class;
    uint64_t size;  /* of the token itself, with the bytes of a string, without its children */
    uint64_t count; /* children of an array, pairs of a map */
};

/* Heads 0xc0 to 0xdf; `width` bytes follow: the value, or a count in network order. Floats and
 * extension types are in no record. */
static const struct {
    uint8_t class;
    uint8_t width;
} heads[0x20] = {
    [0x00] = {TOKEN_PLAIN, 0},                                                       /* nil */
    [0x02] = {TOKEN_PLAIN, 0}, [0x03] = {TOKEN_PLAIN, 0},                            /* booleans */
    [0x04] = {TOKEN_BYTES, 1}, [0x05] = {TOKEN_BYTES, 2}, [0x06] = {TOKEN_BYTES, 4}, /* binaries */
    [0x0c] = {TOKEN_PLAIN, 1}, [0x0d] = {TOKEN_PLAIN, 2},                            /* unsigned */
    [0x0e] = {TOKEN_PLAIN, 4}, [0x0f] = {TOKEN_PLAIN, 8}, [0x10] = {TOKEN_PLAIN, 1},
    [0x11] = {TOKEN_PLAIN, 2}, /* signed */
    [0x12] = {TOKEN_PLAIN, 4}, [0x13] = {TOKEN_PLAIN, 8}, [0x19] = {TOKEN_BYTES, 1},
    [0x1a] = {TOKEN_BYTES, 2}, [0x1b] = {TOKEN_BYTES, 4}, /* strings */
    [0x1c] = {TOKEN_ARRAY, 2}, [0x1d] = {TOKEN_ARRAY, 4}, [0x1e] = {TOKEN_MAP, 2},
    [0x1f] = {TOKEN_MAP, 4},
};

/* The token at `data`; a size beyond `left` means that it is cut off. */
static struct token token_read(const uint8_t *data, size_t left)
{
    struct token token = {.class = TOKEN_PLAIN, .size = 1};
    uint8_t head = data[0];
    unsigned width;

    if (head < 0x80 || head >= 0xe0)
        return token;
    if (head < 0xc0) {
        token.class = head < 0x90 ? TOKEN_MAP : head < 0xa0 ? TOKEN_ARRAY : TOKEN_BYTES;
        token.count = head & (head < 0xa0 ? 0x0f : 0x1f);
    } else {
        token.class = heads[head - 0xc0].class;
        width = heads[head - 0xc0].width;
        token.size += width;
        if (token.size > left || token.class == TOKEN_PLAIN || token.class == TOKEN_REFUSED)
            return token;
        for (unsigned i = 0; i < width; i++)
            token.count = token.count << 8 | data[1 + i];
    }
    if (token.class == TOKEN_BYTES)
        token.size += token.count;
    return token;
}

/* Where the walk is. Every value that is still due takes at least one byte, so `due` never exceeds
 * the bytes that remain, and `left` of no level exceeds `due`. */
struct walk {
    uint64_t due;
    unsigned elements;
    unsigned depth;
    uint64_t left[PRESCAN_DEPTH];
};

static int walk_enter(struct walk *walk, const struct token *token, size_t bytes,
                      const struct prescan_limits *limits, const char **why)
{
    uint64_t children = token->class == TOKEN_MAP ? 2 * token->count : token->count;

    if (children > bytes || walk->due > bytes - children) {
        *why = "a count exceeds the bytes that remain";
        return -EBADMSG;
    }
    if (token->count > limits->items) {
        *why = "an array or map has more items than this type of record allows";
        return -EMSGSIZE;
    }
    if (children == 0)
        return 0;
    if (walk->depth == PRESCAN_DEPTH) {
        *why = "arrays and maps are nested too deeply";
        return -EBADMSG;
    }
    walk->left[walk->depth++] = children;
    walk->due += children;
    return 0;
}

/* One value less is due; levels that are complete are left. */
static void walk_count(struct walk *walk)
{
    walk->due--;
    if (walk->depth)
        walk->left[walk->depth - 1]--;
}

static void walk_leave(struct walk *walk)
{
    while (walk->depth && walk->left[walk->depth - 1] == 0)
        walk->depth--;
}

int prescan(const void *data, size_t length, const struct prescan_limits *limits, const char **why)
{
    struct walk walk = {.due = 1};
    const uint8_t *next = data;

    while (walk.due) {
        struct token token = {.size = 1};

        if (length)
            token = token_read(next, length);
        if (token.size > length) {
            *why = "truncated";
            return -EBADMSG;
        }
        if (token.class == TOKEN_REFUSED) {
            *why = "a type of value that no record has";
            return -EBADMSG;
        }
        if (++walk.elements > limits->elements) {
            *why = "more values than this type of record allows";
            return -EMSGSIZE;
        }
        next += token.size;
        length -= token.size;
        walk_count(&walk);
        if (token.class == TOKEN_ARRAY || token.class == TOKEN_MAP) {
            int error = walk_enter(&walk, &token, length, limits, why);

            if (error)
                return error;
        }
        walk_leave(&walk);
    }
    if (length) {
        *why = "trailing bytes";
        return -EBADMSG;
    }
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher/kube_decode.h"

#include <errno.h>
#include <string.h>

/* How the string that names the items ends up among the bytes of a string: with its last quote. */
#define ITEMS_END "items\""

int kube_buffer_add(struct kube_buffer *buffer, const char *data, size_t length, size_t limit)
{
    size_t needed = buffer->length + length;

    if (needed < length || needed > limit)
        return -EFBIG;
    if (needed > buffer->capacity) {
        size_t capacity = buffer->capacity ? buffer->capacity : 1024;
        char *grown;

        while (capacity < needed)
            capacity *= 2;
        grown = realloc(buffer->data, capacity);
        if (!grown)
            return -ENOMEM;
        buffer->data = grown;
        buffer->capacity = capacity;
    }
    if (length)
        memcpy(buffer->data + buffer->length, data, length);
    buffer->length = needed;
    return 0;
}

void kube_buffer_clear(struct kube_buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct kube_buffer){0};
}

/* Keeps a small buffer for the next piece; one that a large object has blown up is given back. */
static void buffer_reset(struct kube_buffer *buffer)
{
    if (buffer->capacity > 1 << 18)
        kube_buffer_clear(buffer);
    buffer->length = 0;
}

static int line_end(struct kube_lines *lines, const char *data, size_t length, kube_piece piece,
                    void *context)
{
    int error;

    if (lines->buffer.length == 0) /* the whole line is here: no copy */
        return length == 0 ? 0 : length > KUBE_OBJECT_LIMIT ? -EFBIG : piece(context, data, length);
    error = kube_buffer_add(&lines->buffer, data, length, KUBE_OBJECT_LIMIT);
    if (!error)
        error = piece(context, lines->buffer.data, lines->buffer.length);
    buffer_reset(&lines->buffer);
    return error;
}

int kube_lines_feed(struct kube_lines *lines, const char *data, size_t length, kube_piece piece,
                    void *context)
{
    const char *newline;

    while (length && (newline = memchr(data, '\n', length)) != NULL) {
        size_t part = (size_t)(newline - data);
        int error = line_end(lines, data, part, piece, context);

        if (error)
            return error;
        data += part + 1;
        length -= part + 1;
    }
    return kube_buffer_add(&lines->buffer, data, length, KUBE_OBJECT_LIMIT);
}

void kube_lines_clear(struct kube_lines *lines)
{
    kube_buffer_clear(&lines->buffer);
}

static bool is_space(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

/* Bytes belong to an item, or to what is around the items. */
static int list_keep(struct kube_list *list, const char *data, size_t length)
{
    if (list->items)
        return kube_buffer_add(&list->item, data, length, KUBE_OBJECT_LIMIT);
    return kube_buffer_add(&list->envelope, data, length, KUBE_ENVELOPE_LIMIT);
}

/* An element of items has ended; white space alone is none. */
static int list_item_end(struct kube_list *list, kube_piece piece, void *context)
{
    size_t first = 0;
    int error = 0;

    while (first < list->item.length && is_space(list->item.data[first]))
        first++;
    if (first < list->item.length)
        error = piece(context, list->item.data + first, list->item.length - first);
    buffer_reset(&list->item);
    return error;
}

/* Takes bytes of a string, the quote that ends it included; returns how many. */
static size_t list_string(struct kube_list *list, const char *data, size_t length)
{
    size_t used = 0;

    while (used < length && list->in_string) {
        char byte = data[used++];

        if (list->escaped)
            list->escaped = false;
        else if (byte == '\\')
            list->escaped = true;
        else if (byte == '"')
            list->in_string = false;
    }
    return used;
}

/* The last string of the first level, as far as it matters for a comparison with "items". */
static int list_note_key(struct kube_list *list, const char *data, size_t length)
{
    size_t room = sizeof(ITEMS_END) - list->key.length;

    return kube_buffer_add(&list->key, data, length < room ? length : room, sizeof(ITEMS_END));
}

static int list_open(struct kube_list *list, char byte)
{
    bool starts_items = list->depth == 1 && byte == '[' &&
                        list->key.length == sizeof(ITEMS_END) - 1 &&
                        !memcmp(list->key.data, ITEMS_END, sizeof(ITEMS_END) - 1);
    int error = list_keep(list, &byte, 1);

    if (starts_items)
        list->items = true;
    list->depth++;
    return error;
}

static int list_close(struct kube_list *list, char byte, kube_piece piece, void *context)
{
    int error = 0;

    if (list->depth == 0)
        return -EBADMSG;
    list->depth--;
    if (list->items && list->depth == 1) {
        error = list_item_end(list, piece, context);
        list->items = false;
    }
    list->whole = list->depth == 0;
    return error ? error : list_keep(list, &byte, 1);
}

/* Bytes inside an element that mean nothing here: numbers, colons, words. */
static size_t list_plain(const struct kube_list *list, const char *data, size_t length)
{
    size_t used = 0;

    if (list->depth < 2)
        return 0;
    while (used < length && !is_space(data[used]) && !memchr("{}[],\"", data[used], 6))
        used++;
    return used;
}

/* Takes one byte outside of strings. */
static int list_byte(struct kube_list *list, char byte, kube_piece piece, void *context)
{
    switch (byte) {
    case '{':
    case '[':
        return list_open(list, byte);
    case '}':
    case ']':
        return list_close(list, byte, piece, context);
    case ',':
        if (list->items && list->depth == 2)
            return list_item_end(list, piece, context);
        return list_keep(list, &byte, 1);
    case '"':
        list->in_string = true;
        list->key.length = 0;
        return list_keep(list, &byte, 1);
    default:
        return is_space(byte) ? 0 : list->depth ? list_keep(list, &byte, 1) : -EBADMSG;
    }
}

int kube_list_feed(struct kube_list *list, const char *data, size_t length, kube_piece piece,
                   void *context)
{
    while (length) {
        size_t used = 1, plain;
        int error;

        if (list->whole) {
            error = is_space(*data) ? 0 : -EBADMSG;
        } else if (list->in_string) {
            used = list_string(list, data, length);
            error = list_keep(list, data, used);
            if (!error && list->depth == 1)
                error = list_note_key(list, data, used);
        } else if ((plain = list_plain(list, data, length)) > 0) {
            used = plain;
            error = list_keep(list, data, used);
        } else {
            error = list_byte(list, *data, piece, context);
        }
        if (error)
            return error;
        data += used;
        length -= used;
    }
    return 0;
}

void kube_list_clear(struct kube_list *list)
{
    kube_buffer_clear(&list->envelope);
    kube_buffer_clear(&list->item);
    kube_buffer_clear(&list->key);
    *list = (struct kube_list){0};
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "watcher/kube_config.h"

void kube_blob_clear(struct kube_blob *blob)
{
    if (blob->data) {
        explicit_bzero(blob->data, blob->length);
        free(blob->data);
    }
    *blob = (struct kube_blob){0};
}

/* Reads at most `limit` bytes, fewer only at the end of the file. */
static ssize_t read_all(int fd, char *buffer, size_t limit)
{
    size_t length = 0;

    while (length < limit) {
        ssize_t count = read(fd, buffer + length, limit - length);

        if (count == 0)
            break;
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -errno;
        length += (size_t)count;
    }
    return (ssize_t)length;
}

int kube_blob_read(const char *path, struct kube_blob *blob)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    _cleanup_kube_blob_ struct kube_blob read = {0};
    struct stat status;
    ssize_t length;

    if (fd < 0 || fstat(fd, &status) < 0)
        return -errno;
    if (!S_ISREG(status.st_mode))
        return -EINVAL;
    if (status.st_size > KUBE_FILE_LIMIT)
        return -EFBIG;
    /* One byte more than the file had shows that it grew meanwhile. */
    read.length = (size_t)status.st_size + 1;
    read.data = calloc(1, read.length + 1);
    if (!read.data)
        return -ENOMEM;
    length = read_all(fd, read.data, read.length);
    if (length < 0)
        return (int)length;
    if ((size_t)length == read.length)
        return -EAGAIN;
    blob->data = TAKE_PTR(read.data);
    blob->length = (size_t)length;
    return 0;
}

static int base64_value(char character)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *found = character ? strchr(alphabet, character) : NULL;

    return found ? (int)(found - alphabet) : -1;
}

int kube_blob_decode(const char *text, struct kube_blob *blob)
{
    _cleanup_kube_blob_ struct kube_blob decoded = {.length = strlen(text)};
    unsigned bits = 0, characters = 0, padding = 0;
    size_t length = 0;

    decoded.data = calloc(1, decoded.length + 1);
    if (!decoded.data)
        return -ENOMEM;
    for (; *text; text++) {
        int value = base64_value(*text);

        if (strchr(" \t\r\n", *text))
            continue;
        if (*text == '=') {
            padding++;
            continue;
        }
        if (value < 0 || padding)
            return -EINVAL;
        bits = bits << 6 | (unsigned)value;
        if (++characters % 4 != 1)
            decoded.data[length++] = (char)(bits >> (6 - 2 * ((characters - 1) % 4)));
    }
    if (length == 0 || characters % 4 == 1 || (characters + padding) % 4 != 0 || padding > 2)
        return -EINVAL;
    decoded.data[length] = '\0';
    blob->data = TAKE_PTR(decoded.data);
    blob->length = length;
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* egressgw-watcher --check on any file: it ends with a status and a summary. */
#include "fuzz.h"

#include <sys/mman.h>
#include <unistd.h>

#include "watcher/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    static char path[64];
    const char *items[] = {path};
    struct operands operands = {.items = (void *)items, .count = 1};
    _cleanup_free_ char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    int status;

    if (fd < 0) {
        fd = memfd_create("fuzz", MFD_CLOEXEC);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    }
    FUZZ_CHECK(out && fd >= 0);
    FUZZ_CHECK(ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
    status = check_files(&operands, out);
    FUZZ_CHECK(fclose(out) == 0);
    FUZZ_CHECK(status == EXIT_DONE || status == EXIT_FAILED);
    FUZZ_CHECK(length > 0 && text[length - 1] == '\n');
    return 0;
}

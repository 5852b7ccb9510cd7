/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/scarce.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <cmocka.h>

/* Shared with children, so that what `once` does may end its process. */
static struct {
    bool on, failed;
    unsigned long number, count;
} * scarce;
static long live;

__attribute__((constructor)) static void scarce_share(void)
{
    scarce = mmap(NULL, sizeof(*scarce), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (scarce == MAP_FAILED)
        abort();
}

void scarce_begin(void)
{
    scarce->on = true;
    scarce->count = 0;
}

void scarce_end(void)
{
    scarce->on = false;
}

long scarce_live(void)
{
    return live;
}

static bool strikes(void)
{
    if (!scarce || !scarce->on || ++scarce->count != scarce->number)
        return false;
    scarce->failed = true;
    errno = ENOMEM;
    return true;
}

#ifdef __SANITIZE_ADDRESS__
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_reallocarray(void *memory, size_t count, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_reallocarray(void *memory, size_t count, size_t size);
char *__wrap_strdup(const char *text);

void *__wrap_malloc(size_t size)
{
    return strikes() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return strikes() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return strikes() ? NULL : __real_realloc(memory, size);
}

void *__wrap_reallocarray(void *memory, size_t count, size_t size)
{
    return strikes() ? NULL : __real_reallocarray(memory, count, size);
}

char *__wrap_strdup(const char *text)
{
    return strikes() ? NULL : __real_strdup(text);
}
#else
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void __libc_free(void *memory);

static void *counted(void *memory)
{
    live += memory != NULL;
    return memory;
}

void *malloc(size_t size)
{
    return strikes() ? NULL : counted(__libc_malloc(size));
}

void *calloc(size_t count, size_t size)
{
    return strikes() ? NULL : counted(__libc_calloc(count, size));
}

void *realloc(void *memory, size_t size)
{
    if (strikes())
        return NULL;
    return memory ? __libc_realloc(memory, size) : counted(__libc_malloc(size));
}

void free(void *memory)
{
    live -= memory != NULL;
    __libc_free(memory);
}
#endif

unsigned scarce_each(unsigned step, bool (*once)(void *context), void *context)
{
    unsigned failures = 0;

    scarce->number = 0;
    assert_true(once(context)); /* what libraries make for good is made here */
    for (scarce->number = 1, scarce->failed = true; scarce->failed;
         scarce->number += getenv("SOAK") ? 1 : step) {
        long before = scarce_live();
        bool done;

        scarce->failed = false;
        done = once(context);
        failures += scarce->failed;
        if (!scarce->failed && !done)
            fail_msg("not done, and none of %lu allocations failed", scarce->count);
        if (scarce_live() != before)
            fail_msg("%ld allocations are left where number %lu failed", scarce_live() - before,
                     scarce->number);
    }
    print_message("# %u of %lu allocations failed\n", failures, scarce->count);
    return failures;
}

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COMMON_MACROS_H
#define COMMON_MACROS_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(function)     __attribute__((cleanup(function)))
#define _must_check_            __attribute__((warn_unused_result))
#define _format_(string, first) __attribute__((format(printf, string, first)))
#define _unused_                __attribute__((unused))

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* Moves ownership out of a variable that has a cleanup attribute. */
#define TAKE_PTR(pointer)                                                                          \
    ({                                                                                             \
        __typeof__(pointer) *_p = &(pointer);                                                      \
        __typeof__(pointer) _v = *_p;                                                              \
        *_p = NULL;                                                                                \
        _v;                                                                                        \
    })
#define TAKE_FD(fd)                                                                                \
    ({                                                                                             \
        int *_p = &(fd);                                                                           \
        int _v = *_p;                                                                              \
        *_p = -1;                                                                                  \
        _v;                                                                                        \
    })

static inline void cleanup_free(void *pointer)
{
    free(*(void **)pointer);
}

static inline void cleanup_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static inline void cleanup_fclose(FILE **file)
{
    if (*file)
        fclose(*file);
}

#define _cleanup_free_   _cleanup_(cleanup_free)
#define _cleanup_close_  _cleanup_(cleanup_close)
#define _cleanup_fclose_ _cleanup_(cleanup_fclose)

#endif

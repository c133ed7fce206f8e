/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scope guards: a variable marked with one of these is released when it goes out of scope, unless its value was handed
 * over with TAKE_PTR() or TAKE_FD().
 */
#ifndef VMTEST_BASE_CLEANUP_H
#define VMTEST_BASE_CLEANUP_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(function) __attribute__((cleanup(function)))
#define _must_check_ __attribute__((warn_unused_result))
#define _printf_(string_index, first) __attribute__((__format__(__printf__, string_index, first)))
#define _unused_ __attribute__((unused))

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* Hands a pointer over: gives its value and leaves NULL behind. */
#define TAKE_PTR(pointer)                                                                                              \
    ({                                                                                                                 \
        __typeof__(pointer) *take_ptr_ = &(pointer);                                                                   \
        __typeof__(pointer) taken_ = *take_ptr_;                                                                       \
        *take_ptr_ = NULL;                                                                                             \
        taken_;                                                                                                        \
    })

/* Hands a file descriptor over: gives its value and leaves -1 behind. */
#define TAKE_FD(fd)                                                                                                    \
    ({                                                                                                                 \
        int *take_fd_ = &(fd);                                                                                         \
        int taken_ = *take_fd_;                                                                                        \
        *take_fd_ = -1;                                                                                                \
        taken_;                                                                                                        \
    })

/* Makes `name`, a guard for variables of `type`, out of a destructor that takes NULL. */
#define DEFINE_CLEANUP(name, type, destructor)                                                                         \
    static inline void name(type *value) {                                                                             \
        destructor(*value);                                                                                            \
    }

static inline void cleanup_free(void *pointer) {
    free(*(void **)pointer);
}

static inline void cleanup_close(const int *fd) {
    if (*fd >= 0)
        (void)close(*fd);
}

static inline void cleanup_fclose(FILE **file) {
    if (*file)
        (void)fclose(*file);
}

static inline void cleanup_closedir(DIR **dir) {
    if (*dir)
        (void)closedir(*dir);
}

#define _cleanup_free_ _cleanup_(cleanup_free)
#define _cleanup_close_ _cleanup_(cleanup_close)
#define _cleanup_fclose_ _cleanup_(cleanup_fclose)
#define _cleanup_closedir_ _cleanup_(cleanup_closedir)

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one worker has made of a kernel, for those that come after it in the same run: the file that boots, the
 * initramfs, and the digests of both. A worker that had to prepare a kernel itself hands the result to the supervisor,
 * which keeps it without looking into it; each worker is forked with all that is kept, and takes it only if the
 * kernel's file, the modules and their index are still those that it was made of.
 */
#ifndef VMTEST_PREPARE_KERNEL_CACHE_H
#define VMTEST_PREPARE_KERNEL_CACHE_H

#include "config/target.h"
#include "prepare/prepare.h"

/* Kernels of one run beyond this many push out the oldest. */
#define KERNEL_CACHE_MAX 32

struct kernel_cache_item {
    struct buffer text; /* strings with their NULs; the first says what was prepared */
    int kernel_fd;
    int initrd_fd;
};

struct kernel_cache {
    int read_fd; /* the supervisor's end of a pair of datagram sockets */
    int write_fd;
    struct kernel_cache_item items[KERNEL_CACHE_MAX];
    size_t count;
    size_t oldest; /* which one makes room when all are taken */
};

/* Without descriptors for the sockets nothing is ever shared, which is no error. */
struct kernel_cache *kernel_cache_new(void);
void kernel_cache_free(struct kernel_cache *kernel_cache);
/* In the supervisor, when `read_fd` is readable. */
void kernel_cache_receive(struct kernel_cache *kernel_cache);

/*
 * Fills in release, modules, both descriptors and digests from what is there. False when there is nothing of this
 * kernel, or it is out of date. `kernel_cache` may be NULL.
 */
bool kernel_cache_take(const struct kernel_cache *kernel_cache, const struct target *target, const char *cache,
                       struct preparation *preparation) _must_check_;

/* Notes the state of a file before something is made of it. */
void kernel_cache_note(struct strv *inputs, const char *path);
/* Hands on what this worker has prepared; what was taken as it is, is there already. Called before QEMU starts. */
void kernel_cache_offer(const struct kernel_cache *kernel_cache, const struct target *target,
                        const struct preparation *preparation);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything of a run that happens before QEMU starts: the target's files are looked at, the kernel is unpacked and the
 * initramfs composed, or the image's overlay made and its firmware found; the shares and what the guest does with them
 * are listed.
 */
#ifndef VMTEST_PREPARE_PREPARE_H
#define VMTEST_PREPARE_PREPARE_H

#include "base/error.h"
#include "config/target.h"
#include "guest/agent-client.h"
#include "modules/modules.h"
#include "qemu/argv.h"
#include "qemu/firmware.h"
#include "qemu/image.h"

/* Is told one line for the user. */
typedef void notice_fn(void *context, const char *line);

struct kernel_cache;

struct preparation {
    const struct arch *arch;
    char *program; /* QEMU's path */
    enum accel accel;
    bool single_threaded_tcg; /* of struct qemu_config */
    int cancel_fd;            /* readable: the run is cancelled */

    char *release; /* of the kernel */
    int kernel_fd; /* what QEMU boots: an unpacked vmlinux, or the file as it is */
    int initrd_fd;
    struct modules modules;
    char *kernel_digest; /* of kernel_fd and initrd_fd, where they are known (base/digest.h), or NULL */
    char *initrd_digest;
    struct strv inputs; /* the files that these were made of, each with its state before (prepare/kernel-cache.h) */
    bool kernel_taken;  /* from the cache of kernels */

    struct image image;
    int overlay_fd; /* takes what the guest writes, or -1 */
    int persist_fd; /* the lock of an image that is written to, or -1 */
    struct firmware firmware;
    int vars_fd; /* what the firmware writes to, or -1 */

    struct strv strings; /* of shares[] and mounts[], owned here */
    struct share *shares;
    size_t n_shares;

    struct agent_mount *mounts;
    size_t n_mounts;
    char *directory; /* the command's working directory */
};

/*
 * Fills *ret_preparation, with a kernel from `kernel_cache` (prepare/kernel-cache.h, or NULL) if one is there; to be
 * released with preparation_deinit() in any case. Errors name the key or option; -ECANCELED when `cancel_fd` has become
 * readable, which is left to the caller to read.
 */
int preparation_make(const struct target *target, int cancel_fd, const struct kernel_cache *kernel_cache,
                     notice_fn *notice, void *context, struct preparation *ret_preparation, struct error **ret_error)
    _must_check_;
#define PREPARATION_EMPTY                                                                                              \
    ((struct preparation){                                                                                             \
        .cancel_fd = -1, .kernel_fd = -1, .initrd_fd = -1, .overlay_fd = -1, .persist_fd = -1, .vars_fd = -1})
/* For a second machine of the same run: files that the first one may have written to are made anew. */
int prepare_anew(const struct target *target, struct preparation *preparation, struct error **ret_error) _must_check_;
void preparation_deinit(struct preparation *preparation);
#define _cleanup_preparation_ _cleanup_(preparation_deinit)

/* The parts of preparation_make(), in its order; each in a file of its own. */
int prepare_kernel(const struct target *target, const struct kernel_cache *kernel_cache, notice_fn *notice,
                   void *context, struct preparation *preparation, struct error **ret_error) _must_check_;
int prepare_image(const struct target *target, struct preparation *preparation, struct error **ret_error) _must_check_;
int prepare_mounts(const struct target *target, notice_fn *notice, void *context, struct preparation *preparation,
                   struct error **ret_error) _must_check_;

#endif

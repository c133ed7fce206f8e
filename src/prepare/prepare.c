/* SPDX-License-Identifier: Apache-2.0 */
#include "prepare/prepare.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/file.h"
#include "base/log.h"
#include "prepare/confinement.h"
#include "prepare/scratch.h"
#include "qemu/process.h"
#include "qemu/version.h"
#include "wire/guest-shells.h"

/* Minimum RLIMIT_NOFILE: the descriptors of QEMU itself plus one per open 9p file. */
#define FILES_MIN 64u

void preparation_deinit(struct preparation *preparation) {
    free(preparation->program);
    free(preparation->release);
    preparation->kernel_fd = fd_close(preparation->kernel_fd);
    preparation->initrd_fd = fd_close(preparation->initrd_fd);
    modules_deinit(&preparation->modules);
    free(preparation->kernel_digest);
    free(preparation->initrd_digest);
    strv_deinit(&preparation->inputs);
    image_deinit(&preparation->image);
    firmware_deinit(&preparation->firmware);
    preparation->overlay_fd = fd_close(preparation->overlay_fd);
    preparation->persist_fd = fd_close(preparation->persist_fd);
    preparation->vars_fd = fd_close(preparation->vars_fd);
    free(preparation->shares);
    strv_deinit(&preparation->strings);
    free(preparation->mounts);
    free(preparation->directory);
}

/* Whether `path` exists below the directory `root`, symbolic links being taken from there as the guest does. */
static bool exists_in_root(int root, const char *path) {
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};
    _cleanup_close_ int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));

    if (fd < 0 && (errno == ENOSYS || errno == EPERM))
        return faccessat(root, path, F_OK, 0) == 0;
    return fd >= 0;
}

static int check_rootfs(const struct target *target, struct error **ret_error) {
    const char *where = target_where(target, KEY_ROOTFS);
    struct stat status;

    if (stat(target->rootfs, &status) < 0)
        return error_errno(ret_error, errno, "%s: rootfs '%s'", where, target->rootfs);
    if (!S_ISDIR(status.st_mode))
        return error_new(ret_error, ENOTDIR, "%s: rootfs '%s' is not a directory; give the root directory of a system",
                         where, target->rootfs);

    _cleanup_close_ int root = open(target->rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0 || access(target->rootfs, R_OK | X_OK) < 0)
        return error_errno(ret_error, errno, "%s: rootfs '%s'", where, target->rootfs);
    if (target->argv.count > 0)
        return 0;
    for (size_t i = 0; i < ARRAY_SIZE(guest_shells); i++) {
        if (exists_in_root(root, guest_shells[i] + 1))
            return 0;
    }
    return error_new(ret_error, ENOENT,
                     "%s: rootfs '%s' has no shell (bash, sh or busybox); add one, or give the command as words after "
                     "'--'",
                     where, target->rootfs);
}

/* Without descriptors everything fails, in ways that name everything but that. */
static int check_files(struct error **ret_error) {
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_max >= FILES_MIN)
        return 0;
    return error_new(ret_error, EMFILE, "only %llu files may be open at a time (ulimit -n); allow at least %u",
                     (unsigned long long)files.rlim_max, FILES_MIN);
}

/* Whether the host would give QEMU so much memory, asked for as QEMU does. */
static int check_memory(const struct target *target, struct error **ret_error) {
    void *memory = mmap(NULL, target->memory, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED)
        return error_errno(ret_error, errno, "%s: the host does not give a machine '%s' of memory; ask for less",
                           target_where(target, KEY_VM_MEMORY), target->memory_text);
    (void)munmap(memory, target->memory);
    return 0;
}

/* Linux takes no argument longer than this (MAX_ARG_STRLEN), the final NUL included. */
#define SCRIPT_MAX (128u << 10)

static int check_command(const struct target *target, struct error **ret_error) {
    if (!target->command || strlen(target->command) < SCRIPT_MAX)
        return 0;
    return error_new(ret_error, E2BIG, "%s: the command is longer than %u bytes; put it into a script",
                     target_where(target, KEY_COMMAND), SCRIPT_MAX - 1);
}

static int choose_accel(const struct target *target, notice_fn *notice, void *context, enum accel *ret_accel,
                        struct error **ret_error) {
    _cleanup_error_ struct error *reason = NULL;

    if (target->accel == ACCEL_CHOICE_TCG) {
        *ret_accel = ACCEL_TCG;
        return 0;
    }
    if (accel_probe_kvm(NULL, &reason) == 0) {
        *ret_accel = ACCEL_KVM;
        return 0;
    }
    if (target->accel == ACCEL_CHOICE_KVM)
        return error_new(ret_error, ENODEV, "%s: KVM cannot be used: %s", target_where(target, KEY_ACCEL),
                         error_message(reason));

    _cleanup_free_ char *line = xasprintf("emulating the machine, which is slow: %s", error_message(reason));
    notice(context, line);
    *ret_accel = ACCEL_TCG;
    return 0;
}

/* Whether QEMU has to emulate the CPUs in turn. One that does not tell its version is taken for an old one. */
static int choose_threads(const struct target *target, struct preparation *preparation, struct error **ret_error) {
    _cleanup_error_ struct error *error = NULL;
    struct qemu_version version;
    int r;

    if (preparation->accel != ACCEL_TCG || target->num_cpus < 2)
        return 0;
    r = qemu_version_find(preparation->program, preparation->cancel_fd, &version, &error);
    if (r == -ECANCELED)
        return error_new(ret_error, ECANCELED, "%s", error_message(error));
    if (r < 0)
        log_debug("QEMU's version: %s", error_message(error));
    preparation->single_threaded_tcg = r < 0 || !qemu_version_has_safe_threads(&version);
    return 0;
}

int preparation_make(const struct target *target, int cancel_fd, const struct kernel_cache *kernel_cache,
                     notice_fn *notice, void *context, struct preparation *ret_preparation, struct error **ret_error) {
    int r = 0;

    *ret_preparation = PREPARATION_EMPTY;
    ret_preparation->cancel_fd = cancel_fd;
    ret_preparation->arch = arch_find(target->arch);
    if (!ret_preparation->arch)
        return error_new(ret_error, ENOTSUP, "%s: architecture '%s' is not built in", target_where(target, KEY_ARCH),
                         target->arch);

    scratch_sweep();
    r = check_files(ret_error);
    if (r == 0 && target->kernel)
        r = check_rootfs(target, ret_error);
    if (r == 0)
        r = check_memory(target, ret_error);
    if (r == 0)
        r = check_command(target, ret_error);
    if (r == 0) {
        _cleanup_free_ char *setting = target_setting(target, KEY_QEMU_COMMAND, NULL);

        r = qemu_find_program(target->qemu_command, ret_preparation->arch, target_where(target, KEY_QEMU_COMMAND),
                              setting, &ret_preparation->program, ret_error);
    }
    if (r == 0)
        r = target->kernel ? prepare_kernel(target, kernel_cache, notice, context, ret_preparation, ret_error)
                           : prepare_image(target, ret_preparation, ret_error);
    if (r == 0)
        r = prepare_mounts(target, notice, context, ret_preparation, ret_error);
    if (r == 0)
        r = choose_accel(target, notice, context, &ret_preparation->accel, ret_error);
    if (r == 0)
        r = choose_threads(target, ret_preparation, ret_error);
    if (r == 0)
        confinement_notice(target, ret_preparation, notice, context);
    return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The worker's artifacts: the inputs of the machine before it starts, its memory after it has failed. */
#include "worker/worker-artifacts.h"

#include <fcntl.h>

#include "base/digest.h"
#include "base/file.h"
#include "event/artifact-directory.h"
#include "machine/launch.h"
#include "worker/memory-dump.h"

static void notice_not_kept(struct machine *machine, const char *what, const struct error *error) {
    _cleanup_free_ char *line = xasprintf("%s is not kept: %s", what, error_message(error));

    machine_notice(machine, line);
}

/* A file of memory as a file on disk. */
static int copy_memory(int fd, int directory, const char *name, struct error **ret_error) {
    _cleanup_free_ char *source = xasprintf("/proc/self/fd/%d", fd);
    _cleanup_close_ int from = open(source, O_RDONLY | O_CLOEXEC);
    _cleanup_close_ int to = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    int r = from < 0 || to < 0 ? -errno : fd_copy_sparse(from, to);

    if (r == 0)
        return 0;
    if (to >= 0)
        (void)unlinkat(directory, name, 0);
    return error_errno(ret_error, r, "%s", name);
}

/* A file of the directory, by the descriptor: its name may lead elsewhere by now. Caller frees. */
static char *path_in(int directory, const char *name) {
    return xasprintf("/proc/self/fd/%d/%s", directory, name);
}

static int keep_command(const struct target *target, const struct preparation *preparation, int directory,
                        const char *initramfs, struct error **ret_error) {
    _cleanup_free_ char *path = path_in(directory, ARTIFACT_QEMU);
    _cleanup_free_ char *line = machine_launch_paste_line(target, preparation, initramfs);
    int r = file_write_atomically(path, line, strlen(line), 0666, NULL);

    return r < 0 ? error_errno(ret_error, r, ARTIFACT_QEMU) : 0;
}

void worker_artifacts_keep_inputs(struct machine *machine, const struct target *target,
                                  const struct preparation *preparation, const char *shown, int directory,
                                  char **ret_kernel_hash) {
    char *real = realpath(shown, NULL);
    _cleanup_free_ char *here = real ? real : xstrdup(shown);
    _cleanup_free_ char *initramfs = xasprintf("%s/" ARTIFACT_INITRAMFS, here);
    _cleanup_error_ struct error *of_command = NULL;
    _cleanup_error_ struct error *of_initramfs = NULL;
    _cleanup_error_ struct error *of_hash = NULL;

    if (target->kernel && copy_memory(preparation->initrd_fd, directory, ARTIFACT_INITRAMFS, &of_initramfs) < 0)
        notice_not_kept(machine, "the initramfs", of_initramfs);
    if (keep_command(target, preparation, directory, initramfs, &of_command) < 0)
        notice_not_kept(machine, "QEMU's command line", of_command);
    if (target->kernel && digest_file(target->kernel, ret_kernel_hash, &of_hash) < 0)
        notice_not_kept(machine, "the kernel's hash", of_hash);
}

void worker_artifacts_keep_memory(struct machine *machine, const struct target *target, int directory) {
    bool wanted = target->dump && (machine->verdict == VERDICT_PANIC || machine->verdict == VERDICT_TIMEOUT);
    _cleanup_error_ struct error *error = NULL;
    bool vmcoreinfo;

    if (!wanted || machine->stage == STAGE_PREPARE)
        return;
    if (machine->qemu_gone) {
        machine_notice(machine, "the guest's memory is not kept: QEMU has ended");
        return;
    }
    if (directory < 0) {
        machine_notice(machine, "the guest's memory is not kept: give a directory for it with --artifacts");
        return;
    }
    _cleanup_closing_ struct machine *closing = machine_begin_closing(machine);
    if (memory_dump_write(machine, directory, ARTIFACT_MEMORY, &vmcoreinfo, &error) < 0)
        notice_not_kept(machine, "the guest's memory", error);
    else if (!vmcoreinfo)
        machine_notice(machine,
                       "the guest's memory was kept without VMCOREINFO, which its readers look for: the kernel "
                       "had not started its driver for that (qemu_fw_cfg, CONFIG_FW_CFG_SYSFS)");
}

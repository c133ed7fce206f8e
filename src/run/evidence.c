/* SPDX-License-Identifier: Apache-2.0 */
#include "run/evidence.h"

#include <fcntl.h>

#include "base/file.h"
#include "run/artifacts.h"
#include "run/dump.h"
#include "run/launch.h"
#include "template/digest.h"

static void tell(struct machine *machine, const char *what, const struct error *error) {
    _cleanup_free_ char *line = xasprintf("%s is not kept: %s", what, error_message(error));

    machine_notice(machine, line);
}

/* A file of memory as a file on disk. */
static int copy_memory(int fd, const char *path, struct error **ret_error) {
    _cleanup_free_ char *source = xasprintf("/proc/self/fd/%d", fd);
    _cleanup_close_ int from = open(source, O_RDONLY | O_CLOEXEC);
    _cleanup_close_ int to = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
    int r = from < 0 || to < 0 ? -errno : fd_copy_sparse(from, to);

    if (r == 0)
        return 0;
    if (to >= 0)
        (void)unlink(path);
    return error_errno(ret_error, r, "%s", path);
}

static int keep_command(const struct target *target, const struct preparation *preparation, const char *directory,
                        const char *initramfs, struct error **ret_error) {
    _cleanup_free_ char *path = xasprintf("%s/" ARTIFACT_QEMU, directory);
    _cleanup_free_ char *line = launch_paste_line(target, preparation, initramfs);

    return file_write_atomically(path, line, strlen(line), 0666, ret_error);
}

void evidence_keep_inputs(struct machine *machine, const struct target *target, const struct preparation *preparation,
                          const char *directory, char **ret_kernel_hash) {
    _cleanup_free_ char *here = realpath(directory, NULL);
    _cleanup_free_ char *initramfs = xasprintf("%s/" ARTIFACT_INITRAMFS, here ? here : directory);
    _cleanup_error_ struct error *of_command = NULL;
    _cleanup_error_ struct error *of_initramfs = NULL;
    _cleanup_error_ struct error *of_hash = NULL;

    if (target->kernel && copy_memory(preparation->initrd_fd, initramfs, &of_initramfs) < 0)
        tell(machine, "the initramfs", of_initramfs);
    if (keep_command(target, preparation, directory, initramfs, &of_command) < 0)
        tell(machine, "QEMU's command line", of_command);
    if (target->kernel && digest_file(target->kernel, ret_kernel_hash, &of_hash) < 0)
        tell(machine, "the kernel's hash", of_hash);
}

void evidence_keep_memory(struct machine *machine, const struct target *target, const char *directory) {
    bool wanted = target->dump && (machine->verdict == VERDICT_PANIC || machine->verdict == VERDICT_TIMEOUT);
    _cleanup_error_ struct error *error = NULL;

    if (!wanted || machine->qemu_gone || machine->stage == STAGE_PREPARE)
        return;
    if (!directory) {
        machine_notice(machine, "the guest's memory is not kept: give a directory for it with --artifacts");
        return;
    }
    _cleanup_free_ char *path = xasprintf("%s/" ARTIFACT_MEMORY, directory);
    machine_begin_closing(machine);
    if (dump_memory(machine, path, &error) < 0)
        tell(machine, "the guest's memory", error);
    machine->ended = true;
}

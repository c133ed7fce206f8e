/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QEMU writes the core into a pipe; a process of its own takes it from there, so that pages of zeroes become holes and
 * a machine of 4 GiB that has touched 200 MB costs 200 MB.
 */
#include "worker/memory-dump.h"

#include <elf.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "base/child.h"
#include "base/file.h"
#include "machine/qmp-call.h"

#define PATIENCE (600 * NSEC_PER_SEC)
/* For QEMU to begin: one that hangs does not answer at all. */
#define BEGIN_PATIENCE (30 * NSEC_PER_SEC)
#define FD_NAME "memory"
#define PIPE_SIZE (1 << 20)
/* Limit for the notes of a core: some hundred bytes for each processor, some thousand of the kernel's. */
#define NOTES_MAX (16u << 20)

static bool has_ended(const struct machine *machine) {
    return machine->qmp.dump_ended || machine->qemu_gone;
}

/* Has QEMU write the core to `fd`, which is closed here in any case. */
static int core_request(struct machine *machine, int fd, struct error **ret_error) {
    deadline_t deadline = deadline_in(BEGIN_PATIENCE);
    bool begun = qmp_call_ready(machine, deadline) && qmp_call_getfd(machine, FD_NAME, fd, deadline);

    (void)close(fd);
    begun =
        begun && qmp_call(machine, "dump-guest-memory",
                          json_pack("{s:b,s:s,s:b}", "paging", 0, "protocol", "fd:" FD_NAME, "detach", 1), deadline);
    if (begun && machine_wait(machine, has_ended, deadline_in(PATIENCE)) && machine->qmp.dump_ended &&
        !machine->qmp.dump_failure)
        return 0;
    return error_new(ret_error, EIO, "QEMU did not write the guest's memory: %s",
                     machine->qmp.dump_failure ? machine->qmp.dump_failure
                     : machine->qmp.failure    ? machine->qmp.failure
                     : machine->qemu_gone      ? "it has ended"
                                               : "it was stopped, or timed out");
}

/*
 * The writer's verdict on the file. Where QEMU has failed the writer is killed first; one that had ended before, by an
 * error of its own, is the reason why QEMU failed.
 */
static int writer_end(struct child *writer, bool qemu_failed, const char *path, struct error **ret_error) {
    int status;

    if (qemu_failed)
        child_kill(writer, SIGKILL);
    status = child_reap(writer);
    if (WIFEXITED(status) ? WEXITSTATUS(status) == 0 : qemu_failed)
        return 0;
    return error_errno(ret_error, WIFEXITED(status) ? WEXITSTATUS(status) : EIO, "%s", path);
}

static int core_pump(struct machine *machine, int file, const char *path, struct error **ret_error) {
    _cleanup_child_ struct child writer = CHILD_NONE;
    _cleanup_error_ struct error *of_qemu = NULL;
    int ends[2];
    int written;
    int r;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_errno(ret_error, errno, "pipe");
    (void)fcntl(ends[0], F_SETPIPE_SZ, PIPE_SIZE);

    r = child_fork(SIGKILL, &writer);
    if (r == 0) {
        (void)close(ends[1]);
        _exit(-fd_copy_sparse(ends[0], file));
    }
    (void)close(ends[0]);
    if (r < 0) {
        (void)close(ends[1]);
        return error_errno(ret_error, r, "cannot start a process");
    }
    written = core_request(machine, ends[1], &of_qemu);
    r = writer_end(&writer, written < 0, path, ret_error);
    if (r == 0 && written < 0) {
        r = written;
        *ret_error = TAKE_PTR(of_qemu);
    }
    return r;
}

/* True if an ELF core has the note that tells its reader where the kernel is. */
static bool has_vmcoreinfo(int file) {
    static const char name[] = "VMCOREINFO";
    Elf64_Ehdr header;

    if (pread(file, &header, sizeof(header), 0) != (ssize_t)sizeof(header) ||
        memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64)
        return false;
    for (unsigned i = 0; i < header.e_phnum; i++) {
        off_t place = (off_t)header.e_phoff + (off_t)(i * sizeof(Elf64_Phdr));
        _cleanup_buffer_ struct buffer notes = {0};
        Elf64_Phdr part;

        if (pread(file, &part, sizeof(part), place) != (ssize_t)sizeof(part))
            return false;
        if (part.p_type != PT_NOTE || part.p_filesz > NOTES_MAX)
            continue;
        ssize_t got = pread(file, buffer_reserve(&notes, part.p_filesz), part.p_filesz, (off_t)part.p_offset);
        if (got > 0 && memmem(notes.data, (size_t)got, name, sizeof(name)))
            return true;
    }
    return false;
}

int memory_dump_write(struct machine *machine, int directory, const char *name, bool *ret_vmcoreinfo,
                      struct error **ret_error) {
    _cleanup_free_ char *temporary = xasprintf("%s.new", name);
    _cleanup_close_ int file = -1;
    int r;

    /* A guest that the directory is shared with may have made a pipe of that name, which nobody reads. */
    (void)unlinkat(directory, temporary, 0);
    file = openat(directory, temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0)
        return error_errno(ret_error, errno, "%s", temporary);
    r = core_pump(machine, file, name, ret_error);
    if (r == 0 && renameat(directory, temporary, directory, name) < 0)
        r = error_errno(ret_error, errno, "%s", name);
    if (r < 0)
        (void)unlinkat(directory, temporary, 0);
    else
        *ret_vmcoreinfo = has_vmcoreinfo(file);
    return r;
}

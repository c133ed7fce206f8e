/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel files: what a file is, which kernel it holds, and its payload as a vmlinux. A file that no target of this
 * build can boot is refused with one line that names the file, says what it looks like and what to do.
 */
#ifndef VMTEST_KERNEL_KERNEL_H
#define VMTEST_KERNEL_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arch/arch.h"
#include "base/error.h"
#include "base/str.h"

/* How a bzImage's payload is packed. */
enum kernel_compression {
    KERNEL_UNPACKED,
    KERNEL_GZIP,
    KERNEL_BZIP2,
    KERNEL_LZMA,
    KERNEL_XZ,
    KERNEL_LZOP,
    KERNEL_LZ4,
    KERNEL_ZSTD,
    KERNEL_UNKNOWN_COMPRESSION,
    N_KERNEL_COMPRESSIONS,
};

struct kernel {
    char *path; /* as given */
    enum kernel_format format;
    char *release; /* as uname -r says it; never NULL, never with a slash */
    bool pvh;      /* KERNEL_VMLINUX: has a PVH entry. Of a bzImage only its unpacked payload tells. */

    /* KERNEL_BZIMAGE: the payload, within the mapping; of size 0 where the boot protocol is too old to tell. */
    size_t payload_offset;
    size_t payload_size;
    enum kernel_compression compression;

    const void *map; /* the whole file, read-only */
    size_t size;
};

/*
 * Maps a kernel file and reads what it says of itself. Refused: what is no regular readable file, no kernel, cut off,
 * of another architecture, and a vmlinux without PVH entry where it needs one. *ret is freed with kernel_free().
 */
int kernel_open(const char *path, struct kernel **ret, struct error **ret_error) _must_check_;
void kernel_free(struct kernel *kernel);
DEFINE_CLEANUP(cleanup_kernel, struct kernel *, kernel_free)
#define _cleanup_kernel_ _cleanup_(cleanup_kernel)

/*
 * Unpacks the payload of a KERNEL_BZIMAGE to the vmlinux ELF that it holds (costs a third of a second and more); of
 * any other format it copies the file. -EOPNOTSUPP where libarchive cannot read the compression: boot the bzImage then.
 */
int kernel_unpack(const struct kernel *kernel, struct buffer *ret_vmlinux, struct error **ret_error) _must_check_;

/* Whether an ELF file carries the note XEN_ELFNOTE_PHYS32_ENTRY, by which QEMU boots it. Takes any bytes. */
bool kernel_vmlinux_has_pvh(const void *elf, size_t size);

/*
 * 32 hexadecimal digits, XXH3-128 over the file's content; of a vmlinux over what gets loaded, without the debugging
 * information. Caller frees; never NULL.
 */
char *kernel_content_key(const struct kernel *kernel);

#endif

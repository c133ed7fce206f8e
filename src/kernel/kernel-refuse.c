/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a file is that is no kernel of this build's. People give the package in place of the kernel in it, an image in
 * place of a kernel, a module, or the kernel of another board: one line tells them, out of one table of signatures.
 */
#include "kernel/kernel-internal.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

#include "base/str.h"
#include "kernel/elf.h"
#include "kernel/kernel.h"
#include "kernel/unpack.h"

#define HEAD_SIZE 4096 /* of a compressed file's content, enough for every signature but the far ones */

static const char advice_unpack[] = "unpack it and give the vmlinuz in it";
static const char advice_image[] = "give it as `image`, or give a kernel file (vmlinuz, bzImage)";
static const char advice_kernel[] = "give a kernel file (vmlinuz, bzImage, vmlinux)";

/* Signatures, the more telling ones first. `arch`: it is a kernel, but for that architecture. */
static const struct signature {
    size_t offset;
    const char *magic;
    size_t length;
    const char *what;
    const char *arch;
    const char *advice;
} signatures[] = {
    {0x38, "ARM\x64", 4, "an arm64 Image", "aarch64", NULL},
    {0x38, "RSC\x05", 4, "a RISC-V Image", "riscv64", NULL},
    {0x10008, "S390EP", 6, "an s390 kernel", "s390x", NULL},
    {0x24, "\x18\x28\x6f\x01", 4, "a zImage of 32-bit ARM", "arm", NULL},
    {0x202, "HdrS", 4, "a bzImage", "x86_64", NULL},
    {0, "\x27\x05\x19\x56", 4, "a U-Boot image", NULL, "give the kernel in it (Image, vmlinux)"},
    {8, "debian-binary", 13, "a Debian package", NULL,
     "unpack it (dpkg-deb -x FILE.deb DIR) and give the vmlinuz in it"},
    {0, "\xed\xab\xee\xdb", 4, "an RPM package", NULL, advice_unpack},
    {0, "!<arch>\n", 8, "an ar archive", NULL, advice_unpack},
    {257, "ustar", 5, "a tar archive", NULL, advice_unpack},
    {0, "070701", 6, "a cpio archive (an initramfs?)", NULL, advice_kernel},
    {0, "PK\x03\x04", 4, "a zip archive", NULL, advice_unpack},
    {0, "hsqs", 4, "a squashfs file system", NULL, advice_kernel},
    {0, "QFI\xfb", 4, "a qcow2 disk image", NULL, advice_image},
    {0, "KDMV", 4, "a VMDK disk image", NULL, advice_image},
    {0, "vhdxfile", 8, "a VHDX disk image", NULL, advice_image},
    {0x8001, "CD001", 5, "an ISO image", NULL, advice_image},
    {512, "EFI PART", 8, "a disk image", NULL, advice_image},
    {0x438, "\x53\xef", 2, "an ext4 file system", NULL, advice_image},
    {0, "#!", 2, "a script", NULL, advice_kernel},
};

static const struct machine {
    unsigned machine;
    const char *name;
} machines[] = {
    {EM_X86_64, "x86_64"}, {EM_AARCH64, "aarch64"}, {EM_S390, "s390x"},   {EM_RISCV, "riscv64"},
    {EM_386, "i386"},      {EM_ARM, "32-bit ARM"},  {EM_PPC64, "ppc64"},  {EM_PPC, "32-bit PowerPC"},
    {EM_MIPS, "MIPS"},     {EM_SPARCV9, "sparc64"}, {258, "loongarch64"},
};

static const char *kernel_machine_name(unsigned machine) {
    for (size_t i = 0; i < ARRAY_SIZE(machines); i++)
        if (machines[i].machine == machine)
            return machines[i].name;
    return NULL;
}

/* The machine of a PE file, as kernels of arm64, RISC-V and LoongArch that EFI can start have it; NULL: no PE file. */
static const char *pe_machine(const unsigned char *data, size_t size) {
    if (size < 0x40 || memcmp(data, "MZ", 2) != 0)
        return NULL;
    uint32_t at;
    memcpy(&at, data + 0x3c, sizeof(at));
    at = le32toh(at);
    if (at > size - 6 || memcmp(data + at, "PE\0\0", 4) != 0)
        return NULL;
    switch (data[at + 4] | data[at + 5] << 8) {
    case 0x8664:
        return "x86_64";
    case 0xaa64:
        return "aarch64";
    case 0x5064:
        return "riscv64";
    case 0x6264:
        return "loongarch64";
    case 0x014c:
        return "i386";
    default:
        return "an unknown machine";
    }
}

static bool is_text(const char *data, size_t size) {
    size_t looked_at = size < 512 ? size : 512;
    for (size_t i = 0; i < looked_at; i++)
        if (!isprint((unsigned char)data[i]) && !isspace((unsigned char)data[i]) && !(data[i] & 0x80))
            return false;
    return true;
}

static int refuse_arch(const char *path, const char *what, const char *arch, struct error **ret_error) {
    return error_new(ret_error, ENOTSUP, "%s: this is %s, a kernel for %s, and this vmtest boots %s: give a %s kernel",
                     path, what, arch, arch_host_name(), arch_host_name());
}

static int refuse_other(const char *path, const char *what, const char *advice, struct error **ret_error) {
    return error_new(ret_error, EINVAL, "%s: this is %s, not a kernel: %s", path, what, advice);
}

static int refuse_elf(const char *path, const char *data, size_t size, struct error **ret_error) {
    const char *arch = kernel_machine_name(elf_machine(data, size));
    const char *name = arch ? arch : "an unknown machine";
    uint16_t type = 0;
    if (size >= offsetof(Elf64_Ehdr, e_type) + sizeof(type))
        memcpy(&type, data + offsetof(Elf64_Ehdr, e_type), sizeof(type));
    bool foreign = !str_equal(arch, arch_host_name());
    _cleanup_free_ char *release = kernel_find_elf_banner(data, size);
    if (release && foreign)
        return refuse_arch(path, "a vmlinux", name, ret_error);
    if (type == ET_REL || type == ET_REL << 8)
        return refuse_other(path, "a kernel module or object file", advice_kernel, ret_error);
    _cleanup_free_ char *what = xasprintf("an ELF file for %s that holds no Linux kernel (a program or library)", name);
    return refuse_other(path, what, advice_kernel, ret_error);
}

static int refuse_compressed_elf(const char *path, const char *name, const struct buffer *head,
                                 struct error **ret_error) {
    Elf64_Ehdr header;
    bool module = elf_header(head->data, head->size, &header) && header.e_type == ET_REL;
    _cleanup_free_ char *what = xasprintf("%s, compressed with %s", module ? "a kernel module" : "an ELF file", name);
    return refuse_other(path, what, module ? advice_kernel : "if it is a vmlinux, decompress it first", ret_error);
}

/* What the content of a compressed file is, for people: an arm64 Image.gz is not "a gzip file" to them. */
static int refuse_compressed(const char *path, const char *name, const char *data, size_t size,
                             struct error **ret_error) {
    _cleanup_buffer_ struct buffer head = {0};
    struct unpack_limits limits = {.expected = 0, .limit = HEAD_SIZE, .head_only = true};
    const char *inner = NULL;
    if (unpack_memory(path, data, size, limits, &head, NULL) == 0 && head.size > 0) {
        for (size_t i = 0; i < ARRAY_SIZE(signatures) && !inner; i++) {
            const struct signature *s = &signatures[i];
            if (s->offset + s->length > head.size || memcmp(head.data + s->offset, s->magic, s->length) != 0)
                continue;
            if (s->arch && !str_equal(s->arch, arch_host_name())) {
                _cleanup_free_ char *what = xasprintf("%s, compressed with %s", s->what, name);
                return refuse_arch(path, what, s->arch, ret_error);
            }
            inner = s->what;
        }
        if (!inner && elf_is_elf(head.data, head.size))
            return refuse_compressed_elf(path, name, &head, ret_error);
    }
    _cleanup_free_ char *what =
        inner ? xasprintf("%s, compressed with %s", inner, name) : xasprintf("a file compressed with %s", name);
    return refuse_other(path, what, "decompress it first, and give the kernel in it", ret_error);
}

static int refuse_pe(const char *path, const char *data, size_t size, const char *machine, struct error **ret_error) {
    bool zboot = size >= 8 && memcmp(data + 4, "zimg", 4) == 0;
    if (!str_equal(machine, arch_host_name()))
        return refuse_arch(path, zboot ? "a compressed EFI kernel (zboot)" : "an EFI program", machine, ret_error);
    return refuse_other(path, zboot ? "a compressed EFI kernel (zboot)" : "an EFI program (a unified kernel image?)",
                        "give the kernel in it (vmlinuz, bzImage, Image)", ret_error);
}

int kernel_refuse(const char *path, const void *data, size_t size, struct error **ret_error) {
    const char *compression;
    if (elf_is_elf(data, size))
        return refuse_elf(path, data, size, ret_error);
    for (size_t i = 0; i < ARRAY_SIZE(signatures); i++) {
        const struct signature *s = &signatures[i];
        if (s->offset + s->length > size || memcmp((const char *)data + s->offset, s->magic, s->length) != 0)
            continue;
        if (s->arch && !str_equal(s->arch, arch_host_name()))
            return refuse_arch(path, s->what, s->arch, ret_error);
        return refuse_other(path, s->what, s->advice ? s->advice : advice_kernel, ret_error);
    }
    const char *machine = pe_machine(data, size);
    if (machine)
        return refuse_pe(path, data, size, machine, ret_error);
    if (unpack_recognises(data, size, &compression))
        return refuse_compressed(path, compression, data, size, ret_error);
    if (is_text(data, size))
        return refuse_other(path, "a text file", advice_kernel, ret_error);
    return refuse_other(path, "a file of an unknown kind (or the beginning of one)", advice_kernel, ret_error);
}

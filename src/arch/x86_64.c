/* SPDX-License-Identifier: Apache-2.0 */
/* The row of x86_64. */
#include <elf.h>
#include <stddef.h>

#include "arch/rows.h"

#if defined(__x86_64__)
#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>

#define IS_HOST true

/* Flat 32-bit protected mode: real mode would be emulated by older processors, which says nothing about KVM. */
static int load_loop(int cpu, void *memory, unsigned long address, unsigned iterations) {
    const unsigned char code[] = {
        0xb9, /* mov ecx, iterations */
        (unsigned char)iterations,
        (unsigned char)(iterations >> 8),
        (unsigned char)(iterations >> 16),
        (unsigned char)(iterations >> 24),
        0x49, /* dec ecx */
        0x75, /* jnz -3 */
        0xfd,
        0xf4, /* hlt */
    };
    struct kvm_segment segment = {
        .limit = 0xffffffff, .selector = 8, .type = 11, .present = 1, .db = 1, .s = 1, .g = 1};
    struct kvm_regs regs = {.rip = address, .rflags = 2};
    struct kvm_sregs sregs;

    memcpy(memory, code, sizeof(code));
    if (ioctl(cpu, KVM_GET_SREGS, &sregs) < 0)
        return -errno;
    sregs.cs = segment;
    segment.type = 3;
    segment.selector = 16;
    sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = segment;
    sregs.cr0 |= 1;
    if (ioctl(cpu, KVM_SET_SREGS, &sregs) < 0 || ioctl(cpu, KVM_SET_REGS, &regs) < 0)
        return -errno;
    return 0;
}
#define LOAD_LOOP load_loop
#else
#define IS_HOST false
#define LOAD_LOOP NULL
#endif

static const struct arch_firmware firmware[] = {
    /* Debian, Ubuntu */
    {"/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"},
    {"/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"},
    /* Fedora, RHEL */
    {"/usr/share/edk2/ovmf/OVMF_CODE_4M.qcow2", "/usr/share/edk2/ovmf/OVMF_VARS_4M.qcow2"},
    {"/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"},
    {"/usr/share/edk2/ovmf/OVMF_CODE.cc.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"},
    /* Arch */
    {"/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"},
    {"/usr/share/edk2/x64/OVMF_CODE.fd", "/usr/share/edk2/x64/OVMF_VARS.fd"},
    {"/usr/share/edk2-ovmf/x64/OVMF_CODE.fd", "/usr/share/edk2-ovmf/x64/OVMF_VARS.fd"},
    /* openSUSE */
    {"/usr/share/qemu/ovmf-x86_64-4m-code.bin", "/usr/share/qemu/ovmf-x86_64-4m-vars.bin"},
    {"/usr/share/qemu/ovmf-x86_64-code.bin", "/usr/share/qemu/ovmf-x86_64-vars.bin"},
    /* NixOS, and QEMU's own copy */
    {"/run/libvirt/nix-ovmf/OVMF_CODE.fd", "/run/libvirt/nix-ovmf/OVMF_VARS.fd"},
    {"/run/libvirt/nix-ovmf/edk2-x86_64-code.fd", "/run/libvirt/nix-ovmf/edk2-i386-vars.fd"},
    {"/run/current-system/sw/share/qemu/edk2-x86_64-code.fd", "/run/current-system/sw/share/qemu/edk2-i386-vars.fd"},
    {"/usr/share/qemu/edk2-x86_64-code.fd", "/usr/share/qemu/edk2-i386-vars.fd"},
    {"/usr/local/share/qemu/edk2-x86_64-code.fd", "/usr/local/share/qemu/edk2-i386-vars.fd"},
    {"/usr/share/ovmf/OVMF.fd", NULL},
    {"/usr/share/edk2/x64/OVMF.4m.fd", NULL},
    {NULL, NULL},
};

const struct arch arch_x86_64 = {
    .name = "x86_64",
    .is_host = IS_HOST,
    .qemu = "qemu-system-x86_64",
    .qemu_packages = "Debian and Ubuntu: qemu-system-x86, Fedora: qemu-system-x86-core",
    .machine = "q35",
    .machine_versioned = "pc-q35-9.9",
    /*
     * Without five levels of page tables, and without the features for which the kernel and the C library copy and
     * clear memory by single bytes (rep movsb, rep stosb), which are emulated one by one.
     */
    .cpu_tcg = "max,la57=off,erms=off,fsrm=off",
    .device_suffix = "-pci",
    .pvpanic = "pvpanic",
    /* Each share is a device; the bus has room for these beside the others. */
    .max_shares = 20,
    .firmware = firmware,
    .kernel_formats = 1u << KERNEL_BZIMAGE | 1u << KERNEL_VMLINUX,
    .elf_machine = EM_X86_64,
    .vmlinux_needs_pvh = true,
    .console = "ttyS0",
    /* The timer check fails now and then on a loaded host that emulates, and the kernel panics over it. */
    .kernel_args = "no_timer_check",
    /* The crypto self-tests take a quarter of an emulated boot; `cryptomgr.notests=0` brings them back. */
    .kernel_args_tcg = " mitigations=off cryptomgr.notests",
    /*
     * The emulated TSC is the host's. Each reading of the HPET, which the kernel takes when it doubts the TSC, leaves
     * the emulated code.
     */
    .kernel_args_clock = " tsc=reliable",
    .stable_clock = "tsc",
    .kvm_load_loop = LOAD_LOOP,
};

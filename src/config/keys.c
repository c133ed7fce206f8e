/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The key table: one row for each key of a [[target]]. Parsing, defaults, ranges, the manual page and the tests come
 * out of it. To add a key: a value in enum config_key, a field in struct target, a row here.
 */
#include "config/config.h"

const struct config_key_row config_keys[CONFIG_KEY_COUNT] = {
    [KEY_NAME] =
        {
            .key = KEY_NAME,
            .name = "name",
            .type = CONFIG_STRING,
            .offset = offsetof(struct target, name),
            .help = "What the target is called: shown in reports and matched by filters. Required, and different for "
                    "each target.",
        },
    [KEY_IMAGE] =
        {
            .key = KEY_IMAGE,
            .name = "image",
            .type = CONFIG_PATH,
            .offset = offsetof(struct target, image),
            .help = "The disk image to boot, by its own boot loader. It needs the QEMU guest agent in it. A target has "
                    "either an image or a kernel.",
        },
    [KEY_FORMAT] =
        {
            .key = KEY_FORMAT,
            .name = "format",
            .type = CONFIG_STRING,
            .offset = offsetof(struct target, format),
            .values = "raw|qcow2|vmdk|vdi|vhdx|vpc|qed|qcow",
            .help = "The format of the image. Without it, the format is found out. Only with image.",
        },
    [KEY_UEFI] =
        {
            .key = KEY_UEFI,
            .name = "uefi",
            .type = CONFIG_BOOL,
            .offset = offsetof(struct target, uefi),
            .def = "false",
            .help = "Boot the image with UEFI firmware in place of a BIOS. Only with image.",
        },
    [KEY_PERSIST] =
        {
            .key = KEY_PERSIST,
            .name = "persist",
            .type = CONFIG_BOOL,
            .offset = offsetof(struct target, persist),
            .def = "false",
            .help = "Write to the image itself, and shut the guest down at the end. Without it, what the guest writes "
                    "is thrown away and the image stays as it is. Only with image.",
        },
    [KEY_KERNEL] =
        {
            .key = KEY_KERNEL,
            .name = "kernel",
            .type = CONFIG_PATH,
            .offset = offsetof(struct target, kernel),
            .help = "The kernel to boot: a bzImage or vmlinuz, or a vmlinux. A target has either an image or a kernel.",
        },
    [KEY_KERNEL_ARGS] =
        {
            .key = KEY_KERNEL_ARGS,
            .name = "kernel_args",
            .type = CONFIG_STRING,
            .offset = offsetof(struct target, kernel_args),
            .help = "Words appended to the kernel's command line, so that they override what vmtest puts there. A "
                    "word ro or rw also sets rootfs_mode. Only with kernel.",
        },
    [KEY_MODULES] =
        {
            .key = KEY_MODULES,
            .name = "modules",
            .type = CONFIG_PATH,
            .offset = offsetof(struct target, modules),
            .help = "The directory of the kernel's modules. Without it they are looked for beside the kernel, then in "
                    "/lib/modules. Only with kernel.",
        },
    [KEY_KVM_CPU_ARGS] =
        {
            .key = KEY_KVM_CPU_ARGS,
            .name = "kvm_cpu_args",
            .type = CONFIG_STRING,
            .offset = offsetof(struct target, kvm_cpu_args),
            .def = "host",
            .help = "What QEMU's option -cpu is given under KVM.",
        },
    [KEY_ROOTFS] =
        {
            .key = KEY_ROOTFS,
            .name = "rootfs",
            .type = CONFIG_PATH,
            .offset = offsetof(struct target, rootfs),
            .def = "/",
            .help = "The directory that becomes the guest's root. Only with kernel.",
        },
    [KEY_ROOTFS_MODE] =
        {
            .key = KEY_ROOTFS_MODE,
            .name = "rootfs_mode",
            .type = CONFIG_ENUM,
            .offset = offsetof(struct target, rootfs_mode),
            .values = "overlay|ro|rw",
            .def = "overlay",
            .help = "Whether the guest can write to its root: overlay keeps what it writes in the guest's memory, ro "
                    "refuses it, rw passes it on to the host. Only with kernel.",
        },
    [KEY_ARCH] =
        {
            .key = KEY_ARCH,
            .name = "arch",
            .type = CONFIG_STRING,
            .offset = offsetof(struct target, arch),
            .values = "x86_64|aarch64|s390x|riscv64",
            .help = "The architecture of the guest. Without it, the one that vmtest was built for.",
        },
    [KEY_QEMU_COMMAND] =
        {
            .key = KEY_QEMU_COMMAND,
            .name = "qemu_command",
            .type = CONFIG_STRING,
            .offset = offsetof(struct target, qemu_command),
            .help = "The QEMU to run: a path, or a name to be found on PATH. Without it, qemu-system-ARCH.",
        },
    [KEY_COMMAND] =
        {
            .key = KEY_COMMAND,
            .name = "command",
            .type = CONFIG_STRING,
            .offset = offsetof(struct target, command),
            .help = "The command to run in the guest, by bash or else by sh. Required.",
        },
    [KEY_SHARE] =
        {
            .key = KEY_SHARE,
            .name = "share",
            .type = CONFIG_ENUM,
            .offset = offsetof(struct target, share_choice),
            .values = SHARE_VALUES,
            .def = "9p",
            .help = "How the guest sees directories of the host, /mnt/vmtest and vm.mounts: over 9p, or not at all. "
                    "none goes with image only.",
        },
    [KEY_TEMPLATE] =
        {
            .key = KEY_TEMPLATE,
            .name = "template",
            .type = CONFIG_BOOL,
            .offset = offsetof(struct target, template),
            .help = "Whether the machine is cloned from a template, a machine that was booted before and frozen, where "
                    "there is one, and becomes one where there is none. Without it, it is, but not with persist or "
                    "vm.extra_args.",
        },
    [KEY_ACCEL] =
        {
            .key = KEY_ACCEL,
            .name = "accel",
            .type = CONFIG_ENUM,
            .offset = offsetof(struct target, accel),
            .values = "auto|kvm|tcg",
            .def = "auto",
            .help = "How the guest's instructions are run: auto takes KVM where it works and emulates where it does "
                    "not, kvm makes its absence an error, tcg always emulates.",
        },
    [KEY_BOOT_TIMEOUT] =
        {
            .key = KEY_BOOT_TIMEOUT,
            .name = "boot_timeout",
            .type = CONFIG_DURATION,
            .offset = offsetof(struct target, boot_timeout),
            .help = "How long the boot may take, such as \"90s\" or \"5m\", or a number of seconds. Without it, 60 "
                    "seconds with KVM and 300 seconds emulated; for an image twice as long.",
        },
    [KEY_TIMEOUT] =
        {
            .key = KEY_TIMEOUT,
            .name = "timeout",
            .type = CONFIG_DURATION,
            .offset = offsetof(struct target, timeout),
            .help = "How long the command may take, such as \"90s\" or \"5m\", or a number of seconds. Without it, as "
                    "long as it likes.",
        },
    [KEY_KILL_AFTER] =
        {
            .key = KEY_KILL_AFTER,
            .name = "kill_after",
            .type = CONFIG_DURATION,
            .offset = offsetof(struct target, kill_after),
            .def = "5s",
            .help = "How long a command whose time is up has to end after SIGTERM, before SIGKILL.",
        },
    [KEY_RUN_TIMEOUT] =
        {
            .key = KEY_RUN_TIMEOUT,
            .name = "run_timeout",
            .type = CONFIG_DURATION,
            .offset = offsetof(struct target, run_timeout),
            .help = "How long the whole run may take, from its preparation to the command's end, such as \"90s\" or "
                    "\"5m\", or a number of seconds. Without it, as long as the boot and the command may take.",
        },
    [KEY_FAIL_ON] =
        {
            .key = KEY_FAIL_ON,
            .name = "fail_on",
            .type = CONFIG_SET,
            .offset = offsetof(struct target, fail_on),
            .values = "oops|bug|warn|kasan|ubsan|kcsan|kmsan|kfence|lockdep|atomic_sleep|rcu_stall|hung_task|"
                      "soft_lockup|hard_lockup|oom|kmemleak|any",
            .help = "Reports of the guest's kernel on its console that make a run fail though the command passes: a "
                    "list of kinds, such as [\"oops\", \"warn\"]; any stands for all of them. Without it, they are "
                    "shown and change nothing.",
        },
    [KEY_RESULTS] =
        {
            .key = KEY_RESULTS,
            .name = "results",
            .type = CONFIG_STRING,
            .offset = offsetof(struct target, results),
            .help =
                "The results of the command's own tests, which are told one by one and fail the target where one of "
                "them failed: \"tap\" reads TAP or KTAP from its standard output, \"junit:PATH\" the JUnit file that "
                "it leaves in the guest at PATH, taken from the directory in which it runs. The last part of PATH "
                "may be a pattern, such as *.xml.",
        },
    [KEY_DUMP] =
        {
            .key = KEY_DUMP,
            .name = "dump",
            .type = CONFIG_BOOL,
            .offset = offsetof(struct target, dump),
            .def = "false",
            .help = "Keep the guest's memory where it panicked or its time was up, as an ELF core that crash and drgn "
                    "read: memory.elf in the directory that --artifacts names.",
        },
    [KEY_LOST_AFTER] =
        {
            .key = KEY_LOST_AFTER,
            .name = "lost_after",
            .type = CONFIG_DURATION,
            .offset = offsetof(struct target, lost_after),
            .help = "How long the guest may leave the question unanswered whether it is alive, before it is given up "
                    "as lost. Without it, 60 seconds with KVM and 300 seconds emulated.",
        },
    [KEY_ENV_PASS] =
        {
            .key = KEY_ENV_PASS,
            .name = "env_pass",
            .type = CONFIG_STRINGS,
            .offset = offsetof(struct target, env_pass),
            .help = "Which variables of vmtest's environment the command gets: a list of names, in which * stands for "
                    "any characters, ? for one and [...] for one of a set, such as [\"CI_*\", \"TERM\"]. Without it, "
                    "all of them with a kernel, and none beside the image's own with an image.",
        },
    [KEY_SANDBOX] =
        {
            .key = KEY_SANDBOX,
            .name = "sandbox",
            .type = CONFIG_BOOL,
            .offset = offsetof(struct target, sandbox),
            .def = "true",
            .help =
                "Whether QEMU is confined: by its own filter for system calls, by Landlock to the run's files where "
                "the kernel has that, and to an environment without what only the command needs. A QEMU that was "
                "built without the filter, and a wrapper script that needs more, want false.",
        },
    [KEY_VM_NUM_CPUS] =
        {
            .key = KEY_VM_NUM_CPUS,
            .name = "vm.num_cpus",
            .type = CONFIG_INTEGER,
            .offset = offsetof(struct target, num_cpus),
            .minimum = 1,
            .maximum = 255,
            .def = "2",
            .help = "The number of the guest's processors.",
        },
    [KEY_VM_MEMORY] =
        {
            .key = KEY_VM_MEMORY,
            .name = "vm.memory",
            .type = CONFIG_MEMORY,
            .offset = offsetof(struct target, memory),
            .def = "4G",
            .help = "The guest's memory: a number with one of the suffixes K, M, G, T; without a suffix, in MiB. At "
                    "least 64M.",
        },
    [KEY_VM_MOUNTS] =
        {
            .key = KEY_VM_MOUNTS,
            .name = "vm.mounts",
            .type = CONFIG_MOUNTS,
            .offset = offsetof(struct target, mounts),
            .help = "Further host directories in the guest: a table with an entry GUEST_PATH = { host_path = "
                    "\"DIRECTORY\", writable = false } for each.",
        },
    [KEY_VM_BIOS] =
        {
            .key = KEY_VM_BIOS,
            .name = "vm.bios",
            .type = CONFIG_PATH,
            .offset = offsetof(struct target, bios),
            .help = "The UEFI firmware file. Without it, the one that QEMU's firmware descriptors name. Only with "
                    "uefi.",
        },
    [KEY_VM_EXTRA_ARGS] =
        {
            .key = KEY_VM_EXTRA_ARGS,
            .name = "vm.extra_args",
            .type = CONFIG_STRINGS,
            .offset = offsetof(struct target, extra_args),
            .help =
                "A list of strings appended to QEMU's arguments. Since they may name any file, QEMU is not confined "
                "to the run's files then.",
        },
};

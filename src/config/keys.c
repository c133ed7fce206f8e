/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The key table: one row for each key of a [[target]]. The parser, the defaults, the option that sets the key, --help
 * and the manual pages come out of it.
 *
 * To add a key, with or without an option: a field in struct target (config/target.h) and a row at the end of this
 * table. A value in enum config_key is needed only if code names the key; the rows of those come first, in the enum's
 * order.
 */
#include <assert.h>

#include "config/config.h"

#define FIELD(field) offsetof(struct target, field)

/* clang-format off */
const struct config_key_row config_keys[] = {
    [KEY_NAME] = {"name", CONFIG_STRING, FIELD(name), "NAME",
        .help = "Name of the target, shown in reports and matched by filters. Required, and unique in the file."},
    [KEY_KERNEL] = {"kernel", CONFIG_PATH, FIELD(kernel), "KERNEL",
        .option = {"--kernel", .letter = 'k'},
        .help = "Boot KERNEL, a bzImage (vmlinuz) or a vmlinux. A target has either a kernel or an image."},
    [KEY_IMAGE] = {"image", CONFIG_PATH, FIELD(image), "IMAGE",
        .option = {"--image", .letter = 'i'},
        .help = "Boot the disk image IMAGE with its own boot loader. The QEMU guest agent must be installed in it. "
                "What the guest writes is discarded unless persist is set."},
    [KEY_FORMAT] = {"format", CONFIG_STRING, FIELD(format), "FORMAT",
        .option = {"--image-format"},
        .only = CONFIG_ONLY_IMAGE,
        .values = "raw|qcow2|vmdk|vdi|vhdx|vpc|qed|qcow",
        .absent = "detected",
        .help = "Format of the image."},
    [KEY_UEFI] = {"uefi", CONFIG_BOOL, FIELD(uefi), NULL,
        .option = {"--uefi"},
        .only = CONFIG_ONLY_IMAGE,
        .def = "false",
        .help = "Boot the image with UEFI firmware instead of a BIOS."},
    [KEY_PERSIST] = {"persist", CONFIG_BOOL, FIELD(persist), NULL,
        .option = {"--persist"},
        .only = CONFIG_ONLY_IMAGE,
        .def = "false",
        .help = "Write to the image itself, and shut the guest down at the end."},
    [KEY_KERNEL_ARGS] = {"kernel_args", CONFIG_STRING, FIELD(kernel_args), "ARGS",
        .option = {"--kargs"},
        .only = CONFIG_ONLY_KERNEL,
        .help = "Append ARGS to the kernel command line, where they override vmtest's own arguments. A bare ro or "
                "rw also sets the mode of the root."},
    [KEY_MODULES] = {"modules", CONFIG_PATH, FIELD(modules), "DIR",
        .option = {"--modules"},
        .only = CONFIG_ONLY_KERNEL,
        .absent = "searched beside the kernel, then in /lib/modules",
        .help = "Directory of the kernel's modules."},
    [KEY_KVM_CPU_ARGS] = {"kvm_cpu_args", CONFIG_STRING, FIELD(kvm_cpu_args), "ARGS",
        .option = {"--kvm-cpu-args"},
        .def = "host",
        .help = "CPU model under KVM, as QEMU's -cpu takes it."},
    [KEY_ROOTFS] = {"rootfs", CONFIG_PATH, FIELD(rootfs), "DIR",
        .option = {"--rootfs", .letter = 'r'},
        .only = CONFIG_ONLY_KERNEL,
        .def = "/",
        .help = "Use DIR as the guest's root directory."},
    [KEY_ROOTFS_MODE] = {"rootfs_mode", CONFIG_ENUM, FIELD(rootfs_mode), "MODE",
        .option = {"--rootfs-mode"},
        .only = CONFIG_ONLY_KERNEL,
        .values = "overlay|ro|rw",
        .def = "overlay",
        .help = "Handling of writes to the root: overlay keeps them in guest memory, ro refuses them, rw passes "
                "them on to the host."},
    [KEY_ARCH] = {"arch", CONFIG_STRING, FIELD(arch), "ARCH",
        .option = {"--arch", .letter = 'a'},
        .values = "x86_64|aarch64|s390x|riscv64",
        .absent = "the one vmtest was built for",
        .help = "Architecture of the guest."},
    [KEY_QEMU_COMMAND] = {"qemu_command", CONFIG_PROGRAM, FIELD(qemu_command), "QEMU",
        .option = {"--qemu-command", .letter = 'q'},
        .absent = "qemu-system-ARCH",
        .help = "QEMU to run: a path, or a name to look up in PATH."},
    [KEY_COMMAND] = {"command", CONFIG_STRING, FIELD(command), "COMMAND",
        .help = "Command to run in the guest, by bash or else by sh. Required."},
    [KEY_SHARE] = {"share", CONFIG_ENUM, FIELD(share_choice), "HOW",
        .option = {"--share"},
        .values = SHARE_VALUES,
        .def = "9p",
        .help = "How the guest sees host directories, /mnt/vmtest and vm.mounts. none needs an image."},
    [KEY_ACCEL] = {"accel", CONFIG_ENUM, FIELD(accel), "ACCEL",
        .option = {"--accel"},
        .values = "auto|kvm|tcg",
        .def = "auto",
        .help = "Acceleration: auto uses KVM if it works and emulates otherwise, kvm fails without KVM, tcg always "
                "emulates."},
    [KEY_TEMPLATE] = {"template", CONFIG_BOOL, FIELD(template), NULL,
        .option = {"--no-template", .every_target = true,
                   .negated_help = "Boot from scratch; neither use nor create a template."},
        .absent = "true, but false with persist or vm.extra_args",
        .help = "Clone the machine from a template, which is a machine frozen after its boot, and create the "
                "template if there is none."},
    [KEY_BOOT_TIMEOUT] = {"boot_timeout", CONFIG_DURATION, FIELD(boot_timeout), "TIME",
        .option = {"--boot-timeout", .every_target = true},
        .absent = "60s with KVM, 300s emulated; twice as long for an image",
        .help = "Time limit for the boot, such as 90s or 5m."},
    [KEY_TIMEOUT] = {"timeout", CONFIG_DURATION, FIELD(timeout), "TIME",
        .option = {"--timeout", .every_target = true},
        .absent = "none",
        .help = "Time limit for the command, such as 90s or 5m."},
    [KEY_KILL_AFTER] = {"kill_after", CONFIG_DURATION, FIELD(kill_after), "TIME",
        .option = {"--kill-after", .every_target = true},
        .def = "5s",
        .help = "Send SIGKILL to a command that still runs TIME after the SIGTERM of its timeout."},
    [KEY_RUN_TIMEOUT] = {"run_timeout", CONFIG_DURATION, FIELD(run_timeout), "TIME",
        .option = {"--run-timeout", .every_target = true},
        .absent = "none",
        .help = "Time limit for the whole run of a target, from its preparation to the end of the command."},
    [KEY_FAIL_ON] = {"fail_on", CONFIG_SET, FIELD(fail_on), "KINDS",
        .option = {"--fail-on", .every_target = true},
        .values = "oops|bug|warn|kasan|ubsan|kcsan|kmsan|kfence|lockdep|atomic_sleep|rcu_stall|hung_task|soft_"
                  "lockup|hard_lockup|oom|kmemleak|any",
        .absent = "none; reports are only shown",
        .help = "Fail if the kernel logs any of KINDS, even if the command passes."},
    [KEY_RESULTS] = {"results", CONFIG_STRING, FIELD(results), "KIND",
        .option = {"--results", .every_target = true},
        .check = config_check_results,
        .absent = "none; the exit status decides",
        .help = "Report the results of the command's own tests, and fail if one of them failed: tap reads TAP or "
                "KTAP from standard output, junit:PATH the JUnit file at PATH in the guest, relative to the "
                "command's working directory. The last part of PATH may be a pattern, such as *.xml."},
    [KEY_DUMP] = {"dump", CONFIG_BOOL, FIELD(dump), NULL,
        .option = {"--dump", .every_target = true},
        .def = "false",
        .help = "Dump the guest's memory after a panic or a timeout: an ELF core for crash and drgn, memory.elf in "
                "the directory of --artifacts."},
    [KEY_LOST_AFTER] = {"lost_after", CONFIG_DURATION, FIELD(lost_after), "TIME",
        .option = {"--lost-after", .every_target = true},
        .absent = "60s with KVM, 300s emulated",
        .help = "Give up on a guest that has not answered a ping for TIME."},
    [KEY_SANDBOX] = {"sandbox", CONFIG_BOOL, FIELD(sandbox), NULL,
        .option = {"--no-sandbox", .every_target = true,
                   .negated_help = "Do not confine QEMU: for a QEMU built without its system call filter, or a "
                                   "wrapper script that needs other files."},
        .def = "true",
        .help = "Confine QEMU by its system call filter, by Landlock to the run's files where the kernel supports "
                "it, and to a minimal environment."},
    [KEY_ENV_PASS] = {"env_pass", CONFIG_STRINGS, FIELD(env_pass), "NAMES",
        .absent = "all with a kernel, none with an image",
        .help = "Environment variables that the command inherits: a list of names, such as [\"CI_*\", \"TERM\"], "
                "in which *, ? and [...] are wildcards."},
    [KEY_VM_NUM_CPUS] = {"vm.num_cpus", CONFIG_INTEGER, FIELD(num_cpus), "N",
        .option = {"--num-cpus"},
        .minimum = 1,
        .maximum = 255,
        .def = "2",
        .help = "Number of guest CPUs."},
    [KEY_VM_MEMORY] = {"vm.memory", CONFIG_MEMORY, FIELD(memory), "SIZE",
        .option = {"--memory"},
        .def = "4G",
        .help = "Guest memory: a number with suffix K, M, G or T, or in MiB without one. At least 64M."},
    [KEY_VM_MOUNTS] = {"vm.mounts", CONFIG_MOUNTS, FIELD(mounts), NULL,
        .help = "Further host directories in the guest: an entry GUEST_PATH = { host_path = \"DIR\", writable = "
                "false } for each."},
    [KEY_VM_BIOS] = {"vm.bios", CONFIG_PATH, FIELD(bios), "FILE",
        .option = {"--bios"},
        .absent = "as QEMU's firmware descriptors say",
        .help = "UEFI firmware file. Only with uefi."},
    [KEY_VM_EXTRA_ARGS] = {"vm.extra_args", CONFIG_STRINGS, FIELD(extra_args), "ARGS",
        .help = "Arguments appended to QEMU's command line. They may name any file, so Landlock is off then."},
};
/* clang-format on */

const size_t config_key_count = ARRAY_SIZE(config_keys);
static_assert(ARRAY_SIZE(config_keys) <= CONFIG_KEYS_MAX, "struct target has a place for each key");

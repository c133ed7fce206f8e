/* SPDX-License-Identifier: Apache-2.0 */
/* QEMU's command line against vectors that were read through by a person. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "qemu/argv.h"

/* The part that does not depend on what is run. */
#define MACHINE(accel, cpu, cpus, memory)                                                                              \
    "-nodefaults", "-no-user-config", "-display", "none", "-sandbox",                                                  \
        "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny", "-name", "vmtest,debug-threads=on", \
        "-machine", "q35,accel=" accel ",usb=off,vmport=off", "-cpu", cpu, "-smp", cpus, "-m", "size=" memory,         \
        "-action", "panic=pause,reboot=shutdown,shutdown=poweroff"
#define CHANNELS(qmp, console, agent)                                                                                  \
    "-chardev", "socket,id=qmp,fd=" qmp, "-mon", "chardev=qmp,mode=control", "-chardev",                               \
        "socket,id=console,fd=" console, "-serial", "chardev:console", "-device", "virtio-serial-pci,id=serial",       \
        "-chardev", "socket,id=agent,fd=" agent, "-device",                                                            \
        "virtserialport,bus=serial.0,chardev=agent,id=agent,name=org.vmtest.agent.0", "-device", "virtio-rng-pci",     \
        "-device", "pvpanic"

static void check(const struct qemu_config *config, const char *const *expected) {
    _cleanup_strv_ struct strv argv = {0};

    qemu_argv(config, &argv);
    for (size_t i = 0; i < argv.count && expected[i]; i++)
        assert_string_equal(argv.items[i], expected[i]);
    assert_null(argv.items[argv.count]);
    assert_null(expected[argv.count]);
}

static struct qemu_config emulated(void) {
    return (struct qemu_config){
        .arch = arch_find("x86_64"),
        .accel = ACCEL_TCG,
        .program = "/usr/bin/qemu-system-x86_64",
        .cpu = "max",
        .num_cpus = 2,
        .memory = UINT64_C(4) << 30,
        .stable_clock = true,
        .sandbox = true,
        .kernel = "/proc/self/fd/8",
        .initrd = "/proc/self/fd/9",
        .qmp_fd = 10,
        .agent_fd = 11,
        .console_fd = 12,
    };
}

static void cpus_that_are_emulated_in_turn(void **state) {
    _cleanup_strv_ struct strv argv = {0};
    struct qemu_config config = emulated();
    size_t i = 0;

    config.single_threaded_tcg = true;
    qemu_argv(&config, &argv);
    while (i < argv.count && !str_equal(argv.items[i], "-machine"))
        i++;
    assert_true(i + 4 < argv.count);
    assert_string_equal(argv.items[i + 1], "q35,usb=off,vmport=off");
    assert_string_equal(argv.items[i + 2], "-accel");
    assert_string_equal(argv.items[i + 3], "tcg,thread=single");
    for (i = 0; i < argv.count; i++)
        assert_null(strstr(argv.items[i], "accel="));
}

static void an_emulated_machine_without_shares(void **state) {
    static const char *const expected[] = {
        "/usr/bin/qemu-system-x86_64",
        MACHINE("tcg", "max", "2", "4194304k"),
        CHANNELS("10", "12", "11"),
        "-kernel",
        "/proc/self/fd/8",
        "-initrd",
        "/proc/self/fd/9",
        "-append",
        "console=ttyS0 loglevel=5 panic=0 sysrq_always_enabled no_timer_check tsc=reliable mitigations=off "
        "cryptomgr.notests",
        NULL,
    };
    struct qemu_config config = emulated();

    check(&config, expected);
}

#define IMAGE_MACHINE(options)                                                                                         \
    "-nodefaults", "-no-user-config", "-display", "none", "-sandbox",                                                  \
        "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny", "-name", "vmtest,debug-threads=on", \
        "-machine", "q35,accel=tcg,usb=off,vmport=off,graphics=off" options, "-cpu", "max", "-smp", "2", "-m",         \
        "size=4194304k", "-action", "panic=pause,reboot=reset,shutdown=poweroff"
#define IMAGE_CHANNELS                                                                                                 \
    "-chardev", "socket,id=qmp,fd=10", "-mon", "chardev=qmp,mode=control", "-chardev", "socket,id=console,fd=12",      \
        "-serial", "chardev:console", "-device", "virtio-serial-pci,id=serial", "-chardev", "socket,id=agent,fd=11",   \
        "-device", "virtserialport,bus=serial.0,chardev=agent,id=agent,name=org.vmtest.agent.0", "-chardev",           \
        "socket,id=qga,fd=13", "-device",                                                                              \
        "virtserialport,bus=serial.0,chardev=qga,id=qga,name=org.qemu.guest_agent.0", "-device", "virtio-rng-pci",     \
        "-device", "pvpanic"

static struct qemu_config with_disk(const struct qemu_disk *disk) {
    struct qemu_config config = emulated();

    config.kernel = config.initrd = NULL;
    config.disk = disk;
    config.qga_fd = 13;
    config.vars_fd = -1;
    return config;
}

static void an_image_by_bios_under_its_overlay(void **state) {
    static const char *const expected[] = {
        "/usr/bin/qemu-system-x86_64",
        IMAGE_MACHINE(""),
        IMAGE_CHANNELS,
        "-blockdev",
        "driver=vmdk,node-name=image,read-only=on,file.driver=file,file.filename=/a,,b/disk=1",
        "-add-fd",
        "fd=20,set=1",
        "-blockdev",
        "driver=qcow2,node-name=disk,backing=image,discard=unmap,cache.no-flush=on,file.driver=file,"
        "file.filename=/dev/fdset/1,file.locking=off",
        "-device",
        "virtio-blk-pci,drive=disk,bootindex=0",
        NULL,
    };
    const struct qemu_disk disk = {.path = "/a,b/disk=1", .format = "vmdk", .overlay_fd = 20};
    struct qemu_config config = with_disk(&disk);

    check(&config, expected);
}

static void an_image_by_uefi_that_is_written_to(void **state) {
    static const char *const expected[] = {
        "/usr/bin/qemu-system-x86_64",
        IMAGE_MACHINE(",pflash0=firmware,pflash1=variables,smm=on"),
        IMAGE_CHANNELS,
        "-blockdev",
        "driver=raw,node-name=image,discard=unmap,file.driver=host_device,file.filename=/dev/sdz",
        "-device",
        "virtio-blk-pci,drive=image,bootindex=0",
        "-global",
        "driver=cfi.pflash01,property=secure,value=on",
        "-blockdev",
        "driver=qcow2,node-name=firmware,read-only=on,file.driver=file,file.filename=/fw/code,,1",
        "-add-fd",
        "fd=21,set=2",
        "-blockdev",
        "driver=raw,node-name=variables,file.driver=file,file.filename=/dev/fdset/2,file.locking=off",
        NULL,
    };
    const struct qemu_disk disk = {.path = "/dev/sdz", .format = "raw", .device = true, .overlay_fd = -1};
    const struct firmware firmware = {
        .kind = FIRMWARE_SPLIT,
        .code = (char *)"/fw/code,1",
        .vars = (char *)"/fw/vars",
        .code_format = (char *)"qcow2",
        .vars_format = (char *)"raw",
        .smm = true,
    };
    struct qemu_config config = with_disk(&disk);

    config.firmware = &firmware;
    config.vars_fd = 21;
    check(&config, expected);
}

static void firmware_of_one_file(void **state) {
    static const char *const combined[] = {
        "/usr/bin/qemu-system-x86_64",
        IMAGE_MACHINE(",pflash0=firmware"),
        IMAGE_CHANNELS,
        "-blockdev",
        "driver=raw,node-name=image,discard=unmap,file.driver=file,file.filename=/d",
        "-device",
        "virtio-blk-pci,drive=image,bootindex=0",
        "-add-fd",
        "fd=21,set=2",
        "-blockdev",
        "driver=raw,node-name=firmware,file.driver=file,file.filename=/dev/fdset/2,file.locking=off",
        NULL,
    };
    static const char *const rom[] = {
        "/usr/bin/qemu-system-x86_64",
        IMAGE_MACHINE(""),
        IMAGE_CHANNELS,
        "-blockdev",
        "driver=raw,node-name=image,discard=unmap,file.driver=file,file.filename=/d",
        "-device",
        "virtio-blk-pci,drive=image,bootindex=0",
        "-bios",
        "/fw/rom,1",
        NULL,
    };
    const struct qemu_disk disk = {.path = "/d", .format = "raw", .overlay_fd = -1};
    struct firmware firmware = {.kind = FIRMWARE_COMBINED, .code = (char *)"/fw/rom,1", .code_format = (char *)"raw"};
    struct qemu_config config = with_disk(&disk);

    config.firmware = &firmware;
    config.vars_fd = 21;
    check(&config, combined);
    firmware.kind = FIRMWARE_ROM;
    check(&config, rom);
}

static void a_machine_under_kvm_with_shares_and_extra_arguments(void **state) {
    static const char *const expected[] = {
        "/opt/qemu",
        MACHINE("kvm", "host,+vmx", "16", "524288k"),
        CHANNELS("3", "2147483647", "5"),
        "-fsdev",
        "local,id=root,path=/,security_model=none,multidevs=remap,readonly=on",
        "-device",
        "virtio-9p-pci,fsdev=root,mount_tag=root",
        "-fsdev",
        "local,id=vmtest,path=/home/a,,b/,,,,=,security_model=none,multidevs=remap",
        "-device",
        "virtio-9p-pci,fsdev=vmtest,mount_tag=vmtest",
        "-kernel",
        "/proc/self/fd/8",
        "-initrd",
        "/proc/self/fd/9",
        "-append",
        "console=ttyS0 loglevel=5 panic=0 sysrq_always_enabled no_timer_check loglevel=7 a=\"b, c\"",
        "-device",
        "virtio-balloon,id=a,b",
        "",
        "-s",
        NULL,
    };
    static const struct share shares[] = {
        {.tag = "root", .path = "/"},
        {.tag = "vmtest", .path = "/home/a,b/,,=", .writable = true},
    };
    _cleanup_strv_ struct strv extra = {0};
    struct qemu_config config = emulated();

    strv_append(&extra, "-device");
    strv_append(&extra, "virtio-balloon,id=a,b");
    strv_append(&extra, "");
    strv_append(&extra, "-s");
    config.program = "/opt/qemu";
    config.accel = ACCEL_KVM;
    config.cpu = "host,+vmx";
    config.num_cpus = 16;
    config.memory = UINT64_C(512) << 20;
    config.kernel_args = "loglevel=7 a=\"b, c\"";
    config.transport = share_transport(SHARE_9P);
    config.shares = shares;
    config.n_shares = ARRAY_SIZE(shares);
    config.extra_args = &extra;
    config.qmp_fd = 3;
    config.agent_fd = 5;
    config.console_fd = INT32_MAX;
    check(&config, expected);
}

static void the_same_input_gives_the_same_arguments(void **state) {
    struct qemu_config config = emulated();
    _cleanup_strv_ struct strv first = {0};
    _cleanup_strv_ struct strv second = {0};

    qemu_argv(&config, &first);
    qemu_argv(&config, &second);
    _cleanup_free_ char *a = strv_join(&first, "\n");
    _cleanup_free_ char *b = strv_join(&second, "\n");
    assert_string_equal(a, b);
}

static void the_sandbox_is_qemus_unless_it_is_refused(void **state) {
    struct qemu_config config = emulated();
    _cleanup_strv_ struct strv with = {0};
    _cleanup_strv_ struct strv without = {0};

    qemu_argv(&config, &with);
    config.sandbox = false;
    qemu_argv(&config, &without);
    assert_true(strv_contains(&with, "-sandbox"));
    assert_false(strv_contains(&without, "-sandbox"));
    assert_int_equal(without.count, with.count - 2);
}

static void the_users_kernel_arguments_come_last(void **state) {
    static const struct {
        enum accel accel;
        const char *user;
        const char *line;
        bool doubtful_tsc;
    } cases[] = {
        {ACCEL_KVM, NULL, "console=ttyS0 loglevel=5 panic=0 sysrq_always_enabled no_timer_check"},
        {ACCEL_KVM, "", "console=ttyS0 loglevel=5 panic=0 sysrq_always_enabled no_timer_check"},
        {ACCEL_KVM, "quiet", "console=ttyS0 loglevel=5 panic=0 sysrq_always_enabled no_timer_check quiet"},
        {ACCEL_KVM, "panic=1 console=hvc0",
         "console=ttyS0 loglevel=5 panic=0 sysrq_always_enabled no_timer_check panic=1 console=hvc0"},
        {ACCEL_TCG, NULL,
         "console=ttyS0 loglevel=5 panic=0 sysrq_always_enabled no_timer_check tsc=reliable mitigations=off "
         "cryptomgr.notests"},
        {ACCEL_TCG, "",
         "console=ttyS0 loglevel=5 panic=0 sysrq_always_enabled no_timer_check tsc=reliable mitigations=off "
         "cryptomgr.notests"},
        {ACCEL_TCG, "cryptomgr.notests=0",
         "console=ttyS0 loglevel=5 panic=0 sysrq_always_enabled no_timer_check tsc=reliable mitigations=off "
         "cryptomgr.notests "
         "cryptomgr.notests=0"},
        {ACCEL_TCG, NULL,
         "console=ttyS0 loglevel=5 panic=0 sysrq_always_enabled no_timer_check mitigations=off cryptomgr.notests",
         true},
        {ACCEL_KVM, NULL, "console=ttyS0 loglevel=5 panic=0 sysrq_always_enabled no_timer_check", true},
    };
    struct qemu_config config = emulated();

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        config.accel = cases[i].accel;
        config.stable_clock = !cases[i].doubtful_tsc;
        config.kernel_args = cases[i].user;
        _cleanup_free_ char *line = qemu_kernel_command_line(&config);

        assert_string_equal(line, cases[i].line);
    }
}

static void memory_is_given_in_kibibytes(void **state) {
    static const struct {
        uint64_t bytes;
        const char *value;
    } cases[] = {
        {UINT64_C(64) << 20, "size=65536k"},
        {UINT64_C(1) << 40, "size=1073741824k"},
        {(UINT64_C(1) << 30) + 1024, "size=1048577k"},
    };
    struct qemu_config config = emulated();

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_strv_ struct strv argv = {0};

        config.memory = cases[i].bytes;
        qemu_argv(&config, &argv);
        assert_true(strv_contains(&argv, cases[i].value));
    }
}

static void architectures_are_found_by_name(void **state) {
    assert_string_equal(arch_find("x86_64")->name, "x86_64");
    assert_null(arch_find("pdp11"));
    assert_null(arch_find(""));
    assert_null(arch_find(NULL));
    assert_ptr_equal(arch_host(), arch_find(arch_host()->name));
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_emulated_machine_without_shares),
        cmocka_unit_test(cpus_that_are_emulated_in_turn),
        cmocka_unit_test(an_image_by_bios_under_its_overlay),
        cmocka_unit_test(an_image_by_uefi_that_is_written_to),
        cmocka_unit_test(firmware_of_one_file),
        cmocka_unit_test(a_machine_under_kvm_with_shares_and_extra_arguments),
        cmocka_unit_test(the_same_input_gives_the_same_arguments),
        cmocka_unit_test(the_sandbox_is_qemus_unless_it_is_refused),
        cmocka_unit_test(the_users_kernel_arguments_come_last),
        cmocka_unit_test(memory_is_given_in_kibibytes),
        cmocka_unit_test(architectures_are_found_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

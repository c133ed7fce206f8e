/* SPDX-License-Identifier: Apache-2.0 */
/* QEMU's options in groups: machine, channels, shares, disk, firmware, kernel. The user's own come last. */
#include "qemu/argv.h"

#include "qemu/qmp.h"
#include "wire/frame.h"

/* Numbers of descriptor sets: QEMU opens /dev/fdset/N. */
#define FDSET_OVERLAY 1
#define FDSET_VARS 2
#define FDSET_FROZEN 3
#define QGA_PORT_NAME "org.qemu.guest_agent.0"

/* In QEMU's option lists a comma in a value is written twice. */
static char *option_escape(const char *value) {
    struct buffer escaped = {0};

    for (; *value; value++) {
        buffer_append(&escaped, value, 1);
        if (*value == ',')
            buffer_append(&escaped, value, 1);
    }
    return buffer_take(&escaped);
}

char *qemu_kernel_command_line(const struct qemu_config *config) {
    /*
     * loglevel=5 shows warnings and everything worse on the console; the rest would cost seconds on an emulated serial
     * port. panic=0 keeps a panicked guest where it is, so that pvpanic can report it. Debian forbids the keys that
     * show the tasks of a guest that hangs. What the user gives comes last and wins.
     */
    return xasprintf("console=%s loglevel=5 panic=0 sysrq_always_enabled %s%s%s%s%s", config->arch->console,
                     config->arch->kernel_args,
                     config->accel == ACCEL_TCG && config->stable_clock ? config->arch->kernel_args_clock : "",
                     config->accel == ACCEL_TCG ? config->arch->kernel_args_tcg : "",
                     str_empty(config->kernel_args) ? "" : " ", config->kernel_args ? config->kernel_args : "");
}

/* A virtio device of the architecture's kind, with its properties, which begin with a comma or are empty. */
static void add_virtio(const struct qemu_config *config, struct strv *argv, const char *device,
                       const char *properties) {
    strv_append(argv, "-device");
    strv_append_printf(argv, "virtio-%s%s%s", device, config->arch->device_suffix, properties);
}

static void add_option(struct strv *argv, const char *option, const char *value) {
    strv_append(argv, option);
    if (value)
        strv_append(argv, value);
}

/* The machine's own options: where its flash is, whether its BIOS talks over the serial port. */
static char *machine_options(const struct qemu_config *config) {
    struct buffer options = {0};

    buffer_append_string(&options, config->arch->machine);
    if (!config->single_threaded_tcg)
        buffer_printf(&options, ",accel=%s", accel_name(config->accel));
    buffer_append_string(&options, ",usb=off,vmport=off");
    if (config->snapshot)
        buffer_append_string(&options, ",memory-backend=memory");
    if (config->disk)
        buffer_append_string(&options, ",graphics=off");
    if (config->firmware && config->firmware->kind != FIRMWARE_ROM)
        buffer_append_string(&options, ",pflash0=firmware");
    if (config->firmware && config->firmware->kind == FIRMWARE_SPLIT)
        buffer_append_string(&options, ",pflash1=variables");
    if (config->firmware && config->firmware->smm)
        buffer_append_string(&options, ",smm=on");
    return buffer_take(&options);
}

static void add_memory(const struct qemu_config *config, struct strv *argv) {
    unsigned long long kib = (unsigned long long)(config->memory / 1024);

    strv_append(argv, "-m");
    strv_append_printf(argv, "size=%lluk", kib);
    if (!config->snapshot)
        return;
    strv_append(argv, "-object");
    strv_append_printf(argv, "memory-backend-file,id=memory,size=%lluk,mem-path=/proc/self/fd/%d,share=%s%s", kib,
                       config->snapshot->memory_fd, config->snapshot->share ? "on" : "off",
                       config->snapshot->readonly ? ",readonly=on,rom=off" : "");
    if (config->snapshot->incoming)
        add_option(argv, "-incoming", "defer");
}

static void add_machine(const struct qemu_config *config, struct strv *argv) {
    add_option(argv, "-nodefaults", NULL);
    add_option(argv, "-no-user-config", NULL);
    add_option(argv, "-display", "none");
    if (config->sandbox)
        add_option(argv, "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
    add_option(argv, "-name", "vmtest,debug-threads=on");
    strv_append(argv, "-machine");
    strv_append_take(argv, machine_options(config));
    if (config->single_threaded_tcg)
        add_option(argv, "-accel", "tcg,thread=single");
    add_option(argv, "-cpu", config->cpu);
    strv_append(argv, "-smp");
    strv_append_printf(argv, "%u", config->num_cpus);
    add_memory(config, argv);
    /* An image may reboot on its way up, as some do the first time. */
    add_option(argv, "-action",
               config->disk ? "panic=pause,reboot=reset,shutdown=poweroff"
                            : "panic=pause,reboot=shutdown,shutdown=poweroff");
}

static void add_channel(const struct qemu_config *config, struct strv *argv, const char *id, int fd) {
    strv_append(argv, "-chardev");
    if (config->standalone)
        strv_append_printf(argv, "null,id=%s", id);
    else
        strv_append_printf(argv, "socket,id=%s,fd=%d", id, fd);
}

static void add_channels(const struct qemu_config *config, struct strv *argv) {
    if (config->standalone) {
        add_option(argv, "-serial", "mon:stdio");
    } else {
        add_channel(config, argv, "qmp", config->qmp_fd);
        add_option(argv, "-mon", "chardev=qmp,mode=control");
        add_channel(config, argv, "console", config->console_fd);
        add_option(argv, "-serial", "chardev:console");
    }
    add_virtio(config, argv, "serial", ",id=serial");
    add_channel(config, argv, "agent", config->agent_fd);
    add_option(argv, "-device", "virtserialport,bus=serial.0,chardev=agent,id=" QMP_AGENT_ID ",name=" WIRE_PORT_NAME);
    if (config->disk) {
        add_channel(config, argv, "qga", config->qga_fd);
        add_option(argv, "-device", "virtserialport,bus=serial.0,chardev=qga,id=" QMP_QGA_ID ",name=" QGA_PORT_NAME);
    }
    add_virtio(config, argv, "rng", "");
    if (config->arch->pvpanic)
        add_option(argv, "-device", config->arch->pvpanic);
    if (config->vmcoreinfo)
        add_option(argv, "-device", "vmcoreinfo");
}

static void add_shares(const struct qemu_config *config, struct strv *argv) {
    for (size_t i = 0; i < config->n_shares; i++) {
        _cleanup_free_ char *path = option_escape(config->shares[i].path);

        config->transport->qemu_arguments(&config->shares[i], path, config->arch->device_suffix, argv);
    }
}

static void add_fdset(struct strv *argv, int set, int fd) {
    strv_append(argv, "-add-fd");
    strv_append_printf(argv, "fd=%d,set=%d", fd, set);
}

/* An overlay is of no use once QEMU has died: nothing is flushed to the host's disk. */
static void add_overlay(struct strv *argv, const struct qemu_disk *disk, const struct qemu_snapshot *snapshot) {
    bool frozen = snapshot && snapshot->disk_fd >= 0;

    if (frozen) {
        add_fdset(argv, FDSET_FROZEN, snapshot->disk_fd);
        strv_append(argv, "-blockdev");
        strv_append_printf(argv,
                           "driver=qcow2,node-name=frozen,read-only=on,backing=image,"
                           "file.driver=file,file.filename=/dev/fdset/%d,file.locking=off",
                           FDSET_FROZEN);
    }
    add_fdset(argv, FDSET_OVERLAY, disk->overlay_fd);
    strv_append(argv, "-blockdev");
    strv_append_printf(argv,
                       "driver=qcow2,node-name=disk,backing=%s,discard=unmap,cache.no-flush=on,"
                       "file.driver=file,file.filename=/dev/fdset/%d,file.locking=off",
                       frozen ? "frozen" : "image", FDSET_OVERLAY);
}

/* A drive whose writes go to a file that QEMU makes and throws away. */
static void add_throwaway(struct strv *argv, const char *id, const char *format, const char *path) {
    _cleanup_free_ char *escaped = option_escape(path);

    strv_append(argv, "-drive");
    strv_append_printf(argv, "if=none,id=%s,format=%s,file=%s,snapshot=on", id, format, escaped);
}

static void add_disk(const struct qemu_config *config, struct strv *argv) {
    const struct qemu_disk *disk = config->disk;
    _cleanup_free_ char *path = option_escape(disk->path);
    bool overlay = disk->overlay_fd >= 0;

    if (config->standalone) {
        add_throwaway(argv, "disk", disk->format, disk->path);
        add_virtio(config, argv, "blk", ",drive=disk,bootindex=0");
        return;
    }
    strv_append(argv, "-blockdev");
    strv_append_printf(argv, "driver=%s,node-name=image,%sfile.driver=%s,file.filename=%s", disk->format,
                       overlay ? "read-only=on," : "discard=unmap,", disk->device ? "host_device" : "file", path);
    if (overlay)
        add_overlay(argv, disk, config->snapshot);
    add_virtio(config, argv, "blk", overlay ? ",drive=disk,bootindex=0" : ",drive=image,bootindex=0");
}

static void add_flash_copy(const struct qemu_config *config, struct strv *argv, const char *node, const char *format,
                           const char *path) {
    if (config->standalone) {
        add_throwaway(argv, node, format, path);
        return;
    }
    add_fdset(argv, FDSET_VARS, config->vars_fd);
    strv_append(argv, "-blockdev");
    strv_append_printf(argv, "driver=%s,node-name=%s,file.driver=file,file.filename=/dev/fdset/%d,file.locking=off",
                       format, node, FDSET_VARS);
}

static void add_firmware(const struct qemu_config *config, struct strv *argv) {
    const struct firmware *firmware = config->firmware;
    _cleanup_free_ char *code = option_escape(firmware->code);

    if (firmware->smm)
        add_option(argv, "-global", "driver=cfi.pflash01,property=secure,value=on");
    switch (firmware->kind) {
    case FIRMWARE_SPLIT:
        strv_append(argv, "-blockdev");
        strv_append_printf(argv, "driver=%s,node-name=firmware,read-only=on,file.driver=file,file.filename=%s",
                           firmware->code_format, code);
        add_flash_copy(config, argv, "variables", firmware->vars_format, firmware->vars);
        break;
    case FIRMWARE_COMBINED:
        add_flash_copy(config, argv, "firmware", firmware->code_format, firmware->code);
        break;
    case FIRMWARE_ROM:
        add_option(argv, "-bios", firmware->code);
        break;
    }
}

static void add_kernel(const struct qemu_config *config, struct strv *argv) {
    add_option(argv, "-kernel", config->kernel);
    add_option(argv, "-initrd", config->initrd);
    strv_append(argv, "-append");
    strv_append_take(argv, qemu_kernel_command_line(config));
}

void qemu_argv(const struct qemu_config *config, struct strv *ret_argv) {
    strv_append(ret_argv, config->program);
    add_machine(config, ret_argv);
    add_channels(config, ret_argv);
    add_shares(config, ret_argv);
    if (config->disk)
        add_disk(config, ret_argv);
    if (config->firmware)
        add_firmware(config, ret_argv);
    if (config->kernel)
        add_kernel(config, ret_argv);
    if (config->extra_args)
        strv_copy(ret_argv, config->extra_args);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "qemu/argv.h"

#include "wire/frame.h"

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
     * port. panic=0 keeps a panicked guest where it is, so that pvpanic can report it. The user's come last and win.
     */
    return xasprintf("console=%s loglevel=5 panic=0 %s%s%s%s", config->arch->console, config->arch->kernel_args,
                     config->accel == ACCEL_TCG ? config->arch->kernel_args_tcg : "",
                     str_empty(config->kernel_args) ? "" : " ", config->kernel_args ? config->kernel_args : "");
}

static void add(struct strv *argv, const char *option, const char *value) {
    strv_append(argv, option);
    if (value)
        strv_append(argv, value);
}

static void add_machine(const struct qemu_config *config, struct strv *argv) {
    add(argv, "-nodefaults", NULL);
    add(argv, "-no-user-config", NULL);
    add(argv, "-display", "none");
    add(argv, "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
    add(argv, "-name", "vmtest,debug-threads=on");
    strv_append(argv, "-machine");
    strv_append_printf(argv, "%s,accel=%s,usb=off,vmport=off", config->arch->machine, accel_name(config->accel));
    add(argv, "-cpu", config->cpu);
    strv_append(argv, "-smp");
    strv_append_printf(argv, "%u", config->num_cpus);
    strv_append(argv, "-m");
    strv_append_printf(argv, "size=%lluk", (unsigned long long)(config->memory / 1024));
    add(argv, "-action", "panic=pause,reboot=shutdown,shutdown=poweroff");
}

static void add_channel(struct strv *argv, const char *id, int fd) {
    strv_append(argv, "-chardev");
    strv_append_printf(argv, "socket,id=%s,fd=%d", id, fd);
}

static void add_channels(const struct qemu_config *config, struct strv *argv) {
    add_channel(argv, "qmp", config->qmp_fd);
    add(argv, "-mon", "chardev=qmp,mode=control");
    add_channel(argv, "console", config->console_fd);
    add(argv, "-serial", "chardev:console");
    add(argv, "-device", "virtio-serial-pci,id=serial");
    add_channel(argv, "agent", config->agent_fd);
    add(argv, "-device", "virtserialport,bus=serial.0,chardev=agent,name=" WIRE_PORT_NAME);
    add(argv, "-device", "virtio-rng-pci");
    if (config->arch->pvpanic)
        add(argv, "-device", config->arch->pvpanic);
}

static void add_shares(const struct qemu_config *config, struct strv *argv) {
    for (size_t i = 0; i < config->n_shares; i++) {
        const struct qemu_share *share = &config->shares[i];
        _cleanup_free_ char *path = option_escape(share->path);

        strv_append(argv, "-fsdev");
        strv_append_printf(argv, "local,id=%s,path=%s,security_model=none,multidevs=remap%s", share->tag, path,
                           share->writable ? "" : ",readonly=on");
        strv_append(argv, "-device");
        strv_append_printf(argv, "virtio-9p-pci,fsdev=%s,mount_tag=%s", share->tag, share->tag);
    }
}

void qemu_argv(const struct qemu_config *config, struct strv *ret_argv) {
    strv_append(ret_argv, config->program);
    add_machine(config, ret_argv);
    add_channels(config, ret_argv);
    add_shares(config, ret_argv);
    add(ret_argv, "-kernel", config->kernel);
    add(ret_argv, "-initrd", config->initrd);
    strv_append(ret_argv, "-append");
    strv_append_take(ret_argv, qemu_kernel_command_line(config));
    if (config->extra_args)
        strv_copy(ret_argv, config->extra_args);
}

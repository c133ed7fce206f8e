/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starts QEMU: target and preparation become a struct qemu_config, the sockets are made in pairs, and QEMU inherits its
 * ends of them with the files that it needs.
 */
#include "machine/launch.h"

#include "base/file.h"
#include "base/log.h"
#include "prepare/confinement.h"

enum channel { CHANNEL_QMP, CHANNEL_AGENT, CHANNEL_CONSOLE, CHANNEL_QGA, N_CHANNELS };

/* The part of the configuration that depends on no descriptor and no path of the host. */
static struct qemu_config common_config(const struct target *target, const struct preparation *preparation) {
    return (struct qemu_config){
        .arch = preparation->arch,
        .accel = preparation->accel,
        .program = preparation->program,
        .cpu = preparation->accel == ACCEL_KVM ? target->kvm_cpu_args : preparation->arch->cpu_tcg,
        .stable_clock = accel_has_clock(preparation->arch->stable_clock, NULL),
        .num_cpus = target->num_cpus,
        .single_threaded_tcg = preparation->single_threaded_tcg,
        .memory = target->memory,
        .kernel_args = target->kernel_args,
        .firmware = target->uefi ? &preparation->firmware : NULL,
        .transport = share_transport(target->share_choice),
        .n_shares = preparation->n_shares,
        .extra_args = &target->extra_args,
        .sandbox = target->sandbox,
        .vmcoreinfo = target->dump,
    };
}

static int start_process(struct machine *machine, const struct target *target, const struct preparation *preparation,
                         const struct qemu_config *config, const int *keep, size_t n_keep, struct error **ret_error) {
    _cleanup_strv_ struct strv argv = {0};
    _cleanup_strv_ struct strv environment = {0};
    _cleanup_close_ int ruleset = -1;
    struct qemu_process_request request = {
        .argv = &argv,
        .environment = &environment,
        .keep = keep,
        .n_keep = n_keep,
    };
    int r = confinement_make(target, preparation, config, &ruleset, ret_error);

    if (r < 0)
        return r;
    qemu_argv(config, &argv);
    for (size_t i = 0; log_enabled() && i < argv.count; i++)
        log_debug("argv[%zu]: %s", i, argv.items[i]);
    confinement_environment(target, &environment);
    request.ruleset_fd = ruleset;
    return qemu_process_start(&request, &machine->qemu, ret_error);
}

static int start_qemu(struct machine *machine, const struct target *target, const struct preparation *preparation,
                      const struct qemu_snapshot *snapshot, const int *theirs, struct error **ret_error) {
    _cleanup_free_ char *kernel = xasprintf("/proc/self/fd/%d", preparation->kernel_fd);
    _cleanup_free_ char *initrd = xasprintf("/proc/self/fd/%d", preparation->initrd_fd);
    const struct qemu_disk disk = {
        .path = target->image,
        .format = preparation->image.format,
        .device = preparation->image.device,
        .overlay_fd = preparation->overlay_fd,
    };
    struct qemu_config config = common_config(target, preparation);
    const int all[] = {
        theirs[CHANNEL_QMP],
        theirs[CHANNEL_AGENT],
        theirs[CHANNEL_CONSOLE],
        theirs[CHANNEL_QGA],
        preparation->kernel_fd,
        preparation->initrd_fd,
        preparation->overlay_fd,
        preparation->vars_fd,
        snapshot ? snapshot->memory_fd : -1,
        snapshot ? snapshot->disk_fd : -1,
    };
    int keep[ARRAY_SIZE(all)];
    size_t n_keep = 0;

    config.kernel = target->kernel ? kernel : NULL;
    config.initrd = target->kernel ? initrd : NULL;
    config.disk = target->image ? &disk : NULL;
    config.vars_fd = preparation->vars_fd;
    config.shares = preparation->shares;
    config.snapshot = snapshot;
    config.qmp_fd = theirs[CHANNEL_QMP];
    config.agent_fd = theirs[CHANNEL_AGENT];
    config.console_fd = theirs[CHANNEL_CONSOLE];
    config.qga_fd = theirs[CHANNEL_QGA];
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        if (all[i] >= 0)
            keep[n_keep++] = all[i];
    }
    return start_process(machine, target, preparation, &config, keep, n_keep, ret_error);
}

int machine_launch(struct machine *machine, const struct target *target, const struct preparation *preparation,
                   const struct qemu_snapshot *snapshot, struct error **ret_error) {
    int *const ours[N_CHANNELS] = {&machine->qmp_fd, &machine->agent_fd, &machine->console_fd, &machine->qga_fd};
    int theirs[N_CHANNELS] = {-1, -1, -1, -1};
    size_t n_channels = target->image ? N_CHANNELS : CHANNEL_QGA;
    int r = 0;

    for (size_t i = 0; r == 0 && i < n_channels; i++)
        r = fd_socket_pair(ours[i], &theirs[i], ret_error);
    if (r == 0)
        r = start_qemu(machine, target, preparation, snapshot, theirs, ret_error);
    for (size_t i = 0; i < N_CHANNELS; i++)
        (void)fd_close(theirs[i]);
    return r;
}

void machine_launch_normal_argv(const struct target *target, const struct preparation *preparation,
                                struct strv *ret_argv) {
    struct qemu_config config = common_config(target, preparation);
    struct share *shares = xcalloc(preparation->n_shares + 1, sizeof(*shares));
    const struct qemu_disk disk = {.path = "", .format = preparation->image.format};

    for (size_t i = 0; i < preparation->n_shares; i++) {
        shares[i] = preparation->shares[i];
        shares[i].path = "";
    }
    config.shares = shares;
    config.kernel = target->kernel ? "" : NULL;
    config.initrd = target->kernel ? "" : NULL;
    config.disk = target->image ? &disk : NULL;
    qemu_argv(&config, ret_argv);
    free(shares);
}

char *machine_launch_paste_line(const struct target *target, const struct preparation *preparation,
                                const char *initramfs) {
    struct qemu_config config = common_config(target, preparation);
    const struct qemu_disk disk = {.path = target->image, .format = preparation->image.format, .overlay_fd = -1};
    _cleanup_strv_ struct strv argv = {0};
    struct buffer line = {0};

    config.standalone = true;
    config.shares = preparation->shares;
    config.kernel = target->kernel;
    config.initrd = target->kernel ? initramfs : NULL;
    config.disk = target->image ? &disk : NULL;
    qemu_argv(&config, &argv);
    for (size_t i = 0; i < argv.count; i++) {
        _cleanup_free_ char *quoted = str_shell_quote(argv.items[i]);

        buffer_printf(&line, "%s%s", i > 0 ? " " : "", quoted);
    }
    buffer_append_string(&line, "\n");
    return buffer_take(&line);
}
